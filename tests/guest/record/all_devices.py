#!/usr/bin/env python3
"""One VM with every device, used in every way that the API knows, for the record of system calls that
tests/func/test_filters.py takes. What the devices do is tested elsewhere; here each must be touched."""
import fcntl
import os
import socket
import struct
import subprocess
import threading
import time

from virgatest import VM, case, check, check_eq, main, out_path, program

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x0002, 0x1000, 0x4000

SCRIPT = r"""
trap 'echo virga-guest: exit $?' EXIT
mkfs.ext4 -F -q /dev/vda
mkdir -p /mnt /share
mount -o discard /dev/vda /mnt
head -c 3000000 /dev/urandom >/mnt/x
sync
rm /mnt/x
fstrim /mnt || true
umount /mnt
dd if=/dev/zero of=/dev/vdb bs=64k count=16 conv=fsync
blkdiscard -z /dev/vdb 2>/dev/null || true
head -c 1000 /dev/hwrng >/dev/null || true
ip addr add 192.0.2.66/24 dev eth0 && ip link set eth0 up
ping -c 3 -W 2 192.0.2.65 || true
ethtool -L eth0 combined 2 || true
ethtool -K eth0 rx off || true
ip link set eth1 up 2>/dev/null && udhcpc -i eth1 -n -q -t 2 -T 1 || true
echo hello >/dev/hvc0 || true
if mount -t virtiofs data /share; then cat /share/* >/dev/null || true; echo y >/share/new; umount /share; fi
echo hello | socat - VSOCK-CONNECT:2:1024 || true
socat VSOCK-LISTEN:5000,fork EXEC:cat &
echo guest-is-ready
read -r line
load-drivers
sleep 1
ls /sys/block
read -r line
"""


def tap_fd(name):
    """The open TAP of this name."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return fd


def image(name, size=64 << 20):
    """A raw image."""
    path = out_path(name)
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def answer_vsock(path):
    """Takes the guest's connections: one each time that it starts."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def serve():
        while True:
            with server.accept()[0] as peer:
                try:
                    peer.recv(100)
                except ConnectionError:
                    pass

    threading.Thread(target=serve, daemon=True).start()


def ask_vsock(path):
    """Talks to the guest's port 5000; its server may take a moment to listen."""
    for _ in range(100):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(60)
            peer.connect(path)
            try:
                peer.sendall(b"CONNECT 5000\n")
                if peer.recv(100).startswith(b"OK"):
                    peer.sendall(b"hello")
                    peer.recv(100)
                    return
            except (ConnectionError, TimeoutError):
                pass
        time.sleep(0.1)
    raise AssertionError("nobody listens on the guest's port 5000")


def serve_share(directory, path):
    """A server of our own: one that the monitor starts would be recorded with it."""
    server = subprocess.Popen(["/usr/lib/qemu/virtiofsd", f"--socket-path={path}", "-o", f"source={directory}",
                               "-o", "sandbox=chroot"], stderr=subprocess.DEVNULL)
    while not os.path.exists(path):
        check(server.poll() is None, "virtiofsd ended")
        time.sleep(0.05)
    return server


