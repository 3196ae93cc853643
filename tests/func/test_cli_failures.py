#!/usr/bin/env python3
"""What goes wrong has its exit status and names a remedy; what is lost is tried again; operations are followed."""
import json
import os
import re
import sys
import socket
import threading

from virgatest import case, check, check_eq, main
from virgatest.cli import Home, on_terminal
from virgatest.fakecloud import Cloud, Plan, problem

TOP = os.environ["VIRGA_TOP"]


# What goes wrong.

FAILURES = [
    (problem("request.malformed", 400, detail="what is this"), "refused", ["what is this", "--help"]),
    (problem("auth.required", 401), "sign_in", ["virga login"]), (problem("auth.expired", 401), "sign_in", ["virga login"]),
    (problem("auth.forbidden", 403), "forbidden", ["virga whoami"]), (problem("auth.scope", 403), "forbidden", ["--scope"]),
    (problem("project.disabled", 403), "forbidden", ["virga project set"]),
    (problem("resource.not_found", 404, detail="there is no VM \"x\""), "not_found", ["there is no VM \"x\"", "ls"]),
    (problem("route.not_found", 404), "not_offered", ["does not have this command", "virga server version"]),
    (problem("route.method_not_allowed", 405), "not_offered", ["does not have this command"]),
    (problem("feature.no_driver", 501, detail="no driver offers overlays"), "not_offered", ["overlays", "virga server version"]),
    (problem("quota.exceeded", 409, detail="vcpus: 200 of 200"), "conflict", ["200 of 200", "virga quota"]),
    (problem("resource.gone", 410), "not_found", ["cannot be had back"]),
    (problem("resource.generation", 412), "conflict", ["show"]),
    (problem("resource.protected", 409), "conflict", ["--no-delete-protection"]),
    (problem("request.too_large", 413), "refused", ["less"]), (problem("request.unsupported_media", 415), "refused", ["--help"]),
    (problem("rate.limited", 429), "busy", ["wait a little", "in 3600 s"]),
    (problem("server.store", 503), "busy", ["virga server health"]),
    (problem("server.internal", 500, request_id="req-9"), "failed", ["req-9"]),
    (Plan(500, b"<html>", "text/html"), "unreachable", ["no server of virga", "check the URL"]),
    (Plan(404, b"<html>not here", "text/html"), "unreachable", ["no server of virga"]),
    (Plan(200, b"<html>welcome to the portal", "text/html"), "unreachable", ["no server of virga"]),
    (Plan(200, b"{garbage", "application/json"), "unreachable", ["no server of virga"]),
    (Plan(200, b"[]", "application/json"), "unreachable", ["no server of virga"]),
    (Plan(409, b"{}", "application/problem+json"), "unreachable", ["no server of virga"]),
]


@case
def every_failure_has_its_status_and_a_remedy():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        for plan, status, words in FAILURES:
            if plan.status in (429, 503):
                plan.headers["Retry-After"] = "3600"  # not worth a retry
            cloud.plan(plan)
            _, out, err = home.run("vm", "show", "x", expect=status)
            check(all(w in err for w in words) and not out, f"{plan.status} {plan.body}: {err}")
            check(err.startswith("virga vm show:"), err)
            check_eq(len(cloud.take()), 1, f"{plan.body}: calls")


@case
def errors_name_the_flags_that_they_are_of():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(problem("request.invalid", 422, detail="two things", errors=[
            {"pointer": "/flavor", "detail": "there is no flavor \"x\""}, {"pointer": "/nics/1/ip", "detail": "out of range"},
            {"pointer": "/labels/a", "detail": "too long"}, {"pointer": "/colour", "detail": "unknown"}]))
        _, _, err = home.run("vm", "create", "web", "--flavor", "x", expect="refused")
        for line in ["  --flavor: there is no flavor \"x\"", "  --nic (2nd) ip: out of range", "  --label a: too long",
                     "  /colour: unknown"]:
            check(line in err.splitlines(), err)
        cloud.plan(problem("request.invalid", 422, errors=[{"pointer": "/source/debian/size_gib", "detail": "too small"}]))
        _, _, err = home.run("image", "create", "x", "--source.kind=debian", expect="refused")
        check(re.search(r"^  --(source.debian.)?size: too small", err, re.M) or "--source.debian.size-gib: too small" in err, err)


