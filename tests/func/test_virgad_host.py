#!/usr/bin/env python3
"""Hosts as the server hears of them: when it last did, and what several servers make of it."""
import time

from virgatest import case, check, check_eq, main
from virgatest.agent import Agent
from virgatest.described import DescribedCloud


def until(what, why, timeout=60):
    """Waits for something that nobody tells of."""
    deadline = time.monotonic() + timeout
    while not (got := what()):
        check(time.monotonic() < deadline, why)
        time.sleep(0.05)
    return got


def status(cloud, agent):
    """Of its host."""
    return cloud.get(f"/hosts/{agent.host}").body["status"]


@case
def a_host_shows_when_it_was_last_heard_of():
    """Alone and in lists; heartbeats write nothing; it stays when the host is silent, and after a restart."""
    with DescribedCloud() as cloud, Agent(cloud, "h") as agent:
        until(lambda: status(cloud, agent)["state"] == "up", "it is up")
        until(lambda: "seen_at" in status(cloud, agent), "it was heard of")
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


main()
