"""The OpenAPI 3.1 document: standard words only, with x-virga-* on operations for those who want them."""
import json

PROBLEM_TITLES = {"400": "The request cannot be read.", "401": "A valid token is needed.", "403": "Not allowed.",
                  "404": "No such thing.", "409": "The state of things does not allow it.", "412": "Changed by somebody else.",
                  "422": "The request holds values that are not allowed.", "429": "Too many requests.",
                  "503": "The server cannot take this now."}
# Of a property: what says who may write it is not part of the document, since Create and Patch are.
INTERNAL = {"x-virga-create", "x-virga-patch", "x-virga-null", "x-virga-any", "x-virga-base", "x-virga-resource", "x-virga-derive",
            "x-virga-without", "x-virga-name", "required"}


def pointer(name):
    """The full form of a $ref."""
    return f"#/components/schemas/{name}"


def render_property(prop):
    """A property as the document has it."""
    out = {k: v for k, v in prop.items() if k not in INTERNAL and k not in ("$ref", "items")}
    if "$ref" in prop:
        out = {"$ref": pointer(prop["$ref"]), **out}
    if "items" in prop:
        out["items"] = render_property(prop["items"])
    if prop.get("x-virga-null"):
        if "$ref" in prop:
            ref = {"$ref": out.pop("$ref"), **{k: out.pop(k) for k in list(out) if k in ("maxLength", "minLength")}}
            out = {"anyOf": [ref, {"type": "null"}], **out}
        else:
            out["type"] = [out["type"], "null"]
    return out


def render_schema(schema, closed):
    """A component. `closed`: it is part of a request, where keys that nobody knows are refused."""
    out = {k: v for k, v in schema.items() if k not in INTERNAL and k != "properties"}
    if "properties" in schema:
        if schema.get("required"):
            out["required"] = schema["required"]
        out["properties"] = {k: render_property(p) for k, p in schema["properties"].items()}
        if closed:
            out["additionalProperties"] = False
    return out


def reached(schemas, names):
    """The names of all schemas that some lead to."""
    todo, seen = list(names), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for prop in schemas.by_name[name].get("properties", {}).values():
            for p in (prop, prop.get("items", {})):
                if "$ref" in p:
                    todo.append(p["$ref"])
    return seen


def parameter(where, name, schema, required=False):
    """A parameter object; the description stands outside of its schema."""
    schema = render_property(schema)
    description = schema.pop("description")
    out = {"name": name, "in": where, "description": description}
    if required:
        out["required"] = True
    out["schema"] = schema
    return out


def component(kind, name):
    """A reference to a shared parameter, header or response."""
    return {"$ref": f"#/components/{kind}/{name}"}


def operation_parameters(op):
    """References and objects for all that an operation takes outside of its body."""
    out = [component("parameters", f"path_{name}") for name in op.path_parameters]
    if op.scope == "project":
        out.append(component("parameters", "Virga-Project"))
    out.append(component("parameters", "Virga-Request-Id"))
    if op.if_match:
        out.append(component("parameters", "If-Match"))
    if op.method == "get" and op.has_etag:
        out.append(component("parameters", "If-None-Match"))
    if op.idempotent:
        out.append(component("parameters", "Idempotency-Key"))
    if op.list_of:
        out += [component("parameters", f"list_{name}") for name in ("limit", "cursor", "filter", "sort", "fields")]
    return out + [parameter("query", name, schema) for name, schema in op.query.items()]


