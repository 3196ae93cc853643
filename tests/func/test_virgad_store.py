#!/usr/bin/env python3
"""A store that is full or gone: 503 that says when to come again, reads go on, and it recovers by itself."""
import resource

from virgatest import case, check, check_eq, main, until
from virgatest.cloud import Cloud
from virgatest.pg import Postgres

SMALL = {"vcpus": 1, "memory_mib": 256}


def flavor(cloud, name, timeout=60, **kw):
    """Asks for one."""
    return cloud.post("/flavors", dict(SMALL, name=name, **kw), headers={"Idempotency-Key": name}, timeout=timeout)


def refused(answer, what):
    """A 503 that says what it is, and when to come again."""
    check_eq((answer.status, answer.code), (503, "server.store"), what)
    check(int(answer.headers["retry-after"]) >= 1, f"{what}: when to come again")


def limit(cloud, n_bytes):
    """From now on none of the server's files may grow over that."""
    resource.prlimit(cloud.process.pid, resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))


@case
def a_full_disk_is_a_503_until_there_is_room():
    """No file may grow: what is written is refused and not there; reads are answered; then there is room."""
    with Cloud() as cloud:
        check_eq(flavor(cloud, "before").status, 201, "created")
        text = {f"key-{i}": "x" * 200 for i in range(32)}
        limit(cloud, 1)
        taken, unsure = [], None
        for i in range(3000):  # the log is preallocated: it is full when that is used up
            try:
                answer = flavor(cloud, f"f{i}", labels=text, timeout=5)
            except OSError:  # it may be done or not: the server says so when it knows
                unsure = f"f{i}"
                break
            if answer.status != 201:
                refused(answer, "what is written")
                unsure = f"f{i}"
                break
            taken.append(f"f{i}")
        check(unsure, "it is full at last")
        refused(flavor(cloud, "again", labels=text), "what is written next")
        check_eq(cloud.get("/flavors/before").status, 200, "reads go on")
        check_eq(cloud.get("/flavors/again").status, 404, "nothing came of it")
        health = cloud.get("/health")
        check_eq((health.status, health.body["store"]), (503, "gone"), "health says so")
        limit(cloud, resource.RLIM_INFINITY)
        until(lambda: cloud.get("/health").status == 200, "it recovers by itself")
        for name in (unsure, "again"):
            until(lambda n=name: flavor(cloud, n, labels=text).status == 201, f"{name} is done")
        cloud.kill()
        cloud.start()
        for name in taken[-50:] + [unsure, "again"]:
            check_eq(cloud.get(f"/flavors/{name}").status, 200, f"{name}, which was accepted, is there")


@case
def a_database_that_is_gone_is_a_503_until_it_is_back():
    """PostgreSQL is ended and started again."""
    with Postgres() as pg, Cloud("--store", pg.url) as cloud:
        check_eq(flavor(cloud, "before").status, 201, "created")
        check(pg.stop(), "the database ends")
        refused(flavor(cloud, "while"), "what is written")
        check_eq(cloud.get("/flavors/before").status, 200, "reads go on")
        check_eq(cloud.get("/flavors/while").status, 404, "nothing came of it")
        refused(cloud.get("/audit"), "what has to be read from it")
        pg.start()
        until(lambda: cloud.get("/health").status == 200, "it recovers by itself")
        check_eq(flavor(cloud, "while").status, 201, "the same request, again")
        check_eq(cloud.get("/audit").status, 200, "and what has to be read from it")
        check_eq(cloud.stop(), 0, "it ends cleanly")


main()
