"""From resources and paths to the list of operations, each with all that its route, its description and its C need."""
import re

from .derive import camel, check_property, list_of
from .load import ApiError

ROLES = ["none", "any", "reader", "member", "operator", "admin"]
METHODS = ["get", "put", "post", "patch", "delete"]
KNOWN = {"operationId", "summary", "description", "x-virga-role", "x-virga-scope", "x-virga-async", "x-virga-idempotent",
         "x-virga-body", "x-virga-body-optional", "x-virga-body-media", "x-virga-result", "x-virga-result-media", "x-virga-status",
         "x-virga-list", "x-virga-query", "x-virga-websocket", "x-virga-dry-run", "x-virga-from", "x-virga-via", "x-virga-to",
         "x-virga-if-match"}


class Operation:
    """One method of one path."""

    def __init__(self, noun, path, method, spec):
        unknown = sorted(set(spec) - KNOWN)
        if unknown:
            raise ApiError(f"{method} {path}: unknown key {', '.join(unknown)}")
        for key in ("operationId", "summary", "x-virga-role", "x-virga-scope"):
            if key not in spec:
                raise ApiError(f"{method} {path}: {key} is missing")
        self.noun, self.path, self.method = noun, path, method
        self.id = spec["operationId"]
        self.summary, self.description = spec["summary"], spec.get("description", "")
        self.role, self.scope = spec["x-virga-role"], spec["x-virga-scope"]
        self.is_async = spec.get("x-virga-async", False)
        self.idempotent = spec.get("x-virga-idempotent", method == "post")
        self.body, self.body_media = spec.get("x-virga-body"), spec.get("x-virga-body-media")
        self.body_optional = spec.get("x-virga-body-optional", False)
        self.list_of = spec.get("x-virga-list")
        self.result, self.result_media = spec.get("x-virga-result"), spec.get("x-virga-result-media")
        self.query = spec.get("x-virga-query", {})
        self.websocket = spec.get("x-virga-websocket", False)
        self.dry_run = spec.get("x-virga-dry-run")
        self.from_states, self.via, self.to = spec.get("x-virga-from", []), spec.get("x-virga-via"), spec.get("x-virga-to")
        self.if_match = spec.get("x-virga-if-match", method in ("patch", "delete"))
        if self.is_async:
            self.result = "Operation"
        if self.list_of:
            self.result = self.list_of + "List"
        self.has_etag = False  # known once the schemas are
        self.status = spec.get("x-virga-status") or self.default_status()
        self.check()

    def default_status(self):
        """What a success answers with."""
        if self.websocket:
            return 101
        if self.is_async:
            return 202
        return 200 if self.result or self.result_media else 204

    def check(self):
        """What holds for one operation alone."""
        where = f"{self.method} {self.path} ({self.id})"
        if self.role not in ROLES:
            raise ApiError(f"{where}: x-virga-role is {self.role}; use one of {', '.join(ROLES)}")
        if self.scope not in ("cloud", "project"):
            raise ApiError(f"{where}: x-virga-scope is {self.scope}; use cloud or project")
        if not re.match(r"^[a-z][a-z0-9]*(_[a-z0-9]+)+$", self.id):
            raise ApiError(f"{where}: an operationId is noun_verb")

    @property
    def path_parameters(self):
        """The names in braces, in order."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def token_scope(self):
        """What a token's scopes must hold."""
        return f"{self.noun}:{'read' if self.method == 'get' and not self.websocket else 'write'}"

    @property
    def query_schema(self):
        """The name of the schema of its own query parameters."""
        return camel(self.id) + "Query" if self.query else None


