#!/usr/bin/env python3
"""VMs through the real path: HTTP in, a real store, agents by mutual TLS that this test plays."""
import json
import os
import re
import subprocess
import types

from virgatest import case, check, check_eq, main, until
from virgatest.agent import Agent
from virgatest.cloud import DESCRIPTION, TOP, Cloud
from virgatest.vm import program
from virgatest.ws import Refused, WebSocket

SMALL = {"name": "vm", "flavor": "tiny", "image": "image"}


def with_image(cloud, agent):
    """The host is up, and an image is ready there."""
    until(lambda: cloud.get(f"/hosts/{agent.host}").body["status"]["state"] == "up", "the host is up")
    made = cloud.post("/images", {"name": "image", "source": {"kind": "url", "url": "http://127.0.0.1:9/image"}})
    check(made.status in (201, 202), f"an image: {made}")
    until(lambda: cloud.get("/images/image").body["status"]["state"] == "ready", f"the image is ready: {cloud.get('/images/image')}")


def state(cloud, vm="vm"):
    """Where it is in its life."""
    answer = cloud.get(f"/vms/{vm}")
    return answer.body["status"]["state"] if answer.status == 200 else "gone"


def done(cloud, answer):
    """The operation's end, which is a good one."""
    op = cloud.wait(answer)
    check_eq(op["state"], "done", f"{op}")
    return op


