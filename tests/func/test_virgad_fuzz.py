#!/usr/bin/env python3
"""Requests drawn from the description, right ones and spoiled ones, and bytes that are no HTTP: every answer is as described,
none is a 500, and the server ends cleanly. The seed is fixed; VIRGA_FUZZ_SEED and VIRGA_FUZZ_ROUNDS change what is drawn."""
import http.client
import json
import os
import random
import re
import socket
import time

from virgatest import case, check, check_eq, main
from virgatest.cloud import DESCRIPTION, Answer, Cloud

SEED = int(os.environ.get("VIRGA_FUZZ_SEED", "4"))
ROUNDS = int(os.environ.get("VIRGA_FUZZ_ROUNDS", "3"))
# What would end the fuzzer's own session or lock its user out is only asked of what does not exist.
NOT_OURS = ("users", "tokens", "sessions", "roles", "password")
LISTS = {"filter": ['name eq "a"', "name eq", "(", "x.y ne 1", 'labels.a has "b" and not id eq "c"', "'", "a" * 5000],
         "sort": ["name", "-id,name", "nope", "-", ",,", "a" * 300], "fields": ["id", "name,labels.x", "nope", "", ","],
         "cursor": ["AAAA", "!!", "AQAAAAAAAAAAAQ", "a" * 3000]}


class Fuzzer:
    """Asks over one connection, and remembers the ids of what it has seen."""

    def __init__(self, cloud, rng):
        self.cloud, self.rng, self.ids = cloud, rng, []
        self.conn = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
        self.statuses = {}

    def ask(self, method, target, body, media, headers):
        """One request; None: the connection was closed without an answer."""
        sent = {"Authorization": f"Bearer {self.cloud.token}", **headers}
        if body is not None:
            sent["Content-Type"] = media
        for attempt in range(2):
            try:
                self.conn.request(method.upper(), "/v1" + target, body=body, headers=sent)
                r = self.conn.getresponse()
                answer = Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
                break
            except (http.client.HTTPException, ConnectionError):
                self.conn.close()
                check(attempt == 0, f"{method} {target}: no answer")
        if answer.status == 401:
            self.cloud.sign_in()
        elif answer.status == 429:
            time.sleep(float(answer.headers["retry-after"]))
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        if isinstance(answer.body, dict) and answer.status in (200, 201, 202) and not any(n in target for n in NOT_OURS):
            found = [answer.body, *answer.body.get("items", [])] if isinstance(answer.body.get("items", []), list) else []
            self.ids += [x["id"] for x in found if isinstance(x, dict) and isinstance(x.get("id"), str)]
            self.ids = self.ids[-200:]
        return answer

    def target(self, path, op):
        """A target; half of the things it names exist, waits are short."""
        if self.ids and not any(n in path for n in NOT_OURS):
            path = re.sub(r"\{[^}]*\}", lambda m: self.rng.choice(self.ids) if self.rng.random() < 0.5 else m.group(0), path)
        target = DESCRIPTION.draw_target(path, op, self.rng)
        target = re.sub(r"(wait_s|timeout_s)=\d+", r"\1=0", target)
        names = {DESCRIPTION.resolve(p)["name"] for p in op.get("parameters", [])}
        for name in LISTS:
            if name in names and self.rng.random() < 0.3:
                value = "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in self.rng.choice(LISTS[name]))
                target += ("&" if "?" in target else "?") + f"{name}={value}"
        return target

    def headers(self):
        """Headers of all requests, now and then wrong ones."""
        drawn = {}
        for name, values in (("Idempotency-Key", ["k1", "k2", "\x7f", "a" * 200]), ("If-Match", ['"1"', "x", "*", '"1", "2"']),
                             ("Virga-Project", ["default", "*", "nope", "%"]), ("Virga-Request-Id", ["r", "a b", "x" * 100]),
                             ("Virga-Seq", ["0", "1", "x", "-1"]), ("If-None-Match", ['"1"', "("])):
            if self.rng.random() < 0.15:
                drawn[name] = self.rng.choice(values)
        return drawn

    def once(self, method, path, op, spoiled):
        """Draws one request of an operation and holds the answer to the description."""
        media, schema = DESCRIPTION.request_schema(op)
        body = None
        wrong = False
        if schema is not None and "json" in media:
            value = DESCRIPTION.draw(schema, self.rng)
            if spoiled:
                value = DESCRIPTION.spoil(schema, value, self.rng) if isinstance(value, dict) else [value]
                wrong = bool(DESCRIPTION.errors(schema, value))
            body = json.dumps(value).encode()
            if spoiled and self.rng.random() < 0.2:
                at = self.rng.randrange(len(body) + 1)
                body = body[:at] + bytes([self.rng.randrange(256)]) + body[at:]
                wrong = False
        elif schema is not None:
            body = self.rng.randbytes(self.rng.randrange(300))
        target = self.target(path, op)
        answer = self.ask(method, target, body, media, self.headers())
        errors = DESCRIPTION.answer_errors(op, answer.status, answer.headers.get("content-type"), answer.body)
        if "fields=" in target:
            errors = [e for e in errors if not e.endswith(": missing")]
        check_eq(errors, [], f"{method} {target} {(body or b'')[:2000]!r}: {answer}")
        check(not wrong or answer.status >= 400, f"{method} {target} {body!r} is wrong and was taken: {answer}")


