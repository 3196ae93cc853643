#!/usr/bin/env python3
"""Idempotency-Key: a request that is sent again has no second effect."""
import http.client
import json
import threading

from virgatest import case, check, check_eq, main
from virgatest.cloud import Cloud

SMALL = {"name": "one", "vcpus": 1, "memory_mib": 256}
SHOWN = ("location", "etag", "content-type")


def keyed(cloud, body, key, path="/flavors", **kw):
    """A POST with a key."""
    return cloud.post(path, body, headers={"Idempotency-Key": key}, **kw)


def same(first, again, what):
    """Holds the second answer to the first."""
    check_eq((again.status, again.body), (first.status, first.body), what)
    check_eq([again.headers.get(h) for h in SHOWN], [first.headers.get(h) for h in SHOWN], f"{what}: headers")


@case
def a_retry_gets_the_first_answer():
    """At once, after what was made has changed, after it is gone, and after kill -9."""
    with Cloud() as cloud:
        first = keyed(cloud, SMALL, "k1")
        check_eq(first.status, 201, "created")
        same(first, keyed(cloud, SMALL, "k1"), "again")
        check_eq(cloud.patch("/flavors/one", {"description": "d"}).status, 200, "changed")
        same(first, keyed(cloud, SMALL, "k1"), "after a change")
        check_eq(cloud.delete("/flavors/one").status, 204, "deleted")
        same(first, keyed(cloud, SMALL, "k1"), "after the end")
        check_eq(cloud.get("/flavors/one").status, 404, "and it was not made again")
        cloud.kill()
        cloud.start()
        same(first, keyed(cloud, SMALL, "k1"), "after kill -9")


@case
def a_key_belongs_to_one_request():
    """Another body, another path: 422. Another key: another request."""
    with Cloud() as cloud:
        check_eq(keyed(cloud, SMALL, "k1").status, 201, "created")
        other = keyed(cloud, dict(SMALL, vcpus=2), "k1")
        check_eq((other.status, other.code), (422, "idempotency.mismatch"), "another body")
        other = keyed(cloud, dict(SMALL, name="two"), "k1")
        check_eq((other.status, other.code), (422, "idempotency.mismatch"), "another body that could be done")
        check_eq(cloud.get("/flavors/two").status, 404, "which was not done")
        other = keyed(cloud, {"name": "one"}, "k1", path="/projects")
        check_eq((other.status, other.code), (422, "idempotency.mismatch"), "another path")
        other = keyed(cloud, SMALL, "k2")
        check_eq((other.status, other.code), (409, "resource.name_taken"), "another key")
        check_eq(keyed(cloud, SMALL, "k" * 127).code, "resource.name_taken", "the longest key")
        check_eq(keyed(cloud, SMALL, "k" * 128).code, "request.header_invalid", "a key that is too long")


@case
def what_is_refused_is_not_remembered():
    """After the cause has gone the same key does it."""
    with Cloud() as cloud:
        made = cloud.post("/flavors", SMALL)
        check_eq(made.status, 201, "created")
        check_eq(keyed(cloud, SMALL, "k").code, "resource.name_taken", "taken")
        check_eq(cloud.delete("/flavors/one").status, 204, "deleted")
        again = keyed(cloud, SMALL, "k")
        check_eq(again.status, 201, "now it is done")
        check(again.body["id"] != made.body["id"], "as a new one")


@case
def of_many_at_once_one_is_done():
    """The same key from many connections: each is told 201 with the same id, or 409."""
    with Cloud() as cloud:
        answers, lock = [], threading.Lock()
        body = json.dumps(SMALL).encode()

        def ask():
            conn = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
            for _ in range(5):
                conn.request("POST", "/v1/flavors", body=body, headers={
                    "Authorization": f"Bearer {cloud.token}", "Content-Type": "application/json", "Idempotency-Key": "same"})
                r = conn.getresponse()
                answer = (r.status, json.loads(r.read()))
                with lock:
                    answers.append(answer)
            conn.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check_eq(len(answers), 40, "all are answered")
        check(len({a["id"] for s, a in answers if s == 201}) == 1, f"one was made: {answers}")
        check_eq({a["code"] for s, a in answers if s != 201} - {"idempotency.in_flight"}, set(), "the others wait their turn")
        check_eq(len(cloud.get("/flavors?filter=name%20eq%20%22one%22").body["items"]), 1, "and it is there once")


main()