@case
def a_vm_lives_and_ends():
    """Every action, as an agent sees it; answers as they are described."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", dict(SMALL, delete_protection=False)))
        shown = cloud.get("/vms/vm").body
        check_eq(DESCRIPTION.errors(DESCRIPTION.schema("Vm"), shown), [], "as described")
        check_eq((shown["status"]["state"], shown["status"]["host"]), ("running", agent.host), "it runs there")
        want = agent.wait(lambda: agent.vms.get(shown["id"]), "the agent knows it")
        check_eq(len(want["disks"]), 1, "it has a disk")
        check_eq(want["config"]["cpus"]["count"], 1, "and the flavor's CPUs")
        for action, body, then in (("pause", None, "paused"), ("resume", None, "running"), ("reboot", {"force": True}, "running"),
                                   ("resize", {"flavor": "medium"}, "running"), ("rescue", None, "rescued"),
                                   ("unrescue", None, "running"), ("rebuild", {"image": "image"}, "running"), ("shelve", None, "shelved"),
                                   ("unshelve", None, "running"), ("stop", None, "stopped"), ("start", None, "running")):
            done(cloud, cloud.post(f"/vms/vm/{action}", body))
            check_eq(state(cloud), then, action)
        check_eq(cloud.get("/vms/vm").body["status"]["vcpus"], 2, "resized")
        check_eq(cloud.post("/vms/vm/start").code, "resource.wrong_state", "it runs already")
        check_eq(cloud.post("/vms/vm/migrate").code, "feature.no_driver", "its disks lie there")
        done(cloud, cloud.delete("/vms/vm?purge=true"))
        check_eq(state(cloud), "gone", "it is gone")
        agent.wait(lambda: shown["id"] in agent.gone, "the agent may forget it")
        until(lambda: not cloud.get("/volumes").body["items"], f"its disks too: {cloud.get('/volumes')}")


@case
def what_a_host_has_said_comes_back_to_it_in_few_messages():
    """That its VMs run, and that their disks are there, in one a second; what a user wants at once."""
    with Cloud() as cloud, Agent(cloud, "one", cpus=64, memory_mib=65536) as agent:
        with_image(cloud, agent)
        made = cloud.post("/vm-batches", {"vms": [dict(SMALL, name=f"vm{i}") for i in range(40)]})
        check_eq(made.status, 202, f"a batch: {made}")
        ids = {vm["vm"] for vm in made.body["vms"]}
        agent.wait(lambda: all(agent.vms.get(vm, {"disks": [{}]})["disks"][0].get("existing") for vm in ids),
                   "the host is told that the disks are there")
        told = [m for m in agent.said if m["type"] == "desired" and any(vm["disks"][0].get("existing") for vm in m.get("vms", []))]
        check(len(told) <= 10, f"{len(told)} messages of 40 VMs that came up")
        done(cloud, cloud.post("/vms/vm7/stop"))
        done(cloud, cloud.delete("/vms/vm8?purge=true"))
        check_eq((state(cloud, "vm7"), state(cloud, "vm8"), state(cloud, "vm9")), ("stopped", "gone", "running"), "what a user wants")


def devices(want):
    """The volumes and ports that the agent shall give a VM."""
    return [d["volume"] for d in want["disks"]] + [p["id"] for p in want["ports"]]


@case
def volumes_and_nics_come_to_a_vm_that_runs_and_leave_it():
    """By an operation that ends when the agent says so; a volume is in use until then."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", SMALL))
        vm = cloud.get("/vms/vm").body
        done(cloud, cloud.post("/volumes", {"name": "data", "size_gib": 1}))
        data = cloud.get("/volumes/data").body["id"]
        first = devices(agent.vms[vm["id"]])
        check_eq(agent.vms[vm["id"]].get("devices", False), False, "nothing is asked for in vain")
        agent.obeys = False
        asked = cloud.post("/vms/vm/volumes", {"volume": "data"})
        check_eq((asked.status, asked.body["state"]), (202, "running"), f"{asked}")
        want = agent.wait(lambda: data in devices(agent.vms[vm["id"]]) and agent.vms[vm["id"]], "it is wanted")
        check_eq((want["epoch"], want["devices"]), (agent.epochs[vm["id"]], True), "of the run that there is")
        check_eq(cloud.get("/vms/vm").body["volumes"][0]["volume"], data, "it is the VM's")
        check_eq(cloud.post("/vms/vm/pause").code, "resource.busy", "one after the other")
        agent.say_vm(vm["id"], "running", disks=first[:1])
        check_eq(cloud.get(f"/operations/{asked.body['id']}").body["state"], "running", "not yet")
        agent.say_vm(vm["id"], "running")
        done(cloud, asked)
        check_eq((state(cloud), cloud.get("/volumes/data").body["status"]["state"]), ("running", "attached"), "attached")

        asked = cloud.delete("/vms/vm/volumes/data")
        check_eq(asked.status, 202, f"{asked}")
        agent.wait(lambda: data not in devices(agent.vms[vm["id"]]), "it shall go")
        agent.say_vm(vm["id"], "running", disks=[*first[:1], data])
        check_eq(cloud.delete("/volumes/data").code, "resource.in_use", "it is in the guest")
        agent.say_vm(vm["id"], "running", disks=[*first[:1], data], problems=[{"id": data, "reason": "the guest holds it"}])
        op = cloud.wait(asked)
        check_eq((op["state"], op["problem"]["code"], op["problem"]["detail"]), ("failed", "host.failed", "the guest holds it"), "kept")
        agent.wait(lambda: data in devices(agent.vms[vm["id"]]), "it is wanted again")
        asked = cloud.delete("/vms/vm/volumes/data")
        agent.wait(lambda: data not in devices(agent.vms[vm["id"]]), "it shall go")
        agent.say_vm(vm["id"], "running")
        done(cloud, asked)
        check_eq(cloud.get("/volumes/data").body["status"]["state"], "available", "free")

        asked = cloud.post("/vms/vm/volumes", {"volume": "data"})
        agent.wait(lambda: data in devices(agent.vms[vm["id"]]), "it is wanted")
        agent.say_vm(vm["id"], "running", disks=first[:1], problems=[{"id": data, "reason": "its file is gone"}])
        agent.wait(lambda: data not in devices(agent.vms[vm["id"]]), "it is taken back")
        check_eq(cloud.get("/volumes/data").body["status"]["state"], "attached", "until it is known to be out")
        agent.say_vm(vm["id"], "running")
        op = cloud.wait(asked)
        check_eq((op["state"], op["problem"]["detail"]), ("failed", "its file is gone"), "why")
        check_eq((cloud.get("/volumes/data").body["status"]["state"], cloud.get("/vms/vm").body.get("volumes", [])), ("available", []), "as before")

        agent.obeys = True
        check_eq(cloud.post("/networks", {"name": "net"}).status, 201, "a network")
        done(cloud, cloud.post("/vms/vm/nics", {"network": "net"}))
        nics = cloud.get("/vms/vm").body["nics"]
        done(cloud, cloud.post("/vms/vm/pause"))
        done(cloud, cloud.post("/vms/vm/volumes", {"volume": "data"}))
        check_eq((state(cloud), cloud.delete("/vms/vm/volumes/data").code), ("paused", "resource.wrong_state"), "a guest that stands still")
        done(cloud, cloud.post("/vms/vm/resume"))
        done(cloud, cloud.delete(f"/vms/vm/nics/{nics[-1]['port']}"))
        check_eq(len(cloud.get("/vms/vm").body["nics"]), len(nics) - 1, "a NIC less")
        done(cloud, cloud.delete("/vms/vm/volumes/data"))
        check_eq(devices(agent.wait(lambda: not agent.vms[vm["id"]].get("devices") and agent.vms[vm["id"]], "all is said")), first, "as it was")


