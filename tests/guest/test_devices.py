#!/usr/bin/env python3
"""The devices besides disks and NICs from inside a guest: balloon, rng, console, vsock, shares. And what a NIC
says of its guest."""
import hashlib
import os
import shutil
import socket
import tempfile
import threading

from virgatest import VM, case, check, check_eq, main, rings_check, skip

MIB = 1 << 20
DATA = b"".join(i.to_bytes(4, "little") for i in range(300000))
SUM = hashlib.sha256(DATA).hexdigest()

BALLOON = r"""
    free() { sed -n 's/^MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo; }
    before=$(free)
    echo "inflate"
    check an_inflated_balloon_takes_memory_from_the_guest \
        wait-for 60 sh -c 'test $(sed -n "s/^MemFree: *\([0-9]*\) kB/\1/p" /proc/meminfo) -lt '$((before - 50000))
    echo "deflate"
    check a_deflated_balloon_gives_it_back \
        wait-for 60 sh -c 'test $(sed -n "s/^MemFree: *\([0-9]*\) kB/\1/p" /proc/meminfo) -gt '$((before - 20000))
    echo "fill"
    dd if=/dev/zero of=/tmp/fill bs=1M count=60 2>/dev/null
    echo "filled"
    read -r _
    rm /tmp/fill
    echo "emptied"
    read -r _
    check the_random_device_is_virtio grep -q virtio_rng /sys/class/misc/hw_random/rng_current
    check random_bytes_differ sh -c '
        test "$(head -c 64 /dev/hwrng | sha256sum)" != "$(head -c 64 /dev/hwrng | sha256sum)"'
"""


def resident(pid):
    """Resident bytes of a process and its children."""
    total = 0
    todo = [pid]
    while todo:
        p = todo.pop()
        with open(f"/proc/{p}/task/{p}/children", encoding="ascii") as f:
            todo += [int(c) for c in f.read().split()]
        with open(f"/proc/{p}/statm", encoding="ascii") as f:
            total += int(f.read().split()[1]) * 4096
    return total


def wait_until(vm, what, holds):
    """Waits until holds() is true."""
    for _ in range(600):
        if holds():
            return
        vm.pump(0.1)
    raise AssertionError(f"{what}: not within a minute")


@case
def a_balloon_takes_and_gives_memory_and_free_pages_go_back_to_the_host():
    with VM(BALLOON, memory="256M", args=["--rng", "on"]) as vm:
        vm.expect("^inflate$")
        check_eq(vm.api("PUT", "/v1/vm/balloon", {"target_bytes": 64 * MIB})[0], 200, "the answer to inflate")
        wait_until(vm, "the balloon reaches its size", lambda: vm.api("GET", "/v1/vm/balloon")[1]["actual_bytes"] == 64 * MIB)
        vm.expect("^deflate$")
        check_eq(vm.api("PUT", "/v1/vm/balloon", {"target_bytes": 0})[0], 200, "the answer to deflate")
        vm.expect("^fill$")
        vm.expect("^filled$")
        full = resident(vm.process.pid)
        vm.send("go on\n")
        vm.expect("^emptied$")
        wait_until(vm, "the pages of a deleted file go back to the host", lambda: resident(vm.process.pid) < full - 30 * MIB)
        stats = vm.api("GET", "/v1/vm/balloon")[1]
        check(0 < stats["guest"]["free_bytes"] <= stats["guest"]["total_bytes"], f"the statistics are {stats}")
        vm.send("go on\n")
        vm.run()


# Neither address is given by anybody: the guest takes them.
ADDRESSES = r"""
    ip link set eth0 up
    ip addr add 192.0.2.5/24 dev eth0
    ip -6 addr add 2001:db8::5/64 dev eth0
    ping -c 1 -w 5 192.0.2.1 || true
    check the_guest_has_its_address sh -c 'ip addr show dev eth0 | grep -q 192.0.2.5'
    echo "addressed"
    read -r _
    ip addr del 192.0.2.5/24 dev eth0
    ip addr add 192.0.2.6/24 dev eth0
    ping -c 1 -w 5 192.0.2.1 || true
    echo "another"
    read -r _
"""


def seen(vm):
    """The addresses that the monitor has seen, by NIC."""
    return {(a["nic"], a["ip"]) for a in vm.api("GET", "/v1/vm")[1]["addresses"]}


@case
def the_addresses_that_a_guest_uses_are_seen():
    if not shutil.which("passt"):
        skip("passt is not installed")
    with VM(ADDRESSES, nets=["user,id=wan"]) as vm:
        vm.wait_event("addresses")  # of the first, whichever that is
        vm.expect("^addressed$")
        wanted = {("wan", "192.0.2.5"), ("wan", "2001:db8::5")}
        wait_until(vm, "both addresses are seen", lambda: wanted <= seen(vm))
        vm.send("go on\n")
        vm.expect("^another$")
        wait_until(vm, "another one is seen", lambda: ("wan", "192.0.2.6") in seen(vm))
        check(not any(ip in ("192.0.2.1", "0.0.0.0", "::") for _, ip in seen(vm)), f"what it only asked for is not its own: {seen(vm)}")
        vm.send("go on\n")
        vm.run()


CONSOLE = rings_check("console") + r"""
    exec 3<>/dev/hvc0
    echo "hello from the guest" >&3
    read -r line <&3
    check a_line_arrives_on_the_virtio_console test "$line" = "hello from the host"
    echo "resize"
    check the_virtio_console_has_the_size_asked_for wait-for 30 sh -c 'stty size </dev/hvc0 | grep -qx "33 101"'
"""


