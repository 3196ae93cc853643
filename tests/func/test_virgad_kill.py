#!/usr/bin/env python3
"""The kill matrix: kill -9 of server, agent and monitor at each step of what is done to VMs, volumes, snapshots and images.

Each scenario is run once undisturbed: what it passes of the fault points (tools/fault-points) is the matrix. Then it is run again for
each (point, n-th passing), of which a sample here; all with VIRGA_LONG=1. VIRGA_KILL_SEED draws another sample, VIRGA_KILL_ONLY=TEXT
takes those whose name has TEXT, as they are named when they fail."""
import collections
import fnmatch
import os
import random
import subprocess
import time
import uuid

from virgatest import case, check, check_eq, main, skip
from virgatest.killcloud import FAKETIME, KillCloud, monitors, network_of_its_own
from virgatest.pg import Postgres
from virgatest.tap import diagnose
from virgatest.vm import program

LONG = bool(os.environ.get("VIRGA_LONG"))
SAMPLE_S = 20

# Points that no scenario here comes to, and the test that does.
ELSEWHERE = {
    "agent_core.usage.*": "once a minute: test-agent-agent_core",
    "image_import.*": "test-agent-image_import",
    "server_link.heartbeat.taken": "each 5 s: now and then here",
    "server_reservation.*": "test-func-virgad_reservation",
    "state_file.*": "writing down usage, once a minute: test-func-agent",
    "server_follow.*": "several servers: the case with PostgreSQL",
    "store_pgsql.*": "several servers: the case with PostgreSQL",
    "server_start.*": "a case of its own",
    "web.*": "test-web",
}

# With two servers on PostgreSQL, and no bridge.
TWO = {"store_sqlite.*": "the case with SQLite", "server_sweep.*": "the case with SQLite", **{k: v for k, v in ELSEWHERE.items() if not k.startswith(("server_follow", "store_pgsql"))},
       "agent_vm.*.port": "the case with SQLite", "agent_vm.*.noted": "the case with SQLite", "network_bridge.*": "the case with SQLite"}
# And where bridges and TAPs may not be made.
BRIDGES = {"agent_vm.*.port": "test-agent-agent_vm", "agent_vm.*.noted": "test-agent-agent_vm_plug", "network_bridge.*": "test-agent-network_driver"}


def vm_of(cloud, **more):
    """A VM that runs, whatever it takes."""
    vm, _ = cloud.make("vms", {"name": "v" + uuid.uuid4().hex[:8], "flavor": "thin", "image": "base", **more})
    cloud.bring(vm["id"], "start", "running")
    return vm["id"]


def purge(cloud, vm):
    """The end of a VM."""
    cloud.delete(f"/vms/{vm}?purge=true")


def life(cloud):
    """Made and deleted."""
    purge(cloud, vm_of(cloud))


def power(cloud):
    """Stopped, started, paused, resumed, rebooted."""
    vm = vm_of(cloud)
    for verb, state, body in (("stop", "stopped", {"force": True}), ("start", "running", None), ("pause", "paused", None),
                              ("resume", "running", None)):
        cloud.bring(vm, verb, state, body)
    cloud.ask("POST", f"/vms/{vm}/reboot", {"force": True}, key=str(uuid.uuid4()))
    check(cloud.vm_state(vm) in ("running", "stopped", "error"), "rebooted")
    purge(cloud, vm)


def window(cloud):
    """Deleted, undeleted, started, deleted for ever."""
    vm = vm_of(cloud)
    cloud.delete(f"/vms/{vm}")
    check_eq(cloud.vm_state(vm), "deleted", "in its window")
    cloud.bring(vm, "undelete", "stopped")
    cloud.bring(vm, "start", "running")
    purge(cloud, vm)


