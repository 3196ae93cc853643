#!/usr/bin/env python3
"""A guest that is paused and resumed while it works, and a disk that another process serves."""
import os
import shutil
import subprocess
import tempfile

from virgatest import VM, WORK, case, check, check_eq, main, skip, tap_interface

MIB = 1 << 20

@case
def a_guest_under_load_survives_pauses():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp, tap_interface("vload", "10.79.0.1/24") as nic:
        for name, size in (("a.img", 64), ("b.img", 16)):
            with open(f"{tmp}/{name}", "wb") as f:
                f.truncate(size * MIB)
        with VM(WORK, disks=[f"{tmp}/a.img", f"{tmp}/b.img,cache=none"], nets=[nic], cpus=2, memory="192M",
                tools=True) as vm:
            vm.expect("^working$", 120)
            for n in range(1, 11):
                vm.expect(f"^wrote {n}$", 120)
                check_eq(vm.api("PUT", "/v1/vm/pause")[0], 200, "the answer to pause")
                vm.wait_state("paused")
                before = vm.api("GET", "/v1/vm/counters")[1]
                vm.pump(0.2)
                after = vm.api("GET", "/v1/vm/counters")[1]
                check_eq(before, after, "the counters of a paused VM, a moment later")
                check_eq(vm.api("PUT", "/v1/vm/resume")[0], 200, "the answer to resume")
            vm.run(180)


REMOTE = r"""
    if ! mount -t ext4 -o ro /dev/vda /mnt 2>/dev/null; then
        mkfs.ext4 -q /dev/vda
        mount /dev/vda /mnt
        dd if=/dev/urandom of=/mnt/f bs=64k count=64 2>/dev/null
        (cd /mnt && sha256sum f) >/tmp/sum
        cp /tmp/sum /mnt/sum
        umount /mnt
        reboot -f
    fi
    umount /mnt
    check a_disk_of_another_process_passes_fsck e2fsck -fn /dev/vda
    mount /dev/vda /mnt
    check it_keeps_what_was_written_across_a_reboot sh -c 'cd /mnt && sha256sum -c sum >/dev/null'
"""


@case
def a_disk_is_served_by_another_process():
    server = shutil.which("qemu-storage-daemon")
    if not server:
        skip("qemu-storage-daemon is not installed (package qemu-system-common)")
    with tempfile.TemporaryDirectory() as tmp:
        image, path = tmp + "/image", tmp + "/blk"
        with open(image, "wb") as f:
            f.truncate(64 * MIB)
        daemon = subprocess.Popen([server, "--blockdev", f"driver=file,node-name=f,filename={image}", "--export",
                                   f"type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path={path},writable=on"])
        try:
            for _ in range(100):
                if os.path.exists(path) or daemon.poll() is not None:
                    break
                subprocess.run(["sleep", "0.1"], check=True)
            check(os.path.exists(path), "qemu-storage-daemon did not make its socket")
            with VM(REMOTE, disks=[f"vhost-user:{path}"], memory="192M", tools=True) as vm:
                vm.run(180)
        finally:
            daemon.terminate()
            daemon.wait()
        with open(image, "rb") as f:
            check(any(f.read(4 * MIB)), "nothing arrived in the image")


if __name__ == "__main__":
    main()
