"""Which shared libraries a dynamic ELF program of an unpacked root file system needs."""
import os
import struct

LIB_DIRS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib", "usr/lib", "lib64")


def _cstr(data, at):
    return data[at:data.index(b"\0", at)].decode()


def needed(path):
    """(interpreter or None, [sonames]) of an ELF64 file; (None, []) of anything else."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:5] != b"\x7fELF\x02":
        return None, []
    phoff, = struct.unpack_from("<Q", data, 32)
    phentsize, phnum = struct.unpack_from("<HH", data, 54)
    loads, dyn, interp = [], None, None
    for i in range(phnum):
        kind, _, off, vaddr, _, filesz, _, _ = struct.unpack_from("<IIQQQQQQ", data, phoff + i * phentsize)
        if kind == 1:
            loads.append((vaddr, off, filesz))
        elif kind == 2:
            dyn = (off, filesz)
        elif kind == 3:
            interp = _cstr(data, off)
    if not dyn:
        return interp, []
    tags = [struct.unpack_from("<QQ", data, dyn[0] + i) for i in range(0, dyn[1], 16)]
    strtab = next(v for t, v in tags if t == 5)
    base = next(off + strtab - va for va, off, size in loads if va <= strtab < va + size)
    return interp, [_cstr(data, base + v) for t, v in tags if t == 1]


def closure(root, programs):
    """{path in the root: file} of programs with everything they load at start."""
    out = {}
    todo = list(programs)
    while todo:
        name = todo.pop()
        if name in out:
            continue
        path = os.path.realpath(os.path.join(root, name.lstrip("/")))
        out[name] = path
        interp, libs = needed(path)
        if interp:
            todo.append(interp)
        for lib in libs:
            todo.append(next(("/" + d + "/" + lib for d in LIB_DIRS if os.path.exists(os.path.join(root, d, lib))),
                             "/lib/x86_64-linux-gnu/" + lib))
    return out
