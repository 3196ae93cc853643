#!/usr/bin/env python3
"""Every operation of the API that has a command arrives as it is described; what a person types is taken, and what
comes back is printed."""
import base64
import json
import os
import random
import re
import subprocess
import sys

from virgatest import case, check, check_eq, main, program, skip
from virgatest.cli import EXIT, TOKEN, Home, commands, vms
from virgatest.fakecloud import Cloud, Plan, problem

TOP = os.environ["VIRGA_TOP"]


# A drawn body as a person would say it.

def flags_of(d, home, schema, value, prefix=""):
    """Flags that give an object; what flags cannot say is taken out of it."""
    schema, out = d.resolve(schema), []
    for key in list(value):
        whole, v = d.resolve(schema["properties"][key]), value[key]
        if v is not None and "anyOf" in whole:
            whole = d.resolve(whole["anyOf"][0])
        name = f"{prefix}{key}"
        if v is None:
            out += ["--unset", name]
        elif isinstance(v, dict) and "properties" in whole:
            out += flags_of(d, home, whole, v, name + ".") if v else [f"--{name}="]
        elif isinstance(v, dict):
            for k, text in v.items():
                out += ["--unset", f"{name}.{k}"] if text is None else [f"--{name}={k}={text}"]
            if not v:
                del value[key]
        elif isinstance(v, list):
            out += [f"--{name}={json.dumps(i) if isinstance(i, dict) else i}" for i in v] or [f"--{name}="]
        else:
            out.append(f"--{name}={scalar(home, whole, value, key)}")
    return out


def scalar(home, schema, value, key):
    """A value behind a flag. Texts that cannot be said so are changed to ones that can."""
    v = value[key]
    if isinstance(v, bool):
        return "true" if v else "false"
    if schema.get("writeOnly") and schema.get("type") == "string" and schema.get("x-virga-format") != "base64":
        value[key] = v = re.sub(r"[\r\n]", "x", v) or "0123456789"
        return "@" + home.write(f"secret-{key}", v + "\n")
    if schema.get("x-virga-format") == "base64":
        return base64.b64decode(v).decode()
    return v


def draw_command(d, home, words, method, path, op, rng):
    """(arguments, the body that has to arrive)"""
    args, body = list(words), None
    for name in re.findall(r"\{(\w+)\}", path):
        args.append(f"some-{name.replace('_', '-')}")
    media, schema = d.request_schema(op)
    if media == "application/octet-stream":
        return args + [home.write("content", "bytes of an image")], None
    for _ in range(50):
        if not schema:
            break
        body = d.draw(schema, rng)
        flags = flags_of(d, home, schema, body)
        if body or not op["requestBody"]["required"]:
            args += flags
            break
    if body == {}:
        body = None
    for p in map(d.resolve, op.get("parameters", [])):
        if p["in"] == "query" and p["name"] not in ("filter", "sort", "fields", "cursor", "limit", "ticket", "wait_s",
                                                    "timeout_s", "offset_bytes", "subject"):
            value = d.draw(p["schema"], rng)
            args.append(f"--{p['name']}={str(value).lower() if isinstance(value, bool) else value}")
    return args, body


# What is done by more than its own command, and tested by a case of its own.
BY_HAND = {"vm_console", "event_stream", "session_create", "session_delete", "ticket_create", "image_download", "operation_wait"}


@case
def every_operation_has_a_command_or_is_part_of_one():
    with Cloud(TOP) as cloud:
        have = commands()
        missing = {op["operationId"] for _, _, op in cloud.d.operations()} - set(have)
        check_eq(missing, {"event_stream", "session_create", "session_delete", "ticket_create"}, "operations without a command")


