"""The description as C sees it: structs with members in order, enums with words, all names fixed."""
from .derive import camel, snake
from .load import ApiError

KEYWORDS = {"auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern", "float",
            "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof",
            "static", "struct",
            "switch", "typedef", "union", "unsigned", "void", "volatile", "while"}
KINDS = {"string": "TEXT", "integer": "INT", "number": "NUMBER", "boolean": "BOOL"}


class Field:
    """One member of a struct."""

    def __init__(self, schemas, owner, name, prop, required):
        self.name, self.member = name, name + "_" if name in KEYWORDS else name
        self.where = f"{owner}.{name}"
        self.flags = [flag for flag, on in (("REQUIRED", required), ("NULLABLE", prop.get("x-virga-null")),
                                            ("WRITE_ONLY", prop.get("writeOnly"))) if on]
        self.words = self.object = self.item_kind = None
        self.min = self.max = self.min_items = self.max_items = self.format = None
        self.role = prop.get("x-virga-role")
        whole = schemas.follow(prop)
        self.description = whole.get("description", "")
        self.fallback = self.default_text(whole)
        self.kind = self.kind_of(schemas, prop, whole)
        if self.kind == "LIST":
            item = schemas.follow(prop["items"])
            self.item_kind = self.kind_of(schemas, prop["items"], item)
            self.min_items, self.max_items = whole.get("minItems", 0), whole["maxItems"]
            if self.item_kind not in ("TEXT", "INT", "ENUM", "OBJECT"):
                raise ApiError(f"{self.where}: a list of {self.item_kind}")
            whole = item
        if self.kind == "MAP":
            self.min_items, self.max_items = 0, whole["maxProperties"]
            whole = whole["additionalProperties"]
            self.flags += ["NULL_VALUES"] if isinstance(whole["type"], list) else []
        self.bounds(whole)

    def kind_of(self, schemas, prop, whole):
        """The kind, and what it names."""
        if prop.get("x-virga-any"):
            return "ANY"
        if schemas.is_object(prop.get("$ref")):
            self.object = prop["$ref"]
            return "OBJECT"
        if "enum" in whole:
            self.words = prop["$ref"]
            return "ENUM"
        if whole.get("type") == "array":
            return "LIST"
        if whole.get("type") == "object" and "additionalProperties" in whole:
            return "MAP"
        if whole.get("type") not in KINDS:
            raise ApiError(f"{self.where}: type {whole.get('type')} has no kind in C")
        return KINDS[whole["type"]]

    def bounds(self, whole):
        """Lengths and ranges."""
        kind = self.item_kind or self.kind
        if kind in ("TEXT", "MAP"):
            # Absent only in base64, whose users each say how long it may be.
            self.min, self.max = whole.get("minLength", 0), whole.get("maxLength", 1 << 20)
            self.format = whole.get("x-virga-format")
        if kind in ("INT", "NUMBER"):
            self.min, self.max = whole["minimum"], whole["maximum"]

    def default_text(self, whole):
        """The default as the text that a query parameter would have."""
        value = whole.get("default")
        if value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, list):
            return ",".join(value)
        return str(value)


class Struct:
    """One schema with properties."""

    def __init__(self, schemas, noun, name, schema, prefix):
        self.noun, self.what, self.tag = noun, name, f"{prefix}_{snake(name)}"
        self.symbol = f"{prefix}_types_{snake(name)}"
        self.description = schema.get("description", "")
        self.base = schema.get("x-virga-base")
        required = schema.get("required", [])
        self.fields = [Field(schemas, name, k, p, k in required) for k, p in schema["properties"].items()]


class Enum:
    """One schema with words."""

    def __init__(self, noun, name, schema, prefix):
        self.noun, self.what, self.tag = noun, name, f"{prefix}_{snake(name)}"
        self.symbol = f"{prefix}_types_{snake(name)}"
        self.words = schema["enum"]
        prefix = self.tag.upper() + "_"
        self.constants = [prefix + "".join(c if c.isalnum() else "_" for c in w).upper() for w in self.words]


class Model:
    """Everything that C gets. `prefix` begins all names and is the folder of the description and of the module in src/."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.structs, self.enums, self.formats = {}, {}, {}

    def add(self, schemas, name):
        """One schema, as what it is."""
        schema, noun = schemas.by_name[name], schemas.noun[name]
        if "enum" in schema:
            self.enums[name] = Enum(noun, name, schema, self.prefix)
        elif "properties" in schema:
            self.structs[name] = Struct(schemas, noun, name, schema, self.prefix)
        elif "x-virga-format" in schema:
            self.formats.setdefault(schema["x-virga-format"], (schema["pattern"], schema.get("maxLength", 1 << 20)))

    def check_names(self):
        """No constant is there twice."""
        constants = [c for e in self.enums.values() for c in e.constants]
        twice = {c for c in constants if constants.count(c) > 1}
        if twice:
            raise ApiError(f"constants that are there twice: {', '.join(sorted(twice))}")


def add_query_schemas(schemas, operations):
    """Query parameters of an operation are a struct too; enums inside get a name."""
    for op in operations:
        if not op.query:
            continue
        properties = {}
        for key, prop in op.query.items():
            if "enum" in prop:
                name = op.query_schema + camel(key)
                schemas.add(op.noun, name, {k: prop[k] for k in ("type", "enum", "description")})
                prop = {"$ref": name, **{k: v for k, v in prop.items() if k not in ("type", "enum")}}
            properties[key] = prop
        schemas.add(op.noun, op.query_schema, {"type": "object", "properties": properties, "description": f"The query of {op.id}."})


def build(schemas, operations, common):
    """The model of all schemas."""
    add_query_schemas(schemas, operations)
    schemas.add("common", "ListQuery", {"type": "object", "properties": common["list-parameters"],
                                        "description": "What every list takes."})
    m = Model("api")
    tags = set()
    for name in schemas.by_name:
        if snake(name) in tags:
            raise ApiError(f"schema {name}: its name in C is taken")
        tags.add(snake(name))
        m.add(schemas, name)
    keys = schemas.by_name["Labels"]["propertyNames"]
    m.formats["key"] = (keys["pattern"], keys["maxLength"])
    m.check_names()
    return m