def resource_operations(name, r):
    """The specs of list, create, get, patch and delete: [(path, method, spec)]."""
    one = f"{r['path']}/{{{name}}}"
    read = {"x-virga-role": r["read"], "x-virga-scope": r["scope"]}
    write = {"x-virga-role": r["write"], "x-virga-scope": r["scope"]}
    schema, is_async = r["schema"], r.get("async", [])
    all_of = {
        "list": (r["path"], "get", {"summary": f"List {r['plural']}", "x-virga-list": schema, **read}),
        "create": (r["path"], "post", {"summary": f"Create {r['singular']}", "x-virga-body": schema + "Create",
                                       "x-virga-result": r.get("create-result", schema), "x-virga-status": 201, **write}),
        "get": (one, "get", {"summary": f"Show {r['singular']}", "x-virga-result": schema, **read}),
        "patch": (one, "patch", {"summary": f"Change {r['singular']}", "x-virga-body": schema + "Patch",
                                 "x-virga-result": schema, **write}),
        "delete": (one, "delete", {"summary": f"Delete {r['singular']}", **write}),
    }
    for verb in r.get("operations", list(all_of)):
        path, method, spec = all_of[verb]
        if verb in is_async:
            spec = {**spec, "x-virga-async": True}
            spec.pop("x-virga-status", None)
        yield path, method, {"operationId": f"{name}_{verb}", **spec, **r.get("more", {}).get(verb, {})}


RESOURCE_KEYS = {"path", "schema", "scope", "singular", "plural", "read", "write", "operations", "async", "more", "create-result"}


def operations_of(noun_file):
    """Every operation of a file, in order of paths as they are written."""
    for name, resource in noun_file.get("resources", {}).items():
        unknown = sorted(set(resource) - RESOURCE_KEYS)
        if unknown:
            raise ApiError(f"resource {name}: unknown key {', '.join(unknown)}")
        for path, method, spec in resource_operations(name, resource):
            yield Operation(noun_file["noun"], path, method, spec)
    for path, methods in noun_file.get("paths", {}).items():
        for method, spec in methods.items():
            if method not in METHODS:
                raise ApiError(f"{path}: {method} is no method that we use")
            yield Operation(noun_file["noun"], path, method, spec)


def derive_operations(common, nouns, schemas):
    """All operations; makes the list schemas that no resource made, and the schemas of query parameters."""
    operations = [op for f in nouns for op in operations_of(f)]
    seen, ids = set(), set()
    for op in operations:
        if op.dry_run:
            op.query = {**op.query, **common["dry-run-parameters"]}
        if (op.path, op.method) in seen or op.id in ids:
            raise ApiError(f"{op.method} {op.path} ({op.id}) is there twice")
        seen.add((op.path, op.method))
        ids.add(op.id)
        if op.list_of and op.result not in schemas.by_name:
            schemas.add(op.noun, op.result, list_of(op.list_of, f"{op.summary[0].lower()}{op.summary[1:]}"))
        for name in filter(None, (op.body, op.result, op.dry_run)):
            if not schemas.is_object(name):
                raise ApiError(f"{op.id}: {name} is no schema with properties")
        for key, prop in op.query.items():
            check_property(f"{op.id} {key}", prop)
            if "$ref" in prop and prop["$ref"] not in schemas.by_name:
                raise ApiError(f"{op.id} {key}: $ref {prop['$ref']} names no schema")
        check_states(op, schemas)
        if op.list_of and not {"id", "number"} & set(schemas.by_name[op.list_of]["properties"]):
            raise ApiError(f"{op.id}: {op.list_of} has no id or number, so pages of it have no order")
        op.has_etag = bool(op.result) and not op.is_async and "generation" in schemas.by_name[op.result]["properties"]
    check_reached(operations, schemas)
    return operations


# States that only the server brings about: a create that is under way, a failure, a host that does not answer.
SERVERS_STATES = {"building", "error", "lost"}


def check_reached(operations, schemas):
    """Every state of a VM is brought about by something, and left by something unless it is on the way."""
    reached = {s for op in operations for s in (op.via, op.to) if s} | SERVERS_STATES
    unreached = [s for s in schemas.by_name["VmState"]["enum"] if s not in reached]
    if unreached:
        raise ApiError(f"VmState: no operation leads to {', '.join(unreached)}")
    left, ends = {s for op in operations for s in op.from_states}, {op.to for op in operations if op.to} | SERVERS_STATES
    if ends - left:
        raise ApiError(f"VmState: nothing can be done in {', '.join(sorted(ends - left))}")


def check_states(op, schemas):
    """The state machine names only states that there are."""
    states = schemas.by_name["VmState"]["enum"]
    for state in op.from_states + [s for s in (op.via, op.to) if s]:
        if state not in states:
            raise ApiError(f"{op.id}: {state} is no VmState")
