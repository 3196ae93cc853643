"""A server of the API that knows nothing but its description: it holds what arrives to it, and draws what it answers.

Tests plan answers that are failures (plan()), look at what came (calls), and take the drawn answer back (call.answer).
"""
import base64
import hashlib
import http.server
import json
import os
import random
import re
import socket
import socketserver
import ssl
import struct
import threading
import urllib.parse

from .openapi import Description, SAMPLES

PROBLEM = "application/problem+json"
WS_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Call:
    """One request: what it was taken for, what it held, what is wrong with it, what was answered."""

    def __init__(self, op, method, path, headers, query, raw):
        self.op, self.method, self.path, self.headers, self.query, self.raw = op, method, path, headers, query, raw
        self.wrong, self.body, self.answer, self.status = [], None, None, None


class Plan:
    """An answer instead of the drawn one. `drop`: the connection is closed without any."""

    def __init__(self, status=200, body=None, media="application/json", headers=None, drop=False, effect=None):
        self.status, self.body, self.media, self.headers, self.drop, self.effect = status, body, media, headers or {}, drop, effect


def problem(code, status, **more):
    """A planned problem document."""
    body = {"type": f"urn:virga:problem:{code}", "title": f"Title of {code}", "status": status, "code": code, **more}
    return Plan(status, body, PROBLEM)


def query_value(schema, text):
    """A query parameter's text as the JSON that the schema speaks of."""
    kind = schema.get("type")
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


