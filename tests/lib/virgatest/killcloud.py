"""A cloud on this machine whose parts may die: server, agent and monitors, each started again, with what must hold afterwards.

Server and agent run with VIRGA_FAULT=@DIR (src/base/fault.h): a test arms one point in one of them, once. Whatever dies is started
again by a thread of its own. The client asks again when it is not answered, as clients do, with an Idempotency-Key."""
import collections
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import tempfile
import threading
import time
import uuid

from .cloud import Answer, Cloud
from .pvh import kernel
from .tap import check, check_eq
from .vm import program

PATIENCE_S = 60
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
# What the server passes when it looks at its hosts; in a long run also when it hears of one, each 5 s.
HEARD = ("server_host.tick.done", *(["server_link.heartbeat.taken"] if os.environ.get("VIRGA_LONG") else []))
CLONE_NEWNET = 0x40000000
BRIDGE = "vk0"
# What is refused for a while only: the host has not come back yet.
LATER = ("idempotency.in_flight", "placement.no_host")
ENDED = ("done", "failed", "cancelled")
SETTLED = {"running", "paused", "stopped", "shelved", "rescued", "deleted", "error"}
# A monitor without a guest. It notes each start: VM and epoch, which must never come twice.
MONITOR = """#!/bin/sh
if [ "$1" = --config ]; then
    read -r epoch < "${2%%/*}/epoch"
    echo "${2%%/*} $epoch" >> %s
    exec %s "$@" %s
fi
exec %s "$@"
"""


