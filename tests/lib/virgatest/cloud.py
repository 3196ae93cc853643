"""A management server for a test: started on a state directory of its own, asked by HTTP, held to the description."""
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from .openapi import Description
from .tap import check
from .vm import program

TOP = os.environ["VIRGA_TOP"]
DESCRIPTION = Description(os.path.join(TOP, "api/openapi.json"))


class Answer:
    """Status, headers and JSON body of an answer."""

    def __init__(self, status, headers, raw):
        self.status, self.headers, self.raw = status, headers, raw
        is_json = headers.get("content-type", "").endswith("json")
        self.body = json.loads(raw) if raw and is_json else None

    @property
    def code(self):
        """The code of a problem document."""
        return self.body.get("code") if isinstance(self.body, dict) else None

    def __repr__(self):
        return f"{self.status} {self.raw[:500]!r}"


class Cloud:
    """A running virgad. As a context manager it ends, and its state goes."""

    def __init__(self, *flags, env=None, state=None):
        self.keeps = state is not None
        self.state = state or tempfile.mkdtemp(prefix="virga-cloud-")
        self.flags, self.env = flags, dict(os.environ, **(env or {}))
        self.process = self.port = self.agents_port = self.token = None
        self.log = os.path.join(self.state, "log")
        self.start()

    def start(self):
        """Starts the server, and signs in as its first administrator."""
        with open(self.log, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen([program("virgad"), "--state", self.state, "--listen", "127.0.0.1:0", "--agents", "127.0.0.1:0",
                                             *self.flags],
                                            stdout=log, stderr=log, env=self.env)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with open(self.log, "rb") as f:
                f.seek(begin)
                found = re.search(rb"serving port=(\d+) tls=\d agents=(\d+)", f.read())
            if found:
                self.port, self.agents_port = int(found.group(1)), int(found.group(2))
                break
            if self.process.poll() is not None:
                raise AssertionError(f"virgad ended with {self.process.returncode}: {self.logged()}")
            time.sleep(0.01)
        check(self.port, "virgad says where it serves")
        self.sign_in()

    def sign_in(self, user="admin", password=None):
        """Gets a session's token."""
        if password is None:
            with open(os.path.join(self.state, "first-password"), encoding="ascii") as f:
                password = f.read()
        self.token = None
        answer = self.post("/sessions", {"user": user, "password": password})
        check(answer.status == 201, f"signs in: {answer}")
        self.token = answer.body["secret"]

    def logged(self):
        """What the server has said."""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def ask(self, method, path, body=None, headers=None, timeout=60):
        """One request; path without /v1. A body that is no bytes is sent as JSON."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent.update(headers or {})
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            conn.request(method, path if path.startswith("//") else "/v1" + path, body=body, headers=sent)
            r = conn.getresponse()
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        finally:
            conn.close()

    def get(self, path, **kw):
        """GET"""
        return self.ask("GET", path, **kw)

    def post(self, path, body=None, **kw):
        """POST"""
        return self.ask("POST", path, body, **kw)

    def patch(self, path, body, **kw):
        """PATCH"""
        return self.ask("PATCH", path, body, **kw)

    def delete(self, path, **kw):
        """DELETE"""
        return self.ask("DELETE", path, **kw)

    def wait(self, answer, timeout=60):
        """The operation of a 202, at its end."""
        check(answer.status == 202, f"an operation was begun: {answer}")
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            op = self.get(f"/operations/{answer.body['id']}/wait?timeout_s=20")
            check(op.status == 200, f"the operation is there: {op}")
            if op.body["state"] in ("done", "failed", "cancelled"):
                return op.body
        raise AssertionError(f"the operation did not end in {timeout} s: {op}")

    def kill(self):
        """kill -9"""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        if not self.keeps:
            shutil.rmtree(self.state, ignore_errors=True)
