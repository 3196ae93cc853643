#!/usr/bin/env python3
"""What a project has used: intervals that have ended, those that have not, and what agents counted."""
import json
import os
import sqlite3
import time
import uuid

from virgatest import case, check, check_eq, main
from virgatest.cloud import DESCRIPTION, Cloud

FLAVOR = "0190b8e4-9a5b-7cde-8f01-000000000001"


def usage(cloud, query="", **kw):
    """Records, held to the description."""
    answer = cloud.get("/usage" + query, **kw)
    check_eq(answer.status, 200, f"/usage{query}: {answer}")
    check_eq(DESCRIPTION.errors(DESCRIPTION.schema("UsageRecordList"), answer.body), [], "as described")
    return answer.body


def stamp(ms):
    """A time as the API has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03}Z"


class Store:
    """Rows of the usage, written while the server is not there."""

    def __init__(self, cloud):
        self.cloud, self.position = cloud, 1000
        self.project = uuid.UUID(cloud.get("/projects/default").body["id"])
        self.db = sqlite3.connect(os.path.join(cloud.state, "virga.db"))

    def row(self, at_ms, thing, name, body, **kw):
        """One row; source and numbers as the server makes them."""
        self.position += 1
        source = kw.get("source", thing)
        self.db.execute("INSERT INTO usage VALUES(?, ?, ?, ?, ?, 9, ?, ?, ?, ?)",
                        (self.position, at_ms, kw.get("project", self.project).bytes, thing.bytes, source.bytes, name, body,
                         kw.get("epoch", 0), kw.get("number", 0)))

    def vm(self, thing, own):
        """A VM, with what is known of it beside its document."""
        self.position += 1
        now = stamp(int(time.time() * 1000))
        doc = {"id": str(thing), "project": str(self.project), "name": f"vm-{thing.int & 0xffff}", "generation": 1, "created_at": now,
               "updated_at": now, "status": {"state": "running"}}
        self.db.execute("INSERT INTO objects(kind, id, project, name, seq, body) VALUES(9, ?, ?, ?, ?, ?)",
                        (thing.bytes, self.project.bytes, doc["name"], self.position, json.dumps(doc) + "\n" + json.dumps(own)))

    def done(self):
        """Back to the server."""
        self.db.execute("UPDATE state SET seq = ?", (self.position,))
        self.db.commit()
        self.db.close()
        self.cloud.start()


@case
def usage_is_added_up_as_asked():
    """By thing, flavor and meter; within a time; of one project; in pages; with what is open up to now."""
    with Cloud() as cloud:
        check_eq(usage(cloud)["items"], [], "nothing yet")
        store = Store(cloud)
        check_eq(cloud.stop(), 0, "ended")
        a, b, other = (uuid.UUID(int=(0x0190b8e49a5b7cde8f01 << 48) + i) for i in (10, 11, 12))
        now = int(time.time() * 1000)
        t = now - 3600000
        store.row(t + 10000, a, "interval", f"{t} {t + 10000} {FLAVOR} vcpu_time=2,memory_time=1024 a", number=1)
        store.row(t + 20000, a, "interval", f"{t + 10000} {t + 20000} {FLAVOR} vcpu_time=4,memory_time=1024 a", number=2)
        store.row(t + 20000, b, "interval", f"{t} {t + 20000} - vcpu_time=1 b", number=1)
        store.row(t + 20000, other, "interval", f"{t} {t + 20000} - vcpu_time=50 c", number=1, project=uuid.uuid4())
        counter = uuid.UUID(int=a.int ^ 8)
        store.row(t + 5000, a, "egress", "1000 0", source=counter, epoch=1, number=1000)
        store.row(t + 15000, a, "egress", "5000 1000", source=counter, epoch=1, number=5000)
        store.vm(a, {"usage": f"{t + 20000} 0 {FLAVOR} vcpu_time=1 a", "usage_number": 2})
        store.done()
        begin, end = stamp(t - 1000), stamp(t + 20000)
        span = f"?begin={begin}&end={end}"
        got = {(r["resource"], r["meter"]): r for r in usage(cloud, span)["items"]}
        check_eq({k: v["quantity"] for k, v in got.items()},
                 {(str(a), "vcpu_time"): 60, (str(a), "memory_time"): 20480, (str(a), "egress"): 5000, (str(b), "vcpu_time"): 20},
                 "by thing")
        one = got[(str(a), "vcpu_time")]
        check_eq((one["unit"], one["resource_name"], one["flavor"], "open" in one), ("vcpu_s", "a", FLAVOR, False), "with its name")
        check_eq({r["meter"]: r["quantity"] for r in usage(cloud, span + "&group_by=meter")["items"]},
                 {"vcpu_time": 80, "memory_time": 20480, "egress": 5000}, "by meter")
        check_eq(sorted((r.get("flavor", ""), r["quantity"]) for r in usage(cloud, span + "&group_by=flavor")["items"]
                        if r["meter"] == "vcpu_time"), [("", 20), (FLAVOR, 60)], "by flavor")
        half = f"?begin={stamp(t + 5000)}&end={stamp(t + 15000)}&group_by=meter"
        check_eq({r["meter"]: r["quantity"] for r in usage(cloud, half)["items"]},
                 {"vcpu_time": 40, "memory_time": 10240, "egress": 1000}, "a part of the time")
        recent = usage(cloud, f"?begin={stamp(t + 20000)}")["items"]
        check_eq([(r["resource"], r["meter"], r["open"]) for r in recent], [(str(a), "vcpu_time", True)], "what is open")
        check(abs(recent[0]["quantity"] - (3600 - 20)) < 120, "up to now")
        first = usage(cloud, span + "&limit=2")
        rest = usage(cloud, span + f"&limit=10&cursor={first['next_cursor']}")
        check_eq({r["id"] for r in first["items"]} | {r["id"] for r in rest["items"]}, {r["id"] for r in got.values()}, "in pages")
        check_eq(len(first["items"]) + len(rest["items"]), len(got), "each once")
        everything = usage(cloud, span + "&group_by=meter", headers={"Virga-Project": "*"})["items"]
        check_eq(sorted(r["quantity"] for r in everything if r["meter"] == "vcpu_time"), [80, 1000], "of all projects")
        few = usage(cloud, span + "&filter=meter%20eq%20%22egress%22")["items"]
        check_eq([r["quantity"] for r in few], [5000], "a filter")
        check_eq(cloud.get("/usage?begin=yesterday").code, "query.invalid", "no time")
        check_eq(cloud.stop(), 0, "it ends cleanly")


main()