@case
def every_command_sends_what_is_described():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        have, rng = commands(), random.Random(11)
        for method, path, op in cloud.d.operations():
            if op["operationId"] in BY_HAND:
                continue
            for _ in range(2):
                args, body = draw_command(cloud.d, home, have[op["operationId"]], method, path, op, rng)
                scoped = op.get("x-virga-scope") == "project"
                code, out, err = home.run(*args, "-o", "json", *(["--project", "acme"] if scoped else []))
                calls = cloud.take()
                sent = [c for c in calls if c.op == op["operationId"]]
                dry = any(a == "--dry_run=true" for a in args)
                check(code == 0 or (dry and code == EXIT["conflict"]), f"{args}: {code} {err[-800:]}")
                check(len(sent) >= 1, f"{args}: {[c.path for c in calls]}")
                for c in calls:
                    check_eq(c.wrong, [], f"{args}: {c.method} {c.path} {c.raw[:500]}")
                    check_eq(c.headers.get("Authorization"), f"Bearer {TOKEN}", "the token")
                if scoped:
                    check_eq(sent[0].headers.get("Virga-Project"), "acme", f"{args}: project")
                check_eq(sent[0].body, body, f"{args}: body")
                if op["operationId"] not in ("openapi_get",) and sent[0].status != 204:
                    json.loads(out)


@case
def answers_are_printed_whole_as_json_and_yaml():
    with Cloud(TOP, 3) as cloud, Home(cloud.url) as home:
        for form in ("json", "yaml"):
            _, out, _ = home.run("vm", "show", "web", "-o", form, expect="done")
            answer = cloud.take()[-1].answer
            if form == "json":
                check_eq(json.loads(out), answer, "the VM")
                continue
            try:
                import yaml
            except ImportError:
                skip("python3-yaml is not installed")

            class Texts(yaml.SafeLoader):
                """YAML 1.2 has no timestamps."""
            Texts.yaml_implicit_resolvers = {k: [r for r in v if r[0] != "tag:yaml.org,2002:timestamp"]
                                             for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
            check_eq(yaml.load(out, Texts), answer, "the VM")


@case
def lists_are_tables_names_and_csv():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(*[Plan(200, vms("web", "a-longer-name"))] * 4)
        _, out, _ = home.run("vm", "ls", expect="done")
        lines = out.splitlines()
        check_eq(lines[0].split(), ["NAME", "FLAVOR", "STATE", "IP", "ZONE", "CREATED_AT"], "header")
        check_eq(lines[1].split(), ["web", "small", "running", "10.0.0.1,10.0.0.2", "-", "-"], "first row")
        check_eq(lines[1].index("small"), lines[2].index("small"), "columns stand below each other")
        _, out, _ = home.run("vm", "ls", "-o", "name", expect="done")
        check_eq(out, "web\na-longer-name\n", "names")
        _, out, _ = home.run("vm", "ls", "-ocsv", "--columns", "name,labels.tier,zone", expect="done")
        check_eq(out, "name,labels.tier,zone\nweb,\"a,\"\"b\"\"\",\na-longer-name,\"a,\"\"b\"\"\",\n", "CSV")
        _, out, _ = home.run("vm", "ls", "--columns=id", expect="done")
        check_eq(out.split(), ["ID", "id-web", "id-a-longer-name"], "a column")


@case
def tables_have_names_where_the_api_has_ids():
    one, two = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
    ports = {"items": [{"id": "p", "name": "a", "network": one, "status": {"vm": two}},
                       {"id": "q", "name": "b", "network": one, "status": {"vm": one}}]}
    flags = ("port", "ls", "--columns", "name,network,status.vm")
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(Plan(200, ports), Plan(200, {"items": [{"id": one, "name": "lan"}]}), Plan(200, {"items": [{"id": two, "name": "web"}]}))
        _, out, _ = home.run(*flags, expect="done")
        check_eq([line.split() for line in out.splitlines()[1:]], [["a", "lan", "web"], ["b", "lan", one]], "who is gone keeps the id")
        calls = cloud.take()
        check_eq([c.path for c in calls], ["/v1/ports", "/v1/networks", "/v1/vms"], "one call a kind")
        check_eq(dict(calls[2].query)["filter"], f'id in ("{two}", "{one}")', "the filter")
        cloud.plan(Plan(200, ports), problem("auth.forbidden", 403), problem("auth.forbidden", 403))
        _, out, err = home.run(*flags, expect="done")
        check_eq([line.split() for line in out.splitlines()[1:]], [["a", one, two], ["b", one, one]], "who may not look sees ids")
        check_eq(err, "", "nothing is said of it")
        cloud.take()
        cloud.plan(Plan(200, ports))
        _, out, _ = home.run(*flags, "-ocsv", expect="done")
        check_eq(out.splitlines()[1:], [f"a,{one},{two}", f"b,{one},{one}"], "programs get ids")


@case
def a_quota_is_a_table_of_what_is_used_of_what():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(Plan(200, {"generation": 1, "limits": {"vms": 10, "vcpus": -1}, "used": {"vms": 3}}))
        _, out, _ = home.run("quota", "show", "acme", expect="done")
        check_eq([line.split() for line in out.splitlines()], [["RESOURCE", "USED", "LIMIT"], ["vms", "3", "10"], ["vcpus", "-", "-1"]],
                 "table")
        check_eq(cloud.take()[0].headers["Virga-Project"], "acme", "project")
        _, _, err = home.run("quota", "set", "--vms", "5", expect="usage")
        check("virga quota set PROJECT" in err, err)


@case
def pages_are_followed_as_far_as_is_wanted():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(Plan(200, {**vms("a", "b"), "next_cursor": "c1"}), Plan(200, vms("c")))
        _, out, _ = home.run("vm", "ls", "-o", "name", "--filter", 'name ne "x y"', "--sort=-name", "--all-projects", expect="done")
        check_eq(out.split(), ["a", "b", "c"], "names")
        first, second = cloud.take()
        check_eq(dict(second.query), {**dict(first.query), "cursor": "c1"}, "the second page is of the same list")
        check_eq((dict(first.query)["filter"], dict(first.query)["sort"]), ('name ne "x y"', "-name"), "filter and sort")
        check_eq(first.headers["Virga-Project"], "*", "project")
        cloud.plan(Plan(200, {**vms("a", "b"), "next_cursor": "c1"}))
        _, out, _ = home.run("vm", "ls", "-o", "name", "--limit", "2", expect="done")
        check_eq((out.split(), len(cloud.take())), (["a", "b"], 1), "names and calls")


@case
def control_characters_do_not_reach_the_terminal():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(Plan(200, vms("e\x1b]0;owned\x07vil\u009b31m")), problem("resource.in_use", 409, detail="\x1b[2Jgone"))
        _, out, _ = home.run("vm", "ls", expect="done")
        check(not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out), repr(out))
        _, _, err = home.run("vm", "show", "x", expect="conflict")
        check("\x1b" not in err and "?[2Jgone" in err, repr(err))


