"""The client's end of a WebSocket (RFC 6455), as small as tests need it."""
import base64
import os
import socket
import struct
import time

from .tap import CaseTimeout


class Refused(AssertionError):
    """The server answered with another status than 101."""

    def __init__(self, status, text):
        super().__init__(f"status {status}: {text}")
        self.status = status


class WebSocket:
    """One connection; a context manager."""

    def __init__(self, port, target, headers=None, protocol=None, timeout=20, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.buffer = b""
        self.status = None
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            part = self.socket.recv(4096)
            if not part:
                break
            self.buffer += part
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1]) if head else 0
        if status != 101:
            self.socket.close()
            raise Refused(status, head.decode(errors="replace"))

    def _take(self, n):
        while len(self.buffer) < n:
            try:
                part = self.socket.recv(65536)
            except socket.timeout as e:
                raise CaseTimeout("nothing came") from e
            if not part:
                raise EOFError("the connection ended")
            self.buffer += part
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def _send(self, opcode, data):
        mask = os.urandom(4)
        size = len(data)
        head = bytes([0x80 | opcode]) + (bytes([0x80 | size]) if size < 126 else bytes([0xfe]) + struct.pack(">H", size))
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def receive(self):
        """The next message; None: the other end has closed, see status."""
        message, deadline = b"", time.monotonic() + self.socket.gettimeout()
        while True:
            if time.monotonic() > deadline:
                raise CaseTimeout("nothing but pings came")
            first, second = self._take(2)
            size = second & 0x7f
            if size == 126:
                size = struct.unpack(">H", self._take(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self._take(8))[0]
            data, opcode = self._take(size), first & 0xf
            if opcode == 9:
                self._send(10, data)
            elif opcode == 8:
                self.status = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else None
                return None
            elif opcode < 3:
                message += data
                if first & 0x80:
                    return message

    def close(self):
        """Just ends the connection."""
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
