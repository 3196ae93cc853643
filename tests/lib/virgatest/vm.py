"""Starts a VM for a test, talks to its console and its API, and keeps what it said when it fails.

The environment says what to test: VIRGA_BUILD (directory with virga-vmm), VIRGA_GUEST (directory
with vmlinuz, test.img ..., see tools/image), VIRGA_OUT (where logs are kept). VIRGA_TEST_VMM=qemu
starts the same guests under QEMU: a test of the guest's side must pass there too.
"""
import http.client
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import cpio, tap
from .tap import CaseTimeout

# A guest on an emulated host takes seconds for what takes milliseconds elsewhere.
DISK = "disk"  # as VM(kernel=DISK): what the first disk has
PATIENCE_S = float(os.environ.get("VIRGA_TEST_PATIENCE", "60"))


def program(name):
    """The path of a program of the build under test; skips the case when it was not built."""
    path = os.path.join(os.environ.get("VIRGA_BUILD", "build"), name)
    if not os.access(path, os.X_OK):
        tap.skip(f"{path} is not built")
    return path


def guest_file(name):
    """The path of a guest artefact; skips the case when there are none here."""
    path = os.path.join(os.environ.get("VIRGA_GUEST", "/rig/guest"), name)
    if not os.path.exists(path):
        tap.skip(f"no guest file {path}; make it with tools/image/build guest")
    return path


def out_path(name):
    """A path for something worth keeping after the test."""
    top = os.environ.get("VIRGA_OUT") or tempfile.gettempdir()
    os.makedirs(top, exist_ok=True)
    return os.path.join(top, name)


def record_prefix(inject=()):
    """With VIRGA_RECORD_SYSCALLS set: runs the monitor under strace, for tools/check-filters.

    seccomp(2) is answered with success and not done, so that every call is seen, also refused ones.
    """
    if not os.environ.get("VIRGA_RECORD_SYSCALLS"):
        return []
    log = os.path.join(out_path("strace"), f"{os.environ.get('VIRGA_TEST_NAME', 'test')}-{os.getpid()}-{VM.count}")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    argv = ["strace", "-ff", "-qq", "-e", "raw=!prctl", "-o", log]
    for what in ("seccomp:retval=0", "clone3:error=ENOSYS", *inject):
        argv += ["-e", "inject=" + what]
    return argv


def write_initrd(path, script, tools=False, files=None):
    """Makes the test guests' initrd, with a script to run (None: a shell); returns its path."""
    with open(path, "wb") as out:
        for part in ["test.img"] + (["tools.img"] if tools else []):
            with open(guest_file(part), "rb") as f:
                shutil.copyfileobj(f, out)
        if script is not None:
            out.write(cpio.archive({"virga/run": script.encode(), **(files or {})}))
    return path


class _UnixHttp(http.client.HTTPConnection):
    def __init__(self, path, timeout, fds=()):
        super().__init__("localhost", timeout=timeout)
        self.path, self.fds = path, list(fds)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def send(self, data):
        """The descriptors go with the first bytes of the request."""
        if not self.fds or not isinstance(data, bytes):
            return super().send(data)
        if self.sock is None:
            self.connect()
        n = socket.send_fds(self.sock, [data], self.fds)
        self.fds = []
        return super().send(data[n:])


def unix_http(path, method, resource, body=None, limit=PATIENCE_S, fds=()):
    """One HTTP request to the API at a socket, with descriptors; returns (status, decoded JSON or text)."""
    conn = _UnixHttp(path, limit, fds)
    try:
        data = None if body is None else json.dumps(body)
        conn.request(method, resource, data, {"Content-Type": "application/json"} if data else {})
        answer = conn.getresponse()
        text = answer.read().decode()
    finally:
        conn.close()
    try:
        return answer.status, json.loads(text) if text else None
    except ValueError:
        return answer.status, text


