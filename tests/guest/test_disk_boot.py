#!/usr/bin/env python3
"""Guests that boot the kernel of their own disk: no --kernel, a reset reads the disk again."""
import subprocess
import tempfile

from virgatest import DISK, VM, case, check, check_eq, main
from virgatest.disks import MIB, make_disk, make_file_system

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
        make_disk(f"{tmp}/disk.img", CHANGES, GRUB_CFG)
        boots_twice(f"{tmp}/disk.img")


@case
def a_qcow2_disk_boots_its_own_kernel_and_after_a_reset_what_its_guest_chose():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        make_disk(f"{tmp}/disk.img", CHANGES, GRUB_CFG)
        subprocess.run(["qemu-img", "convert", "-q", "-c", "-f", "raw", "-O", "qcow2", f"{tmp}/disk.img", f"{tmp}/disk.qcow2"],
                       check=True)
        boots_twice(f"{tmp}/disk.qcow2")


@case
def what_a_guest_wrote_is_booted_though_it_did_not_unmount():
    """fsync() commits to the journal; sync() would have everything written to its place, too."""
    script = CHANGES.replace("umount /a", "dd if=/dev/null of=/a/boot/grub/grub.cfg conv=notrunc,fsync")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        make_disk(f"{tmp}/disk.img", script.replace("reboot -f", "reboot -nf"), GRUB_CFG)
        boots_twice(f"{tmp}/disk.img")


@case
def a_guest_booted_from_its_disk_is_saved_and_goes_on():
    script = """
        echo ready
        read -r word
        echo "heard $word"
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        make_file_system(f"{tmp}/disk.img", 0, 64 * MIB, script, GRUB_CFG)
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
