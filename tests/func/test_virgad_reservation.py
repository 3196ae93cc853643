#!/usr/bin/env python3
"""Reservations: room is kept from their beginning to their end, for the VMs that name them; whatever hosts do, also when the server
is killed in between, also by two servers."""
import contextlib
import datetime
import os
import shutil
import tempfile
import threading
import time

from virgatest import case, check, check_eq, main, until
from virgatest.agent import Agent
from virgatest.cloud import Cloud
from virgatest.described import DescribedCloud
from virgatest.pg import Postgres

PER_HOST = 3 # VMs of the flavor "big" that an agent's host holds: 14336 MiB of it are for VMs
BIG = {"name": "big", "vcpus": 1, "memory_mib": 4096}
POINTS = ("server_txn.commit.begin", "server_txn.commit.stored", "server_txn.commit.published", "server_txn.commit.answered")
SETTLING = ("server_reservation.settle.begin", "server_reservation.settle.done")


def is_up(cloud, agent):
    """Its host takes VMs."""
    return cloud.get(f"/hosts/{agent.host}").body["status"]["state"] == "up"


@contextlib.contextmanager
def beating(agents):
    """They say that they live, however long it takes."""
    stop = threading.Event()
    def beat():
        number = 0
        while not stop.wait(2):
            number += 1
            for agent in agents:
                with contextlib.suppress(OSError, AttributeError): # not connected
                    agent.say("heartbeat", number=number, health="ok")
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def with_hosts(cloud, n):
    """A cloud with hosts, a flavor of which PER_HOST go on one, and an image."""
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(Agent(cloud, f"h{i}")) for i in range(n)]
        stack.enter_context(beating(agents))
        for agent in agents:
            until(lambda a=agent: is_up(cloud, a), "the host is up")
        check_eq(cloud.post("/flavors", BIG).status, 201, "a flavor")
        made = cloud.post("/images", {"name": "image", "source": {"kind": "url", "url": "http://127.0.0.1:9/image"}})
        check(made.status in (201, 202), f"an image: {made}")
        until(lambda: cloud.get("/images/image").body["status"]["state"] == "ready", "the image is ready")
        yield agents


def body_of(name, **more):
    """A VM of the flavor."""
    return dict({"name": name, "flavor": "big", "image": "image"}, **more)


def vm(cloud, name, **more):
    """Makes one."""
    return cloud.post("/vms", body_of(name, **more))


def done(cloud, answer):
    """The operation's end, which is a good one."""
    check_eq(cloud.wait(answer)["state"], "done", f"{answer}")


def purge(cloud, name):
    """The end of a VM."""
    done(cloud, cloud.delete(f"/vms/{name}?purge=true"))


def status(cloud, name="r"):
    """State, held, used."""
    s = cloud.get(f"/reservations/{name}").body["status"]
    return s["state"], s["held"], s["used"]


def room(cloud, most=12):
    """How many VMs without a reservation there is room for."""
    answer = cloud.post("/vm-batches?dry_run=true", {"mode": "best_effort", "vms": [body_of(f"dry{i}") for i in range(most)]})
    check_eq(answer.status, 200, f"{answer}")
    return sum("host" in v for v in answer.body["vms"])


