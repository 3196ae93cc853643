"""From what people wrote to the whole set of schemas: metadata joined, enums named, Create, Patch and List derived.

A schema is a dict as OpenAPI has it, but a $ref is the bare name of another schema, and the keys x-virga-create and
x-virga-patch still say who may write a property.
"""
import copy
import re

from .load import ApiError

CLOUD_WITHOUT = ["project"]


def camel(snake):
    """vm_state -> VmState"""
    return "".join(part.capitalize() for part in re.split(r"[_-]", snake))


def snake(name):
    """VmState -> vm_state"""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Schemas:
    """Every schema by name, with the noun (file) that it belongs to."""

    def __init__(self):
        self.by_name = {}
        self.noun = {}

    def add(self, noun, name, schema):
        """One more; a name is taken once."""
        if name in self.by_name:
            raise ApiError(f"schema {name} is there twice")
        self.by_name[name] = schema
        self.noun[name] = noun

    def follow(self, prop):
        """The schema that a property means: the named one with the property's own keys on top."""
        if "$ref" not in prop:
            return prop
        if prop["$ref"] not in self.by_name:
            raise ApiError(f"$ref: {prop['$ref']} names no schema")
        return {**self.by_name[prop["$ref"]], **{k: v for k, v in prop.items() if k != "$ref"}}

    def is_object(self, name):
        """Whether a name is that of a schema with properties."""
        return name in self.by_name and "properties" in self.by_name[name]


def with_meta(schema, meta):
    """A resource's schema with the fields that every resource has; its own come after the name and before the times."""
    kind = schema["x-virga-resource"]
    without = list(schema.get("x-virga-without", [])) + (CLOUD_WITHOUT if kind == "cloud" else [])
    own = schema["properties"]
    properties = {}
    for key in ("id", "project", "name", "description", "labels"):
        if key not in without and key not in own:
            properties[key] = copy.deepcopy(meta[key])
    if schema.get("x-virga-name") == "optional":
        properties["name"]["x-virga-create"] = "optional"
    properties.update(own)
    for key in ("generation", "created_at", "updated_at"):
        if key not in without and key not in own:
            properties[key] = copy.deepcopy(meta[key])
    out = {k: v for k, v in schema.items() if k not in ("x-virga-without", "x-virga-name")}
    out.update(type="object", properties=properties)
    # What the server always answers with: what it writes itself, what had to be given, what has a default.
    out["required"] = [k for k, p in properties.items() if not p.get("writeOnly") and
                       (k in ("id", "project", "generation", "created_at", "updated_at", "status") or
                        p.get("x-virga-create") == "required" or "default" in p)]
    return out


PROPERTY_KEYS = {"$ref", "type", "description", "enum", "default", "minimum", "maximum", "minLength", "maxLength",
                 "minItems", "maxItems", "items", "readOnly", "writeOnly",
                 "x-virga-create", "x-virga-patch", "x-virga-role", "x-virga-any", "x-virga-null"}


def check_refs(schemas):
    """Once all are derived: every $ref leads somewhere."""
    for name, schema in schemas.by_name.items():
        for key, prop in schema.get("properties", {}).items():
            for p in (prop, prop.get("items", {})):
                if "$ref" in p and p["$ref"] not in schemas.by_name:
                    raise ApiError(f"{name}.{key}: $ref {p['$ref']} names no schema")


def check_property(where, prop):
    """A property has keys that mean something, and a description."""
    unknown = sorted(set(prop) - PROPERTY_KEYS)
    if unknown:
        raise ApiError(f"{where}: unknown key {', '.join(unknown)}")
    if prop.get("x-virga-role", "operator") not in ("operator", "admin"):
        raise ApiError(f"{where}: x-virga-role is {prop['x-virga-role']}; of a property it is operator or admin")
    if "description" not in prop:
        raise ApiError(f"{where}: description is missing")


def hoist_enums(schemas, noun, name, schema):
    """Gives each enum that is written inside a property a name of its own: VmNic.kind becomes VmNicKind."""
    for key, prop in schema.get("properties", {}).items():
        check_property(f"{name}.{key}", prop)
        if "enum" not in prop:
            continue
        enum_name = name + camel(key)
        inner = {k: prop[k] for k in ("type", "enum", "description")}
        schemas.add(noun, enum_name, inner)
        for k in ("type", "enum"):
            del prop[k]
        prop["$ref"] = enum_name