@case
def every_device_is_touched():
    raw, extra, qcow2 = image("raw.img"), image("extra.img"), out_path("disk.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", qcow2, "64M"], check=True)
    subprocess.run("ip tuntap add vm0 mode tap vnet_hdr multi_queue && ip addr add 192.0.2.65/30 dev vm0; ip link set vm0 up",
                   shell=True, check=True)
    share = out_path("share")
    os.makedirs(share, exist_ok=True)
    vsock = out_path("vsock")
    answer_vsock(vsock + "_1024")
    args = ["--vsock", f"3:{vsock}", "--virtio-console", f"file:{out_path('hvc0')}", "--share", f"vhost-user:{out_path('fs')}:data"]
    serve_share(share, out_path("fs"))
    with VM(SCRIPT, tools=True, cpus=2, disks=[raw + ",iops=5000", qcow2 + ",own_thread=off"],
            nets=["tap:vm0,queues=2", "user"], args=args) as vm:
        vm.expect("guest-is-ready")
        ask_vsock(vsock)
        check_eq(vm.api("PUT", "/v1/vm/balloon", {"target_bytes": 32 << 20})[0], 200)
        check_eq(vm.api("PUT", "/v1/vm/pause")[0], 200)
        check_eq(vm.api("PUT", "/v1/vm/resume")[0], 200)
        vm.api("PUT", "/v1/vm/console", {"columns": 80, "rows": 24})
        with open(extra, "r+b") as f:
            check_eq(vm.api("POST", "/v1/vm/disks", {"id": "extra", "path": extra}, fds=[f.fileno()])[0], 201)
        fd = tap_fd("vm1")
        check_eq(vm.api("POST", "/v1/vm/nics", {"id": "n9", "kind": "tap", "tap": "vm1", "mac": "52:54:00:00:00:99"},
                        fds=[fd])[0], 201)
        os.close(fd)
        vm.send("\n")
        vm.expect("vdc|vda")
        vm.api("GET", "/v1/vm/counters")
        vm.api("DELETE", "/v1/vm/nics/n9")
        vm.api("DELETE", "/v1/vm/disks/extra")
        vm.api("PUT", "/v1/vm/power-button")  # refused while the guest has no driver for it
        check_eq(vm.api("PUT", "/v1/vm/reset")[0], 200)
        vm.expect("guest-is-ready")
        check_eq(vm.api("PUT", "/v1/vm/stop")[0], 200)
        vm.wait()


@case
def a_vm_is_saved_and_goes_on():
    script = "echo ready; read -r _; cat /proc/uptime"
    for memory in ("128M", "128M,shared"):
        path = out_path("saved")
        with VM(script, disks=[image("saved.img")], memory=memory) as vm:
            vm.expect("^ready$")
            check_eq(vm.api("PUT", "/v1/vm/pause")[0], 200)
            vm.save(path)
            check_eq(vm.api("PUT", "/v1/vm/stop")[0], 200)
            vm.wait()
            with VM(initrd=vm.initrd, disks=vm.disks, memory=memory, args=["--load", path]) as moved:
                moved.send("go on\n")
                check_eq(moved.guest_exit(), 0)
                check_eq(moved.wait(), 0)
        os.unlink(path)


@case
def a_disk_of_another_process_and_one_past_the_page_cache_are_used():
    disk, direct = image("vhu.img"), image("direct.img")
    for argv in (["qemu-storage-daemon", "--blockdev", f"driver=file,node-name=f,filename={disk}", "--export",
                  f"type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path={out_path('blk')},writable=on"],
                 [program("tests/func/vhu-disk"), disk, out_path("blk")]):
        with subprocess.Popen(argv) as server:
            while not os.path.exists(out_path("blk")):
                check(server.poll() is None, f"{argv[0]} ended")
                time.sleep(0.05)
            script = "for d in /dev/vd?; do dd if=/dev/zero of=$d bs=64k count=16 conv=fsync; done"
            with VM(script, tools=True, disks=[f"vhost-user:{out_path('blk')}", direct + ",cache=none"]) as vm:
                check_eq(vm.guest_exit(), 0)
                check_eq(vm.wait(), 0)
            server.kill()
        os.unlink(out_path("blk"))


@case
def a_disk_works_without_io_uring():
    script = "mkfs.ext4 -F -q /dev/vda; mount -o discard /dev/vda /mnt; head -c 1000000 /dev/urandom >/mnt/x; sync; rm /mnt/x; fstrim /mnt; umount /mnt"
    with VM(script, tools=True, disks=[image("pool.img")], inject=["io_uring_setup:error=EPERM"]) as vm:
        check_eq(vm.guest_exit(), 0)
        check_eq(vm.wait(), 0)


@case
def a_guest_that_crashes_is_recorded():
    with VM("echo c >/proc/sysrq-trigger; sleep 60", append="panic=0 nokaslr", args=["--no-reboot"], end="reboot") as vm:
        vm.expect("sysrq|panic|Kernel")
        vm.api("PUT", "/v1/vm/stop")


if __name__ == "__main__":
    main()