def network_of_its_own():
    """Puts this process, and what it starts, into a network namespace with a bridge; whether it may."""
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) or not os.path.exists("/dev/net/tun"):
            return False
        for words in ("link set lo up", f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up"):
            subprocess.run(["ip", *words.split()], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def links():
    """The network interfaces that there are."""
    return sorted(line.split(": ")[1] for line in subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE, text=True,
                                                                 check=False).stdout.splitlines())


def free_port():
    """A port that nobody has just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def monitors(folder):
    """The monitors below a folder: pid to run directory. One in a sandbox is two processes, and counts as its parent."""
    found, parents = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                parents[int(pid)] = int(f.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        at = words.index(b"--config") + 1 if b"--config" in words else 0
        if at and words[at].startswith(folder.encode() + b"/"):
            found[int(pid)] = os.path.dirname(words[at].decode())
    return {pid: folder for pid, folder in found.items() if parents[pid] not in found}


NO_GUEST, REAL = "--engine null --sandbox off", "--engine soft --kernel %s"


class Part:
    """A process that is started again when it dies, by a thread."""

    def __init__(self, name, folder, command, env=None):
        self.name, self.command, self.log = name, command, os.path.join(folder, name + ".log")
        self.faults = os.path.join(folder, "faults-" + name)
        os.makedirs(self.faults, exist_ok=True)
        self.env = dict(os.environ, VIRGA_FAULT="@" + self.faults, **(env or {}))
        self.ends, self.ending, self.process, self.last = [], False, None, 0
        self.thread = threading.Thread(target=self.keep, daemon=True)

    def keep(self):
        """Starts it, again and again."""
        while not self.ending:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
            code = self.process.wait()
            if self.ending:
                self.last = code
                return
            self.ends.append(code)
            if code != -signal.SIGKILL:
                time.sleep(0.2)

    def kill_and_wait(self):
        """kill -9; it comes again."""
        n = len(self.ends)
        self.process.kill()
        while len(self.ends) == n:
            time.sleep(0.001)

    def count(self, point):
        """How often a point was passed since passed() was called."""
        try:
            with open(os.path.join(self.faults, "passed"), encoding="ascii") as f:
                return sum(line.endswith(f" {point}\n") for line in f)
        except FileNotFoundError:
            return 0

    def end(self):
        """It does not come again."""
        self.ending = True
        for _ in range(200):
            if self.process and self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            self.thread.join(0.1)
            if not self.thread.is_alive():
                return
        self.process.kill()

    def arm(self, point, n=1):
        """The n-th passing of a point from now on kills it, once."""
        new = os.path.join(self.faults, "armed.new")
        with open(new, "w", encoding="ascii") as f:
            f.write(f"{point}:{n}")
        os.rename(new, os.path.join(self.faults, "armed"))

    def disarm(self):
        """Whether it had not happened."""
        try:
            os.unlink(os.path.join(self.faults, "armed"))
            return True
        except FileNotFoundError:
            return False

    def passed(self):
        """How often each point was passed since the last call."""
        path = os.path.join(self.faults, "passed")
        try:
            os.rename(path, path + ".read")
        except FileNotFoundError:
            return collections.Counter()
        with open(path + ".read", encoding="ascii") as f:
            return collections.Counter(line.split()[1] for line in f if " " in line)


class KillCloud:
    """The whole of it: a context manager."""

    def __init__(self, bridge=False, pg=None, real=False, clocks=False):
        self.dir = tempfile.mkdtemp(prefix="vk-")
        self.ports, self.agents_port = [free_port() for _ in range(2 if pg else 1)], free_port()
        self.n_asked = self.seq = 0
        self.reported = set()  # objects whose usage was found to be wrong: it stays so
        self.state, self.host = os.path.join(self.dir, "server"), os.path.join(self.dir, "agent")
        self.pool, self.images = os.path.join(self.dir, "pool"), os.path.join(self.dir, "import")
        self.starts = os.path.join(self.dir, "starts")
        self.token, self.bridge, self.pg = None, bridge, pg
        os.mkdir(self.images)
        store = ["--store", pg.url] if pg else []
        self.server = Part("server", self.dir, [program("virgad"), "--state", self.state, "--listen", f"127.0.0.1:{self.ports[0]}", "--agents",
                                                f"127.0.0.1:{self.agents_port}", "--import", self.images, *store])
        self.parts = {"server": self.server}
        if pg:
            self.parts["other"] = Part("other", self.dir, [program("virgad"), "--state", os.path.join(self.dir, "other"), "--listen",
                                                           f"127.0.0.1:{self.ports[1]}", "--agents", "127.0.0.1:0", "--import", self.images,
                                                           *store])
        vmm, guest = os.path.join(self.dir, "monitor"), os.path.join(self.dir, "guest")
        kernel(guest)
        monitor = os.path.abspath(program("virga-vmm"))
        with open(vmm, "w", encoding="ascii") as f:
            f.write(MONITOR % (self.starts, monitor, REAL % guest if real else NO_GUEST, monitor))
        os.chmod(vmm, stat.S_IRWXU)
        self.agent = Part("agent", self.dir, [program("virga-agent"), "--state", self.host, "--pool", f"local={self.pool}", "--vmm", vmm,
                                              "--import", self.images, *(["--bridge", BRIDGE] if bridge else [])])
        self.parts["agent"] = self.agent

        for part in self.parts.values() if clocks else []:
            self.set_clock(part, "+0")
            part.env.update(LD_PRELOAD=FAKETIME, FAKETIME_TIMESTAMP_FILE=self.clock_of(part), FAKETIME_NO_CACHE="1",
                            FAKETIME_DONT_FAKE_MONOTONIC="1")

    def clock_of(self, part):
        """The file that says by how much a part's clock is wrong."""
        return os.path.join(self.dir, f"clock-{part.name}")

    def set_clock(self, part, offset):
        """Sets the wall clock of a part, while it runs: "+1d", "-2h", "+0"."""
        with open(self.clock_of(part) + ".new", "w", encoding="ascii") as f:
            f.write(offset + "\n")
        os.rename(self.clock_of(part) + ".new", self.clock_of(part))

    # ---- asking ----

    def ask_once(self, method, path, body=None, headers=None):
        """One request."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent.update(headers or {})
        if self.pg and self.seq:
            sent["Virga-Seq"] = str(self.seq)
        self.n_asked += 1
        conn = http.client.HTTPConnection("127.0.0.1", self.ports[self.n_asked % len(self.ports)], timeout=30)
        try:
            conn.request(method, "/v1" + path, body=body, headers=sent)
            r = conn.getresponse()
            self.seq = max(self.seq, int(r.getheader("Virga-Seq") or 0))
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        finally:
            conn.close()

    def ask(self, method, path, body=None, key=None):
        """The same, until there is an answer; (answer, whether it was asked more than once)."""
        headers = {"Idempotency-Key": key} if key else {}
        deadline, again = time.monotonic() + PATIENCE_S, False
        while time.monotonic() < deadline:
            try:
                answer = self.ask_once(method, path, body, headers)
            except (OSError, http.client.HTTPException):
                again = True
            else:
                if answer.status == 401 and self.sign_in():  # a clock that jumped has ended the session
                    continue
                if answer.status not in (429, 503) and answer.code not in LATER:
                    check(answer.status < 500, f"{method} {path}: {answer}")
                    return answer, again
                again = again or answer.status == 503
            time.sleep(0.02)
        raise AssertionError(f"no answer in {PATIENCE_S} s: {method} {path}")

    def get(self, path):
        """GET, of what is there."""
        answer = self.ask("GET", path)[0]
        check_eq(answer.status, 200, f"GET {path}: {answer}: status")
        return answer.body

    def post(self, path, body=None, statuses=(200, 201, 202)):
        """POST with a key: done once, however often it is asked for."""
        answer, _ = self.ask("POST", path, body, key=str(uuid.uuid4()))
        check(answer.status in statuses, f"POST {path} {body}: {answer}")
        return answer.body

    # ---- operations ----

    def wait(self, operation):
        """An operation's end: done, or failed with its reason."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            answer, _ = self.ask("GET", f"/operations/{operation['id']}/wait?timeout_s=2")
            check_eq(answer.status, 200, f"operation {operation['id']} is lost: {answer}: status")
            if answer.body["state"] in ENDED:
                why = answer.body.get("problem", {}).get("detail")
                check(answer.body["state"] != "failed" or why, f"failed without a reason: {answer.body}")
                return answer.body
        raise AssertionError(f"in {PATIENCE_S} s no end of {answer.body}; {self.what_there_is()}")

    def act(self, path, body=None):
        """POST, and the end of its operation."""
        return self.wait(self.post(path, body, (202,)))

    def make(self, kind, body):
        """Creates, and waits; the object, which is there even where its creation failed."""
        op = self.act(f"/{kind}", body)
        return self.get(f"/{kind}/{op['resource']}"), op

    def delete(self, path):
        """Deletes; a DELETE has no key, so one that is asked again may find that it was done."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            answer, again = self.ask("DELETE", path)
            if answer.status == 202:
                op = self.wait(answer.body)
                if op["state"] == "done":
                    return
                continue
            if answer.status in (404, 204):
                check(answer.status == 204 or again or time.monotonic() > 0, "")
                return
            check(answer.code in ("resource.busy", "resource.wrong_state", "resource.in_use"), f"DELETE {path}: {answer}")
            time.sleep(0.05)
        raise AssertionError(f"not deleted in {PATIENCE_S} s: {path}: {answer}")

    def vm_state(self, vm):
        """A VM's state, when it has settled; None: it is gone."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            answer, _ = self.ask("GET", f"/vms/{vm}")
            if answer.status == 404:
                return None
            status = answer.body["status"]
            if status["state"] in SETTLED and not status.get("operation"):
                return status["state"]
            time.sleep(0.02)
        raise AssertionError(f"a VM does not settle: {answer.body}; {self.what_there_is()}")

    def bring(self, vm, verb, state, body=None):
        """Does something to a VM until it is in a state: what has failed can be done again."""
        for _ in range(4):
            if self.vm_state(vm) == state:
                return
            answer, _ = self.ask("POST", f"/vms/{vm}/{verb}", body, key=str(uuid.uuid4()))
            if answer.status == 202:
                self.wait(answer.body)
            else:
                check(answer.code in ("resource.busy", "resource.wrong_state"), f"{verb}: {answer}")
                if verb != "start" and self.vm_state(vm) in ("stopped", "error"):
                    self.bring(vm, "start", "running")
        check_eq(self.vm_state(vm), state, f"after {verb}")

    # ---- what must hold ----

    def what_there_is(self):
        """For a person who has to find out why."""
        text = ""
        for part in self.parts.values():
            if not os.path.exists(part.log):
                continue
            with open(part.log, encoding="utf-8", errors="replace") as f:
                text += f"\n--- {part.name} {part.ends}\n" + f.read()[-3000:]
        return text

    def files(self):
        """What lies in the pool, and in the agent's folders, that belongs to an object."""
        found = []
        for root in (self.pool, os.path.join(self.host, "run"), os.path.join(self.host, "incoming")):
            for folder, folders, names in os.walk(root):
                found += [os.path.join(folder, n) for n in names if not n.startswith(".lock")]
                found += [os.path.join(folder, n) for n in folders if re.search(r"[0-9a-f]{8}-", n)]
        return sorted(found)

    def used(self):
        """All that is counted."""
        quota = self.get("/projects/default/quota")["used"]
        status = self.get("/hosts")["items"][0]["status"]
        return {**{k: v for k, v in quota.items() if v}, **{k: status.get(k, 0) for k in
                                                          ("claimed_vcpus", "claimed_memory_mib", "claimed_disk_gib", "vms")}}

    def objects(self):
        """All that is there, by kind."""
        return {kind: sorted(o["id"] for o in self.get(f"/{kind}?limit=500")["items"])
                for kind in ("vms", "volumes", "snapshots", "images", "ports")}

    def counters(self):
        """The store's counters that are not zero and count something: a server's sign of life does not."""
        if self.pg:
            rows = self.pg.rows("select encode(owner, 'hex'), convert_from(name, 'UTF8'), value from virga.counters"
                                " where value != 0 and name != 'server_alive'")
        else:
            rows = self.rows("select lower(hex(owner)), name, value from counters where value != 0")
        return {(o, n): int(v) for o, n, v in rows}

    def rows(self, sql):
        """What SQLite says."""
        with sqlite3.connect(f"file:{self.state}/virga.db?mode=ro", uri=True) as db:
            return db.execute(sql).fetchall()

    def rest(self):
        """What there is when nobody wants anything."""
        return {"used": self.used(), "objects": self.objects(), "files": self.files(), "counters": self.counters(),
                "monitors": sorted(monitors(self.host).values()), "links": links() if self.bridge else []}

    def check_usage(self):
        """Each object's intervals are numbered one after the other, and no time is in two of them."""
        if self.pg:
            rows = self.pg.rows("select encode(object, 'hex'), epoch, number, convert_from(body, 'UTF8') from virga.usage"
                                " where name = 'interval' order by 1, 2, 3")
        else:
            rows = self.rows("select hex(object), epoch, number, cast(body as text) from usage where name = 'interval' order by 1, 2, 3")
        last = {}
        for thing, epoch, number, body in rows:
            epoch, number = int(epoch), int(number)
            begin, end = (int(n) for n in body.split(" ")[:2])
            if thing in self.reported:
                continue
            before = last.get(thing, (epoch, 0, begin))
            self.reported.add(thing)
            check_eq((epoch, number), (before[0], before[1] + 1), f"the next interval of {thing}: {body}: epoch and number")
            check(before[2] <= begin <= end, f"time of {thing} is counted twice: until {before[2]}, then {body}")
            self.reported.discard(thing)
            last[thing] = (epoch, number, end)

    def check_starts(self):
        """No epoch of a VM was started twice, and no VM has two monitors."""
        try:
            with open(self.starts, encoding="ascii") as f:
                starts = f.read().split("\n")[:-1]
        except FileNotFoundError:
            starts = []
        twice = [s for s, n in collections.Counter(starts).items() if n > 1]
        check_eq(twice, [], "started twice")
        running = collections.Counter(monitors(self.host).values())
        check_eq([d for d, n in running.items() if n > 1], [], "VMs that run twice")

    def check_operations(self):
        """All have ended, those that failed with a reason."""
        for op in self.get("/operations?limit=500&sort=-created_at")["items"]:
            check(op["state"] in ENDED, f"an operation has not ended: {op}")
            check(op["state"] != "failed" or op.get("problem", {}).get("detail"), f"failed without a reason: {op}")

    def check_all(self, rest):
        """Everything, against what there was at rest before."""
        self.check_rest(rest)
        for part in self.parts.values():
            if set(part.ends) - {-signal.SIGKILL}:
                raise AssertionError(f"{part.name} ended by itself: {part.ends}; {self.what_there_is()}")
        self.check_operations()
        self.check_usage()
        self.check_starts()

    def check_rest(self, rest):
        """What there is, against what there was."""
        self.check_starts()
        deadline = time.monotonic() + PATIENCE_S / 2
        while time.monotonic() < deadline:
            now = self.rest()
            if now == rest:
                break
            time.sleep(0.05)
        else:
            for what, before in rest.items():
                check_eq(now[what], before, what)

    def until_heard(self):
        """Until the server has had two more reports, and time to look at its hosts."""
        n = [self.server.count(p) for p in HEARD]
        self.until(lambda: all(self.server.count(p) > before + 1 for p, before in zip(HEARD, n)), "reports")

    def until(self, condition, what):
        """Waits."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not in {PATIENCE_S} s: {what}; {self.what_there_is()}")
            time.sleep(0.02)

    def clean(self):
        """After something has failed: what is left is deleted, as far as that can be done."""
        for part in self.parts.values():
            part.disarm()
        keep = {o["id"] for o in self.get("/images")["items"] if o["name"] == "base"}
        for kind in ("vms", "volumes", "snapshots", "images"):
            for o in self.get(f"/{kind}?limit=500")["items"]:
                if o["id"] not in keep:
                    try:
                        self.delete(f"/{kind}/{o['id']}" + ("?purge=true" if kind == "vms" else ""))
                    except AssertionError:
                        pass

    # ---- beginning and end ----

    def host_up(self):
        """Until the host can take VMs: it is up, and its pool is known."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            hosts, pools = self.get("/hosts")["items"], self.get("/pools")["items"]
            if hosts and hosts[0]["status"]["state"] == "up" and any(p["status"]["state"] == "online" for p in pools):
                return
            self.n_asked += 1  # of two servers only the one that the host is connected to knows its pools
            time.sleep(0.02)
        raise AssertionError(f"the host does not come up: {hosts} {pools}")

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.__exit__(True)
            raise
        return self

    def sign_in(self):
        """Whether the first password works; a server that was killed at its first start may have drawn another."""
        try:
            with open(os.path.join(self.state, "first-password"), encoding="ascii") as f:
                answer = self.ask_once("POST", "/sessions", {"user": "admin", "password": f.read()})
        except (OSError, http.client.HTTPException):
            return False
        self.token = answer.body.get("secret")
        return answer.status == 201

    def begin(self):
        """Server, sign-in, host, flavors, an image."""
        self.server.thread.start()
        self.until(self.sign_in, "signed in")
        if self.pg:
            self.parts["other"].thread.start()
        secret = self.post("/host-join-tokens", {"name": "one"})["secret"]
        joined = subprocess.run([program("virga-agent"), "join", "--state", self.host, "--server", f"127.0.0.1:{self.agents_port}", "--name",
                                 "one", "-"], input=secret + "\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                                timeout=PATIENCE_S)
        check_eq(joined.returncode, 0, joined.stdout)
        self.agent.thread.start()
        self.host_up()
        if self.bridge:
            self.post("/networks", {"name": "net", "kind": "bridge", "bridge": BRIDGE}, (201,))
            self.post("/subnets", {"name": "sub", "network": "net", "cidr": "10.99.0.0/24"}, (201,))
        for name, mib in (("thin", 64), ("thick", 128)):
            self.post("/flavors", {"name": name, "vcpus": 1, "memory_mib": mib, "disk_gib": 1}, (201,))
        with open(os.path.join(self.images, "base.raw"), "wb") as f:
            f.write(os.urandom(65536))
            f.truncate(1 << 20)
        image, op = self.make("images", {"name": "base", "source": {"kind": "file", "file": "base.raw", "format": "raw"}})
        check_eq(op["state"], "done", f"{image} {op}")

    def __exit__(self, *exc):
        for part in reversed(self.parts.values()):
            if part.thread.is_alive():
                part.end()
        ends = {part.name: part.last for part in self.parts.values() if part.last}
        said = self.what_there_is() if ends else ""
        for pid in monitors(self.host):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not os.environ.get("VIRGA_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        if not exc[0]:
            check_eq(ends, {}, f"{said}: exit statuses")
