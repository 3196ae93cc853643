#!/usr/bin/env python3
"""`virga run` with a monitor that is a script: what it is started with, its console, its end."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap
import time

from virgatest import case, check, check_eq, main
from virgatest.vm import program

PATIENCE_S = 30

# The start of every fake: its flags, and the console's descriptor as a socket.
PREAMBLE = f"""#!{sys.executable}
import os, signal, socket, sys, time
args = sys.argv[1:]
kinds = dict(zip(args, args[1:]))
where = kinds.get("--console", "") if kinds.get("--console", "").startswith("fd:") else kinds.get("--virtio-console", "")
console = socket.socket(fileno=int(where[3:])) if where.startswith("fd:") else None
"""


class Monitor:
    """A fake virga-vmm in a directory of its own."""

    def __init__(self, body):
        self.dir = tempfile.TemporaryDirectory(prefix="virga-run-")
        self.path = os.path.join(self.dir.name, "virga-vmm")
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(PREAMBLE + textwrap.dedent(body))
        os.chmod(self.path, 0o755)
        self.env = dict(os.environ, VIRGA_VMM=self.path)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.dir.cleanup()

    def run(self, *flags, stdin=b""):
        """Runs to the end without a terminal."""
        return subprocess.run([program("virga"), "run", *flags], env=self.env, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)


class Terminal:
    """`virga run` on a terminal of its own."""

    def __init__(self, monitor, *flags):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(program("virga"), ["virga", "run", *flags], monitor.env)
        self.text = b""
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def expect(self, what):
        """Waits until the terminal shows it."""
        end = time.monotonic() + PATIENCE_S
        while what not in self.text:
            left = end - time.monotonic()
            check(left > 0, f"the terminal did not show {what!r} but {self.text!r}")
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.text += os.read(self.fd, 4096)
                except OSError:  # all that had it open are gone
                    check(what in self.text, f"the terminal closed before it showed {what!r}: {self.text!r}")

    def type(self, data):
        os.write(self.fd, data)

    def wait(self):
        """The exit status."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.text += os.read(self.fd, 4096)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                return self.status
        raise AssertionError("virga run did not end")

    def mode(self):
        """The local flags of the terminal."""
        return termios.tcgetattr(self.fd)[3]


@case
def the_monitor_gets_the_flags_and_the_console_as_a_descriptor():
    with Monitor("print(args, flush=True)") as m:
        got = m.run("--kernel", "k", "--disk", "a.img,readonly", "--console", "stdio", "--name", "web")
        check_eq(got.returncode, 0)
        check(b"['--kernel', 'k', '--disk', 'a.img,readonly', '--name', 'web', '--console', 'fd:" in got.stdout,
              f"the flags were {got.stdout!r}")


@case
def a_console_that_is_elsewhere_is_left_alone():
    with Monitor("print(args, flush=True)") as m:
        got = m.run("--console=file:/dev/null")
        check_eq(got.stdout, b"['--console=file:/dev/null']\n")


@case
def bytes_go_both_ways_and_none_is_lost_at_the_end():
    with Monitor("""
        got = b""
        while len(got) < 300000:
            got += console.recv(65536)
        console.sendall(got)
        console.sendall(b"the end")
    """) as m:
        data = os.urandom(300000)
        got = m.run(stdin=data)
        check_eq(got.returncode, 0)
        check(got.stdout == data + b"the end", "what came back is not what was typed")


@case
def without_a_terminal_the_escape_key_is_an_ordinary_byte():
    with Monitor("console.sendall(console.recv(100))") as m:
        check_eq(m.run(stdin=b"\x01x").stdout, b"\x01x")


@case
def the_exit_status_is_the_monitors():
    with Monitor("sys.exit(42)") as m:
        check_eq(m.run().returncode, 42)
    with Monitor("os.kill(os.getpid(), signal.SIGKILL)") as m:
        check_eq(m.run().returncode, 128 + 9)


@case
def the_monitors_message_is_shown_once():
    with Monitor("""
        sys.stderr.write("virga-vmm: no such kernel\\n")
        sys.exit(1)
    """) as m:
        got = m.run()
        check_eq(got.stderr, b"virga-vmm: no such kernel\n")
        check_eq(got.returncode, 1)


@case
def a_wrong_flag_is_refused_before_anything_starts():
    with Monitor("print('started')") as m:
        got = m.run("--disk", "x,fromat=raw")
        check_eq(got.returncode, 2)
        check(b"virga run: --disk fromat is not a known key; valid keys here: id, path" in got.stderr,
              f"it said {got.stderr!r}")
        check_eq(got.stdout, b"")