def volumes(cloud):
    """Made, attached, detached, grown, kept as a snapshot, made of one."""
    vm = vm_of(cloud)
    volume, _ = cloud.make("volumes", {"name": "d", "size_gib": 1})
    cloud.bring(vm, "stop", "stopped", {"force": True})
    cloud.post(f"/vms/{vm}/volumes", {"volume": volume["id"]}, (202, 409))
    cloud.bring(vm, "start", "running")
    cloud.bring(vm, "stop", "stopped", {"force": True})
    cloud.delete(f"/vms/{vm}/volumes/{volume['id']}")
    cloud.act(f"/volumes/{volume['id']}/resize", {"size_gib": 2})
    snapshot, _ = cloud.make("snapshots", {"name": "s", "volume": volume["id"]})
    copy, _ = cloud.make("volumes", {"name": "c", "snapshot": snapshot["id"]})
    cloud.delete(f"/volumes/{copy['id']}")
    cloud.delete(f"/volumes/{volume['id']}")
    cloud.delete(f"/snapshots/{snapshot['id']}")  # without reflink the volume lies on it
    purge(cloud, vm)


def hot(cloud):
    """A volume and a NIC that come to a VM that runs, and leave it."""
    vm = vm_of(cloud, **({"nics": [{"network": "net"}]} if cloud.bridge else {}))
    volume, _ = cloud.make("volumes", {"name": "h", "size_gib": 1})
    ports = {p["id"] for p in cloud.get("/ports")["items"]}
    for path, body in (("volumes", {"volume": volume["id"]}), ("nics", {"network": "net"})):
        if path == "volumes" or cloud.bridge:
            answer, _ = cloud.ask("POST", f"/vms/{vm}/{path}", body, key=str(uuid.uuid4()))
            check_eq(answer.status, 202, f"{answer}: status")
            check_eq(cloud.wait(answer.body)["state"], "done", f"attached: {path}")
            check_eq(cloud.vm_state(vm), "running", "it runs")
    check_eq(cloud.get(f"/volumes/{volume['id']}")["status"]["state"], "attached", "the volume")
    for port in {p["id"] for p in cloud.get("/ports")["items"]} - ports:
        cloud.delete(f"/vms/{vm}/nics/{port}")
    cloud.delete(f"/vms/{vm}/volumes/{volume['id']}")
    check_eq(cloud.vm_state(vm), "running", "it runs")
    check_eq(cloud.get(f"/volumes/{volume['id']}")["status"]["state"], "available", "the volume")
    cloud.delete(f"/volumes/{volume['id']}")
    purge(cloud, vm)


def images(cloud):
    """Taken in, used, deleted."""
    image, _ = cloud.make("images", {"name": "i", "source": {"kind": "file", "file": "base.raw", "format": "raw"}})
    if image["status"]["state"] == "ready":
        purge(cloud, vm_of(cloud, image=image["id"]))
    cloud.delete(f"/images/{image['id']}")


def sizes(cloud):
    """Another flavor, another disk, none for a while."""
    vm = vm_of(cloud)
    cloud.bring(vm, "stop", "stopped", {"force": True})
    cloud.act(f"/vms/{vm}/resize", {"flavor": "thick"})
    cloud.act(f"/vms/{vm}/rebuild", {"image": "base"})
    cloud.vm_state(vm)
    cloud.bring(vm, "shelve", "shelved")
    cloud.bring(vm, "unshelve", "running")
    cloud.bring(vm, "rescue", "rescued")
    cloud.bring(vm, "unrescue", "running")
    purge(cloud, vm)


def nics(cloud):
    """A VM on a bridge; another NIC comes and goes."""
    if not cloud.bridge:
        return
    vm = vm_of(cloud, nics=[{"network": "net"}])
    cloud.bring(vm, "stop", "stopped", {"force": True})
    nic, _ = cloud.ask("POST", f"/vms/{vm}/nics", {"network": "net"}, key=str(uuid.uuid4()))
    if nic.status == 202:
        cloud.wait(nic.body)
    cloud.bring(vm, "start", "running")
    cloud.bring(vm, "stop", "stopped", {"force": True})
    ports = [p["id"] for p in cloud.get("/ports")["items"]]
    cloud.delete(f"/vms/{vm}/nics/{ports[-1]}")
    cloud.bring(vm, "start", "running")
    purge(cloud, vm)


