#!/usr/bin/env python3
"""Several management servers on one PostgreSQL: each sees what the others write, any of them may die."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import tempfile
import threading
import time

from virgatest import case, check, check_eq, main, until
from virgatest.agent import Agent
from virgatest.cloud import Cloud
from virgatest.pg import Postgres
from virgatest.ws import WebSocket

SMALL = {"vcpus": 1, "memory_mib": 256}
ALL = {"Virga-Project": "*"}


@contextlib.contextmanager
def two():
    """Two servers; both signed in to."""
    with Postgres() as pg, Cloud("--store", pg.url) as one:
        state = tempfile.mkdtemp(prefix="virga-cloud-")
        try:
            shutil.copy(os.path.join(one.state, "first-password"), state)
            with Cloud("--store", pg.url, state=state) as other:
                yield pg, one, other
        finally:
            shutil.rmtree(state, ignore_errors=True)


def flavor(cloud, name, **headers):
    """Asks for one."""
    return cloud.post("/flavors", dict(SMALL, name=name), headers=headers)


@case
def what_one_writes_the_other_shows():
    """As soon as it has come as far as the answer says."""
    with two() as (_, one, other):
        for i in range(10):
            a, b = (one, other) if i % 2 else (other, one)
            made = flavor(a, f"f{i}")
            check_eq(made.status, 201, "created")
            seen = b.get(f"/flavors/f{i}", headers={"Virga-Seq": made.headers["virga-seq"]})
            check_eq((seen.status, seen.body), (200, made.body), "shown by the other")
            changed = b.patch(f"/flavors/f{i}", {"description": "d"}, headers={"If-Match": '"1"'})
            check_eq(changed.status, 200, "changed by the other")
            seen = a.get(f"/flavors/f{i}", headers={"Virga-Seq": changed.headers["virga-seq"]})
            check_eq(seen.body["description"], "d", "shown by the first")
            gone = a.delete(f"/flavors/f{i}")
            check_eq(gone.status, 204, "deleted by the first")
            check_eq(b.get(f"/flavors/f{i}", headers={"Virga-Seq": gone.headers["virga-seq"]}).status, 404, "gone at the other")
        check_eq(one.get("/flavors", headers={"Virga-Seq": "x"}).code, "request.header_invalid", "a number that is none")
        late = one.get("/flavors", headers={"Virga-Seq": "9007199254740991"})
        check_eq((late.status, late.code), (503, "server.busy"), "what nobody has written is not waited for for ever")
        check("retry-after" in late.headers, "it says when to try again")


@case
def a_stale_view_is_no_reason_to_refuse():
    """Changes of one object by both at once: all are done, one after the other."""
    with two() as (_, one, other):
        check_eq(flavor(one, "f").status, 201, "created")
        check_eq(other.get("/flavors/f", headers={"Virga-Seq": flavor(one, "g").headers["virga-seq"]}).status, 200, "seen")
        statuses = []

        def change(cloud):
            for i in range(40):
                statuses.append(cloud.patch("/flavors/f", {"description": str(i)}).status)

        threads = [threading.Thread(target=change, args=(c,)) for c in (one, other)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check_eq(set(statuses), {200}, "all are done")
        last = one.patch("/flavors/f", {"description": "last"})
        check_eq(last.headers["etag"], '"82"', "each counted once")


@case
def a_name_is_taken_once_everywhere():
    """Of two at once on two servers one is told so."""
    with two() as (_, one, other):
        for i in range(15):
            answers = []
            threads = [threading.Thread(target=lambda c=c, i=i: answers.append(flavor(c, f"f{i}"))) for c in (one, other)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            check_eq(sorted(a.status for a in answers), [201, 409], "one of them")
            check_eq({a.code for a in answers if a.status == 409}, {"resource.name_taken"}, "the other knows why")


@case
def events_come_once_and_in_one_order():
    """Streams of both servers bring the same, whoever wrote."""
    with two() as (_, one, other):
        n, target = 40, "/v1/events/stream?type=virga.flavor.created"
        streams = [WebSocket(c.port, target, headers={"Authorization": f"Bearer {c.token}", **ALL}) for c in (one, other)]
        threads = [threading.Thread(target=lambda c=c, k=k: [flavor(c, f"{k}-{i}") for i in range(n // 2)])
                   for k, c in (("a", one), ("b", other))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        seen = [[json.loads(ws.receive()) for _ in range(n)] for ws in streams]
        check_eq(seen[0], seen[1], "the same")
        numbers = [int(e["id"]) for e in seen[0]]
        check_eq(numbers, sorted(set(numbers)), "in order, each once")
        check_eq(len({e["data"]["name"] for e in seen[0]}), n, "all of them")
        for ws in streams:
            ws.close()


def named(cloud):
    """The flavors that clients have made: {name: id}."""
    there, cursor = {}, ""
    while True:
        page = cloud.get(f"/flavors?limit=1000&filter=name%20has%20%22-%22{cursor}").body
        for f in page["items"]:
            check(f["name"] not in there, "each name once")
            there[f["name"]] = f["id"]
        if "next_cursor" not in page:
            return there
        cursor = "&cursor=" + page["next_cursor"]


@case
def a_killed_server_loses_and_doubles_nothing():
    """Under load one is killed; what was not answered is asked of the other with the same key."""
    with two() as (_, one, other):
        done, lock, unsure = {}, threading.Lock(), []

        def create(k):
            conn = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)
            for i in range(1000):
                name = f"w{k}-{i}"
                try:
                    conn.request("POST", "/v1/flavors", body=json.dumps(dict(SMALL, name=name)).encode(), headers={
                        "Authorization": f"Bearer {one.token}", "Content-Type": "application/json", "Idempotency-Key": name})
                    r = conn.getresponse()
                    body = json.loads(r.read())
                except (OSError, http.client.HTTPException, ValueError):
                    with lock:
                        unsure.append(name)
                    return
                with lock:
                    check_eq(r.status, 201, f"{name}: {body}")
                    done[name] = body["id"]
                    if len(done) == 150:
                        one.kill()

        threads = [threading.Thread(target=create, args=(k,)) for k in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check(len(done) >= 150 and unsure, f"it was killed under load: {len(done)} done, {len(unsure)} unsure")
        for name, made in list(done.items())[-10:]:
            again = flavor(other, name, **{"Idempotency-Key": name})
            check_eq((again.status, again.body["id"]), (201, made), "the other gives the first answer again")
        for name in unsure:
            again = flavor(other, name, **{"Idempotency-Key": name})
            check_eq(again.status, 201, f"{name}: {again}")
            done[name] = again.body["id"]
        deadline = time.monotonic() + 60
        while (there := named(other)) != done and time.monotonic() < deadline:
            time.sleep(0.1)  # what one has written, the other follows
        check_eq(there, done, "what was accepted is there, and nothing else")


LISTS = ("/flavors", "/hosts", "/vms", "/volumes", "/ports", "/networks", "/projects", "/pools", "/images", "/operations", "/server-groups",
         "/subnets", "/users", "/roles", "/tokens", "/zones", "/aggregates")


def shown(cloud):
    """What a server shows of all."""
    lists = {path: [(i["id"], i.get("generation"), i.get("name"), i.get("description"), i.get("status", {}).get("state"))
                    for i in cloud.get(f"{path}?limit=1000", headers=ALL).body["items"]] for path in LISTS}
    return dict(lists, quota=cloud.get("/quota").body)


def check_same(one, other, when):
    """Both servers show the same, as soon as each has heard what there is."""
    deadline = time.monotonic() + 20
    while (a := shown(one)) != (b := shown(other)) and time.monotonic() < deadline:
        time.sleep(0.1)
    check_eq({k: b[k] for k in b if a[k] != b[k]}, {k: a[k] for k in a if a[k] != b[k]}, f"what differs {when}")


def make_vm(cloud, name):
    """A VM with a port and a volume on the only host."""
    op = cloud.wait(cloud.post("/vms", {"name": name, "flavor": "f", "image": "image", "nics": [{"network": "net"}]}))
    check_eq(op["state"], "done", f"{op}")


def pool_of(cloud):
    """What a server says of the hosts' pool."""
    answer = cloud.get("/pools/default")
    return answer.body["status"] if answer.status == 200 else {"state": "none"}


