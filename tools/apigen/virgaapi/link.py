"""The messages between server and agents (link/*.yaml): schemas like those of the API, without resources and paths."""
import copy

from .derive import Schemas, check_refs, hoist_enums
from .load import ApiError
from .model import Model


def check_bounds(name, schema):
    """Every text and list has a bound, so that what is read of a peer has one."""
    for key, prop in schema.get("properties", {}).items():
        for p in (prop, prop.get("items", {})):
            text = p.get("type") == "string" and "enum" not in p
            if (text and "maxLength" not in p) or (p.get("type") == "array" and "maxItems" not in p):
                raise ApiError(f"{name}.{key}: maxLength or maxItems is missing")


def build(common, files):
    """The model of all messages. The API's named formats may be used."""
    schemas = Schemas()
    for name, schema in common["schemas"].items():
        if "x-virga-format" in schema:
            schemas.add("common", name, copy.deepcopy(schema))
    written = []
    for f in files:
        for name, schema in f["schemas"].items():
            schema = copy.deepcopy(schema)
            check_bounds(name, schema)
            if "properties" in schema:
                schema["type"] = "object"
            schemas.add(f["file"], name, schema)
            written.append((f["file"], name, schema))
    for noun, name, schema in written:
        hoist_enums(schemas, noun, name, schema)
    check_refs(schemas)
    m = Model("link")
    for name in schemas.by_name:
        m.add(schemas, name)
    m.check_names()
    for name, s in m.structs.items():
        at = [i for i, f in enumerate(s.fields) if f.words == "Type"]
        if at and at != [0]:
            raise ApiError(f"{name}: a message's type is its first member")
    return m
