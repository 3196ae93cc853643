"""docs/api.md: the reference page."""
import json

HEAD = """# The API

Made by `tools/apigen/generate` from the files of `api/`; `api/openapi.json` holds the same for programs, and
[arch/15-api.md](arch/15-api.md) tells how to change it. Sizes are in the unit that a name ends in.
"""
ROLE_WORDS = {"none": "nobody need be signed in", "any": "whoever is signed in"}


def default_of(prop):
    """The words for a default, as JSON has it."""
    return f" Default: `{json.dumps(prop['default'])}`." if "default" in prop else ""


def cell(text):
    """Text within a table."""
    return " ".join(text.split()).replace("|", "\\|")


def anchor(name):
    """The anchor of a schema's heading."""
    return name.lower()


def type_of(schemas, prop):
    """The words for a property's type."""
    if prop.get("x-virga-any"):
        return "any JSON"
    whole = schemas.follow(prop)
    ref = prop.get("$ref")
    if ref == "Ref":
        return "id or name"
    if schemas.is_object(ref):
        return f"[{ref}](#{anchor(ref)})"
    if "enum" in whole:
        return f"[{ref}](#{anchor(ref)})" if ref and len(whole["enum"]) > 6 else ", ".join(f"`{w}`" for w in whole["enum"])
    if whole.get("type") == "array":
        return f"list of {type_of(schemas, prop['items'])}, at most {whole['maxItems']}"
    if whole.get("type") in ("integer", "number"):
        return f"{whole['type']}, {whole['minimum']} to {whole['maximum']}"
    if whole.get("type") == "string":
        return whole.get("x-virga-format", "text") + (f", at most {whole['maxLength']}" if "maxLength" in whole else "")
    return "map of text" if whole.get("type") == "object" else whole.get("type", "")


def who_writes(schemas, name, key, prop):
    """In a resource: what Create and Patch say of a property."""
    create, patch = schemas.by_name.get(name + "Create"), schemas.by_name.get(name + "Patch")
    out = []
    if create and key in create["properties"]:
        out.append("required" if key in create["required"] else "create")
    if patch and key in patch["properties"]:
        out.append("patch")
    return ", ".join(out) or "read only"


def schema_section(schemas, name):
    """A schema's heading, text and table."""
    schema = schemas.by_name[name]
    out = [f"### {name}\n\n", schema["description"].strip() + "\n\n"]
    if "enum" in schema:
        return "".join(out + (["" if name == "ProblemCode" else ", ".join(f"`{w}`" for w in schema["enum"]) + "\n\n"]))
    is_resource = name + "Create" in schemas.by_name or name + "Patch" in schemas.by_name
    column = "who writes it" if is_resource else "given"
    out.append(f"| field | type | {column} | meaning |\n|---|---|---|---|\n")
    for key, prop in schema["properties"].items():
        given = who_writes(schemas, name, key, prop) if is_resource else (
            "required" if key in schema.get("required", []) else "optional")
        whole = schemas.follow(prop)
        default = default_of(whole)
        given += f", by {prop['x-virga-role']}s" if "x-virga-role" in prop else ""
        out.append(f"| `{key}` | {type_of(schemas, prop)} | {given} | {cell(whole.get('description', ''))}{default} |\n")
    return "".join(out) + "\n"


def operation_section(schemas, op):
    """An operation's heading and what there is to say."""
    path = ("/v1/projects/{project}" if op.scope == "project" else "/v1") + op.path
    out = [f"### {op.id}\n\n`{op.method.upper()} {path}`\n\n{op.summary}."]
    if op.description:
        out.append(f" {' '.join(op.description.split())}")
    role = ROLE_WORDS.get(op.role, f"{op.role} of the {op.scope}")
    facts = [f"role: {role}"] + ([] if op.role == "none" else [f"token scope: `{op.token_scope}`"])
    if op.body:
        facts.append(f"body: [{op.body}](#{anchor(op.body)})" + (" (optional)" if op.body_optional else ""))
    if op.body_media:
        facts.append(f"body: `{op.body_media}`")
    answer = f"[{op.result}](#{anchor(op.result)})" if op.result else (f"`{op.result_media}`" if op.result_media else "nothing")
    facts.append("answer: a WebSocket" if op.websocket else f"answer: {op.status}, {answer}")
    if op.from_states:
        ends = f" to `{op.to}`" if op.to else ""
        facts.append(f"state: from {', '.join(f'`{s}`' for s in op.from_states)}" + (f" by `{op.via}`" if op.via else "") + ends)
    out.append("\n\n" + "\n".join(f"- {f}" for f in facts) + "\n\n")
    if op.query:
        out.append("| query | type | meaning |\n|---|---|---|\n")
        for key, prop in op.query.items():
            whole = schemas.follow(prop)
            default = default_of(whole)
            out.append(f"| `{key}` | {type_of(schemas, prop)} | {cell(whole['description'])}{default} |\n")
        out.append("\n")
    return "".join(out)


def states_section(operations):
    """The VM's state machine, as the operations have it."""
    out = ["## The life of a VM\n\nA VM is `building` until it is there. What fails ends in `error`, and a VM whose host "
           "does not answer is `lost` until\nthe host is back or fenced. Without an end a VM ends in the state that it came from.\n\n"
           "| operation | from | on the way | end |\n|---|---|---|---|\n"]
    for op in operations:
        if op.from_states:
            out.append(f"| [{op.id}](#{op.id}) | {', '.join(op.from_states)} | {op.via or ''} | {op.to or ''} |\n")
    return "".join(out) + "\n"


def parameters_section(title, parameters):
    """Shared parameters."""
    out = [f"## {title}\n\n| name | meaning |\n|---|---|\n"]
    out += [f"| `{n}` | {cell(p['description'])} |\n" for n, p in parameters.items()]
    return "".join(out) + "\n"


def render(common, problems, nouns, schemas, operations):
    """The page."""
    out = [HEAD, "\n", common["info"]["description"].strip() + "\n\n"]
    out.append(parameters_section("What every list takes", common["list-parameters"]))
    out.append(parameters_section("Headers of requests", common["header-parameters"]))
    out.append(parameters_section("Headers of answers", common["response-headers"]))
    out.append("## Problems\n\n| code | status | meaning |\n|---|---|---|\n")
    out += [f"| `{code}` | {status} | {title} |\n" for code, (status, title) in problems.items()] + ["\n"]
    for f in nouns:
        own = [op for op in operations if op.noun == f["noun"]]
        out.append(f"## Operations: {f['noun']}\n\n{f['description']}\n\n")
        out += [operation_section(schemas, op) for op in own]
    out.append(states_section(operations))
    out.append("## Schemas\n\n")
    for name in sorted(schemas.by_name):
        schema = schemas.by_name[name]
        if ("properties" in schema or len(schema.get("enum", [])) > 6) and not name.endswith("Query"):
            out.append(schema_section(schemas, name))
    return "".join(out)