PLACEMENT = {"placed": False, "hosts_considered": 3, "vms": [{"vm": "web", "filters": [
    {"filter": "memory", "hosts": 2, "detail": "asked for 8192 MiB, the best has 4096"}], "hosts": [
        {"host": "id-h1", "name": "h1", "turned_away_by": "memory", "detail": "has 4096 MiB"},
        {"host": "id-h2", "name": "h2", "score": 12}]}]}


@case
def placement_is_explained_by_filter_and_host():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(Plan(200, PLACEMENT), problem("placement.no_host", 409, explanation=PLACEMENT))
        _, out, _ = home.run("vm", "create", "web", "--flavor", "x", "--dry-run", "--explain", expect="conflict")
        words = ["3 hosts", "web can go nowhere", "2 turned away by memory: asked for 8192", "h2: score 12",
                 "h1: turned away by memory: has 4096"]
        check(all(w in out for w in words), out)
        check_eq(sorted(cloud.take()[0].query), [("dry_run", "true"), ("explain", "true")], "query")
        _, _, err = home.run("vm", "create", "web", "--flavor", "x", expect="conflict")
        check(all(w in err for w in words), err)


def unused_port():
    """A port at which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@case
def a_server_that_is_not_there_is_said_so():
    with Home(f"http://127.0.0.1:{unused_port()}") as home:
        _, _, err = home.run("vm", "ls", expect="unreachable")
        check("no server answers" in err and "VIRGA_URL" in err, err)
        _, _, err = home.run("vm", "ls", "--url", "unix:/nowhere/socket", expect="unreachable")
        check("unix:/nowhere/socket" in err, err)
        for url in ("ftp://x", "http://example.org", "https://", "https://x/path", "https://u@x", "unix:relative", "https://x:99999"):
            _, _, err = home.run("vm", "ls", "--url", url, expect="usage")
            check(url in err and "use https://" in err, err)
    with Home() as home:
        _, _, err = home.run("vm", "ls", expect="sign_in")
        check("virga login URL" in err, err)


@case
def what_speaks_no_http_or_no_tls_is_said_so():
    with socket.create_server(("127.0.0.1", 0)) as s, Home() as home:
        def answer():
            while True:
                try:
                    c, _ = s.accept()
                except OSError:
                    return
                c.recv(4096)
                c.sendall(b"220 mail.example ESMTP\r\n")
                c.close()
        threading.Thread(target=answer, daemon=True).start()
        port = s.getsockname()[1]
        _, _, err = home.run("vm", "ls", "--url", f"http://127.0.0.1:{port}", expect="unreachable")
        check("does not speak HTTP" in err, err)
        _, _, err = home.run("vm", "ls", "--url", f"https://127.0.0.1:{port}", expect="unreachable")
        check("no TLS" in err, err)
        s.shutdown(socket.SHUT_RDWR)


@case
def lost_connections_and_busy_servers_are_tried_again():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(Plan(drop=True), problem("server.busy", 503), Plan())
        home.run("vm", "create", "web", "--flavor", "x", "--no-wait", expect="done")
        calls = cloud.take()
        check_eq((len(calls), len({c.headers["Idempotency-Key"] for c in calls}), len({c.raw for c in calls})), (3, 1, 1),
                 "calls, keys and bodies")
        cloud.plan(Plan(drop=True), Plan(drop=True), Plan(drop=True), Plan(drop=True), Plan(drop=True))
        _, _, err = home.run("vm", "show", "web", expect="unreachable")
        check_eq(len(cloud.take()), 4, "calls")
        check("lost" in err, err)
        cloud.plans.clear()
        # What may have had its effect and has no key is not repeated.
        cloud.plan(Plan(drop=True))
        home.run("vm", "rm", "web", expect="unreachable")
        check_eq(len(cloud.take()), 1, "calls of a delete")


@case
def set_changes_only_what_was_seen():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        home.run("vm", "set", "web", "--no-autostart", expect="done")
        get, patch = cloud.take()
        check_eq((get.op, patch.op, patch.headers["If-Match"]), ("vm_get", "vm_patch", '"7"'), "calls")
        home.run("vm", "set", "web", "--no-autostart", "--if-match", '"3"', expect="done")
        check_eq([c.headers["If-Match"] for c in cloud.take()], ['"3"'], "calls")
        home.run("subnet", "set", "web", "--unset", "gateway", "--unset", "labels.a.b", "--label", "c=d", expect="done")
        check_eq(cloud.take()[1].body, {"gateway": None, "labels": {"a.b": None, "c": "d"}}, "what is put back")


# Operations.

@case
def operations_are_followed_to_their_end():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.operation_states = ["running", "running", "done"]
        _, out, err = home.run("vm", "start", "web", expect="done")
        check_eq([c.op for c in cloud.take()], ["vm_start"] + ["operation_wait"] * 3, "calls")
        check_eq((out, err), ("vm start web: done\n", ""), "output")
        cloud.operation_states = ["done"]
        home.run("vm", "create", "web", "--flavor=x", expect="done")
        check_eq([c.op for c in cloud.take()], ["vm_create", "operation_wait", "vm_get"], "calls")
        home.run("vm", "stop", "web", "--no-wait", expect="done")
        check_eq([c.op for c in cloud.take()], ["vm_stop"], "calls")


@case
def operations_that_fail_say_why():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        operation = {"id": "op-1", "kind": "vm_start", "state": "running", "cancellable": True, "created_at": "x"}
        why = problem("resource.wrong_state", 409, detail="it is deleted").body
        cloud.plan(Plan(202, operation), Plan(200, {**operation, "state": "failed", "problem": why}))
        _, _, err = home.run("vm", "start", "web", expect="operation")
        check("it is deleted" in err and "show" in err, err)
        cloud.plan(Plan(202, operation), Plan(200, {**operation, "state": "cancelled"}))
        _, _, err = home.run("vm", "start", "web", expect="operation")
        check("cancelled" in err, err)
        cloud.plan(Plan(202, operation))
        _, _, err = home.run("vm", "start", "web", "--timeout", "0", expect="time_out")
        check("virga operation wait op-1" in err, err)
        cloud.plan(Plan(200, operation), Plan(200, {**operation, "state": "done"}))
        _, out, _ = home.run("operation", "wait", "op-1", "-o", "json", expect="done")
        check_eq(json.loads(out)["state"], "done", "state")


@case
def a_terminal_shows_progress_and_is_asked_before_anything_is_destroyed():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        operation = {"id": "op-1", "kind": "vm_start", "state": "running", "cancellable": True, "created_at": "x",
                     "progress_percent": 40, "step": "copying"}
        cloud.plan(Plan(202, operation), Plan(200, {**operation, "state": "done"}))
        status, shown = on_terminal(home, ["vm", "start", "web"], [], b"40%")
        check(status == 0 and b"copying" in shown, shown)
        cloud.take()
        status, _ = on_terminal(home, ["vm", "rm", "web"], [(b"[y/N]", b"n\n")], b"nothing was done")
        check_eq((status, cloud.take()), (1, []), "status and calls")
        status, _ = on_terminal(home, ["vm", "rm", "web"], [(b"[y/N]", b"y\n")], b"done")
        check_eq((status, cloud.take()[0].op), (0, "vm_delete"), "status and call")
        status, shown = on_terminal(home, ["vm", "rm", "web", "--yes"], [], b"done")
        check(b"[y/N]" not in shown, shown)
        _, shown = on_terminal(home, ["vm", "ls"], [], b"NAME")
        check(b"\x1b[1m" in shown, "a terminal has bold headings")
        _, shown = on_terminal(home, ["vm", "ls"], [], b"NAME", env={"NO_COLOR": "1"})
        check(b"\x1b[" not in shown, shown)


if __name__ == "__main__":
    sys.exit(main())
