"""Hosts of a cloud that are several machines as far as they know: agents with state, pools and folders of their own, each of which
reaches its server through a gate that the test holds."""
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading

from .hostcloud import monitors
from .tap import SkipCase, check, check_eq
from .vm import program


class Gate:
    """A port that leads to another one. What comes back on one connection can be held after so many bytes, and connections be cut.
    `where` says the port at each connection: a server that was started again has another one."""

    def __init__(self, where):
        self.where, self.limit, self.passed = where, None, 0
        self.held, self.open = threading.Event(), threading.Event()
        self.open.set()
        self.lock, self.ends = threading.Lock(), set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        """Until it is closed."""
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        """One connection."""
        try:
            server = socket.create_connection(("127.0.0.1", self.where()), timeout=10)
        except (OSError, TypeError):
            client.close()
            return
        server.settimeout(None)
        with self.lock:
            self.ends |= {client, server}
        threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
        self.pump(server, client, True)

    def pump(self, source, to, counted):
        """One direction; its end is both's."""
        n = 0
        try:
            while data := source.recv(65536):
                if counted:
                    n += len(data)
                    self.passed = max(self.passed, n)
                    if self.limit is not None and n >= self.limit:
                        self.held.set()
                        self.open.wait()
                to.sendall(data)
        except OSError:
            pass
        for s in (source, to):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def hold_after(self, n):
        """The next connection to bring n bytes back stays there until release(); `held` says that it does."""
        self.held.clear()
        self.open.clear()
        self.limit, self.passed = n, 0

    def release(self):
        """Everything passes."""
        self.limit = None
        self.open.set()

    def cut(self):
        """All connections end."""
        with self.lock:
            ends, self.ends = self.ends, set()
        for s in ends:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        """No more of it."""
        self.release()
        self.listener.close()
        self.cut()


class Host:
    """A host, its agent running; a context manager. `flags`: more of the agent's."""

    def __init__(self, cloud, name, *flags):
        self.cloud, self.name, self.flags, self.agent = cloud, name, flags, None
        self.dir = tempfile.mkdtemp(prefix="vh-", dir="/var/tmp")
        self.state, self.pool, self.log = f"{self.dir}/agent", f"{self.dir}/pool", f"{self.dir}/log"
        self.gate = Gate(lambda: cloud.agents_port)
        secret = cloud.post("/host-join-tokens", {"name": f"for-{name}"}).body["secret"]
        p = subprocess.run([program("virga-agent"), "join", "--state", self.state, "--server", f"127.0.0.1:{self.gate.port}", "--name", name,
                            "-"], input=secret + "\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
        check_eq(p.returncode, 0, p.stdout)
        self.id = cloud.get(f"/hosts/{name}").body["id"]
        self.start()

    def start(self):
        """Its agent."""
        # pylint: disable=consider-using-with
        with open(self.log, "ab") as log:
            self.agent = subprocess.Popen([program("virga-agent"), "--state", self.state, "--pool", f"local={self.pool}", *self.flags],
                                          stdout=log, stderr=log)

    def kill(self):
        """kill -9"""
        self.agent.kill()
        self.agent.wait()

    def said(self):
        """The agent's log."""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def up(self):
        """Whether the server knows that it is."""
        answer = self.cloud.get(f"/hosts/{self.name}")
        return answer.status == 200 and answer.body["status"]["state"] == "up"

    def files(self):
        """What lies in its pool: {path: bytes}."""
        found = {}
        for folder, _, names in os.walk(self.pool):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    found[os.path.join(folder, name)] = f.read()
        return found

    def ask(self, path, headers=None, identity=True, method="GET"):
        """A request to the agents' port with its certificate: status, headers, body."""
        context = ssl.create_default_context(cafile=f"{self.state}/authority.pem")
        if identity:
            context.load_cert_chain(identity if isinstance(identity, str) else f"{self.state}/identity.pem")
        conn = http.client.HTTPSConnection("127.0.0.1", self.cloud.agents_port, timeout=60, context=context)
        try:
            conn.request(method, path, headers=headers or {})
            r = conn.getresponse()
            return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
        finally:
            conn.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind and kind is not SkipCase:
            print(f"# agent {self.name}: {self.said()[-3000:]}\n# server: {self.cloud.logged()[-3000:]}".replace("\n", "\n#   "))
        self.gate.close()
        if self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            self.agent.wait(60)
        for pid in monitors(self.dir):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)