@case
def a_simulated_host_plugs_what_is_wanted():
    with Cloud() as cloud:
        secret = cloud.post("/host-join-tokens", {"name": "fleet"}).body["secret"]
        state_dir = os.path.join(cloud.state, "fleet")
        os.mkdir(state_dir)
        with open(os.path.join(cloud.state, "fleet.log"), "ab") as log:
            fleet = subprocess.Popen([program("virga-agent"), "--simulate", "1", "--state", state_dir, "--server",
                                      f"127.0.0.1:{cloud.agents_port}", "--name", "sim"],
                                     env=dict(os.environ, VIRGA_JOIN_SECRET=secret), stdout=log, stderr=log)
        try:
            until(lambda: cloud.get("/hosts/sim-0").status == 200, "it joins")
            with_image(cloud, types.SimpleNamespace(host="sim-0"))
            check_eq(cloud.post("/networks", {"name": "net"}).status, 201, "a network")
            done(cloud, cloud.post("/vms", SMALL))
            done(cloud, cloud.post("/volumes", {"name": "data", "size_gib": 1}))
            for _ in range(2):
                done(cloud, cloud.post("/vms/vm/volumes", {"volume": "data"}))
                done(cloud, cloud.post("/vms/vm/nics", {"network": "net"}))
                done(cloud, cloud.delete("/vms/vm/volumes/data"))
                done(cloud, cloud.delete(f"/vms/vm/nics/{cloud.get('/vms/vm').body['nics'][-1]['port']}"))
            check_eq((state(cloud), cloud.get("/volumes/data").body["status"]["state"]), ("running", "available"), "it runs")
        finally:
            fleet.terminate()
            fleet.wait()


