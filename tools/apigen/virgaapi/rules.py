"""Holds the finished document to OpenAPI 3.1's structure and to the house's rules (bounds, descriptions, units).

It reads only the document, as any other reader would: what is wrong there is wrong for everybody.
"""
import re

TYPES = {"string", "integer", "number", "boolean", "object", "array", "null"}
PATH_PART = re.compile(r"^(?:[a-z0-9.-]+|\{[a-z_]+\})$")
# Numbers whose name says their unit, or that count things.
QUANTITY = re.compile(r"(size|memory|time|timeout|duration|rate|bandwidth|length)$")


class Rules:
    """Complaints about one document."""

    def __init__(self, document):
        self.document, self.wrong, self.refs = document, [], set()

    def say(self, where, what):
        """One complaint."""
        self.wrong.append(f"{where}: {what}")

    def resolve(self, where, node):
        """Follows a $ref within the document."""
        while isinstance(node, dict) and "$ref" in node:
            ref = node["$ref"]
            self.refs.add(ref)
            target = self.document
            for part in ref.lstrip("#/").split("/"):
                target = target.get(part) if isinstance(target, dict) else None
            if target is None:
                self.say(where, f"$ref {ref} leads nowhere")
                return {}
            node = target
        return node

    def check(self):
        """All rules; the complaints."""
        d = self.document
        for key in ("openapi", "info", "paths", "components"):
            if key not in d:
                self.say("document", f"{key} is missing")
        if not re.match(r"^3\.1\.\d+$", d.get("openapi", "")):
            self.say("openapi", "not a version 3.1")
        for key in ("title", "version"):
            if not isinstance(d["info"].get(key), str):
                self.say("info", f"{key} is missing or no text")
        self.paths()
        for name, schema in d["components"]["schemas"].items():
            if not re.match(r"^[A-Za-z0-9._-]+$", name):
                self.say(name, "no name for a component")
            self.schema(f"schemas/{name}", schema, True)
        self.cycles()
        for kind in ("schemas", "parameters", "headers", "responses"):
            for name in d["components"].get(kind, {}):
                if f"#/components/{kind}/{name}" not in self.refs:
                    self.say(f"components/{kind}/{name}", "nothing refers to it")
        return self.wrong

    def paths(self):
        """Every path and operation."""
        ids, shapes, tags = set(), {}, {t["name"] for t in self.document.get("tags", [])}
        for path, item in self.document["paths"].items():
            if not path.startswith("/") or not all(PATH_PART.match(p) for p in path[1:].split("/")):
                self.say(path, "a path is words in lower case and names in braces")
            shape = re.sub(r"\{\w+\}", "{}", path)
            if shape in shapes:
                self.say(path, f"cannot be told from {shapes[shape]}")
            shapes[shape] = path
            for method, op in item.items():
                if method == "servers":
                    continue
                where = f"{method} {path}"
                if op.get("operationId") in ids:
                    self.say(where, f"operationId {op.get('operationId')} is there twice")
                ids.add(op.get("operationId"))
                if not set(op.get("tags", [])) <= tags or not op.get("tags"):
                    self.say(where, "its tags are not those of the document")
                self.operation(where, path, op)

    def operation(self, where, path, op):
        """One operation."""
        if not op.get("summary") or op["summary"].endswith("."):
            self.say(where, "a summary is there and has no full stop")
        seen = set()
        for p in op.get("parameters", []):
            p = self.resolve(where, p)
            key = (p.get("in"), p.get("name"))
            if key in seen or p.get("in") not in ("path", "query", "header", "cookie"):
                self.say(where, f"parameter {key} is there twice or nowhere")
            seen.add(key)
            if p.get("in") == "path" and not p.get("required"):
                self.say(where, f"the path parameter {p['name']} is not required")
            if not p.get("description"):
                self.say(where, f"parameter {p.get('name')} has no description")
            self.schema(f"{where} {p.get('name')}", p.get("schema", {}), False)
        named = {n for kind, n in seen if kind == "path"}
        if named != set(re.findall(r"\{(\w+)\}", path)):
            self.say(where, f"its path parameters are {sorted(named)}, which the path does not hold")
        for media, content in op.get("requestBody", {}).get("content", {}).items():
            self.media(where, media, content)
        self.responses(where, op.get("responses", {}))

    def responses(self, where, responses):
        """The answers of one operation."""
        if not any(code[0] in "123" for code in responses):
            self.say(where, "has no success")
        for code, response in responses.items():
            if not re.match(r"^([1-5][0-9]{2}|default)$", code):
                self.say(where, f"{code} is no status")
            response = self.resolve(where, response)
            if not response.get("description"):
                self.say(where, f"response {code} has no description")
            for name, header in response.get("headers", {}).items():
                self.schema(f"{where} {name}", self.resolve(where, header).get("schema", {}), False)
            for media, content in response.get("content", {}).items():
                self.media(where, media, content)

    def media(self, where, media, content):
        """A body."""
        if not re.match(r"^[a-z]+/[a-z0-9.+-]+$", media) or "schema" not in content:
            self.say(where, f"{media} has no schema")
        else:
            self.schema(f"{where} {media}", content["schema"], False)

    def schema(self, where, schema, described):
        """A schema and all inside."""
        if described and not schema.get("description"):
            self.say(where, "has no description")
        if "$ref" in schema:
            self.resolve(where, schema)
            return
        for inner in schema.get("anyOf", []):
            self.schema(where, inner, False)
        types = schema.get("type", [])
        types = types if isinstance(types, list) else [types]
        if set(types) - TYPES:
            self.say(where, f"{types} is no type")
        if "enum" in schema:
            self.enum(where, schema)
        elif "string" in types and "maxLength" not in schema and not where.endswith("/Base64"):
            self.say(where, "text without maxLength")
        if ("integer" in types or "number" in types) and not {"minimum", "maximum"} <= set(schema):
            self.say(where, "a number without minimum and maximum")
        if "array" in types:
            if not {"items", "maxItems"} <= set(schema):
                self.say(where, "a list without items and maxItems")
            self.schema(where + "/items", schema.get("items", {}), False)
        if "pattern" in schema:
            re.compile(schema["pattern"])
        self.default(where, schema)
        self.properties(where, schema)

    def enum(self, where, schema):
        """A set of words."""
        if not schema["enum"] or len(set(schema["enum"])) != len(schema["enum"]):
            self.say(where, "an enum without words, or with one twice")

    def default(self, where, schema):
        """A default is a value that is allowed."""
        if "default" not in schema:
            return
        value, kind = schema["default"], schema.get("type")
        good = {"integer": isinstance(value, int), "number": isinstance(value, (int, float)), "boolean": isinstance(value, bool),
                "string": isinstance(value, str), "array": isinstance(value, list)}.get(kind, True)
        if not good or ("minimum" in schema and not schema["minimum"] <= value <= schema["maximum"]):
            self.say(where, f"the default {value} is not allowed by its own schema")

    def properties(self, where, schema):
        """The properties of an object."""
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in properties:
                self.say(where, f"requires {name}, which it has not")
        for name, prop in properties.items():
            inside = f"{where}/{name}"
            if not re.match(r"^[a-z][a-z0-9_]*$", name):
                self.say(inside, "a name is in lower case with _")
            if QUANTITY.search(name) and prop.get("type") in ("integer", "number"):
                self.say(inside, "a number without a unit in its name")
            if "default" in prop and "$ref" in prop:
                target = self.resolve(inside, prop)
                if "enum" in target and prop["default"] not in target["enum"]:
                    self.say(inside, f"the default {prop['default']} is none of its words")
            self.schema(inside, prop, True)

    def cycles(self):
        """The tables in C nest, and so does what reads them: no schema may hold itself."""
        schemas, state = self.document["components"]["schemas"], {}

        def visit(name, trail):
            if state.get(name) == "done":
                return
            if name in trail:
                self.say(name, "holds itself: " + " > ".join(trail[trail.index(name):] + [name]))
                return
            for ref in re.findall(r"#/components/schemas/(\w+)", repr(schemas.get(name, {}))):
                visit(ref, trail + [name])
            state[name] = "done"

        for name in schemas:
            visit(name, [])
