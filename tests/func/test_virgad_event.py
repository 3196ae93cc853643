#!/usr/bin/env python3
"""Events: what happened, as a list that is gone through, a long poll and a WebSocket."""
import json
import threading

from virgatest import case, check, check_eq, main, skip
from virgatest.cloud import DESCRIPTION, Cloud
from virgatest.ws import Refused, WebSocket

SMALL = {"vcpus": 1, "memory_mib": 256}
ALL = {"Virga-Project": "*"}


def flavor(cloud, name, **kw):
    """Makes one; its events are the cloud's."""
    made = cloud.post("/flavors", dict(SMALL, name=name, **kw))
    check_eq(made.status, 201, f"flavor {name}")
    return made.body


def page(cloud, query="", headers=None):
    """A page of events, held to the description."""
    answer = cloud.get("/events" + query, headers=ALL if headers is None else headers)
    check_eq(answer.status, 200, f"events{query}: {answer}")
    check_eq(DESCRIPTION.errors(DESCRIPTION.schema("EventList"), answer.body), [], "as described")
    return answer.body


def stream(cloud, query="", **kw):
    """Opens the stream over all projects."""
    return WebSocket(cloud.port, "/v1/events/stream" + query, protocol="cloudevents.json",
                     headers={"Authorization": f"Bearer {cloud.token}", **ALL}, **kw)


def take(ws, n):
    """n events."""
    events = []
    while len(events) < n:
        message = ws.receive()
        check(message is not None, f"closed with {ws.status} after {len(events)} of {n}")
        events.append(json.loads(message))
        check_eq(DESCRIPTION.errors(DESCRIPTION.schema("Event"), events[-1]), [], "as described")
    return events


@case
def a_reader_goes_on_where_it_was():
    """Each event once and in order, in pages, before and after a restart (from the store)."""
    with Cloud() as cloud:
        ids = [flavor(cloud, f"f{i}")["id"] for i in range(12)]
        check_eq(cloud.patch("/flavors/f0", {"description": "d"}).status, 200, "changed")
        check_eq(cloud.delete("/flavors/f1").status, 204, "deleted")
        for attempt in ("from memory", "from the store"):
            seen, after = [], "0"
            while True:
                events = page(cloud, f"?after={after}&limit=5&type=virga.flavor")
                seen += events["items"]
                if not events["items"]:
                    break
                check(int(events["next_after"]) > int(after), "it goes on")
                after = events["next_after"]
            check_eq([e["type"] for e in seen], ["virga.flavor.created"] * 12 + ["virga.flavor.changed", "virga.flavor.deleted"],
                     f"{attempt}: all of them")
            check_eq([e["subject"] for e in seen], [f"flavor/{i}" for i in ids] + [f"flavor/{ids[0]}", f"flavor/{ids[1]}"], "of what")
            numbers = [int(e["id"]) for e in seen]
            check_eq(numbers, sorted(set(numbers)), f"{attempt}: in order")
            check_eq(seen[0]["data"]["name"], "f0", "with what it is about")
            one = page(cloud, f"?after=0&subject=flavor/{ids[0]}")["items"]
            check_eq([e["type"] for e in one], ["virga.flavor.created", "virga.flavor.changed"], f"{attempt}: of one subject")
            cloud.kill()
            cloud.start()


@case
def only_new_ones_come_without_a_number():
    """Nothing yet; then what happens from there on."""
    with Cloud() as cloud:
        flavor(cloud, "old")
        first = page(cloud)
        check_eq(first["items"], [], "nothing yet")
        flavor(cloud, "new")
        events = page(cloud, f"?after={first['next_after']}")["items"]
        check_eq([e["data"]["name"] for e in events], ["new"], "what came since")
        for bad in ("x", "-1", "1x", "99999999999999999999"):
            answer = cloud.get(f"/events?after={bad}")
            check_eq((answer.status, answer.code), (400, "query.invalid"), f"after={bad}")


@case
def a_poll_waits_for_what_happens():
    """It is answered when there is something; and at once with the server's end."""
    with Cloud() as cloud:
        after, answers = page(cloud)["next_after"], []
        thread = threading.Thread(target=lambda: answers.append(page(cloud, f"?after={after}&wait_s=60&type=virga.flavor")))
        thread.start()
        project = cloud.post("/projects", {"name": "other"})
        check_eq(project.status, 201, "something else happens")
        flavor(cloud, "awaited")
        thread.join(60)
        check_eq([e["data"]["name"] for e in answers[0]["items"]], ["awaited"], "what was waited for")
        check_eq(page(cloud, "?wait_s=1")["items"], [], "nothing more within a second")


