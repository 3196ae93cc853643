"""A guest that takes commands on its console, so that one boot serves many interleaved runs."""
import json
import os

from . import vmm


def initrd(path, programs):
    """The test initrd with programs of the build added, and a script that runs what it is told."""
    from virgatest import cpio  # in tests/lib, which is on the path inside only
    files = {f"virga/{name}": _read(os.path.join(vmm.BUILD, "bench", name)) for name in programs}
    files["virga/run"] = b"stty -echo\nwhile echo @ready; read -r line; do eval \"$line\" || echo @failed; done\n"
    with open(path, "wb") as f:
        f.write(_read(vmm.guest_file("test.img")) + cpio.archive(files))
    return path


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def programs_of(build, names):
    """--file values that take programs of the build to the rig."""
    return [f"{os.path.join(build, 'bench', n)}:build/bench/{n}" for n in names]


class Guest(vmm.Process):
    """A VM with such an initrd."""

    def __init__(self, argv, errors, sampler=None):
        """sampler(pid): makes what is called every 20 ms while the guest boots."""
        super().__init__(argv, errors)
        self.sampler = sampler(self.pid) if sampler else None
        self.expect("^@ready", tick=self.sampler, tick_s=0.02)
        self.text = ""

    def tell(self, command):
        """Sends a command and does not wait."""
        self.text = ""
        os.write(self.stdin, command.encode() + b"\n")

    def result(self, timeout_s=120, **kw):
        """Waits for the command's end; its "@result {...}" decoded, or None when it has none."""
        self.expect("^@(ready|failed)", timeout_s, **kw)
        if "@failed" in self.text:
            raise RuntimeError(f"the guest's command failed: {self.text[-500:]!r} {self.errors()}")
        found = [line for line in self.text.split("\n") if line.startswith("@result ")]
        self.text = ""
        return json.loads(found[-1][8:]) if found else None

    def do(self, command, timeout_s=120):
        """tell() and result()."""
        self.tell(command)
        return self.result(timeout_s)
