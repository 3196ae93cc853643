#!/usr/bin/env python3
"""What is generated from api/*.yaml is current, and the generator sees what it is there to see."""
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

from virgatest import case, check, check_eq, main, skip
from virgatest.openapi import Description

TOP = os.environ["VIRGA_TOP"]
APIGEN = os.path.join(TOP, "tools", "apigen")
sys.path.insert(0, APIGEN)


def rules():
    """The module that holds documents to the rules."""
    try:
        from virgaapi import rules as module
        import yaml  # noqa: F401
    except ImportError as e:
        skip(f"python3-yaml is not installed: {e}")
    return module


def document():
    """api/openapi.json"""
    with open(os.path.join(TOP, "api/openapi.json"), encoding="utf-8") as f:
        return json.load(f)


def generate(*args):
    """(exit code, output)"""
    rules()
    p = subprocess.run([os.path.join(APIGEN, "generate"), *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       check=False)
    return p.returncode, p.stdout


class Copy:
    """A tree with the description alone, where it may be broken."""

    def __enter__(self):
        self.top = tempfile.mkdtemp(prefix="virga-api-")
        for folder in ("api", "link"):
            shutil.copytree(os.path.join(TOP, folder), os.path.join(self.top, folder))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)

    def replace(self, name, old, new, folder="api"):
        """Changes one place of one file."""
        path = os.path.join(self.top, folder, name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        assert old in text, f"{name} does not hold {old!r}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new, 1))


@case
def what_is_generated_is_current():
    code, text = generate("--check")
    check_eq(code, 0, text)


@case
def generating_twice_gives_the_same():
    with Copy() as a:
        check_eq(generate("--top", a.top)[0], 0, "first")
        code, text = generate("--top", a.top)
        check("0 written" in text, text)
        check_eq(generate("--check", "--top", a.top)[0], 0, "check")


@case
def a_stale_file_and_one_too_many_are_seen():
    with Copy() as a:
        generate("--top", a.top)
        with open(os.path.join(a.top, "docs/api.md"), "a", encoding="utf-8") as f:
            f.write("more\n")
        with open(os.path.join(a.top, "src/api/gen/old.h"), "w", encoding="utf-8"):
            pass
        code, text = generate("--check", "--top", a.top)
        check_eq(code, 1, text)
        check("docs/api.md is not current" in text and "src/api/gen/old.h" in text, text)


@case
def messages_of_the_link_have_bounds_and_begin_with_their_type():
    for old, new, words in (("maxLength: 131072, ", "", "maxLength or maxItems is missing"),
                            ("x-virga-any: true, ", "", "has no kind in C")):
        with Copy() as a:
            a.replace("types.yaml", old, new, "link")
            code, text = generate("--top", a.top)
            check_eq(code, 2, text)
            check(words in text, text)
    with Copy() as a:
        a.replace("agent.yaml", "      type: {$ref: Type, description: bye.}\n", "", "link")
        a.replace("agent.yaml", "Why.}\n", "Why.}\n      type: {$ref: Type, description: bye.}\n", "link")
        code, text = generate("--top", a.top)
        check_eq(code, 2, text)
        check("first member" in text, text)


@case
def the_document_keeps_the_rules():
    check_eq(rules().Rules(document()).check(), [], "complaints")


def props(d, schema):
    """A schema's properties."""
    return d["components"]["schemas"][schema]["properties"]


def prop(d, schema, name):
    """One of them."""
    return props(d, schema)[name]


MISTAKES = [
    ("a description is missing", lambda d: prop(d, "Vm", "image").pop("description"), "no description"),
    ("a $ref leads nowhere", lambda d: prop(d, "Vm", "image").update({"$ref": "#/components/schemas/X"}),
     "leads nowhere"),
    ("a text has no bound", lambda d: prop(d, "Volume", "description").pop("maxLength"), "without maxLength"),
    ("a number has no bound", lambda d: prop(d, "Flavor", "vcpus").pop("maximum"), "without minimum"),
    ("a list has no bound", lambda d: prop(d, "Vm", "nics").pop("maxItems"), "without items and maxItems"),
    ("an operationId is there twice", lambda d: d["paths"]["/vms"]["get"].update(operationId="vm_create"), "there twice"),
    ("a path parameter is missing", lambda d: d["paths"]["/vms/{vm}"]["get"]["parameters"].pop(0), "which the path does not hold"),
    ("a required property is none", lambda d: d["components"]["schemas"]["Vm"]["required"].append("colour"), "which it has not"),
    ("a default is not allowed", lambda d: prop(d, "QuotaLimits", "vms").update(default=-2), "the default"),
    ("a schema holds itself",
     lambda d: props(d, "VmNic").update(vm={"$ref": "#/components/schemas/VmCreate", "description": "x"}),
     "holds itself"),
    ("an answer has no success", lambda d: d["paths"]["/vms"]["get"]["responses"].pop("200"), "no success"),
    ("two paths look alike", lambda d: d["paths"].update({"/vms/{image}": d["paths"]["/vms/{vm}"]}), "cannot be told from"),
    ("a number has no unit",
     lambda d: props(d, "Vm").update(memory={"type": "integer", "minimum": 0, "maximum": 1, "description": "x"}),
     "without a unit"),
    ("nothing refers to a schema", lambda d: d["components"]["schemas"].update(Lonely={"type": "object", "description": "x"}),
     "nothing refers to it"),
]


@case
def each_rule_sees_its_mistake():
    original = document()
    for what, spoil, part in MISTAKES:
        d = copy.deepcopy(original)
        spoil(d)
        wrong = rules().Rules(d).check()
        check(any(part in w for w in wrong), f"{what}: {wrong}")


SOURCES = [
    ("compute.yaml", "noun: compute", "noun: compute\nnoun: compute", "given twice"),
    ("compute.yaml", "noun: compute", "noun: compute\ncolour: red", "unknown key colour"),
    ("compute.yaml", "x-virga-from: [stopped, error]", "x-virga-from: [flying]", "flying is no VmState"),
    ("compute.yaml", "summary: Start a VM, x-virga-role: member", "summary: Start a VM, x-virga-role: king", "x-virga-role is king"),
    ("compute.yaml", "x-virga-via: shelving, x-virga-to: shelved", "x-virga-via: shelving", "no operation leads to shelved"),
    ("compute.yaml", "/vms/{vm}/start:", "/vms/all/start:", "stand beside"),
    ("compute.yaml", "operationId: vm_start,", "operationId: vm_stop,", "is there twice"),
    ("compute.yaml", "x-virga-body: VmResize,", "x-virga-body: VmResizing,", "VmResizing is no schema"),
    ("storage.yaml", "$ref: Qos,", "$ref: Quos,", "Quos"),
    ("storage.yaml", "x-virga-create: required", "x-virga-create: perhaps", "use required, optional or no"),
    ("storage.yaml", "enum: [local, ceph, nbd], x-virga-create: required, description:",
     "enum: [local, ceph, nbd], x-virga-create: required, text:", "unknown key text"),
    ("system.yaml", "id: {type: string, maxLength: 63, description: \"What it is the sum", "key: {type: string, maxLength: 63, description: \"What",
     "id"),
    ("storage.yaml", "description: Its limits.}", "description: Its limits., colour: red}", "unknown key colour"),
]


@case
def the_generator_refuses_what_makes_no_sense():
    for name, old, new, part in SOURCES:
        with Copy() as a:
            a.replace(name, old, new)
            code, text = generate("--top", a.top)
            check_eq(code, 2, f"{new}: {text[-300:]}")
            check(part in text and "Traceback" not in text, f"{new}: {text[-300:]}")


@case
def a_new_field_reaches_everything_by_one_line():
    with Copy() as a:
        a.replace("storage.yaml", "      encrypted: {type: boolean",
                  "      discard: {type: boolean, default: true, x-virga-patch: true, description: Give back.}\n"
                  "      encrypted: {type: boolean")
        check_eq(generate("--top", a.top)[0], 0, "exit code")
        with open(os.path.join(a.top, "api/openapi.json"), encoding="utf-8") as f:
            schemas = json.load(f)["components"]["schemas"]
        for schema in ("Volume", "VolumeCreate", "VolumePatch"):
            check("discard" in schemas[schema]["properties"], schema)
        check_eq(schemas["VolumePatch"]["properties"]["discard"]["type"], ["boolean", "null"], "null resets it")
        with open(os.path.join(a.top, "src/api/gen/storage.h"), encoding="utf-8") as f:
            check_eq(f.read().count("struct api_bool discard;"), 3, "structs that have it")
        with open(os.path.join(a.top, "src/cli/cloud/gen/help.c"), encoding="utf-8") as f:
            check_eq(f.read().count('"Give back.",'), 2, "requests whose help says what it means")


@case
def requests_are_closed_and_secrets_are_never_answered():
    schemas = document()["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith(("Create", "Patch")) and "properties" in schema:
            check(schema.get("additionalProperties") is False, f"{name} takes unknown keys")
            for key, prop in schema["properties"].items():
                check(not prop.get("readOnly"), f"{name}.{key} is the server's")
    check("password" not in schemas["User"].get("required", []), "a password is not promised in answers")


def described():
    """The description, to draw from."""
    return Description(os.path.join(TOP, "api/openapi.json"))


def c_reads(rows):
    """What the tables in C say of [(schema, value)]: [(whether they take it, what they say)]."""
    program = os.path.join(os.environ["VIRGA_BUILD"], "tests/func/api-read")
    if not os.path.exists(program):
        skip(f"{program} is not built")
    text = "".join(f"{name} {json.dumps(value)}\n" for name, value in rows)
    out = subprocess.run([program], input=text, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[:-1]
    check_eq(len(out), len(rows), "answers")
    return [(line.startswith("ok "), line[3:]) for line in out]


def schemas_in_c(d):
    """The names of the schemas that are structs."""
    return [n for n, s in d.document["components"]["schemas"].items() if "properties" in s]


@case
def c_takes_what_the_description_allows_and_gives_it_back():
    d, rng = described(), random.Random(1)
    rows = [(name, d.draw(d.schema(name), rng)) for name in schemas_in_c(d) for _ in range(10)]
    for name, value in rows:
        check_eq(d.errors(d.schema(name), value), [], f"what was drawn of {name}")
    for (name, value), (good, said) in zip(rows, c_reads(rows)):
        check(good, f"{name} {json.dumps(value)[:500]}: {said}")
        check_eq(json.loads(said), value, name)


@case
def c_refuses_what_the_description_does_not_allow():
    d, rng = described(), random.Random(2)
    rows = []
    for name in schemas_in_c(d):
        # Answers are open to keys of newer servers; C, as a server, is not.
        schema = {**d.schema(name), "additionalProperties": False}
        for _ in range(15):
            value = d.spoil(schema, d.draw(schema, rng), rng)
            if d.errors(schema, value):
                rows.append((name, value))
    check(len(rows) > 1000, f"only {len(rows)} were spoiled")
    for (name, value), (good, said) in zip(rows, c_reads(rows)):
        check(not good, f"{name} {json.dumps(value)[:500]} was taken")
        check(len(said) > 8, f"{name}: {said}")


def c_requests(rows):
    """What the C in front of the handlers says of [(method, target, type, body text)]: a word list each."""
    program = os.path.join(os.environ["VIRGA_BUILD"], "tests/func/api-read")
    if not os.path.exists(program):
        skip(f"{program} is not built")
    text = "".join(f"REQUEST {m.upper()} {t} {media or '-'} {body}\n" for m, t, media, body in rows)
    out = subprocess.run([program], input=text, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[:-1]
    check_eq(len(out), len(rows), "answers")
    return [line.split(" ", 3) for line in out]


@case
def each_operation_is_found_by_requests_that_are_described():
    d, rng = described(), random.Random(4)
    rows, ids = [], []
    for method, path, op in d.operations():
        item = d.document["paths"][path]
        for server in [s["url"] for s in item.get("servers", d.document["servers"])] * 5:
            base = server.replace("{project}", "acme")
            media, schema = d.request_schema(op)
            body = json.dumps(d.draw(schema, rng)) if schema else "bytes" if media else ""
            rows.append((method, base + d.draw_target(path, op, rng), media, body))
            ids.append(op["operationId"])
    for row, name, said in zip(rows, ids, c_requests(rows)):
        check_eq(said[:2], ["ok", name], f"{row}"[:500])


@case
def what_is_not_described_gets_a_4xx_that_is():
    d, rng = described(), random.Random(5)
    rows, ops = [], []
    for method, path, op in d.operations():
        target = "/v1" + d.draw_target(path, op, rng)
        media, schema = d.request_schema(op)
        bare = target.split("?")[0]
        ways = [(method, bare + "?no_such_parameter=1", media, "")]
        if schema:
            value = d.draw(schema, rng)
            ways += [(method, bare, media, json.dumps(d.spoil(schema, value, rng))) for _ in range(5)]
            ways += [(method, bare, "text/plain", json.dumps(value)), (method, bare, media, "{"), (method, bare, media, "[]")]
            ways = [w for w in ways if w[2] != media or w[3] in ("", "{", "[]") or d.errors(schema, json.loads(w[3]))]
        elif not media:
            ways.append((method, bare, "application/json", '{"no_such_field":1}'))
        rows += ways
        ops += [op] * len(ways)
    for row, op, said in zip(rows, ops, c_requests(rows)):
        check_eq(said[0], "no", f"{row}"[:500])
        check(400 <= int(said[1]) < 500 and (said[1] in op["responses"] or "default" in op["responses"]), f"{row}: {said}"[:500])
        check(len(said[3]) > 8, f"{row}: {said}"[:500])


@case
def answers_are_held_to_what_is_described():
    d = described()
    op = next(o for _, _, o in d.operations() if o["operationId"] == "flavor_get")
    flavor = d.draw(d.schema("Flavor"), random.Random(3))
    check_eq(d.answer_errors(op, 200, "application/json", flavor), [], "a flavor")
    check(d.answer_errors(op, 200, "application/json", {**flavor, "vcpus": 0}), "a flavor without vCPUs")
    check(d.answer_errors(op, 500, "application/problem+json", {}), "a 500")
    check(d.answer_errors(op, 206, "application/json", flavor), "a status that is not described")
    check(d.answer_errors(op, 404, "application/json", {}), "a problem as plain JSON")
    problem = {"type": "urn:virga:problem:resource.not_found", "title": "x", "status": 404, "code": "resource.not_found"}
    check_eq(d.answer_errors(op, 404, "application/problem+json", problem), [], "a problem")


if __name__ == "__main__":
    sys.exit(main())