@case
def a_project_sees_its_own_events_only():
    """Those of the cloud are for `*`."""
    with Cloud() as cloud:
        flavor(cloud, "of-the-cloud")
        check_eq(cloud.post("/keypairs", {"name": "k", "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3vKq0Xc2Y1m0Wn0XQ5l1"
                                          "bq3tQq9Y7m1tq8S5bq0Zq1 a"}).status in (201, 422, 501), True, "a key pair, where there are any")
        for e in page(cloud, "?after=0", headers={})["items"]:
            check("virgaproject" in e, f"{e['type']} is of a project")
        check("virga.flavor.created" in [e["type"] for e in page(cloud, "?after=0")["items"]], "the cloud's are there")


@case
def the_stream_brings_each_event_once():
    """Old ones from the store, then new ones, in order; it goes on by `after`."""
    with Cloud() as cloud:
        for i in range(5):
            flavor(cloud, f"f{i}")
        cloud.kill()
        cloud.start()
        with stream(cloud, "?after=0&type=virga.flavor") as ws:
            old = take(ws, 5)
            flavor(cloud, "f5")
            new = take(ws, 1)
            check_eq([e["data"]["name"] for e in old + new], [f"f{i}" for i in range(6)], "all, in order")
        with stream(cloud, f"?after={old[3]['id']}&type=virga.flavor") as ws:
            check_eq([e["data"]["name"] for e in take(ws, 2)], ["f4", "f5"], "from there on")


@case
def the_stream_begins_with_what_comes():
    """Without a number: what happens from now on; another type does not come."""
    with Cloud() as cloud:
        flavor(cloud, "before")
        with stream(cloud, "?type=virga.flavor.created") as ws:
            check_eq(cloud.delete("/flavors/before").status, 204, "another type")
            for i in range(30):
                flavor(cloud, f"f{i}")
            check_eq([e["data"]["name"] for e in take(ws, 30)], [f"f{i}" for i in range(30)], "in order")


@case
def a_stream_is_for_those_who_may():
    """No token: 401; no WebSocket: 400; an end of the session ends it."""
    with Cloud() as cloud:
        for headers, status in (({}, 401), ({"Authorization": "Bearer nonsense"}, 401)):
            try:
                WebSocket(cloud.port, "/v1/events/stream", headers=headers)
                check(False, "it was opened")
            except Refused as e:
                check_eq(e.status, status, f"refused with {headers}")
        try:
            WebSocket(cloud.port, "/v1/flavors", headers={"Authorization": f"Bearer {cloud.token}"})
            check(False, "it was opened")
        except Refused as e:
            check_eq(e.status, 404, "no WebSocket there")
        check_eq(cloud.get("/events/stream").status, 400, "without Upgrade")
        try:
            stream(cloud, "?after=x")
            check(False, "it was opened")
        except Refused as e:
            check_eq(e.status, 400, "a number that is none")
        with WebSocket(cloud.port, "/v1/projects/default/events/stream", headers={"Authorization": f"Bearer {cloud.token}"}) as ws:
            check_eq(cloud.stop(), 0, "the server ends while it is open")
            ws.close()


@case
def a_ticket_opens_one_stream_and_signing_out_ends_it():
    """For browsers, which send no headers with a WebSocket."""
    with Cloud() as cloud:
        made = cloud.post("/tickets")
        if made.status == 501:
            skip("this server makes no tickets")
        check_eq(made.status, 201, f"a ticket: {made}")
        target = "/v1/projects/default/events/stream?ticket=" + made.body["ticket"]
        with WebSocket(cloud.port, target) as ws:
            try:
                WebSocket(cloud.port, target)
                check(False, "it was opened")
            except Refused as e:
                check_eq(e.status, 401, "the ticket is used up")
            check_eq(cloud.delete("/session").status, 204, "signed out")
            check_eq((ws.receive(), ws.status), (None, 1008), "that ends it")
        check(made.body["ticket"] not in cloud.logged(), "the ticket is in no log")


@case
def who_does_not_read_is_closed_and_goes_on():
    """More than the server keeps for it: 1013. From its last number on nothing is missing."""
    with Cloud() as cloud:
        fast = cloud.post("/tokens", {"name": "fast", "rate_limit_per_min": 1000000})
        check_eq(fast.status, 201, "a token that may ask often")
        cloud.token = fast.body["secret"]
        flavor(cloud, "f", labels={f"key-{i}": "x" * 255 for i in range(32)})
        n = 1600
        with stream(cloud, "?type=virga.flavor.changed", receive_bytes=4096) as ws:
            for i in range(n):
                check_eq(cloud.patch("/flavors/f", {"description": str(i)}).status, 200, "changed")
            last, got = 0, 0
            while got < n:
                message = ws.receive()
                if message is None:
                    break
                event = json.loads(message)
                check(int(event["id"]) > last, "in order")
                check_eq(event["data"]["description"], str(got), "none is left out")
                last, got = int(event["id"]), got + 1
            check_eq((ws.status, got < n), (1013, True), "it was too slow")
        while got < n:
            events = page(cloud, f"?after={last}&limit=1000&type=virga.flavor.changed")
            check(events["items"], "the rest is there")
            got, last = got + len(events["items"]), int(events["next_after"])
        check_eq(got, n, "each once")


main()
