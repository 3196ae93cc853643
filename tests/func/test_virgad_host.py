#!/usr/bin/env python3
"""Hosts as the server hears of them: when it last did, and what several servers make of it."""
import contextlib
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

LEASE_S = 20


def status(cloud, agent):
    """Of its host."""
    return cloud.get(f"/hosts/{agent.host}").body["status"]


@case
def a_host_shows_when_it_was_last_heard_of():
    """Alone and in lists; heartbeats write nothing; it stays when the host is silent, and after a restart."""
    with DescribedCloud() as cloud, Agent(cloud, "h") as agent:
        until(lambda: status(cloud, agent)["state"] == "up", "it is up")
        until(lambda: "seen_at" in status(cloud, agent), "it was heard of")
        until(lambda: [p for p in cloud.get("/pools").body["items"] if p["status"]["state"] == "online"], "its inventory is written")
        written = cloud.get("/hosts").headers["virga-seq"]
        for number in range(1, 4):
            before = status(cloud, agent)["seen_at"]
            agent.say("heartbeat", number=number, health="ok")
            now = until(lambda before=before: (s := status(cloud, agent)["seen_at"]) > before and s, "it is later now")
            check_eq([h["status"]["seen_at"] for h in cloud.get("/hosts").body["items"]], [now], "in the list")
            check_eq(cloud.get(f"/hosts?filter=status.seen_at%20gt%20%22{before}%22").body["items"][0]["id"], agent.host, "found by it")
        answer = cloud.get("/hosts")
        check_eq(answer.headers["virga-seq"], written, "nothing was written")
        check_eq(cloud.get(f"/hosts/{agent.host}").body["updated_at"] <= answer.body["items"][0]["status"]["seen_at"], True, "not changed")
        agent.disconnect()
        check_eq(status(cloud, agent)["seen_at"], now, "when it was")
        cloud.kill()
        cloud.start()
        check("seen_at" in status(cloud, agent), "known from before")
        agent.connect()
        until(lambda: status(cloud, agent)["seen_at"] > now, "heard again")


@contextlib.contextmanager
def two():
    """Two servers on one store."""
    with Postgres() as pg, Cloud("--store", pg.url) as one:
        state = tempfile.mkdtemp(prefix="virga-cloud-")
        try:
            shutil.copy(os.path.join(one.state, "first-password"), state)
            with Cloud("--store", pg.url, state=state) as other:
                yield one, other
        finally:
            shutil.rmtree(state, ignore_errors=True)


@contextlib.contextmanager
def beating(agent):
    """It says that it lives."""
    stop = threading.Event()
    def beat():
        number = 0
        while not stop.wait(2):
            number += 1
            with contextlib.suppress(OSError, AttributeError): # not connected
                agent.say("heartbeat", number=number, health="ok")
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@case
def a_host_of_one_server_is_up_at_the_others():
    """For longer than a lease, in which only the one hears it; when that server is killed, the others miss it, until it comes to them."""
    with two() as (one, other), Agent(one, "h") as agent, beating(agent):
        until(lambda: other.get(f"/hosts/{agent.host}").status == 200 and status(other, agent)["state"] == "up", "both know that it is up")
        after = other.get("/events?limit=1000").body["next_after"]
        time.sleep(LEASE_S + 6) # nothing is to happen: there is no event to wait for
        check_eq([status(c, agent)["state"] for c in (one, other)], ["up", "up"], "up at both")
        said = [e["type"] for e in other.get(f"/events?limit=1000&after={after}").body["items"] if e["type"].startswith("virga.host.")]
        check_eq(said, [], "it was so all the time")
        one.kill()
        until(lambda: status(other, agent)["state"] == "unreachable", "nobody hears it any more")
        agent.disconnect()
        agent.cloud = other
        agent.connect()
        until(lambda: status(other, agent)["state"] == "up", "it has come to the other one")
        one.start()
        time.sleep(3) # its view of the host is from before
        check_eq([status(c, agent)["state"] for c in (one, other)], ["up", "up"], "up at both")


main()
