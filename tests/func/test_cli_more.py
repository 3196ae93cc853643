#!/usr/bin/env python3
"""Commands that are more than a call: images, events, the console, SSH; completion."""
import json
import os
import shutil
import subprocess
import sys

from virgatest import case, check, check_eq, main, program, skip
from virgatest.cli import Home, on_terminal, vms
from virgatest.fakecloud import Cloud, Plan, problem

TOP = os.environ["VIRGA_TOP"]


# Commands by hand.

@case
def images_are_imported_from_files_urls_and_debian():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        content = home.write("disk.img", "0123456789")
        home.run("image", "import", "a", content, "--os", "bsd", expect="done")
        calls = cloud.take()
        check_eq([c.op for c in calls], ["image_create", "image_upload", "operation_wait", "image_get"], "calls")
        check_eq(calls[0].body, {"name": "a", "os": "bsd", "source": {"kind": "upload", "size_bytes": 10}}, "body")
        check_eq((calls[1].raw, calls[1].wrong), (b"0123456789", []), "content")
        home.run("image", "import", "b", "https://example.org/x.qcow2", "--sha256", "a" * 64, expect="done")
        source = {"kind": "url", "url": "https://example.org/x.qcow2", "sha256": "a" * 64}
        check_eq(cloud.take()[0].body["source"], source, "source")
        home.run("image", "import", "c", "debian:trixie", "--source.debian.package", "vim,git", expect="done")
        source = {"kind": "debian", "debian": {"suite": "trixie", "packages": ["vim", "git"]}}
        check_eq(cloud.take()[0].body["source"], source, "source")
        # A connection that is lost goes on where the server is.
        cloud.plan(Plan(drop=True), Plan(200, {"id": "i", "status": {"state": "importing", "received_bytes": 4}}))
        home.run("image", "upload", "a", content, expect="done")
        calls = cloud.take()
        check_eq([(c.op, c.raw, c.query) for c in calls][2], ("image_upload", b"456789", [("offset_bytes", "4")]), "the rest")
        # What is larger than a body may be goes in parts.
        with open(home.path("large"), "wb") as f:
            f.write(bytes(range(256)) * (20 << 12))
        cloud.take()
        home.run("image", "upload", "a", "large", expect="done")
        calls = cloud.take()
        check_eq([(len(c.raw), c.headers.get("Content-Range"), c.wrong) for c in calls],
                 [(8 << 20, "bytes 0-8388607/20971520", []), (8 << 20, "bytes 8388608-16777215/20971520", []),
                  (4 << 20, "bytes 16777216-20971519/20971520", [])], "parts")
        with open(home.path("large"), "rb") as f:
            check(b"".join(c.raw for c in calls) == f.read(), "the parts are not the whole")
        _, _, err = home.run("image", "upload", "a", "/dev/null", expect="usage")
        check("/dev/null" in err, err)
        home.run("image", "download", "a", "--file", "got", expect="done")
        with open(home.path("got"), encoding="utf-8") as f:
            check_eq(f.read(), "content", "content")


@case
def events_are_watched_from_where_they_were():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        event = {"specversion": "1.0", "id": "8", "source": "x", "type": "virga.vm.status", "time": "T", "subject": "vm/1"}
        cloud.plan(Plan(200, {"items": [], "next_after": "7"}), Plan(drop=True), Plan(drop=True), Plan(drop=True), Plan(drop=True),
                   Plan(200, {"items": [event], "next_after": "8"}), Plan(200, {"items": [event, event], "next_after": "10"}))
        _, out, _ = home.run("event", "watch", "--limit", "2", expect="done")
        check_eq(out, "T virga.vm.status vm/1\n" * 2, "events")
        queries = [dict(c.query) for c in cloud.take()]
        check_eq([q.get("after") for q in queries], [None] + ["7"] * 5 + ["8"], "where it goes on")
        home.run("event", "ls", "--subject", "vm/web", expect="done")
        get, ls = cloud.take()
        check_eq((get.op, dict(ls.query)), ("vm_get", {"subject": f"vm/{get.answer['id']}", "after": "0"}), "calls")