@case
def a_rescued_vm_boots_from_another_disk():
    """The rescue's disk comes first, its own behind it; and afterwards it is gone."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", SMALL))
        vm = cloud.get("/vms/vm").body["id"]
        before = agent.vms[vm]["disks"]
        done(cloud, cloud.post("/vms/vm/rescue"))
        agent.wait(lambda: len(agent.vms[vm]["disks"]) == 2, "two disks")
        check_eq(agent.vms[vm]["disks"][1]["volume"], before[0]["volume"], "its own is the second")
        done(cloud, cloud.post("/vms/vm/unrescue"))
        agent.wait(lambda: [d["volume"] for d in agent.vms[vm]["disks"]] == [before[0]["volume"]], "its own again")


@case
def what_a_guest_is_seen_with_is_shown_and_not_written():
    """In every answer, beside what it was given; another server begins without it."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        check_eq(cloud.post("/networks", {"name": "net"}).status, 201, "a network")
        check_eq(cloud.post("/subnets", {"name": "sub", "network": "net", "cidr": "10.1.0.0/24"}).status, 201, "a subnet")
        done(cloud, cloud.post("/vms", dict(SMALL, nics=[{"network": "net"}])))
        vm = cloud.get("/vms/vm").body
        given = vm["status"]["addresses"][0]
        check_eq((len(vm["status"]["addresses"]), given["source"], given.get("seen")), (1, "assigned", None), f"{given}")

        def shown():
            """Its addresses by source; the same alone, in a list and as a field."""
            one = cloud.get("/vms/vm").body
            check_eq(DESCRIPTION.errors(DESCRIPTION.schema("Vm"), one), [], "as described")
            check_eq(cloud.get("/vms").body["items"], [one], "in the list")
            check_eq(cloud.get("/vms?fields=status.addresses").body["items"][0]["status"]["addresses"], one["status"]["addresses"], "as a field")
            return {(a["source"], a["ip"], a.get("seen", False)) for a in one["status"]["addresses"]}

        before = cloud.get("/vms/vm")
        own = {"ip": given["ip"], "mac": given["mac"], "port": given["port"]}
        agent.say_vm(vm["id"], "running", addresses=[own, {"ip": "192.0.2.7", "mac": given["mac"], "port": given["port"]}, {"ip": "fe80::7"}])
        both = {("assigned", given["ip"], True), ("guest", "192.0.2.7", True), ("guest", "fe80::7", True)}
        until(lambda: shown() == both, f"they are seen: {cloud.get('/vms/vm')}")
        agent.say_vm(vm["id"], "running", addresses=[{"ip": "192.0.2.8"}])
        until(lambda: shown() == {("assigned", given["ip"], False), ("guest", "192.0.2.8", True)}, f"they are others: {cloud.get('/vms/vm')}")
        after = cloud.get("/vms/vm")
        check_eq((after.headers["etag"], after.body["updated_at"]), (before.headers["etag"], before.body["updated_at"]), "nothing was written")
        agent.obeys = False  # else it says what the VM is, without addresses
        patched = cloud.patch("/vms/vm", {"description": "d"}).body
        check_eq(patched["status"]["addresses"], after.body["status"]["addresses"], "a write keeps them")
        check_eq(shown(), {("assigned", given["ip"], False), ("guest", "192.0.2.8", True)}, "and so after it")
        cloud.kill()
        agent.disconnect()
        cloud.start()
        check_eq(shown(), {("assigned", given["ip"], False)}, "a server that has heard nothing yet")
        agent.vms.clear()
        agent.connect()
        agent.wait(lambda: vm["id"] in agent.vms, "it is told again")
        agent.say_vm(vm["id"], "running", addresses=[{"ip": "192.0.2.9"}])
        until(lambda: ("guest", "192.0.2.9", True) in shown(), f"it is heard of: {cloud.get('/vms/vm')}")
        agent.obeys = True
        done(cloud, cloud.post("/vms/vm/stop", {"force": True}))
        check_eq(shown(), {("assigned", given["ip"], False)}, "of a guest that does not run")


