"""A debugger's end of gdb's remote serial protocol, small enough for a host that has no gdb."""
import contextlib
import socket
import time


class Gdb:
    """A connection to the monitor's --gdb socket."""

    def __init__(self, path, timeout=60):
        self.timeout = timeout
        end = time.monotonic() + timeout
        while True:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self.sock.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                self.sock.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.sock.settimeout(timeout)
        self.rest = b""
        self.no_ack = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        """One packet."""
        if isinstance(data, str):
            data = data.encode()
        self.sock.sendall(b"$" + data + b"#%02x" % (sum(data) & 255))

    def raw(self, data):
        """Bytes as they are."""
        self.sock.sendall(data)

    def receive(self):
        """The next packet's payload."""
        while True:
            begin = self.rest.find(b"$")
            end = self.rest.find(b"#", begin)
            if begin >= 0 and 0 <= end <= len(self.rest) - 3:
                data = self.rest[begin + 1:end]
                assert int(self.rest[end + 1:end + 3], 16) == sum(data) & 255, "the checksum of an answer"
                self.rest = self.rest[end + 3:]
                if not self.no_ack:
                    with contextlib.suppress(BrokenPipeError):  # after a detach nobody takes it
                        self.sock.sendall(b"+")
                return data.decode("latin-1")
            more = self.sock.recv(65536)
            assert more, "the server hung up"
            self.rest += more

    def ask(self, data):
        """One packet and its answer."""
        self.send(data)
        return self.receive()

    def regs(self):
        """The general registers, rip and eflags, by name."""
        block = bytes.fromhex(self.ask("g"))
        names = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()
        out = {n: int.from_bytes(block[8 * i:8 * i + 8], "little") for i, n in enumerate(names)}
        out["eflags"] = int.from_bytes(block[136:140], "little")
        return out

    def read(self, address, n):
        """Bytes of memory."""
        return bytes.fromhex(self.ask(f"m{address:x},{n:x}"))

    def interrupt(self):
        """Ctrl-C; the stop reply."""
        self.raw(b"\x03")
        return self.receive()
