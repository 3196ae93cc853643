"""An agent that a test plays: it joins a cloud, connects by TLS with its own certificate, and by itself does what it is told."""
import contextlib
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import uuid

from .tap import CaseTimeout, check
from .ws import WebSocket

STATES = {"absent": "absent", "stopped": "stopped", "running": "running", "paused": "paused"}


class Channel(WebSocket):
    """A WebSocket over a TLS socket that is there."""

    def __init__(self, sock, target):  # pylint: disable=super-init-not-called
        self.socket, self.buffer, self.status = sock, b"", None
        self.lock = threading.Lock()
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            part = self.socket.recv(4096)
            if not part:
                break
            self.buffer += part
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        check(head.split(b" ")[1:2] == [b"101"], f"the server takes the agent: {head!r}")

    def send(self, opcode, data):
        """One message; any thread."""
        with self.lock:
            size, mask = len(data), b"\0\0\0\0"
            length = (bytes([0x80 | size]) if size < 126 else bytes([0xfe]) + struct.pack(">H", size) if size < 65536
                      else bytes([0xff]) + struct.pack(">Q", size))
            self.socket.sendall(bytes([0x80 | opcode]) + length + mask + data)

    def _send(self, opcode, data):
        self.send(opcode, data)


class Agent:
    """A host of `cloud`. `obeys`: it does at once what is wanted; a test may do it itself by say_vm(). A context manager."""

    def __init__(self, cloud, name, cpus=8, memory_mib=16384, obeys=True, token=None):
        self.cloud, self.name, self.cpus, self.memory_mib, self.obeys = cloud, name, cpus, memory_mib, obeys
        self.dir = tempfile.mkdtemp(prefix="virga-agent-")
        self.boot, self.host, self.channel, self.thread = str(uuid.uuid4()), None, None, None
        self.changed = threading.Condition()
        self.vms, self.volumes, self.epochs, self.gone, self.said = {}, {}, {}, set(), []
        self.refused = None
        self.console = {}
        self.answers = {"vm_console_log": {"text": "what the console said\n"}}
        self.join(token)

    def path(self, name):
        """Of a file of its own."""
        return os.path.join(self.dir, name)

    def request(self):
        """A new key's certificate request."""
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        self.path("key"), "-out", self.path("csr"), "-subj", "/CN=agent"], check=True, capture_output=True)
        with open(self.path("csr"), encoding="ascii") as f:
            return f.read()

    def join(self, token):
        """Becomes a host."""
        if token is None:
            made = self.cloud.post("/host-join-tokens", {"name": f"for-{self.name}"})
            check(made.status == 201, f"a join token: {made}")
            token = made.body["secret"]
        joined = self.cloud.post("/host-joins", {"secret": token, "name": self.name, "csr": self.request()})
        check(joined.status == 201, f"joined: {joined}")
        self.host = joined.body["host"]["id"]
        self.keep(joined.body)

    def keep(self, body):
        """Certificates that it was given."""
        for name in ("certificate", "ca"):
            with open(self.path(name), "w", encoding="ascii") as f:
                f.write(body[name])

    # ---- the connection ----

    def connect(self):
        """Connects, says hello and what it has; what comes is taken by a thread of its own."""
        context = ssl.create_default_context(cafile=self.path("ca"))
        context.load_cert_chain(self.path("certificate"), self.path("key"))
        raw = socket.create_connection(("127.0.0.1", self.cloud.agents_port), timeout=60)
        self.channel = Channel(context.wrap_socket(raw, server_hostname="localhost"), "/v1/agent")
        self.refused = None
        self.say("hello", protocol=1, host=self.host, boot=self.boot, instance=str(uuid.uuid4()), agent_version="1.0.0")
        self.say("inventory", cpus=self.cpus, memory_mib=self.memory_mib, engines=[{"name": "kvm", "usable": True}], agent_version="1.0.0",
                 pools=[self.pool()])
        self.thread = threading.Thread(target=self.listen, args=(self.channel,), daemon=True)
        self.thread.start()
        return self

    @staticmethod
    def pool():
        """What it keeps volumes in."""
        return {"name": "default", "driver": "file", "location": "/pool", "state": "online", "size_bytes": 1 << 42, "free_bytes": 1 << 42}

    def disconnect(self):
        """Its cable is pulled."""
        channel, self.channel = self.channel, None
        if channel:
            with contextlib.suppress(OSError):
                channel.socket.shutdown(socket.SHUT_RDWR)
            self.thread.join(30)
            channel.close()

    def say(self, kind, **members):
        """Sends a message."""
        self.channel.send(1, json.dumps(dict({"type": kind}, **members), separators=(",", ":")).encode())

    def stream(self, number, data):
        """Sends bytes of a stream."""
        self.channel.send(2, struct.pack(">I", number) + data)

    def listen(self, channel):
        """The thread: until the connection ends."""
        while True:
            try:
                data = channel.receive()
            except (EOFError, OSError, CaseTimeout):
                data = None
            if data is None:
                break
            with self.changed:
                with contextlib.suppress(OSError, AttributeError): # it was disconnected meanwhile
                    self.take(data)
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    # ---- what comes ----

    def take(self, data):
        """One message."""
        if data[:1] != b"{":
            number = struct.unpack(">I", data[:4])[0]
            self.console[number] = self.console.get(number, b"") + data[4:]
            return
        message = json.loads(data)
        self.said.append(message)
        handler = getattr(self, "take_" + message["type"], None)
        if handler:
            handler(message)

    def take_refuse(self, message):
        """There is no work."""
        self.refused = message["code"]

    def take_desired(self, message):
        """Wants; the newest replaces."""
        for want in message.get("vms", []):
            self.vms[want["id"]] = want
            if self.obeys:
                self.obey_vm(want)
        for want in message.get("volumes", []):
            self.volumes[want["id"]] = want
            if self.obeys:
                self.obey_volume(want)

    def take_gone(self, message):
        """What it may forget."""
        for vm in message.get("vms", []):
            self.vms.pop(vm, None)
            self.gone.add(vm)

    def take_command(self, message):
        """Answered as the test has said."""
        answer = self.answers.get(message["kind"], {})
        if answer is not None:
            self.say("result", id=message["id"], **dict({"ok": True}, **answer))
        if message["kind"] == "vm_console_open":
            self.stream(message["stream"], b"hello from the console")

    def take_certificate(self, message):
        """A new one."""
        self.keep(message)

    # ---- what it says ----

    def obey_vm(self, want):
        """It is as it is wanted."""
        if want["power"] == "running":
            self.epochs[want["id"]] = want["epoch"]
        self.say_vm(want["id"], STATES[want["power"]])

    def say_vm(self, vm, state, **more):
        """What a VM is."""
        want = self.vms[vm]
        seen = {"id": vm, "managed": True, "generation": want["generation"], "epoch": self.epochs.get(vm, 0), "state": state}
        if want.get("devices") and state in ("running", "paused"):
            seen.update(disks=[d["volume"] for d in want["disks"]], ports=[p["id"] for p in want["ports"]])
        self.say("seen", vms=[dict(seen, **more)])

    def obey_volume(self, want):
        """It is there, or gone."""
        size = want.get("size_bytes", 1 << 30)
        seen = {"id": want["id"], "kind": want["kind"], "managed": True, "generation": want["generation"],
                "state": "ready" if want["present"] else "absent"}
        if want["present"]:
            seen.update(size_bytes=size, used_bytes=0, pool="default")
        self.say("seen", volumes=[seen])

    def wait(self, what, why, timeout=60):
        """Until what() is true, which is asked after each message; returns it."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while not (got := what()):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise CaseTimeout(f"{self.name}: {why}")
                self.changed.wait(min(left, 1))
            return got

    def __enter__(self):
        return self.connect()

    def __exit__(self, *_):
        self.disconnect()
        shutil.rmtree(self.dir, ignore_errors=True)