@case
def the_console_relays_and_the_escape_key_ends_it():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        _, out, err = home.run("vm", "console", "web", stdin="root\nbye\n", expect="done")
        check_eq(out, "login: ROOT\nBYE\n", "what the guest said")
        calls = cloud.take()
        check_eq([c.op for c in calls], ["vm_get", "ticket_create", "vm_console"], "calls")
        check_eq([dict(calls[2].query)["ticket"], calls[2].wrong], [calls[1].answer["ticket"], []], "the ticket")
        cloud.typed = b""
        typed = [(b"login: ", b"hi\x03"), (b"HI", b"\x1d")]
        status, shown = on_terminal(home, ["vm", "console", "web"], typed, b"left the console")
        check_eq((status, cloud.typed), (0, b"hi\x03"), "status and what was typed")
        check(b"^]" in shown, shown)
        check_eq(cloud.texts, [{"rows": 24, "columns": 80}], "the size")
        cloud.plan(Plan(), Plan(), problem("resource.wrong_state", 409))
        _, _, err = home.run("vm", "console", "web", expect="unreachable")
        check("could not be opened" in err, err)


@case
def the_console_log_is_shown():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(Plan(200, {"text": "boot\n\tok\x1b[0m\n"}))
        _, out, _ = home.run("vm", "log", "web", "--max", "128KiB", expect="done")
        check_eq((out, cloud.take()[0].query), ("boot\n\tok\x1b[0m\n", [("max_kib", "128")]), "log")


KEYS = ["-o", "HostKeyAlias=virga-1", "-o", "StrictHostKeyChecking=accept-new"]


@case
def ssh_goes_to_the_best_address():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        home.write("ssh", '#!/bin/sh\nprintf "%s\\n" "$@"\n')
        os.chmod(home.path("ssh"), 0o755)
        env = {"PATH": home.dir + ":" + os.environ["PATH"]}
        addresses = [{"ip": "127.0.0.1", "source": "guest"}, {"ip": "fe80::1", "source": "guest"},
                     {"ip": "2001:db8::1", "source": "guest"}, {"ip": "10.0.0.5", "source": "assigned"}, {"ip": "-oProxyCommand=x", "source": "floating"}]
        cloud.plan(Plan(200, {"id": "1", "name": "web", "status": {"addresses": addresses}}),
                   Plan(200, {"id": "1", "name": "web", "status": {"addresses": addresses + [
                       {"ip": "192.0.2.9", "source": "floating"}]}}),
                   Plan(200, {"id": "1", "name": "web", "status": {}}))
        _, out, _ = home.run("vm", "ssh", "web", env=env, expect="done")
        check_eq(out.split(), KEYS + ["--", "2001:db8::1"], "words")
        _, out, _ = home.run("vm", "ssh", "-u", "root", "-i", "k.pem", "web", "--", "ls", "-l", "a b", env=env, expect="done")
        check_eq(out.splitlines(), KEYS + ["-l", "root", "-i", "k.pem", "--", "192.0.2.9", "ls", "-l", "a b"], "words")
        _, _, err = home.run("vm", "ssh", "web", env=env, expect="conflict")
        check("virga vm console" in err, err)


@case
def ssh_goes_by_a_forward_where_there_is_one():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        home.write("ssh", '#!/bin/sh\nprintf "%s\\n" "$@"\n')
        os.chmod(home.path("ssh"), 0o755)
        env = {"PATH": home.dir + ":" + os.environ["PATH"]}
        vm = {"id": "1", "name": "web", "nics": [{"port": "p1"}, {"port": "p2"}],
              "status": {"addresses": [{"ip": "10.0.0.5", "source": "guest"}]}}
        forwards = [{"protocol": "udp", "guest_port": 22, "host_port": 20001}, {"protocol": "tcp", "guest_port": 80, "host_port": 20002},
                    {"protocol": "tcp", "guest_port": 22, "host_port": 20003}]
        ports = [Plan(200, {"id": "p1", "status": {"forwards": forwards[:2]}}),
                 Plan(200, {"id": "p2", "status": {"host": "h", "forwards": forwards}})]
        cloud.plan(Plan(200, vm), *ports, Plan(200, {"id": "h", "status": {"address": "192.0.2.7"}}))
        _, out, _ = home.run("vm", "ssh", "web", env=env, expect="done")
        check_eq(out.split(), KEYS + ["-p", "20003", "--", "192.0.2.7"], "words")
        # A host that the server sees as itself, and one that a member may not look at, are where the server is.
        for host in (Plan(200, {"id": "h", "status": {"address": "127.0.0.1"}}), problem("auth.forbidden", 403)):
            cloud.plan(Plan(200, vm), *ports, host)
            _, out, err = home.run("vm", "ssh", "web", "--", "ls", env=env, expect="done")
            check_eq((out.split(), err), (KEYS + ["-p", "20003", "--", "127.0.0.1", "ls"], ""), "words")
        # Ports that cannot be seen lead to the guest's own address.
        cloud.plan(Plan(200, vm), problem("resource.not_found", 404), Plan(200, {"id": "p2", "status": {}}))
        _, out, err = home.run("vm", "ssh", "web", env=env, expect="done")
        check_eq((out.split(), err), (KEYS + ["--", "10.0.0.5"], ""), "words")


