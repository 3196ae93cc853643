#!/usr/bin/env python3
"""The cloud itself: settings, version, health, the description, operations that have ended, and what is swept away."""
import json
import os
import socket
import sqlite3
import time
import uuid

from virgatest import case, check, check_eq, main, until
from virgatest.cloud import DESCRIPTION, TOP, Cloud
from virgatest.ws import WebSocket

SMALL = {"vcpus": 1, "memory_mib": 256}
DAY_MS = 86400000


def described(cloud, path, schema, **kw):
    """A GET that is as described."""
    answer = cloud.get(path, **kw)
    check_eq(answer.status, 200, f"{path}: {answer}")
    check_eq(DESCRIPTION.errors(DESCRIPTION.schema(schema), answer.body), [], f"{path} as described")
    return answer


def edit(cloud, *statements):
    """Changes what the store of a server that has ended holds; statements are (SQL, parameters)."""
    db = sqlite3.connect(os.path.join(cloud.state, "virga.db"))
    with db:
        for sql, *parameters in statements:
            db.execute(sql, *parameters)
    db.close()


@case
def settings_are_shown_and_changed():
    """With the precondition; the cloud's name is the version's too."""
    with Cloud() as cloud:
        first = described(cloud, "/settings", "Settings")
        check_eq((first.body["generation"], first.body["events_kept_hours"]), (1, 168), "the defaults")
        changed = cloud.patch("/settings", {"cloud_name": "north", "events_kept_hours": 24}, headers={"If-Match": first.headers["etag"]})
        check_eq((changed.status, changed.body["cloud_name"], changed.headers["etag"]), (200, "north", '"2"'), "changed")
        check_eq(cloud.patch("/settings", {"cloud_name": "x"}, headers={"If-Match": '"1"'}).status, 412, "not by an old view")
        check_eq(cloud.patch("/settings", {"events_kept_hours": 0}).status, 422, "out of range")
        check_eq(described(cloud, "/version", "VersionInfo").body["cloud_name"], "north", "its name")
        reset = cloud.patch("/settings", {"cloud_name": None})
        check_eq((reset.status, reset.body["cloud_name"]), (200, "virga"), "reset to the default")
        features = {f["name"]: f["offered"] for f in cloud.get("/version").body["features"]}
        check_eq((features["network.user"], features["network.overlay"]), (True, False), "what drivers offer")


@case
def health_and_the_description_are_for_everybody():
    """Without a token."""
    with Cloud("--description", os.path.join(TOP, "api/openapi.json")) as cloud:
        cloud.token = None
        health = described(cloud, "/health", "Health").body
        check_eq((health["healthy"], health["store"]), (True, "ok"), "well")
        until(lambda: cloud.get("/health").body["leader"], "it leads")
        for _ in range(2):
            answer = cloud.get("/openapi.json")
            check_eq((answer.status, answer.body["openapi"]), (200, DESCRIPTION.document["openapi"]), "the description")
        check_eq(answer.body, DESCRIPTION.document, "whole")
    with Cloud() as cloud:
        check_eq(cloud.get("/openapi.json").code, "resource.not_found", "none was given")


def operation(age_days, state, number):
    """A row of an operation that began, and ended if so, that long ago."""
    ms = int(time.time() * 1000) - int(age_days * DAY_MS)
    ident = uuid.UUID(int=(ms << 80) | (7 << 76) | (2 << 62) | number)
    when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(ms / 1000))
    doc = {"id": str(ident), "kind": "vm_start", "state": state, "cancellable": False, "created_at": when, "updated_at": when}
    if state in ("done", "failed", "cancelled"):
        doc["ended_at"] = when
    return ident, doc


@case
def what_is_old_goes():
    """Operations a week after their end, events, tombstones and keys; what is younger stays."""
    with Cloud() as cloud:
        check_eq(cloud.post("/flavors", dict(SMALL, name="gone")).status, 201, "created")
        check_eq(cloud.delete("/flavors/gone").status, 204, "and deleted")
        for key in ("old", "young"):
            check_eq(cloud.post("/flavors", dict(SMALL, name=key), headers={"Idempotency-Key": key}).status, 201, "with a key")
        project = uuid.UUID(cloud.get("/projects/default").body["id"])
        check_eq(cloud.stop(), 0, "ended")
        operations = [operation(8, "done", 1), operation(30, "failed", 2), operation(6, "done", 3), operation(30, "running", 4)]
        edit(cloud,
             *[("INSERT INTO objects(kind, id, project, name, seq, body) VALUES(25, ?, ?, ?, 900 + ?, ?)",
                (i.bytes, project.bytes, str(i), n, json.dumps(dict(doc, project=str(project))) + "\n{}"))
               for n, (i, doc) in enumerate(operations)],
             ("UPDATE state SET seq = 1000",),
             ("UPDATE events SET at_ms = at_ms - 8 * 86400000 WHERE position < (SELECT max(position) FROM events)",),
             ("UPDATE keys SET expires_ms = 1 WHERE key = 'old'",))
        cloud.start()
        left = [str(operations[2][0]), str(operations[3][0])]
        until(lambda: sorted(o["id"] for o in cloud.get("/operations").body["items"]) == sorted(left), "old operations go")
        check_eq(cloud.get("/events?after=1", headers={"Virga-Project": "*"}).code, "events.too_old", "old events are gone")
        with WebSocket(cloud.port, "/v1/events/stream?after=1", headers={"Authorization": f"Bearer {cloud.token}", "Virga-Project": "*"}) as ws:
            check_eq((ws.receive(), ws.status), (None, 4410), "a stream says so too")
        cancel = cloud.post(f"/operations/{left[0]}/cancel")
        check_eq((cancel.status, cancel.code), (409, "operation.not_cancellable"), "what has ended cannot be cancelled")
        cancel = cloud.post(f"/operations/{left[1]}/cancel")
        check_eq((cancel.status, cancel.code), (409, "operation.not_cancellable"), "what says so neither")
        check_eq(cloud.post(f"/operations/{operations[0][0]}/cancel").status, 404, "what is gone neither")
        check_eq(cloud.delete("/flavors/old").status, 204, "free again")
        check_eq(cloud.delete("/flavors/young").status, 204, "free again")
        again = {k: cloud.post("/flavors", dict(SMALL, name=k), headers={"Idempotency-Key": k}).status for k in ("old", "young")}
        check_eq(again, {"old": 201, "young": 201}, "answered")
        check_eq(cloud.get("/flavors/old").status, 200, "an expired key does it again")
        check_eq(cloud.get("/flavors/young").status, 404, "one that has not expired does not")
        waits = socket.create_connection(("127.0.0.1", cloud.port))
        waits.sendall(f"GET /v1/operations/{left[1]}/wait?timeout_s=300 HTTP/1.1\r\nHost: x\r\n"
                      f"Authorization: Bearer {cloud.token}\r\n\r\n".encode())
        check_eq(cloud.get("/health").status, 200, "others are served meanwhile")
        check_eq(cloud.stop(), 0, "it ends cleanly while somebody waits")
        waits.close()


main()