# What a person types.

@case
def units_lists_labels_and_objects_are_taken():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        home.run("flavor", "create", "big", "--vcpus", "2", "--memory", "2GiB", "--disk=20G", "--trait", "ssd,fast", "--trait", "gpu",
                 "--hugepages", "--no-enabled", expect="done")
        check_eq(cloud.take()[0].body, {"name": "big", "vcpus": 2, "memory_mib": 2048, "disk_gib": 20,
                                        "traits": ["ssd", "fast", "gpu"], "hugepages": True, "enabled": False}, "flavor")
        home.run("vm", "create", "web", "--flavor", "big", "--label", "tier=web", "--label", "a=b=c", "--nic",
                 "network=front,ip=10.0.0.5,security-groups=x,security-groups=y", "--nic", "back", "--volume",
                 "size=10GiB,delete-with-vm", "--user-data", "#!/bin/sh", "--no-start", expect="done")
        check_eq(cloud.take()[0].body, {
            "name": "web", "flavor": "big", "labels": {"tier": "web", "a": "b=c"}, "start": False,
            "nics": [{"network": "front", "ip": "10.0.0.5", "security_groups": ["x", "y"]}, {"network": "back"}],
            "volumes": [{"size_gib": 10, "delete_with_vm": True}], "user_data": base64.b64encode(b"#!/bin/sh").decode()}, "VM")
        home.run("volume", "create", "data", "--size", "1.5TiB", "--read-iops=500", "--qos.burst-s", "1m", expect="done")
        check_eq(cloud.take()[0].body, {"name": "data", "size_gib": 1536, "qos": {"read_iops": 500, "burst_s": 60}}, "volume")
        home.run("quota", "set", "acme", "--vms", "-1", "--memory", "1TiB", expect="done")
        last = cloud.take()[-1]
        check_eq((last.path, last.body), ("/v1/projects/acme/quota", {"limits": {"vms": -1, "memory_mib": 1 << 20}}), "quota")
        home.run("vm", "stop", "web", "--timeout-s=2m", "--force", expect="done")
        check_eq(cloud.take()[0].body, {"timeout_s": 120, "force": True}, "stop")


