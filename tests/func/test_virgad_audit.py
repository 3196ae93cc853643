#!/usr/bin/env python3
"""The audit log: who did what or tried to, in pages, and whether it still is what was written."""
import os
import sqlite3
import time

from virgatest import case, check, check_eq, main
from virgatest.cloud import DESCRIPTION, Cloud

SMALL = {"vcpus": 1, "memory_mib": 256}


def records(cloud, query="?limit=1000"):
    """A page, held to the description."""
    answer = cloud.get("/audit" + query)
    check_eq(answer.status, 200, f"/audit{query}: {answer}")
    check_eq(DESCRIPTION.errors(DESCRIPTION.schema("AuditRecordList"), answer.body), [], "as described")
    return answer.body


def awaited(cloud, query, n):
    """Records that are written beside the answer: waits until there are n."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        items = records(cloud, query)["items"]
        if len(items) >= n:
            return items
        time.sleep(0.02)
    raise AssertionError(f"{query}: {items}")


@case
def changes_are_recorded_with_what_was_asked():
    """Who, from where, what, of what; without secrets."""
    with Cloud() as cloud:
        made = cloud.post("/flavors", dict(SMALL, name="f"), headers={"Virga-Request-Id": "my-request"})
        check_eq(cloud.delete("/flavors/f").status, 204, "deleted")
        created, deleted = records(cloud, "?filter=operation%20in%20(%22flavor_create%22,%22flavor_delete%22)")["items"]
        check_eq((created["operation"], created["outcome"], created["status"]), ("flavor_create", "done", 201), "what")
        check_eq((created["principal_name"], created["source_ip"], created["request_id"]), ("admin", "127.0.0.1", "my-request"), "who")
        check_eq(created["resource"], f"flavor/{made.body['id']}", "of what")
        check_eq(created["detail"]["vcpus"], 1, "what was asked")
        check_eq((deleted["operation"], deleted["resource"]), ("flavor_delete", f"flavor/{made.body['id']}"), "its end")
        check(deleted["number"] > created["number"], "in order")
        with open(os.path.join(cloud.state, "first-password"), encoding="ascii") as f:
            password = f.read()
        check(password not in str(records(cloud)), "no password")


@case
def refusals_are_recorded_where_they_matter():
    """Failed sign-ins, changes that are refused or forbidden; reads are not."""
    with Cloud() as cloud:
        check_eq(cloud.post("/flavors", dict(SMALL, name="f")).status, 201, "created")
        check_eq(cloud.post("/flavors", dict(SMALL, name="f")).status, 409, "refused")
        token, cloud.token = cloud.token, None
        check_eq(cloud.post("/sessions", {"user": "mallory", "password": "a wrong password"}).status, 401, "no sign-in")
        check_eq(cloud.post("/flavors", dict(SMALL, name="g")).status, 401, "nobody")
        check_eq(cloud.get("/flavors").status, 401, "a read")
        cloud.token = token
        found = awaited(cloud, "?filter=outcome%20eq%20%22refused%22", 3)
        check_eq([(r["operation"], r["status"], r["code"], r["principal_name"]) for r in found],
                 [("flavor_create", 409, "resource.name_taken", "admin"), ("session_create", 401, "auth.failed", "mallory"),
                  ("flavor_create", 401, "auth.required", "")], "each with its reason")
        check("a wrong password" not in str(found), "not what was tried as password")


@case
def a_flood_of_refusals_is_bounded():
    """Not each is recorded; how many were not is."""
    with Cloud() as cloud:
        check_eq(cloud.post("/flavors", dict(SMALL, name="f")).status, 201, "created")
        for _ in range(200):
            check_eq(cloud.post("/flavors", dict(SMALL, name="f")).status, 409, "refused")
        found = awaited(cloud, "?limit=1000&filter=outcome%20eq%20%22refused%22", 60)
        check(60 <= len(found) < 150, f"{len(found)} of 200 are recorded")
        cloud.kill()


@case
def pages_go_through_all_of_it():
    """By number up and down, by another field, with a filter; each record once."""
    with Cloud() as cloud:
        for i in range(60):
            check_eq(cloud.post("/flavors", dict(SMALL, name=f"f{i}")).status, 201, "created")
        whole = records(cloud)["items"]
        check_eq(len([r for r in whole if r["operation"] == "flavor_create"]), 60, "all of them")
        for sort, key, down in (("", "number", False), ("&sort=number", "number", False), ("&sort=-number", "number", True),
                                ("&sort=-time", "time", True)):
            seen, cursor = [], ""
            while True:
                page = records(cloud, f"?limit=7{sort}{cursor}")
                seen += page["items"]
                if "next_cursor" not in page:
                    break
                cursor = "&cursor=" + page["next_cursor"]
            check_eq(sorted(r["number"] for r in seen), [r["number"] for r in whole], f"{sort}: each once")
            check_eq([r[key] for r in seen], sorted((r[key] for r in whole), reverse=down), f"{sort}: in order")
        some = cloud.get(f"/audit?filter=number%20gt%20{whole[50]['number']}&fields=number").body["items"]
        check_eq(some, [{"number": r["number"]} for r in whole[51:]], "a filter, and one field")


@case
def what_was_altered_is_found():
    """Whole, then with one record changed on the disk."""
    with Cloud() as cloud:
        for i in range(5):
            check_eq(cloud.post("/flavors", dict(SMALL, name=f"f{i}")).status, 201, "created")
        answer = cloud.get("/audit/verify")
        check_eq(DESCRIPTION.errors(DESCRIPTION.schema("AuditVerify"), answer.body), [], "as described")
        check_eq((answer.body["whole"], len(answer.body["chains"])), (True, 1), "whole")
        check_eq(answer.body["records"], len(records(cloud)["items"]), "all were looked at")
        check_eq(answer.body["chains"][0]["link"], records(cloud)["items"][-1]["link"], "to the end")
        check_eq(cloud.stop(), 0, "ended")
        db = sqlite3.connect(os.path.join(cloud.state, "virga.db"))
        with db:
            db.execute("UPDATE audit SET body = replace(body, 'f3', 'f4') WHERE body LIKE '%\"f3\"%'")
        db.close()
        cloud.start()
        answer = cloud.get("/audit/verify")
        check_eq((answer.status, answer.body["whole"]), (200, False), "not whole any more")
        check("does not match" in answer.body["detail"], f"what is wrong: {answer.body}")


main()