def create_of(name, schema):
    """What POST takes: all that users may write, what had to be given required."""
    properties, required = {}, []
    for key, prop in schema["properties"].items():
        how = prop.get("x-virga-create", "no" if prop.get("readOnly") else "optional")
        if how not in ("required", "optional", "no"):
            raise ApiError(f"{name}.{key}: x-virga-create is {how}; use required, optional or no")
        if how == "no":
            continue
        properties[key] = copy.deepcopy(prop)
        if how == "required":
            required.append(key)
    return {"type": "object", "description": f"What can be said when it is created: {schema['description']}",
            "required": required, "properties": properties, "x-virga-base": name}


def map_patch(schemas, name):
    """A map whose values may be null, which removes the key."""
    if name + "Patch" not in schemas.by_name:
        patch = copy.deepcopy(schemas.by_name[name])
        patch["additionalProperties"]["type"] = ["string", "null"]
        schemas.add(schemas.noun[name], name + "Patch", patch)
    return name + "Patch"


def patch_of(schemas, noun, name, schema, everything):
    """What PATCH takes: nothing required; null resets what need not be given. Objects inside are patched key by key."""
    properties = {}
    for key, prop in schema["properties"].items():
        if not everything and not prop.get("x-virga-patch"):
            continue
        prop = copy.deepcopy(prop)
        must = key in schema.get("required", []) if everything else prop.get("x-virga-create") == "required"
        if not must:
            prop["x-virga-null"] = True
        prop.pop("default", None)
        if schemas.is_object(prop.get("$ref")):
            inner = prop["$ref"]
            if inner + "Patch" not in schemas.by_name:
                patch = patch_of(schemas, schemas.noun[inner], inner, schemas.by_name[inner], True)
                schemas.add(schemas.noun[inner], inner + "Patch", patch)
            prop["$ref"] = inner + "Patch"
        elif "additionalProperties" in schemas.by_name.get(prop.get("$ref"), {}):
            prop["$ref"] = map_patch(schemas, prop["$ref"])
        properties[key] = prop
    return {"type": "object", "description": f"What can be changed: {schema['description']}", "properties": properties,
            "x-virga-base": name}


def list_of(name, what):
    """A page of a list."""
    return {"type": "object", "description": f"A page of {what}.", "required": ["items"], "properties": {
        "items": {"type": "array", "maxItems": 1000, "items": {"$ref": name}, "description": "The page's items."},
        "next_cursor": {"type": "string", "maxLength": 2047, "description": "Where the next page begins; absent on the last one."}}}


def derive_resources(schemas, noun_file):
    """Create and Patch of a file's resources, so far as an operation takes them."""
    noun = noun_file["noun"]
    for noun_name, resource in noun_file.get("resources", {}).items():
        name, operations = resource["schema"], resource.get("operations", ["list", "create", "get", "patch", "delete"])
        if not schemas.is_object(name) or "x-virga-resource" not in schemas.by_name[name]:
            raise ApiError(f"resource {noun_name}: {name} is no schema with x-virga-resource")
        if "create" in operations:
            schemas.add(noun, name + "Create", create_of(name, schemas.by_name[name]))
        if "patch" in operations:
            schemas.add(noun, name + "Patch", patch_of(schemas, noun, name, schemas.by_name[name], False))
        schemas.add(noun, name + "List", list_of(name, resource["plural"]))


def derive_schemas(common, problems, nouns):
    """All schemas."""
    schemas = Schemas()
    files = [{"noun": "common", "schemas": common["schemas"]}] + nouns
    written = []
    for f in files:
        for name, schema in f.get("schemas", {}).items():
            schema = copy.deepcopy(schema)
            if "x-virga-resource" in schema:
                schema = with_meta(schema, common["meta"])
            elif "properties" in schema:
                schema["type"] = "object"
            schemas.add(f["noun"], name, schema)
            written.append((f["noun"], name, schema))
    codes = "A code of a problem document; each has one status.\n\n" + "\n".join(
        f"- `{code}` ({status}): {title}" for code, (status, title) in problems.items())
    schemas.add("common", "ProblemCode", {"type": "string", "enum": list(problems), "description": codes})
    for noun, name, schema in written:
        hoist_enums(schemas, noun, name, schema)
    for noun, name, schema in written:
        if "patch" in schema.get("x-virga-derive", []):
            schemas.add(noun, name + "Patch", patch_of(schemas, noun, name, schema, False))
    for f in nouns:
        derive_resources(schemas, f)
    check_refs(schemas)
    return schemas
