"""The route table, the tree that finds routes by their paths, and the table of problems."""
from .c_types import HEAD, guard, quote
from .load import ApiError
from .operations import METHODS

MAX_PARAMETERS = 3


class Node:
    """A place in the tree of path segments."""

    def __init__(self, segment):
        self.segment, self.words, self.parameter, self.routes, self.index = segment, {}, None, {}, 0

    def child(self, segment, path):
        """The node behind one segment. A word and a name in braces side by side could hide each other's things."""
        if segment.startswith("{"):
            if self.words:
                raise ApiError(f"{path}: {segment} would stand beside {', '.join(sorted(self.words))}")
            self.parameter = self.parameter or Node(None)
            return self.parameter
        if self.parameter:
            raise ApiError(f"{path}: {segment} would stand beside a name in braces")
        return self.words.setdefault(segment, Node(segment))

    def children(self):
        """In the order that the table has them."""
        return [self.words[s] for s in sorted(self.words)] + ([self.parameter] if self.parameter else [])


def add_path(root, path, op, number):
    """One more path."""
    node = root
    for segment in path[1:].split("/"):
        node = node.child(segment, path)
    if op.method in node.routes:
        raise ApiError(f"{op.method} {path}: {op.id} would hide another operation")
    node.routes[op.method] = number


def tree(operations):
    """All nodes, breadth first, so that children lie together."""
    root = Node(None)
    for number, op in enumerate(operations):
        add_path(root, op.path, op, number)
        if op.scope == "project":
            add_path(root, "/projects/{project}" + op.path, op, number)
    nodes = [root]
    for node in nodes:  # grows while it is walked
        nodes += node.children()
    for i, node in enumerate(nodes):
        node.index = i
    return nodes


def node_row(node):
    """The table row of a node."""
    words = [node.words[s] for s in sorted(node.words)]
    routes = ", ".join(str(node.routes.get(m, -1)) for m in METHODS)
    segment = quote(node.segment) if node.segment else "NULL"
    return (f"    {{{segment}, {words[0].index if words else 0}, {len(words)}, "
            f"{node.parameter.index if node.parameter else -1}, {{{routes}}}}},\n")


def symbol(m, name):
    """The address of a schema's table."""
    return f"&{m.structs[name].symbol}" if name else "NULL"


def literal(text):
    """A C string, or NULL."""
    return quote(text) if text else "NULL"


def state_of(states, name):
    """The constant of a state, or -1."""
    return states.constants[states.words.index(name)] if name else "-1"


def flags_of(op):
    """The route's flags."""
    names = [f for f, on in (("PROJECT", op.scope == "project"), ("ASYNC", op.is_async), ("IDEMPOTENT", op.idempotent),
                             ("LIST", op.list_of), ("WEBSOCKET", op.websocket), ("DRY_RUN", op.dry_run), ("IF_MATCH", op.if_match),
                             ("BODY_OPTIONAL", op.body_optional)) if on]
    return " | ".join(f"API_ROUTE_{f}" for f in names) or "0"


def route_row(m, op):
    """The table row of a route: three lines, what is NULL left out."""
    scopes, states = m.enums["TokenScope"], m.enums["VmState"]
    if len(op.path_parameters) > MAX_PARAMETERS:
        raise ApiError(f"{op.id}: more than {MAX_PARAMETERS} path parameters")
    if op.token_scope not in scopes.words:
        raise ApiError(f"{op.id}: TokenScope has no {op.token_scope}")
    head = [f"API_OP_{op.id.upper()}", f"API_METHOD_{op.method.upper()}", f"API_ROLE_{op.role.upper()}",
            scopes.constants[scopes.words.index(op.token_scope)], flags_of(op), str(op.status), quote(op.id), quote(op.path)]
    tables = {"request": symbol(m, op.body), "response": symbol(m, op.result), "query": symbol(m, op.query_schema),
              "item": symbol(m, op.list_of), "dry_run": symbol(m, op.dry_run)}
    rest = {"request_media": literal(op.body_media), "response_media": literal(op.result_media)}
    if op.path_parameters:
        rest.update(n_params=len(op.path_parameters), params="{" + ", ".join(quote(p) for p in op.path_parameters) + "}")
    mask = sum(1 << states.words.index(s) for s in op.from_states)
    rest.update(from_states=f"0x{mask:x}", via_state=state_of(states, op.via), to_state=state_of(states, op.to))
    lines = [", ".join(head)] + [", ".join(f".{k} = {v}" for k, v in part.items() if v != "NULL") for part in (tables, rest)]
    return "    {" + ",\n     ".join(line for line in lines if line) + "},\n"


def render(m, operations, problems):
    """{file name: text}"""
    nodes = tree(operations)
    head = [HEAD.format(source="the files of api/", what="Every operation."),
            f"#ifndef {guard('routes.h')}\n#define {guard('routes.h')}\n\n",
            "enum api_op {\n"] + [f"    API_OP_{op.id.upper()}, /* {op.method.upper()} {op.path} */\n" for op in operations]
    head += ["    API_OPS\n};\n\n", f"#define API_ROUTE_PARAMS {MAX_PARAMETERS}\n",
             f"#define API_ROUTE_NODES  {len(nodes)}\n\n#endif\n"]
    nouns = sorted({m.structs[n].noun for op in operations
                    for n in (op.body, op.result, op.query_schema, op.list_of, op.dry_run) if n})
    body = [HEAD.format(source="the files of api/", what="Routes, and the tree of their paths."),
            '#include "api/api_route.h"\n#include "api/api_route_tree.h"\n']
    body += [f'#include "api/gen/{n}.h"\n' for n in nouns]
    body.append("\nconst struct api_route api_route_table[API_OPS] = {\n")
    body += [route_row(m, op) for op in operations]
    body.append("};\n\nconst struct api_route_node api_route_nodes[API_ROUTE_NODES] = {\n")
    body += [node_row(n) for n in nodes] + ["};\n"]
    rows = [f"    [API_PROBLEM_CODE_{code.replace('.', '_').upper()}] = {{{status}, {quote(code)}, {quote(title)}}},\n"
            for code, (status, title) in problems.items()]
    table = [HEAD.format(source="api/problems.yaml", what="Status and title of each problem code."),
             '#include "api/api_problem.h"\n\n',
             "const struct api_problem_kind api_problem_kinds[API_PROBLEM_CODE_N] = {\n", *rows, "};\n"]
    return {"routes.h": "".join(head), "routes.c": "".join(body), "problems.c": "".join(table)}