@case
def a_killed_server_takes_up_what_was_under_way():
    """kill -9 at each step of a life: what was accepted comes to its end."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        agent.obeys = False
        for method, path, body, then in (("POST", "/vms", SMALL, "running"), ("POST", "/vms/vm/stop", None, "stopped"),
                                         ("POST", "/vms/vm/start", None, "running"), ("POST", "/vms/vm/shelve", None, "shelved"),
                                         ("DELETE", "/vms/vm?purge=true", None, "gone")):
            begun = cloud.ask(method, path, body)
            check_eq(begun.status, 202, f"{path}: {begun}")
            cloud.kill()
            agent.disconnect()
            cloud.start()
            agent.obeys = True
            agent.connect()
            done(cloud, begun)
            check_eq(state(cloud), then, path)
            agent.obeys = False


@case
def a_host_that_boots_has_its_vms_started():
    """Those that want it."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", dict(SMALL, name="again")))
        done(cloud, cloud.post("/vms", dict(SMALL, name="not", autostart=False)))
        ids = {name: cloud.get(f"/vms/{name}").body["id"] for name in ("again", "not")}
        agent.disconnect()
        agent.boot, agent.obeys = "01234567-0123-7123-8123-0123456789ab", False
        epoch = agent.epochs[ids["again"]]
        agent.vms.clear()
        agent.connect()
        agent.wait(lambda: len(agent.vms) == 2, "it is told again")
        agent.obeys = True
        for vm in ids.values():
            agent.say_vm(vm, "stopped")
        agent.wait(lambda: agent.vms[ids["again"]]["epoch"] == epoch + 1, "another run is wanted")
        until(lambda: state(cloud, "again") == "running", "it runs again")
        check_eq(state(cloud, "not"), "stopped", "the other does not")


@case
def consoles_have_several_watchers():
    """Output to each, input from each, and the end of what was said before."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", SMALL))
        log = cloud.get("/vms/vm/console-log?max_kib=4")
        check_eq((log.status, log.body["text"]), (200, "what the console said\n"), "its text")
        check_eq(DESCRIPTION.errors(DESCRIPTION.schema("VmConsoleLog"), log.body), [], "as described")
        agent.answers["vm_console_log"] = {"ok": False, "reason": "it has said nothing"}
        check_eq(cloud.get("/vms/vm/console-log").code, "resource.wrong_state", "no text")
        auth = {"Authorization": f"Bearer {cloud.token}"}
        with WebSocket(cloud.port, "/v1/vms/vm/console", auth) as a, WebSocket(cloud.port, "/v1/vms/vm/console", auth) as b:
            check_eq(a.receive(), b"hello from the console", "the first")
            check_eq(b.receive(), b"hello from the console", "the second")
            a._send(2, b"typed") # pylint: disable=protected-access
            agent.wait(lambda: b"typed" in agent.console.values(), "what was typed came")
            agent.disconnect()
            check_eq(a.receive(), None, "it ends with the agent's connection")
        for target, status in (("/v1/vms/vm/console?kind=graphics", 501), ("/v1/vms/none/console", 404), ("/v1/vms/vm/console", 503)):
            try:
                with WebSocket(cloud.port, target, auth):
                    check(False, f"{target} is refused")
            except Refused as e:
                check_eq(e.status, status, target)
        check_eq(cloud.get("/vms/vm/console-log").code, "server.busy", "nobody can say")


@case
def what_agents_count_is_metered_once():
    """Acknowledged when it is durable; a repeated one changes nothing."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", SMALL))
        vm = cloud.get("/vms/vm").body["id"]

        def report(number, value, run=1):
            item = {"vm": vm, "run": run, "object": vm, "kind": "vm", "meter": "egress_bytes", "value": value}
            agent.say("usage", source=agent.host, epoch=1, number=number, at="2026-01-01T00:00:00.000Z",
                      items=[item, dict(item, meter="read_bytes"), dict(item, object=agent.host, kind="port", vm=agent.host)])
            agent.wait(lambda: any(m["type"] == "usage_ack" and m["number"] == number for m in agent.said), f"{number} is acknowledged")
        report(1, 1000)
        report(2, 1000)
        report(3, 5000)
        report(4, 10, run=2)
        done(cloud, cloud.delete("/vms/vm?purge=true"))
        items = cloud.get("/usage?begin=2020-01-01T00:00:00Z&end=2100-01-01T00:00:00Z").body["items"]
        sums = {}
        for item in items:
            sums[item["meter"]] = sums.get(item["meter"], 0) + item["quantity"]
        check_eq(sums.get("egress"), 5010, f"bytes of both runs: {items}")
        check("vcpu_time" in sums and "memory_time" in sums and "vm_time" in sums, f"and what it held: {sums}")


