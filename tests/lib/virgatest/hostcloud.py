"""A whole cloud on this machine: virgad, an agent with a pool, and the command line, on ports of their own."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from .cli import Home
from .cloud import Cloud
from .tap import check, check_eq
from .vm import program


def monitors(folder):
    """The processes whose command line names a config below a folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if len(words) > 2 and words[1] == b"--config" and words[2].startswith(folder.encode() + b"/"):
            found.append(int(pid))
    return sorted(found)


class HostCloud(Cloud):
    """As a context manager all that it started ends, VMs too."""

    def __init__(self, *flags, env=None):
        super().__init__(*flags, env=env, state=tempfile.mkdtemp(prefix="vc-", dir="/var/tmp"))
        self.agent = self.home = None
        self.agent_log = os.path.join(self.state, "agent.log")
        self.join()

    def join(self):
        """A host joins; its agent, a network."""
        self.home = Home(f"http://127.0.0.1:{self.port}", token=self.token)
        secret = self.post("/host-join-tokens", {"name": "t"}).body["secret"]
        server, state = f"127.0.0.1:{self.agents_port}", os.path.join(self.state, "agent")
        p = subprocess.run([program("virga-agent"), "join", "--state", state, "--server", server, "--name", "this", "-"],
                           input=secret + "\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
        check_eq(p.returncode, 0, p.stdout)
        self.start_agent()
        check_eq(self.post("/networks", {"name": "default", "kind": "nat"}).status, 201, "a network")

    def start_agent(self):
        """The agent of this host."""
        # pylint: disable=consider-using-with
        with open(self.agent_log, "ab") as log:
            self.agent = subprocess.Popen([program("virga-agent"), "--state", os.path.join(self.state, "agent"), "--pool",
                                           f"local={self.state}/pool", "--import", self.state, "--private-urls"],
                                          stdout=log, stderr=log, env=self.env)
        self.until("a pool is online", lambda: any(p["status"]["state"] == "online" for p in self.get("/pools").body["items"]))

    def agent_said(self):
        """The agent's log."""
        with open(self.agent_log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def virga(self, *args, expect="done"):
        """A run of the command line: its standard output."""
        return self.home.run(*args, expect=expect)[1]

    def until(self, what, condition, limit_s=60):
        """Waits for what is seen from outside only."""
        deadline = time.monotonic() + limit_s
        while True:
            found = condition()
            if found:
                return found
            check(time.monotonic() < deadline, f"not in {limit_s} s: {what}; the agent: {self.agent_said()[-2000:]}")
            time.sleep(0.1)

    def __exit__(self, *_):
        if self.agent and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            self.agent.wait(60)
        for pid in monitors(self.state):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        super().__exit__(*_)
        self.home.__exit__()
        shutil.rmtree(self.state, ignore_errors=True)