@case
def a_missing_monitor_is_named():
    with Monitor("") as m:
        m.env["VIRGA_VMM"] = "/nonexistent/virga-vmm"
        got = m.run()
        check_eq(got.returncode, 1)
        check(b"/nonexistent/virga-vmm" in got.stderr, f"it said {got.stderr!r}")


@case
def the_terminal_is_raw_while_the_vm_runs_and_as_before_afterwards():
    with Monitor("""
        console.sendall(b"login: ")
        console.sendall(b"<" + console.recv(1) + b">")
        console.recv(1)
    """) as m, Terminal(m) as t:
        before = t.mode()
        t.expect(b"Ctrl-A x ends it")
        t.expect(b"login: ")
        check(not t.mode() & (termios.ICANON | termios.ECHO | termios.ISIG), "the terminal is not raw")
        t.type(b"\x03")  # an interrupt is the guest's business
        t.expect(b"<\x03>")
        t.type(b"q")
        check_eq(t.wait(), 0)
        check_eq(t.mode(), before)


@case
def the_escape_key_ends_the_vm_and_restores_the_terminal():
    with Monitor("""
        def on_term(*_):
            console.sendall(b"ended by the person")
            sys.exit(5)
        signal.signal(signal.SIGTERM, on_term)
        console.sendall(b"ready")
        while True:
            signal.pause()
    """) as m, Terminal(m, "--name", "web") as t:
        before = t.mode()
        t.expect(b"ready")
        check(b'VM "web"' in t.text, "the greeting does not name the VM")
        t.type(b"\x01h")
        t.expect(b"Ctrl-A Ctrl-A types")
        t.type(b"\x01x")
        t.expect(b"ended by the person")
        check_eq(t.wait(), 5)
        check_eq(t.mode(), before)


@case
def a_monitor_that_does_not_end_is_ended_at_the_second_asking():
    with Monitor("""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        console.sendall(b"ready")
        while True:
            signal.pause()
    """) as m, Terminal(m) as t:
        t.expect(b"ready")
        t.type(b"\x01x\x01x")
        check_eq(t.wait(), 128 + 9)


@case
def a_signal_to_virga_ends_the_monitor():
    with Monitor("""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print("ready", flush=True)
        while True:
            signal.pause()
    """) as m:
        p = subprocess.Popen([program("virga"), "run", "--console", "none"], env=m.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
        check_eq(p.stdout.readline(), b"ready\n")
        p.terminate()
        check_eq(p.wait(PATIENCE_S), 0)
        p.stdout.close()


@case
def a_virga_that_is_killed_takes_the_monitor_with_it():
    with Monitor("""
        signal.signal(signal.SIGTERM, lambda *_: (print("told to end", flush=True), sys.exit(0)))
        print("ready", flush=True)
        while True:
            signal.pause()
    """) as m:
        p = subprocess.Popen([program("virga"), "run", "--console", "none"], env=m.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
        check_eq(p.stdout.readline(), b"ready\n")
        p.kill()
        check_eq(p.stdout.read(), b"told to end\n")
        p.wait(PATIENCE_S)
        p.stdout.close()


@case
def the_windows_size_reaches_the_api():
    with Monitor("""
        server = socket.socket(socket.AF_UNIX)
        server.bind(kinds["--api"])
        server.listen()
        console.sendall(b"ready")
        peer = server.accept()[0]
        got = b""
        while not got.endswith(b"}"):
            got += peer.recv(4096)
        console.sendall(got.replace(b"\\r\\n", b"|"))
    """) as m, Terminal(m, "--virtio-console", "stdio", "--console", "none", "--api", m.dir.name + "/api") as t:
        t.expect(b"ready")
        fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
        t.expect(b'{"columns":132,"rows":50}')
        check(b"PUT /v1/vm/console HTTP/1.1|Host: vm|" in t.text, f"the request was {t.text!r}")
        check_eq(t.wait(), 0)


@case
def the_help_lists_commands_and_flags():
    def ask(*args):
        return subprocess.run([program("virga"), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)

    check(b"run a VM in the foreground" in ask("--help").stdout, "no list of commands")
    for args in (["run", "--help"], ["help", "run"]):
        check(b"--disk PATH[,readonly]" in ask(*args).stdout, f"virga {' '.join(args)} shows no flags")
    check(ask("version").stdout.startswith(b"virga 0."), "no version")
    check_eq(ask().returncode, 2)
    check_eq(ask("rnu").returncode, 2)
    check(b'did you mean "run"' in ask("rnu").stderr, "the message does not say what there is")


if __name__ == "__main__":
    main()