@case
def certificates_are_renewed():
    """With the new one the agent is let in."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        agent.say("renew", csr=agent.request())
        agent.wait(lambda: any(m["type"] == "certificate" for m in agent.said), "a certificate")
        agent.disconnect()
        agent.said.clear()
        agent.connect()
        agent.wait(lambda: any(m["type"] == "welcome" for m in agent.said), "welcome")


@case
def batches_are_made_and_explained():
    """All or nothing, best effort, dry run."""
    with Cloud() as cloud, Agent(cloud, "one", cpus=2, memory_mib=8192) as agent:
        with_image(cloud, agent)
        many = [dict(SMALL, name=f"b{i}") for i in range(30)]
        whole = cloud.post("/vm-batches", {"vms": many})
        check_eq((whole.status, whole.code), (409, "placement.no_host"), f"{whole}")
        dry = cloud.post("/vm-batches?dry_run=true", {"vms": many})
        check_eq((dry.status, dry.body["placed"], len(dry.body["vms"])), (200, False, 30), "explained")
        check_eq(cloud.get("/vms").body["items"], [], "nothing was made")
        best = cloud.post("/vm-batches", {"vms": many, "mode": "best_effort"})
        check_eq(best.status, 202, f"{best}")
        check_eq(DESCRIPTION.errors(DESCRIPTION.schema("VmBatch"), best.body), [], "as described")
        made = [x for x in best.body["vms"] if "vm" in x]
        check(0 < len(made) < 30, f"{len(made)} of them")
        check_eq(len(cloud.get("/vms?limit=100").body["items"]), len(made), "as many as it says")
        check_eq(len(cloud.get("/volumes?limit=100").body["items"]), len(made), "with a disk each")


@case
def an_image_is_made_of_a_stopped_vm():
    """The image is one like others; a VM that runs is refused."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", SMALL))
        check_eq(cloud.post("/vms/vm/image", {"name": "golden"}).code, "feature.no_driver", "it runs")
        done(cloud, cloud.post("/vms/vm/stop"))
        done(cloud, cloud.post("/vms/vm/image", {"name": "golden", "labels": {"a": "b"}}))
        shown = cloud.get("/images/golden").body
        check_eq((shown["status"]["state"], shown["labels"], shown["source"]["kind"]), ("ready", {"a": "b"}, "vm"), f"{shown}")
        done(cloud, cloud.post("/vms", dict(SMALL, name="copy", image="golden")))


@case
def a_host_is_emptied_for_maintenance():
    """Refused while VMs are there, or they are stopped; then nothing starts there."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", SMALL))
        drained = cloud.post("/hosts/one/drain")
        check_eq((drained.status, drained.code), (501, "feature.no_driver"), f"{drained}")
        check("vm" in drained.body["detail"], "it names the VM")
        refused = cloud.post("/hosts/one/maintenance")
        check_eq((refused.status, refused.code), (409, "resource.in_use"), f"{refused}")
        done(cloud, cloud.post("/hosts/one/maintenance", {"force": True}))
        check_eq(cloud.get("/hosts/one").body["mode"], "maintenance", "it is in maintenance")
        check_eq(state(cloud), "stopped", "the VM was stopped")
        check_eq(cloud.post("/vms/vm/start").code, "resource.wrong_state", "and is not started there")
        check_eq(cloud.post("/vms", dict(SMALL, name="other")).code, "placement.no_host", "nor is another one")
        check_eq(cloud.post("/hosts/one/activate").status, 200, "back")
        done(cloud, cloud.post("/vms/vm/start"))
        done(cloud, cloud.delete("/vms/vm?purge=true"))
        done(cloud, cloud.post("/hosts/one/drain", {"then_maintenance": True}))
        check_eq(cloud.get("/hosts/one").body["mode"], "maintenance", "empty, it goes on at once")


@case
def a_maintenance_goes_on_after_a_kill_and_may_be_given_up():
    """It is stored with the host."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", SMALL))
        agent.obeys = False
        begun = cloud.post("/hosts/one/maintenance", {"force": True})
        check_eq((begun.status, cloud.get("/hosts/one").body["mode"]), (202, "draining"), f"{begun}")
        cloud.post("/hosts/one/activate")
        check_eq(cloud.wait(begun)["state"], "failed", "given up")
        begun = cloud.post("/hosts/one/maintenance", {"force": True})
        cloud.kill()
        agent.disconnect()
        cloud.start()
        agent.obeys = True
        agent.connect()
        done(cloud, begun)
        check_eq(cloud.get("/hosts/one").body["mode"], "maintenance", "taken up")


