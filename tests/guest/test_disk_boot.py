#!/usr/bin/env python3
"""Guests that boot the kernel of their own disk: no --kernel, a reset reads the disk again."""
import binascii
import os
import shutil
import struct
import subprocess
import tempfile
import uuid

from virgatest import DISK, VM, case, check, check_eq, guest_file, main, write_initrd

MIB = 1 << 20
SECTOR = 512
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")

GRUB_CFG = """\
set default="0"
if [ -s $prefix/grubenv ]; then
  load_env
fi
menuentry 'The first' --class debian {
    insmod ext2
    search --no-floppy --set=root --fs-uuid 0
    linux /boot/vmlinuz-1 virga.entry=one ro
    initrd /boot/initrd.img-1
}
submenu 'More' --id more {
    menuentry 'The second' --id second {
        linux /boot/vmlinuz-1 virga.entry=two ro
        initrd /boot/initrd.img-1
    }
}
"""

# The first boot changes which entry is the default, and asks for a reset.
CHANGES = r"""
    case "$(cat /proc/cmdline)" in
    *virga.entry=one*)
        mkdir -p /a
        mount -t ext4 /dev/vda1 /a
        sed -i 's/^set default=.*/set default="more>second"/' /a/boot/grub/grub.cfg
        umount /a
        echo "changed"
        reboot -f
        sleep 1000
    esac
    check the_new_default_is_booted grep -q virga.entry=two /proc/cmdline
    check what_was_appended_comes_last grep -q 'virga.entry=two ro .*virga.appended=yes$' /proc/cmdline
"""


def make_file_system(path, offset, size, script, tools=False, grub_cfg=GRUB_CFG):
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


def make_disk(path, script, tools=False):
    """A raw disk with a GPT whose only partition boots."""
    size, offset = 96 * MIB, MIB
    make_file_system(path, offset, size - 2 * MIB, script, tools)
    make_gpt(path, size, offset, size - 2 * MIB)


def boots_twice(disk):
    """One entry, and after the guest's reset the one it chose."""
    with VM(kernel=DISK, disks=[disk], append="virga.appended=yes", memory="192M", args=["--log", "info"]) as vm:
        vm.expect("^changed$", 180)
        vm.checks = 2
        vm.run(180)
        check_eq(vm.text.count("\nchanged\n"), 1, "boots of the first entry")
        check("/boot/vmlinuz-1 of partition 1" in vm.stderr(), vm.stderr())


@case
def a_raw_disk_boots_its_own_kernel_and_after_a_reset_what_its_guest_chose():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        make_disk(f"{tmp}/disk.img", CHANGES)
        boots_twice(f"{tmp}/disk.img")


@case
def a_qcow2_disk_boots_its_own_kernel_and_after_a_reset_what_its_guest_chose():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        make_disk(f"{tmp}/disk.img", CHANGES)
        subprocess.run(["qemu-img", "convert", "-q", "-c", "-f", "raw", "-O", "qcow2", f"{tmp}/disk.img", f"{tmp}/disk.qcow2"],
                       check=True)
        boots_twice(f"{tmp}/disk.qcow2")


@case
def what_a_guest_wrote_is_booted_though_it_did_not_unmount():
    """fsync() commits to the journal; sync() would have everything written to its place, too."""
    script = CHANGES.replace("umount /a", "dd if=/dev/null of=/a/boot/grub/grub.cfg conv=notrunc,fsync")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        make_disk(f"{tmp}/disk.img", script.replace("reboot -f", "reboot -nf"))
        boots_twice(f"{tmp}/disk.img")


@case
def a_guest_booted_from_its_disk_is_saved_and_goes_on():
    script = """
        echo ready
        read -r word
        echo "heard $word"
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        make_file_system(f"{tmp}/disk.img", 0, 64 * MIB, script)
        same = {"kernel": DISK, "disks": [f"{tmp}/disk.img"], "memory": "128M"}
        with VM(**same) as vm:
            vm.expect("^ready$", 180)
            check_eq(vm.api("PUT", "/v1/vm/pause")[0], 200, "the answer to pause")
            vm.save(f"{tmp}/saved")
            vm.kill()
        with VM(args=["--load", f"{tmp}/saved"], **same) as vm:
            vm.send("this\n")
            vm.expect("^heard this$", 60)
            vm.run(60)


@case
def a_disk_without_a_kernel_is_refused_with_what_was_looked_at():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        with open(f"{tmp}/disk.img", "wb") as f:
            f.write(b"XFSB".ljust(4 * MIB, b"\0"))
        with VM(kernel=DISK, disks=[f"{tmp}/disk.img"], api=False) as vm:
            check_eq(vm.wait(60), 1, "the exit status")
            for said in ("disk0", "no partition table", "xfs", "--kernel"):
                check(said in vm.stderr(), f"{said!r} in {vm.stderr()!r}")


if __name__ == "__main__":
    main()