@case
def what_a_host_has_every_server_knows():
    """Also the one that it is not connected to, which places on it and sees what becomes of it."""
    with two() as (_, one, other), Agent(one, "first"):
        until(lambda: pool_of(other)["state"] == "online", "the other knows its pool")
        check_eq(pool_of(other)["size_gib"], 1 << 12, "and how large it is")
        check_eq(other.post("/networks", {"name": "net", "kind": "nat"}).status, 201, "a network")
        check_eq(other.post("/flavors", dict(SMALL, name="f", disk_gib=1)).status, 201, "a flavor")
        source = {"kind": "url", "url": "http://127.0.0.1:9/i"}
        check_eq(other.wait(other.post("/images", {"name": "image", "source": source}))["state"], "done", "an image")
        check_eq(other.wait(other.post("/volumes", {"name": "v", "size_gib": 3}))["state"], "done", "a volume")
        make_vm(other, "vm")
        check_eq(other.get("/vms/vm").body["status"]["state"], "running", "it runs")
        until(lambda: pool_of(one)["promised_gib"] == pool_of(other)["promised_gib"] == 4, "both count what it holds")


@contextlib.contextmanager
def away(cloud, pg, expire_events):
    """A server hears nothing while this is done, and longer than deletions (and events) are kept."""
    cloud.process.send_signal(signal.SIGSTOP)
    try:
        yield
        events = ("DELETE FROM virga.events WHERE position <= (SELECT max(position) - 3 FROM virga.events);"
                  "UPDATE virga.state SET event_horizon = (SELECT min(position) - 1 FROM virga.events);")
        pg.rows("UPDATE virga.state SET tombstone_horizon = (SELECT max(seq) FROM virga.objects WHERE gone_ms IS NOT NULL);"
                "DELETE FROM virga.objects WHERE gone_ms IS NOT NULL;" + (events if expire_events else ""))
    finally:
        cloud.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def came_back(expire_events):
    """A server that was away shows what the other shows, and works. Gives a stream of its events."""
    with two() as (pg, one, other), Agent(one, "first"):
        check_eq(one.post("/networks", {"name": "net", "kind": "nat"}).status, 201, "a network")
        check_eq(one.post("/flavors", dict(SMALL, name="f", disk_gib=1)).status, 201, "a flavor")
        until(lambda: one.get("/hosts/first").body["status"]["state"] == "up", "the host is up")
        check_eq(one.post("/images", {"name": "image", "source": {"kind": "url", "url": "http://127.0.0.1:9/i"}}).status, 202, "an image")
        until(lambda: one.get("/images/image").body["status"]["state"] == "ready", "the image is ready")
        make_vm(one, "goes")
        make_vm(one, "stays")
        check_eq(one.post("/projects", {"name": "gone"}).status, 201, "a project")
        second = Agent(one, "second").__enter__()
        until(lambda: one.get("/hosts/second").body["status"]["state"] == "up", "the second host is up")
        seen = flavor(one, "gone").headers["virga-seq"]
        check_eq(other.get("/flavors/gone", headers={"Virga-Seq": seen}).status, 200, "the other follows")
        check_same(one, other, "before")
        stream = WebSocket(other.port, "/v1/events/stream", headers={"Authorization": f"Bearer {other.token}", **ALL})
        pid = other.process.pid
        with away(other, pg, expire_events):
            second.__exit__()
            check_eq(one.post("/hosts/second/cordon").status, 200, "a host gets no more VMs")
            check_eq(one.delete("/hosts/second").status, 204, "a host is deleted")
            check_eq(one.wait(one.delete("/vms/goes?purge=true"))["state"], "done", "a VM is deleted")
            check_eq(one.delete("/projects/gone").status, 204, "a project is deleted")
            check_eq(one.delete("/flavors/gone").status, 204, "a flavor is deleted")
            check_eq(flavor(one, "gone").status, 201, "another takes its name")
            make_vm(one, "new")
            check_eq(one.patch("/vms/stays", {"description": "changed"}).status, 200, "one is changed")
        until(lambda: "all was loaded anew" in other.logged(), f"it loads anew: {other.logged()[-2000:]}")
        last = flavor(one, "last")
        check_eq(other.get("/flavors/last", headers={"Virga-Seq": last.headers["virga-seq"]}).status, 200, "it follows again")
        check_same(one, other, "after")
        check_eq((other.process.poll(), other.process.pid), (None, pid), "the process")
        for a, b in ((one, other), (other, one)):
            made = flavor(a, f"of-{a.port}")
            check_eq(made.status, 201, "both write")
            check_eq(b.patch(f"/flavors/of-{a.port}", {"description": "d"}, headers={"Virga-Seq": made.headers["virga-seq"]}).status, 200, "both")
        yield stream


@case
def a_server_that_was_away_longer_than_deletions_are_kept_loads_anew():
    with came_back(False) as stream:
        seen = set()
        while "virga.vm.deleted" not in seen:  # its streams miss nothing
            seen.add(json.loads(stream.receive())["type"])


@case
def a_server_that_missed_events_tells_those_who_read_them():
    with came_back(True) as stream:
        check_eq(stream.receive(), None, "the end")
        check_eq(stream.status, 4410, "its reason")


main()