@case
def the_api_can_be_called_by_hand():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        _, out, _ = home.run("api", "GET", "/v1/flavors?limit=3", expect="done")
        check_eq(json.loads(out), cloud.take()[0].answer, "answer")
        home.run("api", "POST", "/v1/flavors", "--from", "-", stdin="{name: f, vcpus: 1, memory_mib: 64}", expect="done")
        check_eq(cloud.take()[0].wrong, [], "the request")
        home.run("api", "DELETE", "/v1/nothing", expect="not_offered")


@case
def words_are_completed_from_the_tables_and_the_server():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        def words(*typed):
            return [line.split("\t")[0] for line in home.run("__complete", *typed, expect="done")[1].splitlines()]
        check_eq(words("vo"), ["volume"], "nouns")
        check("vm" in words("") and "login" in words(""), "all nouns")
        check_eq(words("vm", "re"), ["reboot", "resume", "resize", "rebuild", "rescue"], "verbs")
        check_eq(words("vm", "create", "web", "--fl"), ["--flavor"], "flags")
        check_eq(words("vm", "create", "web", "--on-host-failure", ""), ["restart", "stay"], "values")
        check_eq(words("vm", "create", "web", "--on-host-failure=s"), ["--on-host-failure=stay"], "values behind =")
        check_eq(words("vm", "ls", "-o", "j"), ["json"], "forms")
        cloud.plan(Plan(200, vms("web", "db")), Plan(200, vms("small", "big")))
        check_eq(words("vm", "start", ""), ["web", "db"], "names")
        check_eq(words("vm", "create", "x", "--flavor", "s"), ["small"], "names behind a flag")
        cloud.plan(problem("auth.required", 401))
        check_eq(words("vm", "start", ""), [], "without a session")


@case
def a_virga_without_the_clouds_program_says_so():
    with Home() as home:
        shutil.copy(program("virga"), home.path("virga"))
        for args in (["vm", "ls"], ["no-such-thing"]):
            p = subprocess.run([home.path("virga"), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=home.env, check=False)
            check_eq((p.returncode, p.stdout), (2, ""), "status and output")
            check("no virga-cloud" in p.stderr and "VIRGA_CLOUD" in p.stderr and args[0] in p.stderr, p.stderr)


@case
def the_shells_complete_what_the_program_says():
    bash = ('compopt() { :; }; . "$0"; COMP_WORDS=(virga vm re); COMP_CWORD=2; _virga; printf "%s\\n" "${COMPREPLY[@]}"; '
            'COMP_WORDS=(virga vo); COMP_CWORD=1; _virga; printf "%s\\n" "${COMPREPLY[@]}"')
    fish = "source completions/virga.fish; complete -C 'virga vm re'; complete -C 'virga vo'"
    path = os.environ["VIRGA_BUILD"] + ":" + os.environ["PATH"]
    wanted = {"reboot", "resume", "resize", "rebuild", "rescue", "volume"}
    missing = []
    with Home() as home:
        for name, argv in (("bash", ["-c", bash, "completions/virga.bash"]), ("fish", ["-c", fish]),
                           ("zsh", ["-n", "completions/_virga"])):
            if not shutil.which(name):
                missing.append(name)
                continue
            p = subprocess.run([name, *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=TOP, check=False,
                               env={**home.env, "PATH": path})
            check_eq(p.returncode, 0, f"{name}: {p.stdout}; status")
            if name != "zsh":
                check_eq({line.split("\t")[0] for line in p.stdout.splitlines()}, wanted, name)
    if missing:
        skip(f"not installed: {', '.join(missing)}")


if __name__ == "__main__":
    sys.exit(main())
