"""Debian's kernels: the package unpacked, and the ELF file that is packed inside a bzImage.

Source of the layout: the kernel's Documentation/arch/x86/boot.rst, fields setup_sects,
payload_offset and payload_length.
"""
import lzma
import os
import shutil
import struct
import zlib

from . import debian
from .steps import StepError, run


def extract_vmlinux(vmlinuz, out, log):
    """Writes the ELF kernel of a bzImage to out."""
    with open(vmlinuz, "rb") as f:
        data = f.read()
    if data[0x202:0x206] != b"HdrS":
        raise StepError(f"{vmlinuz}: not a bzImage")
    setup_sects = data[0x1F1] or 4
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[(setup_sects + 1) * 512 + offset:][:length]
    # All but gzip append the unpacked size, four bytes that are no part of the stream.
    if payload[:2] == b"\x1f\x8b":
        elf = zlib.decompressobj(31).decompress(payload)
    elif payload[:6] == b"\xfd7zXZ\0":
        elf = lzma.LZMADecompressor().decompress(payload)
    elif payload[:4] in (b"\x02\x21\x4c\x18", b"\x28\xb5\x2f\xfd"):
        tool = "lz4" if payload[0] == 2 else "zstd"
        packed = out + ".packed"
        with open(packed, "wb") as f:
            f.write(payload[:-4])
        run(f"unpacking vmlinux with {tool}", [tool, "-d", "-q", "-f", packed, out], log)
        os.unlink(packed)
        with open(out, "rb") as f:
            elf = f.read(4)
    else:
        raise StepError(f"{vmlinuz}: payload packed in an unknown way (begins with {payload[:4].hex()})")
    if elf[:4] != b"\x7fELF":
        raise StepError(f"{vmlinuz}: the payload is not an ELF file")
    if len(elf) > 4:
        with open(out, "wb") as f:
            f.write(elf)


def image_package(flavor):
    """The versioned package behind linux-image-cloud-amd64 or linux-image-amd64."""
    meta = "linux-image-cloud-amd64" if flavor == "cloud" else "linux-image-amd64"
    for name in debian.depends(meta):
        if name.startswith("linux-image-"):
            return name
    raise StepError(f"package {meta} names no kernel image package")


def make(package, dest):
    """Fills dest with vmlinuz, vmlinux, config, version and modules/ of a kernel package."""
    log = os.path.join(dest, "log")
    tree = os.path.join(dest, "tree")
    debian.unpack([package], tree, log)
    version = package[len("linux-image-"):]
    shutil.move(os.path.join(tree, "boot", "vmlinuz-" + version), os.path.join(dest, "vmlinuz"))
    shutil.move(os.path.join(tree, "boot", "config-" + version), os.path.join(dest, "config"))
    shutil.move(os.path.join(tree, "lib", "modules"), os.path.join(dest, "modules"))
    shutil.rmtree(tree)
    with open(os.path.join(dest, "version"), "w", encoding="ascii") as f:
        f.write(version + "\n")
    extract_vmlinux(os.path.join(dest, "vmlinuz"), os.path.join(dest, "vmlinux"), log)