def in_s(seconds):
    """A time to come."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@case
def room_is_kept_for_those_who_name_it():
    """Others are told so; VMs take places and leave them; deleted, it gives its room back and its VMs stay."""
    with DescribedCloud() as cloud, with_hosts(cloud, 2) as agents:
        check_eq(room(cloud), 2 * PER_HOST, "room at first")
        much = cloud.post("/reservations", {"name": "r", "flavor": "big", "count": 7})
        check_eq((much.status, much.code), (409, "placement.no_host"), f"{much}")
        check("no room for 1 of 7 places" in much.body["detail"], f"it says how much: {much}")
        made = cloud.post("/reservations", {"name": "r", "flavor": "big", "count": 4})
        check_eq((made.status, made.body["status"]["state"], made.body["status"]["held"]), (201, "active", 4), f"{made}")
        hosts = made.body["status"]["hosts"]
        check_eq(sum(h["places"] for h in hosts), 4, "it says where")
        check({h["host"] for h in hosts} <= {a.host for a in agents}, "on these hosts")
        check_eq(room(cloud), 2, "for others")
        for i in range(2):
            done(cloud, vm(cloud, f"o{i}"))
        full = vm(cloud, "late")
        check_eq((full.status, full.code), (409, "placement.no_host"), f"{full}")
        check("room for 4 VMs is kept for reservations" in full.body["detail"], f"why: {full}")
        dry = cloud.post("/vms?dry_run=true&explain=true", body_of("late"))
        check_eq(dry.body["placed"], False, "nor in a dry run")
        check(any("kept for reservations" in h.get("detail", "") for h in dry.body["vms"][0]["hosts"]), f"each host: {dry.body}")
        check_eq(cloud.post("/vms?dry_run=true", body_of("v", reservation="r")).body["placed"], True, "it would go there")
        for i in range(4):
            done(cloud, vm(cloud, f"v{i}", reservation="r"))
            check_eq(status(cloud), ("active", 3 - i, i + 1), "one is used")
        check_eq(cloud.get("/reservations").body["items"][0]["status"]["used"], 4, "in the list as well")
        more = vm(cloud, "v4", reservation="r")
        check("reservation r has no free place, 4 are used" in more.body["detail"], f"full: {more}")
        purge(cloud, "v0")
        check_eq((status(cloud), room(cloud)), (("active", 1, 3), 0), "its place is the reservation's")
        done(cloud, cloud.post("/vms/v1/shelve"))
        check_eq((status(cloud), room(cloud)), (("active", 2, 2), 0), "and a shelved one's")
        done(cloud, cloud.post("/vms/v1/unshelve"))
        check_eq(status(cloud), ("active", 1, 3), "which takes it again")
        check_eq(cloud.patch("/reservations/r", {"count": 2}).code, "resource.in_use", "three use it")
        check_eq(cloud.patch("/reservations/r", {"count": 3}).status, 200, "less")
        check_eq((status(cloud), room(cloud)), (("active", 0, 3), 1), "the rest is everybody's")
        check_eq(cloud.patch("/reservations/r", {"count": 5}).code, "placement.no_host", "too much")
        check_eq(vm(cloud, "w", reservation="r", flavor="tiny").code, "request.invalid", "another flavor")
        used = {u["meter"]: u["quantity"] for u in cloud.get("/usage").body["items"]}
        check(used.get("reservation_time", 0) > 0, f"it is metered: {used}")
        check_eq(cloud.delete("/reservations/r").status, 204, "deleted with VMs")
        check_eq(cloud.get("/vms/v1").body["status"]["state"], "running", "they stay")
        purge(cloud, "v1")
        check_eq(room(cloud), 2, "its place is everybody's now")


@case
def it_begins_and_ends_by_the_clock():
    """By itself, and with what room there is then."""
    with DescribedCloud() as cloud, with_hosts(cloud, 1):
        done(cloud, vm(cloud, "o"))
        made = cloud.post("/reservations", {"name": "r", "flavor": "big", "count": 3, "starts_at": in_s(2)})
        check_eq(made.status, 201, f"{made}")
        until(lambda: status(cloud) == ("partial", 2, 0), f"it begins: {status(cloud)}")
        check("1 of 3 places are not kept" in cloud.get("/reservations/r").body["status"]["reason"], "it says what it lacks")
        purge(cloud, "o")
        until(lambda: status(cloud) == ("active", 3, 0), "it takes what becomes free")
        check_eq(room(cloud), 0, "for others")
        done(cloud, vm(cloud, "v", reservation="r"))
        until(lambda: cloud.patch("/reservations/r", {"ends_at": in_s(2)}).status == 200, "an end")
        until(lambda: status(cloud)[0] == "ended", "it ends")
        check_eq(cloud.get("/vms/v").body["status"]["state"], "running", "the VM stays")
        check_eq(room(cloud), 2, "the rest is everybody's")
        check_eq(vm(cloud, "w", reservation="r").code, "resource.wrong_state", "nobody may name it")


@case
def places_leave_hosts_that_take_no_vms():
    """They are placed anew, or it says how many it lacks."""
    with DescribedCloud() as cloud, with_hosts(cloud, 2) as agents:
        check_eq(cloud.post("/reservations", {"name": "r", "flavor": "big", "count": 3}).status, 201, "made")
        first = cloud.get("/reservations/r").body["status"]["hosts"][0]["host"]
        check_eq(cloud.post(f"/hosts/{first}/cordon").status, 200, "cordoned")
        def elsewhere():
            return all(h["host"] != first for h in cloud.get("/reservations/r").body["status"]["hosts"])
        until(elsewhere, "its places go elsewhere")
        check_eq(status(cloud), ("active", 3, 0), "all of them")
        other = next(a.host for a in agents if a.host != first)
        check_eq(cloud.post(f"/hosts/{other}/cordon").status, 200, "the other too")
        until(lambda: status(cloud) == ("partial", 0, 0), "no host is left")
        check_eq(vm(cloud, "v", reservation="r").code, "placement.no_host", "nowhere")
        check_eq(cloud.post(f"/hosts/{first}/activate").status, 200, "back")
        until(lambda: status(cloud) == ("active", 3, 0), "placed anew")
        done(cloud, vm(cloud, "v", reservation="r"))


def again(cloud, agents):
    """After its end the server comes again, and its hosts with it."""
    cloud.process.wait(timeout=60)
    for agent in agents:
        agent.disconnect()
    cloud.start()
    for agent in agents:
        agent.connect()
    for agent in agents:
        until(lambda a=agent: is_up(cloud, a), "the host is up again")


def arm(folder, point, n):
    """The n-th passing from now on kills the server."""
    new = os.path.join(folder, "armed.new")
    with open(new, "w", encoding="ascii") as f:
        f.write(f"{point}:{n}")
    os.rename(new, os.path.join(folder, "armed"))


def is_armed(folder):
    """It has not happened yet."""
    return os.path.exists(os.path.join(folder, "armed"))


def holds(cloud, hosts):
    """What must be true at any time: each place is held or used, and nothing is promised twice."""
    vms = cloud.get("/vms").body["items"]
    there = [r["status"] for r in cloud.get("/reservations").body["items"]]
    for s in there:
        check_eq((s["state"], s["held"] + s["used"]), ("active", 4), f"{s}")
        check_eq(s["used"], sum("reservation" in v for v in vms), "its VMs use it")
    held = sum(s["held"] for s in there)
    check_eq(room(cloud), hosts * PER_HOST - held - len(vms), f"room beside {len(vms)} VMs and {held} places")


def killed(cloud, agents, folder, point, n, ask):
    """Asks with the point armed; whether it was reached. The server is there again afterwards."""
    arm(folder, point, n)
    with contextlib.suppress(OSError, ValueError, AssertionError):
        ask()
    for _ in range(40): # what it does by itself comes within a second or two
        if not is_armed(folder):
            break
        time.sleep(0.1)
    died = not is_armed(folder)
    if died:
        again(cloud, agents)
    else:
        os.unlink(os.path.join(folder, "armed"))
    return died


@case
def a_server_that_is_killed_keeps_what_it_has_promised():
    """kill -9 at each step of what is done to a reservation and its VMs."""
    with tempfile.TemporaryDirectory() as folder, Cloud(env={"VIRGA_FAULT": f"@{folder}"}) as cloud, with_hosts(cloud, 2) as agents:
        died = 0
        for point in POINTS:
            for what, ask in (("make", lambda: cloud.post("/reservations", {"name": "r", "flavor": "big", "count": 4})),
                              ("vm", lambda: vm(cloud, "v", reservation="r")),
                              ("purge", lambda: cloud.delete("/vms/v?purge=true")),
                              ("delete", lambda: cloud.delete("/reservations/r"))):
                died += killed(cloud, agents, folder, point, 1, ask)
                if what != "delete" and not cloud.get("/reservations").body["items"]:
                    check_eq(cloud.post("/reservations", {"name": "r", "flavor": "big", "count": 4}).status, 201, "made now")
                if what == "vm" and not cloud.get("/vms").body["items"]:
                    check_eq(vm(cloud, "v", reservation="r").status, 202, "made now")
                if what == "purge":
                    until(lambda: not cloud.get("/vms").body["items"] or cloud.delete("/vms/v?purge=true").status == 404, "gone")
                    until(lambda: not cloud.get("/vms").body["items"], "gone")
                holds(cloud, 2)
            if cloud.get("/reservations").body["items"]:
                check_eq(cloud.delete("/reservations/r").status, 204, "deleted now")
            holds(cloud, 2)
        check_eq(died, 4 * len(POINTS), "it was killed at each")


@case
def a_server_that_is_killed_while_it_moves_places_goes_on():
    """At the beginning by the clock, and when places go elsewhere."""
    with tempfile.TemporaryDirectory() as folder, Cloud(env={"VIRGA_FAULT": f"@{folder}"}) as cloud, with_hosts(cloud, 2) as agents:
        for point in SETTLING:
            made = {"name": "r", "flavor": "big", "count": 3, "starts_at": in_s(1)}
            check(killed(cloud, agents, folder, point, 1, lambda m=made: cloud.post("/reservations", m)), f"{point} at its beginning")
            until(lambda: status(cloud) == ("active", 3, 0), f"it has begun: {status(cloud)}")
            check_eq(room(cloud), 3, "held once")
            at = cloud.get("/reservations/r").body["status"]["hosts"][0]["host"]
            check(killed(cloud, agents, folder, point, 1, lambda at=at: cloud.post(f"/hosts/{at}/cordon")), f"{point} when it moves")
            until(lambda at=at: all(h["host"] != at for h in cloud.get("/reservations/r").body["status"].get("hosts", [])), "moved")
            check_eq((status(cloud), room(cloud)), (("active", 3, 0), 0), "held once, on the other")
            check_eq(cloud.post(f"/hosts/{at}/activate").status, 200, "back")
            check_eq(room(cloud), 3, "its room is everybody's")
            check(killed(cloud, agents, folder, point, 1, lambda: cloud.patch("/reservations/r", {"ends_at": in_s(2)})), f"{point} at its end")
            until(lambda: status(cloud)[0] == "ended", f"it has ended: {status(cloud)}")
            check_eq(room(cloud), 6, "its room is everybody's")
            check_eq(cloud.delete("/reservations/r").status, 204, "deleted")


@case
def two_servers_promise_nothing_twice():
    """Reservations and VMs by both at once: together they get what there is."""
    with Postgres() as pg, Cloud("--store", pg.url) as one, with_hosts(one, 2) as agents:
        state = tempfile.mkdtemp(prefix="virga-cloud-")
        try:
            shutil.copy(os.path.join(one.state, "first-password"), state)
            with Cloud("--store", pg.url, state=state) as other:
                race(one, other, agents)
        finally:
            shutil.rmtree(state, ignore_errors=True)


def race(one, other, agents):
    """Rounds of it."""
    for i in range(5):
        answers = []
        def ask(cloud, i=i, answers=answers):
            name = "a" if cloud is one else "b"
            for k in range(3):
                answers.append(cloud.post("/reservations", {"name": f"{name}{i}-{k}", "flavor": "big", "count": 1}))
                answers.append(vm(cloud, f"{name}{i}-{k}"))
        threads = [threading.Thread(target=ask, args=(c,)) for c in (one, other)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check_eq(sorted(a.status for a in answers if a.status >= 400), [409] * 6, f"6 of 12 fit: {answers}")
        check_eq({a.code for a in answers if a.status >= 400}, {"placement.no_host"}, "the others know why")
        seq = {"Virga-Seq": max((a.headers["virga-seq"] for a in answers if a.status < 300), key=int)}
        for cloud in (one, other):
            kept = cloud.get("/reservations", headers=seq).body["items"]
            check_eq(sum(r["status"]["held"] for r in kept) + len(cloud.get("/vms", headers=seq).body["items"]), 2 * PER_HOST, "all of it")
            check_eq(room(cloud), 0, "nothing is left")
        for r in kept:
            check_eq(one.delete(f"/reservations/{r['id']}").status, 204, "deleted")
        for v in one.get("/vms").body["items"]:
            purge(one, v["id"])
        for cloud in (one, other):
            until(lambda c=cloud: room(c) == len(agents) * PER_HOST, "all is free again")


main()