class Cloud:
    """The server. `unix`: the path of a socket; `cert`: (certificate, key) for TLS."""

    def __init__(self, top, seed=1, unix=None, cert=None):
        self.d = Description(os.path.join(top, "api/openapi.json"))
        self.rng = random.Random(seed)
        self.calls, self.plans, self.lock = [], [], threading.Lock()
        self.console = b"login: "
        self.typed, self.texts = b"", []
        self.operation_states = ["done"]
        self.routes = []
        for method, path, op in self.d.operations():
            servers = [s["url"] for s in self.d.document["paths"][path].get("servers", self.d.document["servers"])]
            for server in servers:
                pattern = re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(server + path))
                self.routes.append((re.compile(pattern + "$"), method, op, path, server))
        # Words before names in braces: /events/stream is no event.
        self.routes.sort(key=lambda r: r[0].pattern.count("[^/]"))
        self.server = self._listen(unix, cert)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def _listen(self, unix, cert):
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Hands each request to the cloud."""
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                """Quiet."""

            def address_string(self):
                return "client"

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return lambda: cloud.handle(self)
                raise AttributeError(name)

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            """One thread a connection."""
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 64
            address_family = socket.AF_UNIX if unix else socket.AF_INET

            def handle_error(self, *_):
                """Clients that go away are none of our business."""

        server = Server(unix or ("127.0.0.1", 0), Handler)
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*cert)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.url = f"unix:{unix}" if unix else f"http{'s' if cert else ''}://127.0.0.1:{server.server_address[1]}"
        return server

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def plan(self, *plans):
        """What the next requests get."""
        self.plans += plans

    def take(self):
        """All calls so far; the list is empty then."""
        with self.lock:
            calls, self.calls = self.calls, []
        return calls

    # What arrives.

    def find(self, method, path):
        """(operation, path of the description, its server) or Nones."""
        for pattern, m, op, described, server in self.routes:
            if m == method and pattern.match(path):
                return op, described, server
        return None, None, None

    def check(self, call, op):
        """What is wrong with a request."""
        wrong, seen = call.wrong, set()
        parameters = [self.d.resolve(p) for p in op.get("parameters", [])]
        for name, text in call.query:
            p = next((p for p in parameters if p["in"] == "query" and p["name"] == name), None)
            if not p:
                wrong.append(f"the query {name} is not described")
                continue
            seen.add(name)
            wrong += self.d.errors(p["schema"], query_value(self.d.resolve(p["schema"]), text), name)
        allowed = {p["name"].lower() for p in parameters if p["in"] == "header"} | {
            "host", "user-agent", "accept", "content-type", "content-length", "content-range", "authorization", "upgrade", "connection",
            "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "pragma", "cache-control", "origin"}
        wrong += [f"the header {h} is not described" for h in call.headers if h.lower() not in allowed]
        if op.get("x-virga-idempotent") and not call.headers.get("Idempotency-Key"):
            wrong.append("no Idempotency-Key")
        if call.method == "patch" and not call.headers.get("If-Match") and "412" in op["responses"] and self.has_etag(op):
            wrong.append("no If-Match")
        self.check_body(call, op)

    def has_etag(self, op):
        """Whether the answer has one."""
        return "ETag" in op["responses"].get("200", {}).get("headers", {})

    def check_body(self, call, op):
        """The body and its type."""
        content = op.get("requestBody", {}).get("content", {})
        media = call.headers.get("Content-Type")
        if not content and call.raw:
            call.wrong.append("a body that is not described")
        if not call.raw:
            if media:
                call.wrong.append(f"a type of no body: {media}")
            if op.get("requestBody", {}).get("required") and "application/octet-stream" not in content:
                call.wrong.append("no body")
            return
        if media not in content:
            call.wrong.append(f"the type {media} is not described")
        elif media.endswith("json"):
            call.body = json.loads(call.raw)
            call.wrong += self.d.errors(content[media]["schema"], call.body)

    # What is answered.

    def handle(self, h):
        """One request."""
        split = urllib.parse.urlsplit(h.path)
        raw = h.rfile.read(int(h.headers.get("Content-Length", "0")))
        op, _, _ = self.find(h.command.lower(), split.path)
        call = Call(op["operationId"] if op else None, h.command.lower(), split.path, h.headers,
                    urllib.parse.parse_qsl(split.query, keep_blank_values=True), raw)
        with self.lock:
            self.calls.append(call)
            plan = self.plans.pop(0) if self.plans else None
        if op:
            self.check(call, op)
        if plan and plan.effect:
            plan.effect(call)
        if plan and plan.drop:
            h.close_connection = True
            h.connection.shutdown(socket.SHUT_RDWR)
            return
        if not op and not plan:
            plan = problem("route.not_found", 404)
        if plan and plan.body is None and plan.status < 400:
            plan = None
        if op and op.get("x-virga-websocket") and not plan:
            self.talk(h, call)
            return
        self.send(h, call, op, plan)

    def send(self, h, call, op, plan):
        """An answer, planned or drawn."""
        headers = {"Virga-Request-Id": f"req-{len(self.calls)}", **(plan.headers if plan else {})}
        if plan:
            call.status, call.answer, media = plan.status, plan.body, plan.media
        else:
            call.status, call.answer, media = self.draw(call, op)
            if self.has_etag(op):
                headers["ETag"] = '"7"'
        body = call.answer if isinstance(call.answer, bytes) else b"" if call.status == 204 else json.dumps(call.answer).encode()
        h.send_response(call.status)
        for name, value in headers.items():
            h.send_header(name, value)
        if body or call.status != 204:
            h.send_header("Content-Type", media)
            h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    def draw(self, call, op):
        """(status, answer, media) of a success."""
        asked = dict(call.query)
        status = next(s for s in op["responses"] if s[0] in "12" and (s == "200") == (
            asked.get("dry_run") == "true" or not ({"201", "202", "204", "101"} & set(op["responses"]))))
        content = self.d.resolve(op["responses"][status]).get("content")
        if not content:
            return int(status), None, None
        media, inner = next(iter(content.items()))
        if media == "application/octet-stream":
            return int(status), b"content", media
        with self.lock:
            answer = self.d.draw(inner["schema"], self.rng)
            self.settle(answer, op["operationId"])
        return int(status), answer, media

    def settle(self, answer, op_id):
        """What has to fit together in a drawn answer."""
        if "next_cursor" in answer:
            del answer["next_cursor"]
        if "cancellable" in answer:
            answer.pop("problem", None)
            answer["resource"] = SAMPLES["uuid"].format(n=1)
            waits = op_id in ("operation_wait", "operation_get")
            answer["state"] = (self.operation_states.pop(0) if len(self.operation_states) > 1 else self.operation_states[0]) \
                if waits else "running"

    # WebSocket: RFC 6455, as far as one console needs it.

    def talk(self, h, call):
        """Says what the console has to say, and collects what is typed until the other side ends."""
        key = h.headers["Sec-WebSocket-Key"] + WS_GUID
        h.send_response_only(101)
        h.send_header("Upgrade", "websocket")
        h.send_header("Connection", "Upgrade")
        h.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        h.end_headers()
        call.status = 101
        h.close_connection = True
        h.wfile.write(frame(2, self.console))
        h.wfile.flush()
        while True:
            opcode, data = read_frame(h.rfile)
            if opcode in (None, 8):
                if opcode == 8:
                    h.wfile.write(frame(8, data))
                return
            if opcode == 1:
                self.texts.append(json.loads(data))
            elif opcode in (0, 2):
                self.typed += data
                h.wfile.write(frame(2, data.upper()))
                if b"bye" in self.typed:
                    h.wfile.write(frame(8, struct.pack(">H", 1000)))
                    return
                h.wfile.flush()


def frame(opcode, data):
    """A frame of a server."""
    head = bytes([0x80 | opcode]) + (bytes([len(data)]) if len(data) < 126 else bytes([126]) + struct.pack(">H", len(data)))
    return head + data


def read_frame(f):
    """(opcode, data) of a client's frame; Nones at the end."""
    head = f.read(2)
    if len(head) < 2:
        return None, None
    n = head[1] & 127
    if n == 126:
        n = struct.unpack(">H", f.read(2))[0]
    elif n == 127:
        n = struct.unpack(">Q", f.read(8))[0]
    mask = f.read(4) if head[1] & 128 else b"\0\0\0\0"
    data = f.read(n)
    return head[0] & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(data))
