"""Disks that boot: an ext4 with kernel, initrd and grub.cfg, alone or in a GPT."""
import binascii
import os
import shutil
import struct
import subprocess
import tempfile
import uuid

from .vm import guest_file, write_initrd

MIB = 1 << 20
SECTOR = 512
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def make_file_system(path, offset, size, script, grub_cfg, tools=False):
    """An ext4 at an offset of an image, with kernel, initrd and grub.cfg."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tree:
        os.makedirs(f"{tree}/boot/grub")
        shutil.copyfile(guest_file("vmlinuz"), f"{tree}/boot/vmlinuz-1")
        write_initrd(f"{tree}/boot/initrd.img-1", script, tools)
        with open(f"{tree}/boot/grub/grub.cfg", "w", encoding="utf-8") as f:
            f.write(grub_cfg)
        env = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, "-E", f"offset={offset}", path, f"{size // 1024}k"],
                       check=True, env=env)


def gpt_header(my, other, entries_lba, entries, last, crc=0):
    """A GPT header; see UEFI 2.10, table 5.5."""
    h = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, my, other, 34, last - 34, b"\1" * 16, entries_lba,
                    128, 128, binascii.crc32(entries))
    return h if crc else gpt_header(my, other, entries_lba, entries, last, binascii.crc32(h))


def make_gpt(path, size, offset, bytes_):
    """A GPT with one Linux partition, on an image that is there."""
    last = size // SECTOR - 1
    name = "root".encode("utf-16-le")
    entries = struct.pack("<16s16sQQQ72s", LINUX.bytes_le, uuid.uuid4().bytes_le, offset // SECTOR,
                          (offset + bytes_) // SECTOR - 1, 0, name).ljust(128 * 128, b"\0")
    mbr = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, last)
    with open(path, "r+b") as f:
        f.truncate(size)
        f.seek(446)
        f.write(mbr.ljust(64, b"\0") + b"\x55\xaa")
        f.write(gpt_header(1, last, 2, entries, last).ljust(SECTOR, b"\0") + entries)
        f.seek((last - 32) * SECTOR)
        f.write(entries + gpt_header(last, 1, last - 32, entries, last).ljust(SECTOR, b"\0"))


def make_disk(path, script, grub_cfg, tools=False):
    """A raw disk with a GPT whose only partition boots."""
    size, offset = 96 * MIB, MIB
    make_file_system(path, offset, size - 2 * MIB, script, grub_cfg, tools)
    make_gpt(path, size, offset, size - 2 * MIB)
