"""The monitors that are compared: how they are started, and what a run of one cost."""
import os
import re
import selectors
import signal
import subprocess
import time

GUEST = os.environ.get("VIRGA_GUEST", "/rig/guest")
BUILD = os.environ.get("VIRGA_BUILD", "/rig/build")
MEMORY_MIB = 128
APPEND = "console=ttyS0 quiet panic=-1"

# QEMU at its fastest: no default devices, no option ROMs but the one that boots a kernel, no legacy
# chips where the machine allows it, no configuration files.
_QEMU = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-accel", "kvm",
         "-cpu", "host"]
PEERS = {
    "microvm": _QEMU + ["-M", "microvm,acpi=off,pit=off,rtc=off,x-option-roms=off,isa-serial=on,graphics=off"],
    "microvm-acpi": _QEMU + ["-M", "microvm,acpi=on,pit=off,pic=off,rtc=off,x-option-roms=off,isa-serial=on,"
                                   "graphics=off,pcie=off,usb=off"],
    "q35": _QEMU + ["-M", "q35,smbus=off,sata=off,usb=off,vmport=off,hpet=off,graphics=off"],
    "q35-qboot": _QEMU + ["-M", "q35,smbus=off,sata=off,usb=off,vmport=off,hpet=off,graphics=off",
                          "-bios", "/usr/share/qemu/qboot.rom"],
}


def guest_file(name):
    """A kernel or initrd for guests."""
    return os.path.join(GUEST, name)


def virga_argv(kernel, initrd, append=APPEND, extra=()):
    """virga-vmm with its defaults, but for the engine (`auto` would probe first) and the devices that the peers lack."""
    return [os.path.join(BUILD, "virga-vmm"), "--engine", "kvm", "--kernel", kernel, "--initrd", initrd,
            "--append", append, "--memory", f"{MEMORY_MIB}M", "--cpus", "1", "--console", "stdio", "--rng", "off", "--balloon",
            "off"] + list(extra)


def qemu_argv(machine, kernel, initrd, append=APPEND, extra=()):
    """One of PEERS with the same guest."""
    return PEERS[machine] + ["-m", f"{MEMORY_MIB}M", "-smp", "1", "-serial", "stdio", "-kernel", kernel,
                             "-initrd", initrd, "-append", append] + list(extra)


def processes_below(pid):
    """pid and its descendants."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/children", encoding="ascii") as f:
                    todo += [int(c) for c in f.read().split()]
        except OSError:
            pass
    return found


def process_name(pid):
    """As the kernel has it, at most 15 letters; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return ""


def cpu_ms(pid):
    """CPU time of a process tree's threads that are alive."""
    total = 0
    for p in processes_below(pid):
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e6


class Process:
    """A monitor with its guest's console on a pipe. A context manager: it ends with the block."""

    def __init__(self, argv, errors=None):
        self.text = ""
        out_read, out_write = os.pipe()
        in_read, self.stdin = os.pipe()
        self.err_path = errors or os.devnull
        err = os.open(self.err_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        path = argv[0] if "/" in argv[0] else "/usr/bin/" + argv[0]
        moves = [(os.POSIX_SPAWN_DUP2, in_read, 0), (os.POSIX_SPAWN_DUP2, out_write, 1), (os.POSIX_SPAWN_DUP2, err, 2)]
        self.begin_ns = time.monotonic_ns()
        self.pid = os.posix_spawn(path, argv, os.environ, file_actions=moves)
        for fd in (in_read, out_write, err):
            os.close(fd)
        self.stdout = out_read
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.stdout, selectors.EVENT_READ)
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def expect(self, pattern, timeout_s=120, tick=None, tick_s=0.01):
        """Waits until the console matches; returns the match and the ns since the start.

        tick: called every tick_s seconds meanwhile.
        """
        limit = time.monotonic() + timeout_s
        compiled = re.compile(pattern, re.M)
        while True:
            m = compiled.search(self.text)
            if m:
                return m, self.last_ns - self.begin_ns
            if not self.selector.select(tick_s if tick else 1):
                if tick:
                    tick()
                if time.monotonic() > limit:
                    raise TimeoutError(f"no {pattern!r} within {timeout_s} s; the console ends with "
                                       f"{self.text[-600:]!r}")
                continue
            data = os.read(self.stdout, 65536)
            self.last_ns = time.monotonic_ns()
            if not data:
                raise RuntimeError(f"the VM ended before {pattern!r}; its console ends with {self.text[-600:]!r}; "
                                   + self.errors())
            self.text += data.decode("utf-8", "replace").replace("\r", "")
            if tick:
                tick()

    def errors(self):
        """What it wrote to standard error, when that was kept."""
        if self.err_path == os.devnull:
            return ""
        with open(self.err_path, encoding="utf-8", errors="replace") as f:
            return f.read()[-1500:]

    def end(self):
        """Ends the process whatever it does, and waits for it."""
        if self.status is not None:
            return
        tree = processes_below(self.pid)
        for p in tree:
            try:
                os.kill(p, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.status = os.waitpid(self.pid, 0)[1]
        while any(process_name(p) for p in tree):  # they hold locks and memory until they are gone
            time.sleep(0.001)
        self.selector.close()
        os.close(self.stdout)
        os.close(self.stdin)