def again(cloud):
    """A VM whose server and agent are killed and come back; the server's first sweep."""
    vm = vm_of(cloud)
    for part in (cloud.server, cloud.agent):
        seen = part.count("server_sweep.step.stored")
        part.kill_and_wait()
        cloud.host_up()
        if part is cloud.server and not cloud.pg:
            cloud.until(lambda n=seen: cloud.server.count("server_sweep.step.stored") > n, "a sweep")
    check_eq(cloud.vm_state(vm), "running", "as it was")
    purge(cloud, vm)


SCENARIOS = {f.__name__: f for f in (life, power, window, volumes, hot, images, sizes, nics, again)}


def run(cloud, name, rest, part=None, point=None, n=1):
    """A scenario, in which a part dies at a point; whether it did."""
    if part:
        part.arm(point, n)
    SCENARIOS[name](cloud)
    died = bool(part) and not part.disarm()
    if died:
        cloud.host_up()
    cloud.check_all(rest)
    return died


def matrix_of(cloud, rest):
    """What each scenario passes: (scenario, part, point, n)."""
    cells = []
    for name in SCENARIOS:
        for part in cloud.parts.values():
            part.passed()
        run(cloud, name, rest)
        for part in cloud.parts.values():
            for point, n in sorted(part.passed().items()):
                cells += [(name, part.name, point, k + 1) for k in range(n)]
    return cells


