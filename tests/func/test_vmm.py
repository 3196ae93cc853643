#!/usr/bin/env python3
"""virga-vmm itself, with an engine that runs no guest: its API's view of devices and time, its descriptors."""
import array
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

from virgatest import case, check, check_eq, main
from virgatest.tap import diagnose, skip
from virgatest.vm import program

PATIENCE_S = 30


class Monitor:
    """A running virga-vmm on the null engine."""

    def __init__(self, *flags, qtest=False, **options):
        self.dir = tempfile.TemporaryDirectory(prefix="virga-vmm-")
        self.api_path = os.path.join(self.dir.name, "api")
        args = [program("virga-vmm"), "--engine", "null", "--api", self.api_path, *flags]
        if qtest:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(os.path.join(self.dir.name, "qtest"))
            self.listener.listen()
            args += ["--qtest", self.listener.getsockname()]
        self.errors = open(os.path.join(self.dir.name, "stderr"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        **{"stderr": self.errors, **options})
        if qtest:
            self.listener.settimeout(PATIENCE_S)
            self.line = self.listener.accept()[0].makefile("rw")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        if exc[0]:
            with open(self.errors.name, encoding="utf-8") as f:
                diagnose(f.read())
        self.errors.close()
        self.dir.cleanup()

    def ask(self, command):
        """One qtest command; its answer."""
        self.line.write(command + "\n")
        self.line.flush()
        return self.line.readline().strip()

    def _connect(self):
        until = time.monotonic() + PATIENCE_S
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(self.api_path)
                return s
            except OSError:
                s.close()
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.01)

    def api(self, method, path, body=None, fds=()):
        """A request, with descriptors if any. Returns (status, decoded body or None)."""
        text = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: vm\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        with self._connect() as s:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            s.sendmsg([head.encode() + text], control)
            answer = http.client.HTTPResponse(s, method=method)
            answer.begin()
            data = answer.read()
            return answer.status, json.loads(data) if data else None

    def ids(self, what):
        """The ids of the disks or NICs that the config shows."""
        return [d["id"] for d in self.api("GET", "/v1/vm/config")[1].get(what, [])]


@case
def the_config_shows_what_was_attached_until_it_is_detached():
    with Monitor("--paused") as vm, tempfile.TemporaryFile() as image:
        image.truncate(1 << 20)
        disk = {"id": "extra", "path": "/named/only", "format": "raw"}
        status, answer = vm.api("POST", "/v1/vm/disks", disk, [image.fileno()])
        check_eq(status, 201, answer)
        status, answer = vm.api("POST", "/v1/vm/nics", {"id": "port", "kind": "none",
                                                       "mac": "02:00:00:00:00:01"})
        check_eq(status, 201, answer)
        check_eq(vm.ids("disks"), ["extra"])
        check_eq(vm.ids("nics"), ["port"])
        check_eq(vm.api("POST", "/v1/vm/disks", disk, [image.fileno()])[0], 409)
        check_eq(vm.ids("disks"), ["extra"], "after a refused one")
        check_eq(vm.api("DELETE", "/v1/vm/nics/extra")[0], 404, "a disk is no NIC")
        check_eq(vm.api("DELETE", "/v1/vm/disks/port")[0], 404, "a NIC is no disk")
        check(vm.api("DELETE", "/v1/vm/disks/extra")[0] < 300, "the disk does not go")
        check_eq(vm.ids("disks"), [])
        check_eq(vm.ids("nics"), ["port"])


@case
def whatever_is_attached_in_the_sandbox_the_vm_lives():
    with Monitor("--paused", "--memory", "64M,shared") as vm, tempfile.NamedTemporaryFile() as image:
        image.truncate(1 << 20)
        direct = os.open(image.name, os.O_RDWR | os.O_DIRECT)
        readonly = os.open(image.name, os.O_RDONLY)
        ours, theirs = socket.socketpair()
        gone, left = socket.socketpair()
        left.close()
        null = os.open("/dev/null", os.O_RDWR)
        tries = [
            ("nics", {"kind": "user"}, theirs.fileno(), 201),
            ("nics", {"kind": "user", "own_thread": True}, theirs.fileno(), 201),
            ("nics", {"kind": "user"}, null, None),
            ("nics", {"kind": "tap", "ifname": "tap0"}, null, None),
            ("nics", {"kind": "vhost-user", "socket": "/gone"}, gone.fileno(), None),
            ("disks", {"socket": "/gone"}, gone.fileno(), None),
            ("disks", {"path": "/direct", "format": "raw", "own_thread": True}, direct, 201),
            ("disks", {"path": "/again", "format": "raw"}, readonly, None),
            ("disks", {"path": "/null", "format": "raw"}, null, None),
            ("disks", {"path": "/null", "format": "qcow2"}, null, None),
        ]
        for i, (what, device, fd, wanted) in enumerate(tries):
            extra = {"mac": f"02:00:00:00:00:{i:02x}"} if what == "nics" else {}
            status, answer = vm.api("POST", f"/v1/vm/{what}", {"id": f"d{i}", **device, **extra}, [fd])
            check(status == wanted if wanted else 400 <= status < 600, f"{device}: {status} {answer}")
        check_eq(vm.api("GET", "/v1/vm")[1]["state"], "created")
        vm.process.terminate()
        check_eq(vm.process.wait(PATIENCE_S), 0, "exit status")
        for fd in direct, readonly, null:
            os.close(fd)
        ours.close()
        theirs.close()
        gone.close()