@case
def every_answer_is_as_described():
    """Valid and spoiled requests for every operation."""
    with Cloud() as cloud:
        f = Fuzzer(cloud, random.Random(SEED))
        operations = [(m, p, op) for m, p, op in DESCRIPTION.operations() if not op.get("x-virga-websocket")]
        check(len(operations) > 100, "there are operations")
        for _ in range(ROUNDS):
            f.rng.shuffle(operations)
            for method, path, op in operations:
                f.once(method, path, op, spoiled=False)
                f.once(method, path, op, spoiled=True)
        check({200, 201, 404, 422} <= set(f.statuses), f"it gets through: {f.statuses}")
        check_eq(cloud.get("/health").status, 200, "well")
        check_eq(cloud.stop(), 0, f"it ends cleanly: {cloud.logged()[-3000:]}")


def seeds(cloud):
    """Requests that are right."""
    head = f"Host: x\r\nAuthorization: Bearer {cloud.token}\r\n"
    body = '{"name":"f","vcpus":1,"memory_mib":256}'
    return [f"GET /v1/flavors?limit=2&filter=name%20eq%20%22a%22 HTTP/1.1\r\n{head}\r\n".encode(),
            f"POST /v1/flavors HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode(),
            f"GET /v1/events/stream HTTP/1.1\r\n{head}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x83abcdefg".encode("latin-1")]


def mutate(data, rng):
    """The request with something wrong in its bytes or its framing."""
    data = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        way, at = rng.randrange(6), rng.randrange(len(data) + 1)
        if way == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif way == 1:
            data[at:at] = rng.randbytes(rng.randrange(1, 20))
        elif way == 2:
            del data[at:at + rng.randrange(1, 30)]
        elif way == 3:
            data[at:at] = rng.choice([b"\r\n", b"\n", b"\r\n\r\n", b"\0", b"%00", b"%", b"../", b" ", b":"])
        elif way == 4:
            extra = rng.choice([b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n", b"Content-Length: 5\r\n",
                                b"Transfer-Encoding: chunked\r\n", b"X: " + b"y" * rng.choice([10, 5000, 40000]) + b"\r\n",
                                b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Virga-Project: \xff\r\n"])
            line = data.find(b"\r\n")
            data[line + 2:line + 2] = extra
        else:
            data = data[:max(1, at)]
    return bytes(data)


@case
def broken_requests_break_nothing():
    """Bytes that are no HTTP, cut short, or framed wrongly; the next client is served."""
    with Cloud() as cloud:
        rng, requests = random.Random(SEED), seeds(cloud)
        for i in range(120 * ROUNDS):
            data = mutate(rng.choice(requests), rng) if i % 10 else rng.randbytes(rng.randrange(1, 2000))
            with socket.create_connection(("127.0.0.1", cloud.port), timeout=20) as conn:
                try:
                    conn.sendall(data)
                    if rng.random() < 0.7:
                        conn.shutdown(socket.SHUT_WR)
                        conn.settimeout(0.05)
                        answer = conn.recv(65536)
                        check(not re.match(rb"HTTP/1.1 500", answer), f"{data!r}: {answer!r}")
                except (socket.timeout, ConnectionError):
                    pass
            if i % 40 == 0:
                check_eq(cloud.get("/health").status, 200, f"it serves others after {data!r}")
        check_eq(cloud.get("/health").status, 200, "well")
        check_eq(cloud.stop(), 0, f"it ends cleanly: {cloud.logged()[-3000:]}")


main()
