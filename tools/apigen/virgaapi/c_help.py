"""What the command line says of operations and fields: src/cli/cloud/gen/help.c."""
from .c_types import HEAD, quote

# The last words of ids that stand for a verb of their own; of others the noun is the longest resource that the id begins with.
VERBS = {"list": "ls", "create": "create", "get": "show", "patch": "set", "delete": "rm"}


def command_of(op_id, resources):
    """(noun, verb) of an operation, as words of a command line."""
    noun = max((r for r in resources if op_id.startswith(r + "_")), key=len, default=None)
    if noun is None:
        words = op_id.rsplit("_", 1) if op_id.rsplit("_", 1)[1] in VERBS else op_id.split("_", 1)
        noun, verb = words
    else:
        verb = op_id[len(noun) + 1:]
    return noun.replace("_", "-"), VERBS.get(verb, verb.replace("_", "-"))


def text_of(text):
    """One line, as a C string."""
    return quote(" ".join((text or "").split()))


def reached(m, names):
    """The structs that some lead to."""
    todo, seen = list(names), set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [f.object for f in m.structs[name].fields if f.object]
    return seen


def op_row(op, resources):
    """The table row of an operation."""
    noun, verb = command_of(op.id, resources)
    return (f"    [API_OP_{op.id.upper()}] = {{{quote(noun)}, {quote(verb)}, {text_of(op.summary)},\n"
            f"        {text_of(op.description)}}},\n")


def render(m, operations, resources):
    """{path from the top: text}"""
    taken = {n for op in operations for n in (op.body, op.query_schema) if n} | {"ListQuery"}
    structs = [m.structs[n] for n in sorted(reached(m, taken))]
    out = [HEAD.format(source="the files of api/", what="What --help says."), '#include "cli/cloud/cloud_help.h"\n\n']
    out += [f'#include "api/gen/{n}.h"\n' for n in sorted({s.noun for s in structs})] + ["\n"]
    out.append("const struct cloud_help_op cloud_help_ops[API_OPS] = {\n")
    out += [op_row(op, resources) for op in operations] + ["};\n\n"]
    for s in structs:
        out.append(f"static const char *const {s.tag[len('api_'):]}_texts[] = {{\n")
        out += [f"    {text_of(f.description)},\n" for f in s.fields] + ["};\n"]
    out.append("\nconst struct cloud_help_object cloud_help_objects[] = {\n")
    out += [f"    {{&{s.symbol}, {text_of(s.description)}, {s.tag[len('api_'):]}_texts}},\n" for s in structs]
    out.append("    {0},\n};\n")
    return {"src/cli/cloud/gen/help.c": "".join(out)}