class VM:
    """A running VM. Use it as a context manager: it ends with the block, however that ends.

    script     what the guest runs (sh -eu), see tools/image/guest/init; None with files of your own
    disks      values of --disk, nets of --net ("none" by default)
    kernel     a file; DISK boots the first disk's own, with the append as what is added
    args       further flags of virga-vmm
    inject     with VIRGA_RECORD_SYSCALLS, further system calls to answer and not do ("NAME:error=EPERM")
    files      more for the initrd, {path: bytes}
    tools      adds mkfs, fsck, iperf3 ... to the guest
    """
    count = 0

    def __init__(self, script=None, disks=(), nets=(), args=(), append="", kernel=None, initrd=None, tools=False,
                 cpus=1, memory="128M", end="poweroff", modules="auto", api=True, command=None, inject=(), files=None):
        self.dir = tempfile.mkdtemp(prefix="virga-vm-")
        VM.count += 1
        self.text = ""
        self.seen = 0
        self.checks = len(re.findall(r"^\s*check ", script or "", re.M))
        self.errors = os.path.join(self.dir, "stderr")
        self.api_socket = os.path.join(self.dir, "api") if api else None
        self.from_disk = kernel == DISK
        self.kernel = kernel or guest_file("vmlinuz")
        self.initrd = initrd or (None if self.from_disk else
                                 write_initrd(os.path.join(self.dir, "initrd.img"), script, tools, files or {}))
        self.append = f"console=ttyS0 quiet panic=-1 virga.end={end} virga.modules={modules} {append}".strip()
        self.inject = inject
        self.disks, self.nets, self.cpus, self.memory, self.args = disks, nets, cpus, memory, list(args)
        argv = command or (self._qemu() if os.environ.get("VIRGA_TEST_VMM") == "qemu" else self._virga())
        self.argv = argv
        with open(self.errors, "wb") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def _virga(self):
        argv = record_prefix(self.inject) + [program("virga-vmm"), "--append", self.append,
                "--cpus", str(self.cpus), "--memory", self.memory, "--console", "stdio"]
        if not self.from_disk:
            argv += ["--kernel", self.kernel, "--initrd", self.initrd]
        for d in self.disks:
            argv += ["--disk", d]
        for n in self.nets:
            argv += ["--net", n]
        if self.api_socket:
            argv += ["--api", self.api_socket]
        # For a debugging run, as in VIRGA_TEST_ARGS="--sandbox off --log debug".
        return argv + self.args + os.environ.get("VIRGA_TEST_ARGS", "").split()

    def _qemu(self):
        if self.args or self.from_disk:
            tap.skip("this case uses flags that QEMU does not have")
        argv = ["qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-display", "none",
                "-serial", "stdio", "-kernel", self.kernel, "-initrd", self.initrd, "-append", self.append,
                "-smp", str(self.cpus), "-m", self.memory]
        for d in self.disks:
            path, *rest = d.split(",")
            argv += ["-drive", f"file={path},if=virtio,format=raw" + (",readonly=on" if "readonly" in rest else "")]
        for n in self.nets:
            if n != "none":
                tap.skip("this case uses a NIC that the QEMU run does not set up")
        return argv

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        failed = kind is not None and not issubclass(kind, tap.SkipCase)
        if failed:
            self._witness()
        self.kill()
        if failed:
            self._keep()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _witness(self):
        """What the program and its guest were doing, before they are ended."""
        if self.process.poll() is not None:
            return
        for name, path in (("state", "/v1/vm"), ("counters", "/v1/vm/counters")) if self.api_socket else ():
            try:
                tap.diagnose(f"{name}: {self.api('GET', path, timeout=5)[1]}")
            except (AssertionError, OSError) as e:
                tap.diagnose(f"{name}: {e}")
        for _ in range(2):
            tap.diagnose("threads (state, CPU ticks as user, system, guest): " + self._threads())
            time.sleep(1)

    def _threads(self):
        """Each thread's name, state and CPU times; of the launcher and of the monitor under it."""
        told, pids = [], [self.process.pid]
        for pid in pids:
            try:
                for tid in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
                    with open(f"/proc/{pid}/task/{tid}/stat", encoding="ascii") as f:
                        name, _, rest = f.read().partition("(")[2].rpartition(")")
                    fields = rest.split()
                    told.append(f"{name} {fields[0]} {fields[11]} {fields[12]} {fields[40]}")
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                    pids += [int(child) for child in f.read().split()]
            except OSError:
                continue
        return ", ".join(told)

    def _keep(self):
        base = f"{os.environ.get('VIRGA_TEST_NAME', 'test')}-{VM.count}"
        with open(out_path(base + ".console"), "w", encoding="utf-8") as f:
            f.write(self.text)
        tap.diagnose(f"command: {' '.join(self.argv)}")
        tap.diagnose(f"exit status: {self.process.returncode}; the end of its console ({base}.console):")
        tap.diagnose(self.text[-2500:])
        tap.diagnose("the end of its standard error:\n" + self.stderr()[-1500:])

    def stderr(self):
        """What the program wrote to standard error so far."""
        with open(self.errors, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def pump(self, timeout):
        """Takes in what the console says within timeout; False at its end."""
        if not self.selector.select(max(0, timeout)):
            return True
        data = self.process.stdout.read(65536)
        if data == b"":
            return False
        if data:
            self.text += data.decode("utf-8", "replace").replace("\r", "")
        return True

    def expect(self, pattern, timeout=None):
        """Waits until the console says something new that matches; returns the match. A final $ is the
        end of a line that has come whole."""
        if pattern.endswith("$"):
            pattern = pattern[:-1] + "(?=\n)"
        end = time.monotonic() + (timeout or PATIENCE_S)
        while True:
            m = re.compile(pattern, re.M).search(self.text, self.seen)
            if m:
                self.seen = m.end()
                return m
            left = end - time.monotonic()
            if left <= 0:
                raise CaseTimeout(f"the console did not say {pattern!r} within {timeout or PATIENCE_S:.0f} s")
            if not self.pump(left):
                if re.compile(pattern, re.M).search(self.text, self.seen):
                    continue
                raise AssertionError(f"the VM ended before its console said {pattern!r}")

    def send(self, text):
        """Types text on the console."""
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait(self, timeout=None):
        """Waits for the VM to end by itself; returns the exit status of the program."""
        limit = timeout or PATIENCE_S
        end = time.monotonic() + limit
        while self.pump(end - time.monotonic()):
            if time.monotonic() > end:
                raise CaseTimeout(f"the VM did not end within {limit:.0f} s")
        try:
            return self.process.wait(max(1, end - time.monotonic()))
        except subprocess.TimeoutExpired as e:
            raise CaseTimeout("the VM closed its console but did not end") from e

    def guest_exit(self, timeout=None):
        """Waits for the guest's script to end; returns its exit code."""
        return int(self.expect(r"^virga-guest: exit (\d+)$", timeout).group(1))

    def report_checks(self, required=1):
        """Reports each `check` of the guest's script as a result of its own."""
        found = re.findall(r"^virga-check: (ok|not ok) (.*)$", self.text, re.M)
        for status, name in found:
            tap.report(status == "ok", name)
        tap.check(len(found) >= required, f"the guest reported {len(found)} checks, expected at least {required}")
        if any(s == "not ok" for s, _ in found):
            self._keep()
        return found

    def run(self, timeout=None, checks=None):
        """The usual test: script to its end, VM to its end, exit codes 0, checks reported (as many as the
        script has lines that begin with "check")."""
        code = self.guest_exit(timeout)
        status = self.wait(timeout)
        checks = self.checks if checks is None else checks
        if checks:
            self.report_checks(checks)
        tap.check_eq(code, 0, "the exit code of the guest's script")
        tap.check_eq(status, 0, "the exit status of the program")

    def api(self, method, path, body=None, timeout=None, fds=()):
        """One request to the VM's API, as unix_http() has it, once there is one."""
        limit = timeout or PATIENCE_S
        end = time.monotonic() + limit
        while True:
            try:
                return unix_http(self.api_socket, method, path, body, limit, fds)
            except (FileNotFoundError, ConnectionRefusedError) as e:
                # The socket appears when the program is ready to serve it.
                if self.process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"no API at {self.api_socket}: {e}") from e
                self.pump(0.05)

    def save(self, path, timeout=None):
        """Writes the paused VM to a new file and waits until it is whole."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            status, answer = self.api("PUT", "/v1/vm/save", fds=[fd])
        finally:
            os.close(fd)
        tap.check_eq(status, 202, f"the answer to a save: {answer}")
        end = time.monotonic() + (timeout or PATIENCE_S)
        while time.monotonic() < end:
            told = [e for e in self.events() if e["event"] in ("saved", "save-failed")]
            if told:
                tap.check_eq(told[-1]["event"], "saved", str(told[-1]))
                return
            self.pump(0.1)
        raise CaseTimeout("the VM was not saved in time")

    def events(self):
        """The VM's events so far, oldest first."""
        _, text = self.api("GET", "/v1/vm/events?follow=0")
        lines = [text] if isinstance(text, dict) else [json.loads(line) for line in (text or "").splitlines() if line]
        return lines

    def wait_event(self, name, device=None, timeout=None):
        """Waits until there is an event of that name (of that device); returns it."""
        end = time.monotonic() + (timeout or PATIENCE_S)
        while time.monotonic() < end:
            for e in self.events():
                if e["event"] == name and device in (None, e.get("device")):
                    return e
            self.pump(0.1)
        raise CaseTimeout(f"no event {name!r} of {device!r} in {self.events()}")

    def wait_state(self, state, timeout=None):
        """Waits until the VM is in that run state."""
        end = time.monotonic() + (timeout or PATIENCE_S)
        while self.api("GET", "/v1/vm")[1]["state"] != state:
            if time.monotonic() > end:
                raise CaseTimeout(f"the VM did not become {state}")
            self.pump(0.1)

    def kill(self):
        """Ends the program whatever it does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        while self.pump(0.2) and self.process.stdout.readable() and self.selector.select(0):
            pass