@case
def a_virtio_console_carries_text_both_ways_and_is_resized():
    with tempfile.TemporaryDirectory() as tmp:
        path = tmp + "/hvc0"
        with VM(CONSOLE, args=["--virtio-console", f"unix:{path}"]) as vm:
            wait_until(vm, "the console's socket is there", lambda: os.path.exists(path))
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(60)
                peer.connect(path)
                text = b""
                while b"hello from the guest" not in text:
                    text += peer.recv(4096)
                peer.sendall(b"hello from the host\n")
                vm.expect("^resize$")
                check_eq(vm.api("PUT", "/v1/vm/console", {"columns": 101, "rows": 33})[0], 200, "the answer to resize")
                vm.run()


VSOCK = rf"""
    check the_guest_knows_its_cid sh -c 'socat -d -d - VSOCK-CONNECT:2:1024 </dev/null >/tmp/got && sha256sum /tmp/got | grep -q {SUM}'
    cp /tmp/got /tmp/send
    check what_the_guest_sends_arrives socat -u FILE:/tmp/send VSOCK-CONNECT:2:1025
    check a_port_without_a_socket_refuses sh -c '! socat -T 5 - VSOCK-CONNECT:2:1999 </dev/null'
    socat VSOCK-LISTEN:5000,fork EXEC:cat &
    echo "listening"
    read -r _
"""


def serve(path, answer, result):
    """A unix socket that takes one connection: sends answer, and adds the sum of what came to result."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def run():
        peer = server.accept()[0]
        with peer, server:
            peer.sendall(answer)
            peer.shutdown(socket.SHUT_WR)
            with peer.makefile("rb") as f:
                result.append(hashlib.sha256(f.read()).hexdigest())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def connect_guest(vm, path, port):
    """A connection to a port of the guest, whose server may take a moment to listen: until then it is reset."""
    for _ in range(300):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(60)
        peer.connect(path)
        peer.sendall(f"CONNECT {port}\n".encode())
        f = peer.makefile("rb")
        answer = f.readline()
        if answer.startswith(b"OK "):
            return peer, f
        check(answer == b"", f"the answer to CONNECT is {answer!r}")
        f.close()
        peer.close()
        vm.pump(0.1)
    raise AssertionError(f"nobody listens on the guest's port {port}")


def echo_through(vm, path):
    """Connects to the guest's port 5000 and has DATA echoed; returns what came back."""
    peer, f = connect_guest(vm, path, 5000)
    with peer, f:
        sender = threading.Thread(target=lambda: (peer.sendall(DATA), peer.shutdown(socket.SHUT_WR)))
        sender.start()
        data = f.read(len(DATA))
        sender.join()
    return data


@case
def vsock_connects_host_and_guest_in_both_directions():
    with tempfile.TemporaryDirectory() as tmp:
        path, sums = tmp + "/vsock", []
        serve(path + "_1024", DATA, [])
        receiver = serve(path + "_1025", b"", sums)
        os.chmod(tmp, 0o755)
        for name in os.listdir(tmp):
            os.chmod(f"{tmp}/{name}", 0o777)
        with VM(VSOCK, tools=True, args=["--vsock", f"3:{path}"]) as vm:
            vm.expect("^listening$", 120)
            receiver.join(60)
            check_eq(sums, [SUM], "the sum of what the guest sent")
            data = echo_through(vm, path)
            check_eq(hashlib.sha256(data).hexdigest(), SUM, "the sum of what the guest's server echoed")
            vm.send("go on\n")
            vm.run()


SHARE = rf"""
    mkdir -p /share /ro
    check a_share_is_mounted mount -t virtiofs data /share
    check what_the_host_put_there_is_whole sh -c 'sha256sum /share/host | grep -q {SUM}'
    mkdir /share/made
    check a_guest_writes_to_a_share cp /share/host /share/made/guest
    sync
    check a_share_shows_what_was_written cmp /share/host /share/made/guest
    check a_readonly_share_is_mounted mount -t virtiofs fixed /ro
    check a_readonly_share_reads sh -c 'sha256sum /ro/host | grep -q {SUM}'
    check a_readonly_share_refuses_writes sh -c '! touch /ro/new 2>/dev/null'
    umount /share /ro
"""


@case
def a_directory_of_the_host_is_shared():
    if not os.path.exists("/usr/lib/qemu/virtiofsd"):
        skip("virtiofsd is not installed (package qemu-system-common)")
    if os.getuid():
        skip("needs root: files made by the guest belong to root")
    with tempfile.TemporaryDirectory() as tmp:
        for name in ("data", "fixed"):
            os.mkdir(f"{tmp}/{name}")
            with open(f"{tmp}/{name}/host", "wb") as f:
                f.write(DATA)
        with VM(SHARE, memory="192M", args=["--share", f"{tmp}/data:data", "--share", f"{tmp}/fixed:fixed,readonly"]) as vm:
            vm.run(180)
        with open(f"{tmp}/data/made/guest", "rb") as f:
            check_eq(hashlib.sha256(f.read()).hexdigest(), SUM, "the sum of what the guest wrote, on the host")
        check_eq(sorted(os.listdir(f"{tmp}/fixed")), ["host"], "what is in the read-only share")


if __name__ == "__main__":
    main()