@case
def uptime_does_not_count_pauses():
    with Monitor() as vm:
        check_eq(vm.api("PUT", "/v1/vm/pause")[0] // 100, 2)
        before = vm.api("GET", "/v1/vm")[1]
        check_eq(before["state"], "paused")
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            check_eq(vm.api("GET", "/v1/vm")[1]["uptime_ms"], before["uptime_ms"])


@case
def no_file_takes_the_place_of_a_closed_stderr():
    with tempfile.TemporaryDirectory() as there:
        images = [os.path.join(there, f"{i}.img") for i in range(3)]
        flags = ["--log", "debug"]
        for path in images:
            with open(path, "wb") as f:
                f.truncate(1 << 20)
            flags += ["--disk", path]
        with Monitor(*flags, stderr=None, preexec_fn=lambda: os.closerange(0, 3)) as vm:
            check_eq(vm.api("GET", "/v1/vm")[1]["state"], "running")
        for path in images:
            with open(path, "rb") as f:
                check(not f.read().strip(b"\0"), "messages were written into a disk image")


@case
def a_pty_console_outlives_its_reader():
    with Monitor("--console", "pty", "--sandbox", "off", qtest=True) as vm:
        check_eq(vm.ask("inb 0x3fd").split()[0], "OK")
        with open(vm.errors.name, encoding="utf-8") as f:
            name = re.search(r"/dev/pts/\d+", f.read()).group(0)
        os.close(os.open(name, os.O_RDWR | os.O_NOCTTY))
        vm.ask("inb 0x3fd")  # the loop has seen whatever that caused
        reader = os.open(name, os.O_RDWR | os.O_NOCTTY)
        os.write(reader, b"y")
        until = time.monotonic() + 5
        while not int(vm.ask("inb 0x3fd").split()[1], 16) & 1:
            check(time.monotonic() < until, "what a second reader types does not arrive")
        check_eq(int(vm.ask("inb 0x3f8").split()[1], 16), ord("y"))
        os.close(reader)


@case
def a_disk_with_its_own_thread_goes_and_leaves_a_vm_that_ends_well():
    if not shutil.which("qemu-img"):
        skip("no qemu-img")
    with Monitor("--paused") as vm:
        path = os.path.join(vm.dir.name, "image")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
        for _ in range(20):
            with open(path, "r+b") as image:
                disk = {"id": "own", "path": path, "format": "qcow2", "own_thread": True}
                status, answer = vm.api("POST", "/v1/vm/disks", disk, [image.fileno()])
            check_eq(status, 201, answer)
            check(vm.api("DELETE", "/v1/vm/disks/own")[0] < 300, "the disk does not go")
        vm.process.terminate()
        check_eq(vm.process.wait(PATIENCE_S), 0, "exit status")


@case
def consoles_of_every_kind_come_up_and_take_a_client():
    for flag in "--console", "--virtio-console":
        for kind in "stdio", "pty", "file", "unix":
            with tempfile.TemporaryDirectory() as there:
                path = os.path.join(there, "console")
                where = kind if kind in ("stdio", "pty") else f"{kind}:{path}"
                other = [] if flag == "--console" else ["--console", "none"]
                with Monitor(*other, flag, where) as vm:
                    check_eq(vm.api("GET", "/v1/vm")[1]["state"], "running", f"{flag} {where}")
                    for _ in range(2 if kind == "unix" else 0):
                        with socket.socket(socket.AF_UNIX) as client:
                            client.connect(path)
                            client.send(b"x")
                    check_eq(vm.api("GET", "/v1/vm")[1]["state"], "running", f"{flag} {where}")
                    vm.process.terminate()
                    check_eq(vm.process.wait(PATIENCE_S), 0, f"exit status with {flag} {where}")


@case
def helpers_get_nothing_but_what_is_theirs():
    with tempfile.TemporaryDirectory() as there:
        fake, told = os.path.join(there, "passt"), os.path.join(there, "told")
        with open(fake, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nreadlink /proc/$$/fd/9 > {told}.new || echo none > {told}.new\nmv {told}.new {told}\n")
        os.chmod(fake, 0o755)
        ours, theirs = socket.socketpair()
        os.dup2(theirs.fileno(), 9)
        path = f"{there}:{os.environ['PATH']}"
        with Monitor("--console", "fd:9", "--net", "user", pass_fds=[9], env=dict(os.environ, PATH=path)) as vm:
            vm.api("GET", "/v1/vm")
            until = time.monotonic() + PATIENCE_S
            while not os.path.exists(told):
                check(time.monotonic() < until, "passt was not started")
                time.sleep(0.01)
        os.close(9)
        ours.close()
        theirs.close()
        with open(told, encoding="utf-8") as f:
            check_eq(f.read().strip(), "none", "descriptor 9 of passt")


@case
def a_console_descriptor_that_was_not_passed_is_refused():
    done = subprocess.run([program("virga-vmm"), "--engine", "null", "--console", "fd:3"], stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)
    check_eq(done.returncode, 1)
    check("cannot use descriptor 3 for the console" in done.stderr, done.stderr)


main()
