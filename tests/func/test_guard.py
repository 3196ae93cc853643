#!/usr/bin/env python3
"""What tests start ends with them, however they end: lib/virgatest/guard.py, tools/run-tests."""
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

from virgatest import case, check, check_eq, main
from virgatest.pg import Postgres

TOP = os.environ["VIRGA_TOP"]
TEST = """#!/usr/bin/env python3
import os, signal, subprocess, sys, tempfile, time
from virgatest import case, main
@case
def it_starts_things():
    with tempfile.TemporaryDirectory(dir=FOLDER) as d, subprocess.Popen(["sleep", "SECONDS"]):
        subprocess.run(["setsid", "-f", "sleep", "SECONDS"], check=True)  # a daemon: it left its parent and the session
        BODY
main()
"""
WAITS = "open(FOLDER + '/ready', 'w').close(); time.sleep(600)"
STUBBORN = """
        try:
            open(FOLDER + '/ready', 'w').close(); time.sleep(600)
        finally:
            time.sleep(600)"""


def sleepers(seconds):
    """The pids of `sleep SECONDS`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
            if f.read() == b"sleep\0" + seconds.encode() + b"\0":
                found.append(int(pid))
    return found


class Script:
    """A test in a folder of its own. A context manager."""
    count = 0

    def __init__(self, body):
        Script.count += 1
        self.dir = tempfile.mkdtemp(prefix="virga-guard-")
        self.seconds = f"{100000 + os.getpid()}.{Script.count}"
        self.path = os.path.join(self.dir, "test_it.py")
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(TEST.replace("BODY", body).replace("SECONDS", self.seconds).replace("FOLDER", repr(self.dir)))
        os.chmod(self.path, 0o755)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("VIRGA_TEST_")}
        self.process = None

    def start(self, *argv):
        """Starts it, or what runs it; waits until its case waits."""
        self.process = subprocess.Popen([*argv, self.path], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        deadline = time.monotonic() + 60
        while not os.path.exists(self.dir + "/ready") or len(sleepers(self.seconds)) < 2:
            check(time.monotonic() < deadline and self.process.poll() is None, "the case has begun")
            time.sleep(0.01)
        return self.process

    def end(self):
        """What it printed; by then nothing is left of what it started."""
        text = self.process.communicate(timeout=120)[0]
        check_eq(sleepers(self.seconds), [], f"what is left of a test that said {text!r}")
        return text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in sleepers(self.seconds):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["rm", "-rf", self.dir], check=True)


def signalled(sig):
    """A test that gets a signal: status, and that its folders went."""
    with Script(WAITS) as s:
        s.start(sys.executable).send_signal(sig)
        text = s.end()
        check("Bail out!" in text and "time.sleep(600)" in text, f"it says where it was: {text}")
        check_eq(s.process.returncode, 128 + sig, "its status")
        check_eq(sorted(os.listdir(s.dir)), ["ready", "test_it.py"], "its folder")


@case
def a_test_that_gets_sigterm_ends_what_it_started():
    signalled(signal.SIGTERM)


@case
def a_test_that_gets_sigint_ends_what_it_started():
    signalled(signal.SIGINT)


@case
def a_second_signal_ends_a_test_that_does_not_come_to_its_end():
    with Script(STUBBORN) as s:
        p = s.start(sys.executable)
        p.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 60
        while sleepers(s.seconds):
            check(time.monotonic() < deadline, "what it started ends first")
            time.sleep(0.01)
        p.send_signal(signal.SIGTERM)
        s.end()
        check_eq(p.returncode, 128 + signal.SIGTERM, "its status")


@case
def what_a_test_leaves_behind_is_named_and_ended():
    with Script("os.kill(os.getpid(), 9)") as s:
        # pylint: disable=consider-using-with
        s.process = subprocess.Popen([sys.executable, s.path], env=s.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        text = s.end()
        check_eq(text.count(f"left behind, and ended: sleep {s.seconds}"), 2, f"what it says: {text}")
        check_eq(s.process.returncode, 128 + signal.SIGKILL, "its status")


@case
def a_time_limit_of_run_tests_ends_what_a_script_started():
    with Script(WAITS) as s:
        s.start(TOP + "/tools/run-tests", "scripts", "--test-timeout", "5")
        text = s.end()
        check("did not end in time" in text and "Bail out!" in text, text)


@case
def a_script_has_the_time_that_it_says_it_needs():
    for says, code in (("# run-tests: 60 s", 0), ("# run-tests: soon", 1)):
        with tempfile.TemporaryDirectory() as d:
            with open(d + "/test_it", "w", encoding="utf-8") as f:
                f.write(f"#!/bin/sh\n{says}\nsleep 2\n")
            os.chmod(d + "/test_it", 0o755)
            p = subprocess.run([TOP + "/tools/run-tests", "scripts", "--test-timeout", "1", d], stdout=subprocess.PIPE, text=True, check=False)
            check_eq(p.returncode, code, f"{says}: {p.stdout}")


@case
def run_tests_that_gets_sigterm_ends_its_scripts():
    with Script(WAITS) as s:
        s.start(TOP + "/tools/run-tests", "scripts").send_signal(signal.SIGTERM)
        check("0 passed" in s.end(), "the sum")


@case
def run_tests_that_is_killed_takes_its_scripts_along():
    with Script(WAITS) as s:
        s.start(TOP + "/tools/run-tests", "scripts").kill()
        deadline = time.monotonic() + 60
        while sleepers(s.seconds):
            check(time.monotonic() < deadline, "what the script started has ended")
            time.sleep(0.01)


@case
def a_postgresql_ends_with_its_test():
    with Postgres():  # skips without one
        pass
    with Script("from virgatest.pg import Postgres; p = Postgres(); print('in', p.dir, flush=True); " + WAITS) as s:
        s.start(sys.executable).send_signal(signal.SIGTERM)
        folder = s.end().partition("in ")[2].split()[0]
        check(folder.startswith("/tmp/virga-pg-"), folder)
        left = subprocess.run(["grep", "-l", folder, *(f"/proc/{p}/cmdline" for p in os.listdir("/proc") if p.isdigit())],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        check_eq(left, b"", "who runs in its folder")
        subprocess.run(["rm", "-rf", folder], check=True)


main()
