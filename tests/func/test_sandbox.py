#!/usr/bin/env python3
"""The monitor's cage from outside, with an engine that runs nothing: what /proc shows of its threads, what the API
can still do to it, and how it ends."""
import array
import http.client
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time

from virgatest import case, check, check_eq, main
from virgatest.tap import skip
from virgatest.vm import program

PATIENCE_S = 30


def tiny_elf(path):
    """A kernel of one instruction: plain ELF64 with one segment at 1 MiB."""
    code = b"\xf4"
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x100000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, 0x100000, 0x100000, len(code), len(code), 0x1000)
    with open(path, "wb") as f:
        f.write((header + segment).ljust(0x1000, b"\0") + code)


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket, with descriptors along."""

    def __init__(self, path, fds=()):
        super().__init__("vm", timeout=PATIENCE_S)
        self.path, self.fds = path, fds

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def send(self, data):
        if self.sock is None:
            self.connect()
        if self.fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", self.fds))]
            self.fds = ()
            sent = self.sock.sendmsg([data], ancillary)
            data = data[sent:]
        self.sock.sendall(data)


class Vmm:
    """A virga-vmm on the null engine. "{dir}" in a flag is its directory, which has an image; `at` shares another's."""

    def __init__(self, *flags, user=None, at=None):
        self.dir = at or tempfile.mkdtemp(prefix="virga-sandbox-")
        os.chmod(self.dir, 0o777)
        self.image = os.path.join(self.dir, "image")
        with open(self.image, "wb") as f:
            f.truncate(1 << 20)
        os.chmod(self.image, 0o666)
        flags = [f.replace("{dir}", self.dir) for f in flags]
        self.api = os.path.join(self.dir, "api")
        kernel = os.path.join(self.dir, "kernel")
        tiny_elf(kernel)
        self.errors = os.path.join(self.dir, "stderr")
        with open(self.errors, "wb") as err:
            self.process = subprocess.Popen(
                [program("virga-vmm"), "--engine", "null", "--kernel", kernel, "--console", "none", "--api", self.api,
                 "--log", "debug", *flags], stdin=subprocess.DEVNULL, stderr=err, user=user, group=user,
                env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))  # it looks for leaks in /proc, which is not there

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        subprocess.run(["rm", "-rf", self.dir], check=True)

    def said(self):
        """Its standard error so far."""
        with open(self.errors, encoding="utf-8") as f:
            return f.read()

    def ask(self, method, path, body=None, fds=()):
        """(status, text) of one request; waits until the API is there."""
        end = time.monotonic() + PATIENCE_S
        while True:
            conn = Unix(self.api, fds)
            try:
                conn.request(method, path, body)
                answer = conn.getresponse()
                return answer.status, answer.read().decode()
            except (FileNotFoundError, ConnectionRefusedError):
                check(self.process.poll() is None, f"the monitor ended: {self.said()}")
                check(time.monotonic() < end, "the API did not appear")
                time.sleep(0.02)
            finally:
                conn.close()

    def ready(self):
        """Waits until the VM runs, and so under all its filters."""
        status, text = self.ask("GET", "/v1/vm")
        check_eq(status, 200)
        check("running" in text, text)
        check("sandbox=" in self.said(), self.said())
        return self

    def monitor(self):
        """The process in the cage: the launcher's child of the same program."""
        for pid in os.listdir("/proc"):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                    text = f.read()
            except (OSError, ValueError):
                continue
            if int(text.rpartition(")")[2].split()[1]) == self.process.pid:
                return int(pid)
        raise AssertionError(f"the launcher has no child: {self.said()}")


