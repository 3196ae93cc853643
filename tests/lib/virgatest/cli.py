"""Runs of the cloud's command line in a home of their own, with and without a terminal."""
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time

from .tap import check, check_eq
from .vm import program

EXIT = {"done": 0, "failed": 1, "usage": 2, "unreachable": 3, "sign_in": 4, "forbidden": 5, "not_found": 6, "conflict": 7,
        "refused": 8, "busy": 9, "not_offered": 10, "operation": 11, "time_out": 12}
TOKEN = "a-token-that-nobody-may-see"
PASSWORD = "correct horse battery"
LIMIT_S = 60  # nothing here takes long; what hangs is ended


class Home:
    """A folder of its own for profiles, and runs of virga in it."""

    def __init__(self, url=None, token=TOKEN, **env):
        self.dir = tempfile.mkdtemp(prefix="virga-cli-")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("VIRGA_") and k not in ("XDG_CONFIG_HOME", "TERM")}
        self.env.update(HOME=self.dir, **env)
        if url:
            self.env["VIRGA_URL"] = url
        if token:
            self.env["VIRGA_TOKEN"] = token
        self.config = os.path.join(self.dir, ".config/virga/config.json")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def path(self, name):
        """A file of this folder."""
        return os.path.join(self.dir, name)

    def write(self, name, text):
        """Makes a file; its path."""
        with open(self.path(name), "w", encoding="utf-8", newline="") as f:
            f.write(text)
        return self.path(name)

    def run(self, *args, stdin="", expect=None, env=None):
        """(exit status, standard output, standard error)"""
        p = subprocess.run([program("virga"), *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           env={**self.env, **(env or {})}, cwd=self.dir, timeout=LIMIT_S, check=False,
                           start_new_session=True)  # no terminal to ask on
        if expect is not None:
            check_eq(p.returncode, EXIT[expect], f"exit status of {args}: {p.stdout[-500:]}{p.stderr[-2000:]}; status")
        return p.returncode, p.stdout, p.stderr

    def login(self, url, *args, password="x", expect="done"):
        """Signs in as ada."""
        return self.run("login", url, "--user", "ada", "--password-stdin", *args, stdin=password + "\n", expect=expect)


def commands():
    """{operationId: [noun, verb]} of all that is an operation, as the program itself has it."""
    out = subprocess.run([program("virga-cloud"), "__commands"], stdout=subprocess.PIPE, text=True, check=True).stdout
    table = {}
    for line in out.splitlines():
        op, noun, verb = line.split()
        if op != "-":
            table.setdefault(op, [noun] + ([verb] if verb != "-" else []))
    return table


def vms(*names):
    """A page of VMs."""
    return {"items": [{"id": f"id-{n}", "name": n, "flavor": "small", "status": {"state": "running", "addresses": [
        {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}, "labels": {"tier": "a,\"b\""}} for n in names]}


def on_terminal(home, args, feed, until, env=None, limit_s=LIMIT_S):
    """Runs virga on a terminal of its own; feed: [(what is waited for, what is then typed)]. (status, what was shown)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(home.dir)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.execve(program("virga"), ["virga", *args], {**home.env, "TERM": "xterm", **(env or {})})
    shown, feed = b"", list(feed)
    begin = time.monotonic()
    while time.monotonic() - begin < limit_s:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        while feed and feed[0][0] in shown:
            os.write(fd, feed.pop(0)[1])
    else:
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    check(until in shown, f"{until!r} is not in {shown!r}")
    return status, shown
