"""api/openapi.json as tests use it: draws requests from it, spoils them, and holds values and answers to it.

It knows the words of JSON Schema that our description uses and no others; an unknown one is an error, so that nothing
is taken for checked that is not.
"""
import json
import random
import re
import urllib.parse

NOT_CHECKED = {"description", "default", "readOnly", "writeOnly", "title"}
CHECKED = {"$ref", "anyOf", "type", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "items", "minItems",
           "maxItems", "properties", "required", "additionalProperties", "propertyNames", "maxProperties"}
SAMPLES = {"name": "web-{n}", "version": "1.{n}", "hostname": "h{n}.example", "url": "https://example.org/{n}",
           "cidr": "10.{b}.0.0/16", "ip": "192.0.2.{b}", "mac": "52:54:00:00:00:{b:02x}", "sha256": "{n:064x}", "base64": "aGk=",
           "timestamp": "2026-01-01T00:00:00.{b:03}Z", "uuid": "0190b8e4-9a5b-7cde-8f01-{n:012x}"}
PYTHON_TYPES = {"string": str, "boolean": bool, "object": dict, "array": list, "null": type(None)}


def has_type(value, name):
    """Whether a value is of a JSON type; true and false are no numbers."""
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, PYTHON_TYPES[name])


class Description:
    """The description, read."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.document = json.load(f)

    def resolve(self, node):
        """What a $ref leads to, with the keys beside it on top."""
        while "$ref" in node:
            target = self.document
            for part in node["$ref"].lstrip("#/").split("/"):
                target = target[part]
            node = {**target, **{k: v for k, v in node.items() if k != "$ref"}}
        return node

    def schema(self, name):
        """A named schema."""
        return self.resolve({"$ref": f"#/components/schemas/{name}"})

    def operations(self):
        """Each operation with its method and path: (method, path, operation)."""
        for path, item in self.document["paths"].items():
            for method, op in item.items():
                if method != "servers":
                    yield method, path, op

    # What is wrong with a value.

    def errors(self, schema, value, where=""):
        """All complaints about a value."""
        schema = self.resolve(schema)
        unknown = [k for k in schema if k not in CHECKED and k not in NOT_CHECKED and not k.startswith("x-")]
        assert not unknown, f"{where}: this checker does not know {unknown}"
        if "anyOf" in schema:
            each = [self.errors(s, value, where) for s in schema["anyOf"]]
            return [] if [] in each else each[0]
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(has_type(value, t) for t in types):
            return [f"{where}: {value!r:.60} is not {' or '.join(types)}"]
        if value is None:
            return []
        wrong = []
        if "enum" in schema and value not in schema["enum"]:
            wrong.append(f"{where}: {value!r} is none of {schema['enum']}")
        if isinstance(value, str):
            wrong += self.text_errors(schema, value, where)
        elif isinstance(value, list):
            wrong += self.list_errors(schema, value, where)
        elif isinstance(value, dict):
            wrong += self.object_errors(schema, value, where)
        elif not isinstance(value, bool) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            wrong.append(f"{where}: {value} is out of range")
        return wrong

    def text_errors(self, schema, value, where):
        """Length and pattern."""
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            return [f"{where}: {len(value)} characters"]
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return [f"{where}: {value!r:.60} does not match {schema['pattern']}"]
        return []

    def list_errors(self, schema, value, where):
        """Length and items."""
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return [f"{where}: {len(value)} items"]
        return [e for i, v in enumerate(value) for e in self.errors(schema.get("items", {}), v, f"{where}/{i}")]

    def object_errors(self, schema, value, where):
        """Properties, and the others."""
        properties, other = schema.get("properties", {}), schema.get("additionalProperties", True)
        wrong = [f"{where}/{k}: missing" for k in schema.get("required", []) if k not in value]
        if len(value) > schema.get("maxProperties", len(value)):
            wrong.append(f"{where}: {len(value)} keys")
        for k, v in value.items():
            inside = f"{where}/{k}"
            if k in properties:
                wrong += self.errors(properties[k], v, inside)
            elif other is False:
                wrong.append(f"{inside}: not allowed")
            elif isinstance(other, dict):
                wrong += self.errors(other, v, inside) + self.errors(schema.get("propertyNames", {}), k, inside)
        return wrong

    # Values that are right.

    def draw(self, schema, rng=random):
        """A value that is allowed."""
        schema = self.resolve(schema)
        if "anyOf" in schema:
            return self.draw(rng.choice(schema["anyOf"]), rng)
        if "enum" in schema:
            return rng.choice(schema["enum"])
        kind = schema.get("type", "null")
        kind = kind if isinstance(kind, str) else rng.choice(kind)
        if kind == "string":
            return self.draw_text(schema, rng)
        if kind == "array":
            least = schema.get("minItems", 0)
            return [self.draw(schema["items"], rng) for _ in range(rng.randint(least, min(schema["maxItems"], least + 2)))]
        if kind == "object":
            return self.draw_object(schema, rng)
        if kind == "integer":
            return rng.choice([schema["minimum"], schema["maximum"], rng.randint(schema["minimum"], schema["maximum"])])
        return {"number": lambda: rng.uniform(schema["minimum"], schema["maximum"]), "boolean": lambda: rng.random() < 0.5,
                "null": lambda: None}[kind]()

    def draw_text(self, schema, rng):
        """A text of the right length or format."""
        form = schema.get("x-virga-format")
        if form:
            return SAMPLES[form].format(n=rng.randrange(1 << 20), b=rng.randrange(1, 255))
        least = schema.get("minLength", 0)
        length = rng.choice([least, min(schema.get("maxLength", least + 20), least + rng.randrange(1, 20))])
        return "".join(rng.choice("aZ0 \u00e9\u20ac\U0001f600\"\\\n/") for _ in range(length))

    def draw_object(self, schema, rng):
        """An object with what is required and some of the rest."""
        required = schema.get("required", [])
        value = {k: self.draw(p, rng) for k, p in schema.get("properties", {}).items() if k in required or rng.random() < 0.4}
        if isinstance(schema.get("additionalProperties"), dict):
            for n in range(rng.randrange(3)):
                value[f"key-{n}"] = self.draw(schema["additionalProperties"], rng)
        return value

    # Values that are not.

    def spoil(self, schema, value, rng=random):
        """A copy of an object that was right with one thing wrong; the caller asks errors() whether it really is."""
        schema, value = self.resolve(schema), json.loads(json.dumps(value))
        keys = [k for k in value if k in schema.get("properties", {})]
        way = rng.randrange(4)
        if way == 0 or not keys:
            value["no_such_field"] = 1
        elif way == 1 and schema.get("required"):
            del value[rng.choice([k for k in schema["required"] if k in value])]
        else:
            key = rng.choice(keys)
            value[key] = self.spoil_value(schema["properties"][key], value[key], rng)
        return value

    def spoil_value(self, schema, value, rng):
        """Something that this property does not take."""
        whole = self.resolve(schema)
        if "anyOf" in whole:
            whole = self.resolve(whole["anyOf"][0])
        if isinstance(value, dict) and "properties" in whole and rng.random() < 0.7:
            return self.spoil(whole, value, rng)
        if isinstance(value, list) and value and rng.random() < 0.5:
            return value[:-1] + [self.spoil_value(whole["items"], value[-1], rng)]
        ways = [[{}], {"x": []}, True, 1.5, -1, "no such word", ""]
        if "maximum" in whole:
            ways += [whole["maximum"] + 1, whole["minimum"] - 1]
        if "maxLength" in whole:
            ways.append("a" * (whole["maxLength"] + 1))
        return rng.choice(ways)

    # Requests.

    def request_schema(self, op):
        """(media type, schema) of an operation's body; (None, None): it takes none."""
        for media, content in op.get("requestBody", {}).get("content", {}).items():
            return media, content["schema"]
        return None, None

    def draw_target(self, path, op, rng=random):
        """A path and query that are allowed. What a list is asked (filter, sort, fields, cursor) has a language of its own."""
        query = []
        for p in map(self.resolve, op.get("parameters", [])):
            if p["in"] == "path":
                path = path.replace("{" + p["name"] + "}", SAMPLES["name"].format(n=rng.randrange(1000)))
            elif p["in"] == "query" and p["name"] not in ("filter", "sort", "fields", "cursor") and rng.random() < 0.5:
                value = self.draw(p["schema"], rng)
                query.append((p["name"], str(value).lower() if isinstance(value, bool) else str(value)))
        return path + ("?" + urllib.parse.urlencode(query) if query else "")

    # Answers.

    def answer_errors(self, op, status, media, body):
        """What is wrong with an answer: its status, its type, its body (parsed JSON, or None)."""
        response = op["responses"].get(str(status)) or (op["responses"]["default"] if status >= 400 else None)
        if status >= 500 and status not in (501, 503, 507):
            return [f"status {status}"]
        if response is None:
            return [f"status {status} is not described"]
        content = self.resolve(response).get("content", {})
        if not content:
            return [] if body is None else ["a body that is not described"]
        if media not in content:
            return [f"type {media} is not described"]
        return self.errors(content[media]["schema"], body)
