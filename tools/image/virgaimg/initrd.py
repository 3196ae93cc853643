"""Writes initial ram disks: cpio archives ("newc") and the modules that belong in one.

The archives are not compressed: under emulation inflating costs far more than the larger read.
"""
import os
import re
import stat


class Cpio:
    """A newc archive being written to a file object."""

    def __init__(self, out):
        self.out, self.ino, self.dirs = out, 1, set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        raw = name.encode() + b"\0"
        fields = (self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields)
        self.ino += 1
        self.out.write(head + raw + b"\0" * (-(len(head) + len(raw)) % 4) + data + b"\0" * (-len(data) % 4))

    def directory(self, name):
        """A directory with all those above it."""
        name = name.strip("/")
        if not name or name in self.dirs:
            return
        self.directory(os.path.dirname(name))
        self.dirs.add(name)
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        """A regular file with the given bytes."""
        self.directory(os.path.dirname(name.strip("/")))
        self._entry(name.strip("/"), stat.S_IFREG | mode, data)

    def copy(self, name, path, mode=None):
        """A regular file with the contents (and permissions) of path."""
        with open(path, "rb") as f:
            data = f.read()
        self.file(name, data, mode if mode is not None else os.stat(path).st_mode & 0o777)

    def symlink(self, name, target):
        """A symbolic link."""
        self.directory(os.path.dirname(name.strip("/")))
        self._entry(name.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, major, minor):
        """A character device."""
        self.directory(os.path.dirname(name.strip("/")))
        self._entry(name.strip("/"), stat.S_IFCHR | 0o600, rdev=(major, minor))

    def close(self):
        """Ends the archive; another may be appended to the same file."""
        self._entry("TRAILER!!!", 0)
        self.out.write(b"\0" * (-self.out.tell() % 512))


class Modules:
    """The modules under a lib/modules directory of one kernel, and what each depends on."""

    def __init__(self, top):
        self.top, self.files = os.path.join(top, os.listdir(top)[0]), {}
        for d, _, names in os.walk(top):
            for n in names:
                if n.endswith(".ko"):
                    self.files[n[:-3].replace("-", "_")] = os.path.join(d, n)

    @staticmethod
    def _fields(path, field):
        """The values of a field in a module's .modinfo section."""
        with open(path, "rb") as f:
            data = f.read()
        return [v.decode() for v in re.findall(rb"\0" + field + rb"=([^\0]*)\0", data.replace(b"\0", b"\0\0"))]

    def depends(self, name):
        """The names in the module's own "depends" field."""
        return [d.replace("-", "_") for v in self._fields(self.files[name], b"depends") for d in v.split(",") if d]

    def closure(self, names):
        """Paths of the modules in an order in which insmod can load them; built-in ones are left out."""
        order = []

        def add(name):
            if name not in self.files or self.files[name] in order:
                return
            for d in self.depends(name):
                add(d)
            order.append(self.files[name])

        for n in names:
            add(n.replace("-", "_"))
        return order

    def install(self, ar, names):
        """Puts modules into an archive with the indexes that modprobe reads."""
        place = "lib/modules/" + os.path.basename(self.top) + "/"
        dep, alias = "", ""
        for path in self.closure(names):
            base = os.path.basename(path)
            name = base[:-3].replace("-", "_")
            ar.copy(place + base, path)
            before = [os.path.basename(p) for p in self.closure([name])[:-1]]
            dep += base + ":" + "".join(" " + b for b in reversed(before)) + "\n"
            alias += "".join(f"alias {a} {name}\n" for a in self._fields(path, b"alias"))
        ar.file(place + "modules.dep", dep.encode())
        ar.file(place + "modules.alias", alias.encode())
        ar.file(place + "modules.symbols", b"")
