#!/usr/bin/env python3
"""virga-agent against a server that says what a test wants: joining, VMs, deaths, a fleet."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid

from virgatest import case, check, check_eq, main
from virgatest.hostcloud import monitors
from virgatest.pvh import kernel
from virgatest.tap import diagnose
from virgatest.vm import program

PATIENCE_S = 60
SECRET = "token-of-a-test"


class Cloud:
    """A running fake-cloud, what hosts said to it, and the agents of a test."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="vag-")
        self.process = subprocess.Popen([program("tests/func/fake-cloud"), self.dir, SECRET], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        check(words and words[0] == "listening", f"fake-cloud said {words}")
        self.server, self.secret = f"127.0.0.1:{words[1]}", f"{SECRET}_{words[2]}"
        self.changed = threading.Condition()
        self.lines, self.hosts, self.agents = [], {}, []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for agent in self.agents:
            agent.kill()
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)
        self.reader.join(PATIENCE_S)
        self.process.stdout.close()
        kill_monitors(self.dir)
        if exc[0]:
            diagnose("\n".join(line[:300] for line in self.lines[-40:]))
            for agent in self.agents:
                diagnose(agent.log()[-4000:])
        shutil.rmtree(self.dir, ignore_errors=True)

    def read(self):
        """Takes the server's lines, until it ends."""
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.take(line.rstrip("\n"))
                self.changed.notify_all()

    def take(self, line):
        """One line, as what it says of a host."""
        name, _, text = line.partition(" ")
        host = self.hosts.setdefault(name, Host())
        if text in ("open", "closed"):
            host.open += 1 if text == "open" else -1
            host.opened += text == "open"
        elif text.startswith("stream "):
            host.streamed += bytes.fromhex(text.split(" ")[2])
        elif text.startswith("{"):
            host.hear(json.loads(text))
            self.answer(name, host, json.loads(text))

    def answer(self, name, host, m):
        """What every server would say."""
        if m["type"] == "hello":
            self.send(name, {"type": "welcome", "protocol": 1, "server": str(uuid.uuid4()), "heartbeat_ms": 300, "usage_ms": 300})
        if m["type"] == "seen" and m.get("full") and not m.get("more") and host.desired is not None:
            self.send(name, host.desired)
        if m["type"] == "usage" and host.acks:
            self.send(name, {"type": "usage_ack", **{k: m[k] for k in ("source", "epoch", "number")}})

    def send(self, host, message):
        """Says a message (or a line) to a host."""
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
        if isinstance(message, dict):
            # The type is the first member.
            text = '{"type":%s,%s' % (json.dumps(message["type"]), json.dumps(
                {k: v for k, v in message.items() if k != "type"}, separators=(",", ":"))[1:])
        self.process.stdin.write(f"{host} {text}\n")
        self.process.stdin.flush()

    def want(self, host, **what):
        """The full desired set of a host, said now and to each connection that comes."""
        h = self.hosts.setdefault(host, Host())
        h.seq += 1
        h.desired = {"type": "desired", "seq": h.seq, "full": True, **what}
        self.send(host, h.desired)

    def wait(self, what, condition):
        """Until a condition of what was said holds."""
        with self.changed:
            check(self.changed.wait_for(condition, PATIENCE_S), f"not in {PATIENCE_S} s: {what}")

    def agent(self, *flags, name="agent", env=None):
        """Starts an agent."""
        a = Agent(self, name, *flags, env=env)
        self.agents.append(a)
        return a

    def join(self, name="agent"):
        """Makes the host `name` join; its id."""
        p = subprocess.run([program("virga-agent"), "join", "--state", os.path.join(self.dir, name), "--server", self.server,
                            "--name", name, "-"], input=self.secret + "\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, check=False, timeout=PATIENCE_S)
        check_eq(p.returncode, 0, p.stdout)
        return p.stdout.split("(")[1].split(")")[0]


class Host:
    """What a server knows of a host by what it said."""

    def __init__(self):
        self.open = self.opened = self.seq = self.n_full = 0
        self.desired, self.acks = None, True
        self.last, self.vms, self.volumes, self.results, self.usage = {}, {}, {}, {}, {}
        self.streamed, self.instances = b"", []

    def hear(self, m):
        """One message."""
        self.last[m["type"]] = m
        if m["type"] == "hello":
            self.instances.append(m["instance"])
        elif m["type"] == "seen":
            if m.get("full") and m.get("vms") is None:
                self.vms = {}
            self.n_full += bool(m.get("full")) and not m.get("more")
            self.vms.update({v["id"]: v for v in m.get("vms", [])})
            self.volumes.update({v["id"]: v for v in m.get("volumes", [])})
        elif m["type"] == "result":
            self.results[m["id"]] = m
        elif m["type"] == "usage":
            self.usage.update({(i["object"], i["meter"]): i["value"] for i in m["items"]})

    def state(self, vm):
        """What a VM is."""
        return self.vms.get(vm, {}).get("state")


class Agent:
    """A running virga-agent."""

    def __init__(self, cloud, name, *flags, env=None):
        self.state = os.path.join(cloud.dir, name)
        self.path = os.path.join(cloud.dir, name + ".log")
        with open(self.path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([program("virga-agent"), "--state", self.state, "--log", "debug", *flags],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def log(self):
        """What it wrote."""
        with open(self.path, encoding="utf-8") as f:
            return f.read()

    def kill(self, how=signal.SIGKILL):
        """Ends it; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


def kill_monitors(folder):
    """Ends what a test's agents left."""
    for pid in monitors(folder):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def vm_want(generation, epoch, power, vm, disk, **config):
    """A VM as it is wanted."""
    return {"id": vm, "generation": generation, "epoch": epoch, "power": power, "grace_ms": 0,
            "config": {"engine": "null", "memory": {"size": "64M"}, "sandbox": {"mode": "off"}, **config},
            "disks": [{"volume": disk, "size_bytes": 1 << 20}],
            "seed": [{"name": "meta-data", "text": "instance-id: x\n"}, {"name": "user-data", "text": "#cloud-config\n"}]}


def start(cloud, *flags, name="agent"):
    """A joined host with an agent that has a link; (id, agent)."""
    host = cloud.join(name)
    agent = cloud.agent("--pool", f"local={cloud.dir}/{name}-pool", *flags, name=name)
    cloud.wait("a heartbeat", lambda: "heartbeat" in cloud.hosts.get(host, Host()).last)
    return host, agent


@case
def a_host_joins_by_the_fingerprint_of_its_cloud():
    with Cloud() as cloud:
        def join(secret, *more):
            p = subprocess.run([program("virga-agent"), "join", "--state", cloud.dir + "/other", *more, secret],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=PATIENCE_S)
            return p.returncode, p.stdout

        code, text = join("token", "--server", cloud.server)
        check(code == 1 and "fingerprint" in text, text)
        code, text = join(f"{SECRET}_{'0' * 64}", "--server", cloud.server)
        check(code == 1 and "could not ask" in text, text)
        code, text = join("wrong" + cloud.secret[4:], "--server", cloud.server)
        check(code == 1 and "the join token is not known" in text, text)
        check(not os.path.exists(cloud.dir + "/other"), "an identity was kept though nobody joined")
        code, text = join(f"https://{cloud.server}/#{cloud.secret}", "--name", "h7")
        check_eq(code, 0, text)
        check_eq(os.stat(cloud.dir + "/other/identity.pem").st_mode & 0o777, 0o600, "mode")
        check(any(" joined h7" in line for line in cloud.lines), "the name")


@case
def a_host_says_what_it_has():
    with Cloud() as cloud:
        host, agent = start(cloud)
        has = cloud.hosts[host].last["inventory"]
        check_eq(has["cpus"], os.cpu_count(), "CPUs")
        check(has["memory_mib"] > 0 and has["kernel_version"], str(has)[:500])
        check_eq([e["name"] for e in has["engines"]], ["kvm", "soft"], "engines")
        check(has["engines"][1]["usable"], str(has["engines"]))
        check(has["engines"][0]["usable"] or has["engines"][0]["reason"], str(has["engines"]))
        check_eq([p["name"] for p in has["pools"]], ["local"], "pools")
        check(has["vmm_version"], "the monitor's version")
        check_eq(agent.kill(signal.SIGTERM), 0, "exit status")
        cloud.wait("bye", lambda: "bye" in cloud.hosts[host].last)


@case
def a_vm_runs_through_deaths_of_agent_and_link():
    with Cloud() as cloud:
        host, agent = start(cloud)
        vm, disk = str(uuid.uuid4()), str(uuid.uuid4())
        h = cloud.hosts[host]
        cloud.want(host, vms=[vm_want(1, 1, "running", vm, disk)])
        cloud.wait("running", lambda: h.state(vm) == "running")
        cloud.wait("the disk", lambda: h.volumes.get(disk, {}).get("state") == "ready")
        before = monitors(cloud.dir)
        check(before, "no monitor runs")
        # The link is cut.
        opened = h.opened
        cloud.send(host, "cut")
        cloud.wait("another connection", lambda: h.opened == opened + 1 and h.n_full >= 2)
        check_eq(monitors(cloud.dir), before, "monitors")
        # The agent is killed, and with it all that it knew.
        agent.kill(signal.SIGKILL)
        cloud.wait("the end of its link", lambda: h.open == 0)
        h.vms.clear()
        h.desired = None
        cloud.agent("--pool", f"local={cloud.dir}/agent-pool")
        cloud.wait("adoption", lambda: h.state(vm) == "running")
        check(not h.vms[vm]["managed"], "it is not managed before the server has said what it is")
        check_eq(len(set(h.instances)), 2, "instances")
        cloud.want(host, vms=[vm_want(1, 1, "running", vm, disk)])
        cloud.wait("management", lambda: h.vms[vm]["managed"])
        check_eq(monitors(cloud.dir), before, "monitors")
        check_eq(h.vms[vm]["epoch"], 1, "epoch")
        # What the server does not know is left alone.
        cloud.want(host, vms=[])
        cloud.wait("no management", lambda: not h.vms[vm]["managed"])
        check_eq(monitors(cloud.dir), before, "monitors")
        # And it goes with all that it had when the server says so.
        cloud.want(host, vms=[vm_want(2, 1, "absent", vm, disk)])
        cloud.wait("absence", lambda: h.state(vm) == "absent")
        cloud.wait("the disk's end", lambda: h.volumes[disk]["state"] == "absent")
        check_eq(monitors(cloud.dir), [], "monitors")
        check_eq(os.listdir(cloud.dir + "/agent/run"), [], "run directories")


START_POINTS = ["agent_vm.start.volume", "agent_vm.start.epoch", "agent_vm.start.forked", "state_file.write.made"]
REMOVE_POINTS = ["agent_vm.remove.volume", "state_file.write.done"]


def killed_at(cloud, host, point, want):
    """Lets an agent die at a point, and the next one take over."""
    h = cloud.hosts[host]
    flags = ("--pool", f"local={cloud.dir}/agent-pool")
    agent = cloud.agent(*flags, env={**os.environ, "VIRGA_FAULT": point})
    h.desired = None
    opened = h.opened
    cloud.wait("a link", lambda: h.opened > opened and h.open == 1)
    cloud.want(host, vms=[want])
    check_eq(agent.process.wait(PATIENCE_S), -signal.SIGKILL, f"the end at {point}")
    cloud.wait("the end of its link", lambda: h.open == 0)
    h.vms.clear()
    return cloud.agent(*flags)


@case
def an_agent_that_dies_at_any_step_leaves_one_vm_or_none():
    with Cloud() as cloud:
        host = cloud.join()
        h = cloud.hosts.setdefault(host, Host())
        for point in START_POINTS:
            vm, disk = str(uuid.uuid4()), str(uuid.uuid4())
            agent = killed_at(cloud, host, point, vm_want(1, 1, "running", vm, disk))
            # Its epoch is used up where it may have been started: then another is asked for.
            cloud.wait("a state", lambda: h.state(vm) in ("running", "stopped"))
            if h.state(vm) == "stopped":
                check_eq(len(monitors(cloud.dir)), 0, f"monitors after {point}")
                cloud.want(host, vms=[vm_want(2, 2, "running", vm, disk)])
            cloud.wait(f"running after {point}", lambda: h.state(vm) == "running")
            check_eq(len({os.getpgid(p) for p in monitors(cloud.dir)}), 1, f"monitors after {point}")
            cloud.want(host, vms=[vm_want(3, 2, "absent", vm, disk)])
            cloud.wait(f"absence after {point}", lambda: h.state(vm) == "absent")
            agent.kill(signal.SIGTERM)
            cloud.wait("the end of its link", lambda: h.open == 0)
        for point in REMOVE_POINTS:
            vm, disk = str(uuid.uuid4()), str(uuid.uuid4())
            agent = cloud.agent("--pool", f"local={cloud.dir}/agent-pool")
            cloud.want(host, vms=[vm_want(1, 1, "running", vm, disk)])
            cloud.wait("running", lambda: h.state(vm) == "running")
            agent.kill()
            cloud.wait("the end of its link", lambda: h.open == 0)
            agent = killed_at(cloud, host, point, vm_want(2, 1, "absent", vm, disk))
            cloud.wait(f"absence after {point}", lambda: h.state(vm) == "absent")
            agent.kill(signal.SIGTERM)
            cloud.wait("the end of its link", lambda: h.open == 0)
        check_eq(monitors(cloud.dir), [], "monitors")
        check_eq(os.listdir(cloud.dir + "/agent/run"), [], "run directories")
        check_eq(os.listdir(cloud.dir + "/agent-pool/volumes"), [], "volumes")


@case
def a_guest_has_a_console():
    with Cloud() as cloud:
        host, _ = start(cloud)
        vm, disk = str(uuid.uuid4()), str(uuid.uuid4())
        h = cloud.hosts[host]
        kernel(cloud.dir + "/kernel")
        cloud.want(host, vms=[vm_want(1, 1, "running", vm, disk, engine="soft", kernel=cloud.dir + "/kernel")])
        cloud.wait("running", lambda: h.state(vm) in ("running", "failed"))
        check_eq(h.state(vm), "running", str(h.vms[vm]))

        def command(kind, **more):
            c = str(uuid.uuid4())
            cloud.send(host, {"type": "command", "id": c, "kind": kind, "vm": vm, **more})
            cloud.wait(kind, lambda: c in h.results)
            return h.results[c]

        def said():
            return command("vm_console_log").get("text", "")
        until = time.monotonic() + PATIENCE_S
        while "ready" not in said():
            check(time.monotonic() < until, f"the guest said {said()!r}")
            time.sleep(0.05)
        check(command("vm_console_open", stream=3)["ok"], "the console does not open")
        cloud.send(host, "stream 3 hello")
        cloud.wait("an echo", lambda: b"hello" in h.streamed)
        cloud.wait("what the disk was read", lambda: (disk, "read_bytes") in h.usage)
        check_eq(command("vm_reset")["ok"], True, "reset")
        cloud.want(host, vms=[vm_want(2, 1, "stopped", vm, disk)])
        cloud.wait("the end of the stream", lambda: "stream_end" in h.last)
        cloud.wait("the stop", lambda: h.state(vm) == "stopped")


@case
def an_image_is_imported_and_a_volume_made_of_it():
    with Cloud() as cloud:
        os.mkdir(cloud.dir + "/images")
        with open(cloud.dir + "/images/a.raw", "wb") as f:
            f.write(b"content" + bytes(65529))
        host, _ = start(cloud, "--import", cloud.dir + "/images")
        h = cloud.hosts[host]
        image, volume = str(uuid.uuid4()), str(uuid.uuid4())
        cloud.want(host, volumes=[{"id": image, "kind": "image", "generation": 1, "present": True, "format": "raw",
                                   "origin": {"kind": "path", "path": cloud.dir + "/images/a.raw"}}])
        cloud.wait("the image", lambda: h.volumes.get(image, {}).get("state") == "ready")
        cloud.want(host, volumes=[{"id": volume, "kind": "volume", "generation": 1, "present": True, "size_bytes": 1 << 20,
                                   "source_kind": "image", "source": image}])
        cloud.wait("the volume", lambda: h.volumes.get(volume, {}).get("state") == "ready")
        check(not h.volumes[image]["managed"], "the image was not named, and is managed")
        check_eq(h.volumes[volume]["pool"], "local", "pool")


@case
def two_agents_do_not_share_a_state_directory():
    with Cloud() as cloud:
        _, agent = start(cloud)
        other = cloud.agent("--pool", f"local={cloud.dir}/agent-pool")
        check_eq(other.process.wait(PATIENCE_S), 1, "exit status")
        check("another agent runs" in other.log(), other.log()[-500:])
        check_eq(agent.process.poll(), None, "the first agent's exit status")


@case
def a_host_of_another_cloud_is_not_let_in():
    with Cloud() as cloud, Cloud() as other:
        cloud.join()
        agent = cloud.agent("--pool", f"local={cloud.dir}/agent-pool", "--server", other.server)
        until = time.monotonic() + PATIENCE_S
        while "there is no link" not in agent.log():
            check(time.monotonic() < until and agent.process.poll() is None, agent.log()[-500:])
            time.sleep(0.05)
        check(not any("open" in line for line in other.lines), "it was let in")


@case
def a_certificate_is_renewed_before_it_is_over():
    with Cloud() as cloud:
        def identity():
            with open(cloud.dir + "/old/identity.pem", encoding="utf-8") as f:
                return f.read()

        host = cloud.join("old")
        before = identity()
        h = cloud.hosts.setdefault(host, Host())
        agent = cloud.agent("--pool", f"local={cloud.dir}/old-pool", name="old")
        until = time.monotonic() + PATIENCE_S
        while identity() == before:
            check(time.monotonic() < until, agent.log()[-500:])
            time.sleep(0.05)
        check("PRIVATE KEY" in identity(), "the key is gone")
        check(before.split("PRIVATE KEY")[1] != identity().split("PRIVATE KEY")[1], "the key is the old one")
        cloud.wait("a heartbeat", lambda: "heartbeat" in h.last)
        cloud.send(host, "cut")
        cloud.wait("a link by the new certificate", lambda: h.opened == 2 and h.n_full == 2)
        check_eq(sum('"type":"renew"' in line for line in cloud.lines), 1, "renewals")
        check_eq(agent.kill(signal.SIGTERM), 0, "exit status")
        cloud.agent("--pool", f"local={cloud.dir}/old-pool", name="old")
        cloud.wait("another link", lambda: h.n_full == 3)


@case
def a_fleet_of_fifty_hosts_takes_what_it_is_told():
    with Cloud() as cloud:
        fleet = cloud.agent("--simulate", "50", "--server", cloud.server, name="fleet",
                            env={**os.environ, "VIRGA_JOIN_SECRET": cloud.secret})
        cloud.wait("50 heartbeats", lambda: sum("heartbeat" in h.last for h in cloud.hosts.values()) == 50)
        hosts = sorted(name for name, h in cloud.hosts.items() if h.open)
        check(all(cloud.hosts[h].last["hello"]["simulated"] for h in hosts), "simulated")
        check_eq(cloud.hosts[hosts[0]].last["inventory"]["cpus"], 64, "CPUs")
        vms = {h: [str(uuid.uuid4()) for _ in range(4)] for h in hosts}
        for h in hosts:
            cloud.want(h, vms=[vm_want(1, 1, "running", v, str(uuid.uuid4())) for v in vms[h]])
        cloud.wait("200 VMs", lambda: all(cloud.hosts[h].state(v) == "running" for h in hosts for v in vms[h]))
        cloud.send("*", "cut")
        cloud.wait("50 new links", lambda: all(cloud.hosts[h].opened == 2 and cloud.hosts[h].n_full == 2 for h in hosts))
        check(all(cloud.hosts[h].state(v) == "running" for h in hosts for v in vms[h]), "VMs that run")
        cloud.wait("usage", lambda: all((v, "egress_bytes") in cloud.hosts[h].usage for h in hosts for v in vms[h]))
        check_eq(fleet.kill(signal.SIGTERM), 0, "exit status")
        cloud.wait("50 byes", lambda: all("bye" in cloud.hosts[h].last for h in hosts))


@case
def every_flag_is_explained():
    shown = subprocess.run([program("virga-agent"), "--help"], stdout=subprocess.PIPE, check=True, text=True).stdout
    with open(os.path.join(os.environ["VIRGA_TOP"], "docs/man/virga-agent.8"), encoding="utf-8") as f:
        page = f.read()
    flags = set(re.findall(r"--([a-z-]+)", shown)) - {"help", "version"}
    explained = set(re.findall(r"Fl -([a-z-]+)", "\n".join(re.findall(r"^\.It .*$", page, re.M))))
    check_eq(sorted(explained), sorted(flags), "flags of the manual")
    for wrong in (["--no-such-flag"], ["--state"], [], ["--state", "/x", "--pool", "relative=x"], ["--state", "/x", "nonsense"],
                  ["--state", "/x", "--simulate", "0"], ["--state", "/x", "--simulate", "5"], ["join", "--state", "/x"]):
        p = subprocess.run([program("virga-agent"), *wrong], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           check=False)
        check_eq(p.returncode, 2, str(wrong))
        check(p.stderr.startswith("virga-agent: ") and len(p.stderr) > 20, p.stderr)


if __name__ == "__main__":
    main()