def status(pid, tid):
    """The fields of a thread's status file."""
    with open(f"/proc/{pid}/task/{tid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def skip_unless_filters(vmm):
    """A build with sanitizers has no filters, some kernels have no namespaces."""
    text = vmm.said()
    if "missing" in text:
        skip(re.search(r"missing: [^\"]*", text).group(0))


def every_thread_is_caged(vmm):
    """Checks what /proc says of the threads of a running monitor."""
    vmm.ready()
    skip_unless_filters(vmm)
    pid = vmm.monitor()
    threads = os.listdir(f"/proc/{pid}/task")
    check(len(threads) >= 3, f"only {len(threads)} threads")
    for tid in threads:
        s = status(pid, tid)
        what = f"thread {s['Name']}"
        check_eq(s["Seccomp"], "2", f"{what}: Seccomp")
        check_eq(s["NoNewPrivs"], "1", f"{what}: NoNewPrivs")
        for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            check_eq(int(s[caps], 16), 0, f"{what}: {caps}")
        check("0" not in s["Uid"].split(), f"{what} is root")
        check("0" not in s["Gid"].split(), f"{what} has root's group")
        check_eq(s["NSpid"].split()[-1], "1" if tid == str(pid) else s["NSpid"].split()[-1], f"{what}: pid namespace")
    for ns in ("user", "mnt", "pid", "net", "ipc", "uts"):
        check(os.readlink(f"/proc/{pid}/ns/{ns}") != os.readlink(f"/proc/self/ns/{ns}"), f"the {ns} namespace is ours")
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as f:
        mounts = f.read().strip().split("\n")
    check_eq(len(mounts), 1, "the number of its mounts")
    check(" - tmpfs " in mounts[0] and re.search(r" / / ro", mounts[0]), f"its root is {mounts[0]}")


@case
def every_thread_is_caged_when_root_starts_it():
    if os.geteuid():
        skip("needs root")
    with Vmm("--disk", "{dir}/image", "--vsock", "3:{dir}/vsock", "--virtio-console", "file:{dir}/log",
             "--net", "none,id=unplugged") as vmm:
        every_thread_is_caged(vmm)


@case
def every_thread_is_caged_when_an_ordinary_user_starts_it():
    with Vmm("--sandbox", "auto", user=65534 if os.geteuid() == 0 else None) as vmm:
        every_thread_is_caged(vmm)


@case
def a_chosen_uid_is_taken():
    if os.geteuid():
        skip("needs root")
    with Vmm("--sandbox", "auto,uid=12345,gid=12346") as vmm:
        vmm.ready()
        s = status(vmm.monitor(), vmm.monitor())
        check_eq(s["Uid"].split(), ["12345"] * 4)
        check_eq(s["Gid"].split(), ["12346"] * 4)
        check_eq(s["Groups"].strip(), "")


@case
def a_disk_is_attached_by_descriptor_only():
    with Vmm() as vmm:
        vmm.ready()
        body = json.dumps({"id": "extra", "path": vmm.image})
        code, text = vmm.ask("POST", "/v1/vm/disks", body)
        check_eq(code, 400, text)
        check("SCM_RIGHTS" in text, text)
        with open(vmm.image, "r+b") as f:
            code, text = vmm.ask("POST", "/v1/vm/disks", body, fds=[f.fileno()])
        check_eq(code, 201, text)
        code, text = vmm.ask("GET", "/v1/vm/counters")
        check('"extra"' in text, text)
        check_eq(vmm.ask("DELETE", "/v1/vm/disks/extra")[0], 202)


@case
def stop_by_the_api_ends_it_and_takes_the_socket_away():
    with Vmm() as vmm:
        vmm.ready()
        check_eq(vmm.ask("PUT", "/v1/vm/stop")[0], 200)
        check_eq(vmm.process.wait(PATIENCE_S), 0)
        check(not os.path.exists(vmm.api), "the socket is still there")


@case
def a_signal_to_the_launcher_ends_the_vm_in_order():
    with Vmm() as vmm:
        vmm.ready()
        vmm.process.terminate()
        check_eq(vmm.process.wait(PATIENCE_S), 0)
        check(not os.path.exists(vmm.api), "the socket is still there")


@case
def a_launcher_that_is_killed_takes_the_monitor_with_it_and_its_socket_is_replaced():
    with Vmm() as vmm:
        vmm.ready()
        pid = vmm.monitor()
        fd = os.pidfd_open(pid)
        vmm.process.kill()
        vmm.process.wait()
        check(select.select([fd], [], [], PATIENCE_S)[0], "the monitor lives on")
        os.close(fd)
        check(os.path.exists(vmm.api), "this case needs the socket that a killed VM leaves")
        with Vmm("--name", "second", at=vmm.dir) as second:
            second.ready()
            check('"second"' in second.ask("GET", "/v1/vm")[1], "the first still answers")


@case
def a_socket_that_is_served_is_not_taken():
    with Vmm() as vmm:
        vmm.ready()
        with Vmm("--name", "second") as other:
            other.ready()
            got = subprocess.run([program("virga-vmm"), "--engine", "null", "--kernel", os.path.join(vmm.dir, "kernel"),
                                  "--console", "none", "--api", vmm.api], stderr=subprocess.PIPE, check=False)
            check_eq(got.returncode, 1)
            check(b"is served by a running VM" in got.stderr, f"it said {got.stderr!r}")
        check_eq(vmm.ask("GET", "/v1/vm")[0], 200)


@case
def a_monitor_that_is_killed_shows_as_its_signal():
    with Vmm() as vmm:
        vmm.ready()
        os.kill(vmm.monitor(), signal.SIGKILL)
        check_eq(vmm.process.wait(PATIENCE_S), 128 + 9)


if __name__ == "__main__":
    main()