def seed():
    """Another sample for each commit, the same for one."""
    given = os.environ.get("VIRGA_KILL_SEED")
    if given:
        return given
    try:
        return subprocess.run(["git", "-C", os.environ["VIRGA_TOP"], "rev-parse", "HEAD"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "1"


def chosen(cells):
    """The sample in the order in which it is run: first each point once."""
    only = os.environ.get("VIRGA_KILL_ONLY")
    if only:
        return [c for c in cells if only in " ".join(map(str, c))]
    text = seed()
    diagnose(f"VIRGA_KILL_SEED={text}")
    drawn = list(cells)
    random.Random(text).shuffle(drawn)
    times = collections.Counter()
    order = []
    for cell in drawn:
        order.append((times[cell[2]], len(order), cell))
        times[cell[2]] += 1
    return [cell for _, _, cell in sorted(order)]


def any_process_of(folder):
    """The processes that name a run directory, whatever they are."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                found += [pid] if f"{folder}/run/".encode() in f.read() else []
        except OSError:
            continue
    return found


@case
def whatever_dies_nothing_is_lost_leaked_or_counted_twice():
    bridge = network_of_its_own()
    with KillCloud(bridge) as cloud:
        matrix(cloud, dict(ELSEWHERE, **({} if bridge else BRIDGES)), SAMPLE_S)


def matrix(cloud, elsewhere, seconds):
    """Scenarios undisturbed; then those of the cells for which there is time."""
    rest = cloud.rest()
    cells = matrix_of(cloud, rest)
    points = {c[2] for c in cells}
    names = subprocess.run([os.path.join(os.environ["VIRGA_TOP"], "tools/fault-points")], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.split()
    never = [n for n in names if not fnmatch.filter(points, n) and not any(fnmatch.fnmatch(n, e) for e in elsewhere)]
    check_eq(never, [], "points that no scenario comes to")
    end, done, missed, failures = time.monotonic() + seconds, 0, [], []
    for cell in chosen(cells):
        if not LONG and not os.environ.get("VIRGA_KILL_ONLY") and time.monotonic() > end:
            break
        name, part, point, n = cell
        try:
            if not run(cloud, name, rest, cloud.parts[part], point, n):
                missed.append(cell)
        except AssertionError as e:
            failures.append(cell)
            diagnose(f"VIRGA_KILL_ONLY=\"{name} {part} {point} {n}\": {e}")
            cloud.clean()
            rest = cloud.rest()
        done += 1
        if done % 200 == 0:
            diagnose(f"{done} of {len(cells)}")
    diagnose(f"{done} of {len(cells)} cells, {len(points)} points; in {len(missed)} the point was not passed so often again")
    check(done > len(missed), "no point was passed again")
    check_eq(failures, [], "where something did not hold")


@case
def two_servers_on_one_store():
    """The client asks one and the other in turn; either dies."""
    with Postgres() as pg, KillCloud(pg=pg) as cloud:
        matrix(cloud, TWO, 6)


@case
def a_server_that_dies_at_its_first_start_leaves_a_cloud_to_sign_in_to():
    for point in ("server_start.first.begin", "server_start.first.stored"):
        cloud = KillCloud()
        cloud.server.arm(point)
        with cloud:
            check_eq(cloud.server.ends, [-9], f"died at {point}")


@case
def a_monitor_that_is_killed_ends_its_vm_with_a_reason():
    """Also one that was started by an agent that has died since. It is started again, once."""
    with KillCloud() as cloud:
        rest = cloud.rest()
        for agent_dies in (False, True):
            vm = vm_of(cloud)
            if agent_dies:
                cloud.agent.kill_and_wait()
                cloud.host_up()
            for pid in monitors(cloud.host):
                os.kill(pid, 9)
            cloud.until(lambda: cloud.vm_state(vm) == "error", "the VM's end is seen")
            check(cloud.get(f"/vms/{vm}")["status"].get("reason"), "it says why")
            cloud.bring(vm, "start", "running")
            check_eq(len(monitors(cloud.host)), 1, "monitors")
            purge(cloud, vm)
            cloud.check_all(rest)


@case
def with_monitors_that_run_a_machine_it_is_the_same():
    """The emulated processor and the sandbox, as on a host; the other cases have monitors without a guest."""
    with KillCloud(real=True) as cloud:
        rest = cloud.rest()
        run(cloud, "power", rest)
        for part, point, n in (("agent", "agent_vm.start.forked", 2), ("agent", "agent_vm.stop.begin", 1),
                               ("server", "server_vm.settle.done", 2), ("server", "store_sqlite.group.filled", 6)):
            check(run(cloud, "power", rest, cloud.parts[part], point, n), f"died at {point}")
        vm = vm_of(cloud)
        volume, _ = cloud.make("volumes", {"name": "h", "size_gib": 1})
        check_eq(cloud.act(f"/vms/{vm}/volumes", {"volume": volume["id"]})["state"], "done", "a disk comes into the sandbox")
        os.kill(next(iter(monitors(cloud.host))), 9)
        cloud.until(lambda: cloud.vm_state(vm) == "error", "the VM's end is seen")
        cloud.until(lambda: not any_process_of(cloud.host), "its sandbox ends with it")
        cloud.bring(vm, "start", "running")
        purge(cloud, vm)
        cloud.delete(f"/volumes/{volume['id']}")
        cloud.check_all(rest)
        check_eq(any_process_of(cloud.host), [], "processes")


@case
def clocks_that_jump_break_no_lease():
    """The host's, then the server's: forth and back. What runs goes on, and what is asked for is done."""
    if not os.path.exists(FAKETIME):
        skip("no libfaketime is installed (package faketime)")
    if subprocess.run([program("virgad"), "--version"], env=dict(os.environ, LD_PRELOAD=FAKETIME), stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL, check=False).returncode:
        skip("this build cannot be started with a library before it (a sanitizer's)")
    with KillCloud(clocks=True) as cloud:
        rest = cloud.rest()
        vm = vm_of(cloud)
        running = monitors(cloud.host)
        for part in (cloud.agent, cloud.server):
            for offset in ("+2d", "-2d", "+0"):
                cloud.set_clock(part, offset)
                cloud.until_heard()
                check_eq(cloud.vm_state(vm), "running", f"with a clock of {part.name} that is wrong by {offset}")
                part.kill_and_wait()
                cloud.host_up()
                life(cloud)
                check_eq((cloud.vm_state(vm), monitors(cloud.host)), ("running", running), f"it went on, {offset}")
        purge(cloud, vm)
        cloud.check_rest(rest)


if __name__ == "__main__":
    main()
