#!/usr/bin/env python3
"""The management server: what every resource has, by the simplest of them."""
from virgatest import case, check, check_eq, main
from virgatest.cloud import DESCRIPTION, Cloud

SMALL = {"name": "one", "vcpus": 1, "memory_mib": 256}


@case
def a_resource_is_made_shown_changed_and_deleted():
    """The five usual operations, and what stays after a restart."""
    with Cloud() as cloud:
        made = cloud.post("/flavors", SMALL)
        check_eq(made.status, 201, "created")
        check_eq(DESCRIPTION.errors(DESCRIPTION.schema("Flavor"), made.body), [], "as described")
        check_eq(made.headers["location"], f"/v1/flavors/{made.body['id']}", "its place")
        check_eq(made.headers["etag"], '"1"', "its first generation")
        changed = cloud.patch("/flavors/one", {"description": "d"}, headers={"If-Match": '"1"'})
        check_eq((changed.status, changed.headers["etag"]), (200, '"2"'), "changed once")
        check_eq(cloud.patch("/flavors/one", {"description": "e"}, headers={"If-Match": '"1"'}).status, 412, "not twice")
        check_eq(cloud.stop(), 0, "SIGTERM ends it cleanly")
        cloud.start()
        check_eq(cloud.get("/flavors/one", headers={"If-None-Match": '"2"'}).status, 304, "nothing new after a restart")
        check_eq(cloud.delete("/flavors/one").status, 204, "deleted")
        check_eq(cloud.get("/flavors/one").code, "resource.not_found", "gone")


@case
def a_name_is_taken_once():
    """Of two with one name the second is told so."""
    with Cloud() as cloud:
        check_eq(cloud.post("/flavors", SMALL).status, 201, "the first")
        second = cloud.post("/flavors", SMALL)
        check_eq((second.status, second.code), (409, "resource.name_taken"), "the second")
        check("location" not in second.headers, "what was not made has no place")


@case
def pages_go_through_everything_once():
    """Each item is on exactly one page, in either order."""
    with Cloud() as cloud:
        for i in range(25):
            check_eq(cloud.post("/flavors", dict(SMALL, name=f"f{i}", vcpus=1 + i % 3)).status, 201, "created")
        for sort in ("", "&sort=-vcpus,name"):
            seen, cursor = [], ""
            while True:
                page = cloud.get(f"/flavors?limit=4&filter=name%20has%20%22f%22{sort}{cursor}").body
                seen += [x["name"] for x in page["items"]]
                if "next_cursor" not in page:
                    break
                cursor = f"&cursor={page['next_cursor']}"
            check_eq(sorted(seen), sorted(f"f{i}" for i in range(25)), f"all, with {sort!r}")


@case
def a_killed_server_kept_what_it_said():
    """What was answered is there after kill -9."""
    with Cloud() as cloud:
        for i in range(20):
            check_eq(cloud.post("/flavors", dict(SMALL, name=f"f{i}")).status, 201, "created")
        cloud.kill()
        cloud.start()
        names = {x["name"] for x in cloud.get("/flavors?limit=1000").body["items"]}
        check(names >= {f"f{i}" for i in range(20)}, "all of them")


@case
def strangers_are_told_nothing():
    """Without a token, with a wrong one, with a wrong password."""
    with Cloud() as cloud:
        token, cloud.token = cloud.token, None
        check_eq(cloud.get("/flavors").code, "auth.required", "no token")
        cloud.token = token[:-1] + ("a" if token[-1] != "a" else "b")
        check_eq(cloud.get("/flavors").code, "auth.invalid", "a wrong one")
        cloud.token = None
        for user in ("admin", "nobody"):
            answer = cloud.post("/sessions", {"user": user, "password": "not the password"})
            check_eq((answer.status, answer.code), (401, "auth.failed"), f"{user} with a wrong password")


main()
