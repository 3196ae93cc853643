#!/usr/bin/env python3
"""Disks and NICs that another process serves over vhost-user, and what becomes of disks when that process dies."""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

from virgatest import VM, case, check, check_eq, main, program, skip

MIB = 1 << 20


class BackEnd:
    """A vhost-user back end that serves an image at a socket, and can be killed and started again."""

    def __init__(self, tmp, argv):
        self.image, self.path, self.argv, self.process = tmp + "/image", tmp + "/blk", argv, None
        with open(self.image, "wb") as f:
            f.truncate(64 * MIB)
        self.start()

    def start(self):
        """Returns when somebody can connect."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.process = subprocess.Popen(self.argv(self.image, self.path))
        for _ in range(100):
            if os.path.exists(self.path) or self.process.poll() is not None:
                break
            time.sleep(0.1)
        check(os.path.exists(self.path), f"{self.process.args[0]} did not make its socket")

    def kill(self):
        """As the kernel would when memory runs out: no word to anybody."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def back_end(argv):
    """A BackEnd for a block."""
    with tempfile.TemporaryDirectory() as tmp:
        served = BackEnd(tmp, argv)
        try:
            yield served
        finally:
            served.kill()


def storage_daemon():
    """qemu-storage-daemon's command line: a back end that keeps no record of requests in flight."""
    server = shutil.which("qemu-storage-daemon")
    if not server:
        skip("qemu-storage-daemon is not installed (package qemu-system-common)")
    return lambda image, path: [server, "--blockdev", f"driver=file,node-name=f,filename={image}", "--export",
                                f"type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path={path},writable=on"]


def recording_disk():
    """The command line of our own, which keeps one, and always has requests in flight."""
    server = program("tests/func/vhu-disk")
    return lambda image, path: [server, image, path]


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
    with back_end(storage_daemon()) as served:
        with VM(REMOTE, disks=[f"vhost-user:{served.path}"], memory="192M", tools=True) as vm:
            vm.run(180)
        with open(served.image, "rb") as f:
            check(any(f.read(4 * MIB)), "nothing arrived in the image")


WRITING = r"""
    mkfs.ext4 -q /dev/vda
    mount /dev/vda /mnt
    for n in 1 2 3 4 5 6; do
        dd if=/dev/urandom of=/tmp/f bs=64k count=32 2>/dev/null
        echo writing $n
        dd if=/tmp/f of=/mnt/f$n bs=16k oflag=direct 2>/dev/null
        cp /tmp/f /mnt/g$n
        sync
        sha256sum </tmp/f >/mnt/sum$n
        echo wrote $n
    done
    umount /mnt
    check a_disk_whose_back_end_was_killed_passes_fsck e2fsck -fn /dev/vda
    mount /dev/vda /mnt
    check it_holds_every_byte_that_was_written sh -c '
        for n in 1 2 3 4 5 6; do for f in f g; do sha256sum </mnt/$f$n | cmp - /mnt/sum$n || exit 1; done; done'
"""


@case
def a_disk_outlives_its_back_end_under_load():
    with back_end(recording_disk()) as served:
        with VM(WRITING, disks=[f"vhost-user:{served.path}"], memory="192M", tools=True) as vm:
            for n in range(1, 7):
                vm.expect(f"^writing {n}$", 120)
                time.sleep(random.uniform(0, 0.3))
                served.kill()
                served.start()
                vm.expect(f"^wrote {n}$", 120)
            vm.run(180)
            check(vm.stderr().count("lost the vhost-user back end") >= 6, "the monitor noticed each death")


IDLE = r"""
    echo hello | dd of=/dev/vda bs=4k conv=sync,fsync 2>/dev/null
    echo idle
    read answer
    echo 3 >/proc/sys/vm/drop_caches
    check an_idle_disk_comes_back_with_its_back_end sh -c '[ "$(dd if=/dev/vda bs=5 count=1 2>/dev/null)" = hello ]'
"""


@case
def an_idle_disk_outlives_a_back_end_without_a_record():
    with back_end(storage_daemon()) as served:
        with VM(IDLE, disks=[f"vhost-user:{served.path}"]) as vm:
            vm.expect("^idle$", 120)
            served.kill()
            time.sleep(0.5)
            served.start()
            vm.send("go\n")
            vm.run(120)


LOSING = r"""
    echo writing
    exec dd if=/dev/zero of=/dev/vda bs=64k oflag=direct
"""


@case
def a_back_end_without_a_record_that_dies_at_work_costs_a_reset():
    with back_end(storage_daemon()) as served:
        with VM(LOSING, disks=[f"vhost-user:{served.path}"]) as vm:
            vm.expect("^writing$", 120)
            os.kill(served.process.pid, signal.SIGSTOP)
            time.sleep(1)
            served.kill()
            event = vm.wait_event("device-failed", timeout=30)
            check("in flight" in str(event), f"the event says why: {event}")
            served.start()
            check_eq(vm.api("PUT", "/v1/vm/reset")[0], 200, "the answer to reset")
            vm.expect("^writing$", 120)


ECHOED = r"""
    ip addr add 10.77.0.2/24 dev eth0
    ip link set eth0 up
    check a_switch_of_another_process_answers_pings ping -c 5 -i 0.2 -w 20 10.77.0.1
    check it_answers_packets_of_a_whole_frame ping -c 3 -i 0.2 -w 20 -s 1472 10.77.0.1
    check five_hundred_pings_come_back_whole sh -c 'ping -A -q -c 500 -w 60 10.77.0.1 | grep -q " 0% packet loss"'
"""


@case
def a_nic_is_served_by_another_process():
    """DPDK's testpmd answers ARP and pings itself."""
    testpmd = shutil.which("dpdk-testpmd")
    if not testpmd:
        skip("dpdk-testpmd is not installed (package dpdk-dev)")
    with tempfile.TemporaryDirectory() as tmp:
        argv = [testpmd, "--no-huge", "-m", "256", "--no-pci", "-l", "0,1", f"--file-prefix=virga{os.getpid()}",
                "--vdev", f"net_vhost0,iface={tmp}/net,queues=1", "--", "--no-numa", "--total-num-mbufs=4096",
                "--auto-start", "--forward-mode=icmpecho", "--stats-period=600"]
        with open(tmp + "/log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            for _ in range(300):
                if os.path.exists(tmp + "/net") or server.poll() is not None:
                    break
                time.sleep(0.1)
            if not os.path.exists(tmp + "/net"):
                with open(tmp + "/log", encoding="utf-8") as log:
                    check(False, f"testpmd made no socket: {log.read()}")
            with VM(ECHOED, nets=[f"vhost-user:{tmp}/net"], memory="192M", tools=True) as vm:
                vm.run(180)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