@case
def a_file_is_taken_and_flags_win():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        text = home.write("vm.yaml", "# a VM\nname: web\nflavor: small\nlabels:\n  tier: 'yes'\n  n: \"1\"\nnics:\n- {network: front}\n"
                                     "autostart: true\ndisk_gib: 20\n")
        home.run("vm", "create", "--from", text, "--flavor=big", "--label", "x=y", expect="done")
        check_eq(cloud.take()[0].body, {"name": "web", "flavor": "big", "labels": {"tier": "yes", "n": "1", "x": "y"},
                                        "nics": [{"network": "front"}], "autostart": True, "disk_gib": 20}, "from YAML")
        home.run("vm", "create", "--from", "-", stdin='{"name": "web", "flavor": "f"}', expect="done")
        check_eq(cloud.take()[0].body, {"name": "web", "flavor": "f"}, "from JSON")
        for bad, word in (("a: [1", "line"), ("a: &x 1\nb: *x\n", "line"), ("- 1\n", "fields with values"), ("", "nothing")):
            _, _, err = home.run("vm", "create", "--from", "-", stdin=bad, expect="usage")
            check(word in err, err)
        check_eq(cloud.take(), [], "calls")


@case
def what_is_mistyped_is_named_with_what_was_meant():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        for args, words in [
                (["vmm", "ls"], ["vmm", "did you mean", "vm"]), (["vm", "lst"], ["did you mean \"ls\""]),
                (["vm", "delete", "x"], ["did you mean \"rm\""]), (["volumes", "ls"], ["\"volume\""]),
                (["vm", "create", "x", "--flavour", "y"], ["--flavour", "--flavor"]), (["vm", "ls", "--colums=x"], ["--columns"]),
                (["vm", "create", "x"], ["--flavor is needed"]), (["vm", "show"], ["virga vm show VM"]),
                (["vm", "show", "a", "b"], ["virga vm show VM"]), (["subnet", "create", "x"], ["--network", "--cidr", "are needed"]),
                (["vm", "create", "x", "--nic", "netwrk=y"], ["netwrk", "network, subnet"]),
                (["vm", "create", "x", "--on-host-failure=restrt"], ["restrt", "restart"]),
                (["flavor", "create", "x", "--vcpus", "two"], ["--vcpus", "two", "1 to 64"]),
                (["flavor", "create", "x", "--memory", "1KiB"], ["--memory", "1KiB", "64"]),
                (["vm", "set", "x"], ["nothing is to be changed"]), (["vm", "ls", "-o", "jsn"], ["jsn", "json"]),
                (["vm", "ls", "--limit", "some"], ["--limit", "some"]), (["vm", "ls", "--columns=id,nmae"], ["nmae", "name, perhaps?"]),
                (["vm", "ls", "--columns=status.stat"], ["stat", "state"]),
                (["vm", "stop", "x", "--timeout", "soon"], ["--timeout", "soon"]), (["vm", "ls", "-x"], ["-x"]),
                (["vm", "set", "x", "--label"], ["needs a value"]), (["vm", "set", "x", "--unset", "flavor"], ["flavor"]),
                (["api", "FETCH", "/v1/vms"], ["virga api"]), (["subnet", "set", "x", "--unset", "name"], ["cannot be without"])]:
            _, out, err = home.run(*args, expect="usage")
            check(all(w in err for w in words) and not out, f"{args}: {err}")
        check_eq(cloud.take(), [], "calls")


@case
def help_is_there_for_every_command():
    with Home() as home:
        nouns = set()
        for line in subprocess.run([program("virga-cloud"), "__commands"], stdout=subprocess.PIPE, text=True,
                                   check=True).stdout.splitlines():
            _, noun, verb = line.split()
            nouns.add(noun)
            args = [noun] + ([verb] if verb != "-" else [])
            _, out, _ = home.run(*args, "--help", expect="done")
            check(out.startswith(f"usage: virga {' '.join(args)}") and "--output" in out, out[:200])
            check_eq(home.run("help", *args)[1], out, "virga help")
        _, out, _ = home.run("help", expect="done")
        for noun in nouns:
            check(re.search(rf"^  {noun} ", out, re.M), f"{noun} is not in virga help")
            check(home.run(noun, "--help")[1].startswith(f"usage: virga {noun}"), noun)


if __name__ == "__main__":
    sys.exit(main())