@case
def a_fenced_host_is_let_in_when_it_is_activated():
    """Until then it is refused, and its VMs are lost; what waited for it has ended."""
    with Cloud() as cloud, Agent(cloud, "one") as agent:
        with_image(cloud, agent)
        done(cloud, cloud.post("/vms", dict(SMALL, name="runs")))
        done(cloud, cloud.post("/vms", dict(SMALL, name="ends")))
        check_eq(cloud.post("/hosts/one/fence", {"confirmed": True}).code, "resource.wrong_state", "it answers")
        agent.obeys = False
        stop = cloud.post("/vms/ends/stop")
        agent.disconnect()
        until(lambda: cloud.post("/hosts/one/fence", {"confirmed": True}).status == 202, "it is off")
        check_eq(cloud.post("/hosts/one/fence", {"confirmed": False}).code, "request.invalid", "not confirmed")
        check_eq(cloud.get("/hosts/one").body["status"]["state"], "fenced", "fenced")
        done(cloud, stop)
        until(lambda: state(cloud, "runs") == "lost", "the other is lost")
        agent.connect()
        agent.wait(lambda: agent.refused == "fenced", "it is refused")
        agent.disconnect()
        check_eq(cloud.post("/hosts/one/activate").status, 200, "activated")
        agent.boot, agent.obeys = "01234567-0123-7123-8123-0123456789ab", False
        agent.vms.clear()
        agent.connect()
        runs = cloud.get("/vms/runs").body["id"]
        agent.wait(lambda: runs in agent.vms, "it is told again")
        agent.obeys = True
        agent.say_vm(runs, "stopped")
        until(lambda: state(cloud, "runs") == "running", f"started again: {cloud.get('/vms/runs')}")


@case
def the_page_draws_what_the_description_says():
    """docs/arch/24-vms.md has each action's row: from, on the way, to."""
    with open(os.path.join(TOP, "docs/arch/24-vms.md"), encoding="utf-8") as f:
        page = f.read()
    rows = dict(re.findall(r"^\| `(vm_\w+)` \| ([^|]*\|[^|]*\|[^|]*) \|", page, re.M))
    with open(os.path.join(TOP, "api/openapi.json"), encoding="utf-8") as f:
        paths = json.load(f)["paths"]
    for methods in paths.values():
        for operation in methods.values():
            if not isinstance(operation, dict) or "x-virga-from" not in operation:
                continue
            said = rows.pop(operation["operationId"], None)
            check(said, f"a row for {operation['operationId']}")
            cells = [c.strip() for c in said.split("|")]
            check_eq(sorted(re.findall(r"\w+", cells[0])), sorted(operation["x-virga-from"]), f"from: {operation['operationId']}")
            check_eq(cells[1] or None, operation.get("x-virga-via"), f"via: {operation['operationId']}")
            if "x-virga-to" in operation:
                check_eq(cells[2], operation["x-virga-to"], f"to: {operation['operationId']}")
    check_eq(rows, {}, "no row of what is not there")


main()