def success(op):
    """The answer of a success."""
    names = ["Virga-Request-Id", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
    if op.has_etag:
        names.append("ETag")
    if op.method in ("put", "post", "patch", "delete"):
        names.append("Virga-Seq")
    if op.is_async or (op.status == 201 and op.id.endswith("_create")):
        names.append("Location")
    if op.is_async:
        names += ["Operation-Location", "Retry-After"]
    words = {101: "A WebSocket.", 200: "Done.", 201: "Created.", 202: "Under way.", 204: "Done; there is nothing to say."}
    out = {"description": words[op.status], "headers": {n: component("headers", n) for n in names}}
    if op.result_media:
        binary = op.result_media == "application/octet-stream"
        out["content"] = {op.result_media: {"schema": {} if binary else {"type": "object"}}}
    elif op.result and op.status != 204:
        out["content"] = {"application/json": {"schema": {"$ref": pointer(op.result)}}}
    return out


def responses(op):
    """All answers of an operation."""
    out = {str(op.status): success(op)}
    if op.dry_run:
        out["200"] = {"description": "With dry_run: what would be done.",
                      "content": {"application/json": {"schema": {"$ref": pointer(op.dry_run)}}}}
    if op.method == "get" and op.has_etag:
        out["304"] = {"description": "Not changed; of If-None-Match."}
    codes = ["400", "401", "429", "503"]
    if op.role != "none":
        codes.append("403")
    if op.path_parameters or op.scope == "project":
        codes.append("404")
    if op.method != "get":
        codes.append("409")
    if op.if_match:
        codes.append("412")
    if op.body or op.idempotent:
        codes.append("422")
    out.update({code: component("responses", f"Problem{code}") for code in codes})
    out["default"] = component("responses", "Problem")
    return dict(sorted(out.items()))


def request_body(op):
    """What an operation takes."""
    if op.body_media:
        return {"required": True, "content": {op.body_media: {"schema": {}}}}
    media = "application/merge-patch+json" if op.method == "patch" else "application/json"
    content = {media: {"schema": {"$ref": pointer(op.body)}}}
    if op.method == "patch":
        content["application/json"] = {"schema": {"$ref": pointer(op.body)}}
    return {"required": not op.body_optional, "content": content}


def render_operation(op):
    """An operation object."""
    out = {"operationId": op.id, "tags": [op.noun], "summary": op.summary}
    if op.description:
        out["description"] = op.description
    if op.role == "none":
        out["security"] = []
    out["parameters"] = operation_parameters(op)
    if op.body or op.body_media:
        out["requestBody"] = request_body(op)
    out["responses"] = responses(op)
    out["x-virga-role"], out["x-virga-scope"], out["x-virga-token-scope"] = op.role, op.scope, op.token_scope
    for key, value in (("async", op.is_async), ("idempotent", op.idempotent), ("websocket", op.websocket)):
        if value:
            out[f"x-virga-{key}"] = True
    for key, value in (("from", op.from_states), ("via", op.via), ("to", op.to)):
        if value:
            out[f"x-virga-{key}"] = value
    return out


def project_servers():
    """Where the paths of projects begin: the project in the path, or by header."""
    return [{"url": "/v1/projects/{project}", "description": "The project in the path.", "variables": {
        "project": {"default": "default", "description": "The id or the name of the project."}}},
        {"url": "/v1", "description": "The project by the header Virga-Project, or that of the token."}]


def render_paths(operations):
    """All path items."""
    paths = {}
    for op in operations:
        item = paths.setdefault(op.path, {})
        if op.scope == "project" and "servers" not in item:
            item["servers"] = project_servers()
        item[op.method] = render_operation(op)
    return paths


def problem_response(description, *more):
    """A response that is a problem document; `more` names further headers."""
    names = ["Virga-Request-Id", "Retry-After", *more]
    return {"description": description, "headers": {n: component("headers", n) for n in names},
            "content": {"application/problem+json": {"schema": {"$ref": pointer("Problem")}}}}


def render(common, nouns, schemas, operations):
    """The whole document."""
    closed = reached(schemas, {op.body for op in operations if op.body})
    parameters = {f"path_{n}": parameter("path", n, {"$ref": "Ref", "description": f"{d[:-1]}, by id or name."}, True)
                  for n, d in common["path-parameters"].items()}
    parameters.update({n: parameter("header", n, s) for n, s in common["header-parameters"].items()})
    parameters["Virga-Project"]["schema"] = {"type": "string", "maxLength": 63, "pattern": "^([*]|[A-Za-z0-9][A-Za-z0-9._-]*)$"}
    parameters.update({f"list_{n}": parameter("query", n, s) for n, s in common["list-parameters"].items()})
    headers = {n: {"description": s["description"], "schema": {k: v for k, v in s.items() if k != "description"}}
               for n, s in common["response-headers"].items()}
    problem_responses = {f"Problem{code}": problem_response(text) for code, text in PROBLEM_TITLES.items()}
    problem_responses["Problem401"] = problem_response(PROBLEM_TITLES["401"], "WWW-Authenticate")
    problem_responses["Problem"] = problem_response("Any other error.", "Allow")
    used = reached(schemas, {n for op in operations for n in (op.body, op.result, op.dry_run) if n} | {"Problem", "Ref"})
    return {
        "openapi": "3.1.0", "info": common["info"], "servers": common["servers"], "security": [{"bearer": []}],
        "tags": [{"name": f["noun"], "description": f["description"]} for f in nouns],
        "paths": render_paths(operations),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "An API token or a session."}},
            "parameters": parameters, "headers": headers, "responses": problem_responses,
            "schemas": {n: render_schema(s, n in closed) for n, s in sorted(schemas.by_name.items()) if n in used}}}


WIDTH = 120


def pack(node, indent):
    """JSON with what fits on a line on one: a third of the lines, and diffs that can be read."""
    flat = json.dumps(node, ensure_ascii=False)
    if len(flat) + indent <= WIDTH or not isinstance(node, (dict, list)):
        return flat
    pad = " " * (indent + 1)
    if isinstance(node, list):
        return "[\n" + ",\n".join(pad + pack(v, indent + 1) for v in node) + "\n" + " " * indent + "]"
    rows = [f"{pad}{json.dumps(k)}: {pack(v, indent + 1)}" for k, v in node.items()]
    return "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"


def to_text(document):
    """The file: one form for one content."""
    return pack(document, 0) + "\n"
