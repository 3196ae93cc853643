#!/usr/bin/env python3
"""NICs from inside a guest: a TAP with two queue pairs, the user network, one without a cable, one plugged in."""
import contextlib
import fcntl
import hashlib
import os
import queue
import shutil
import socket
import struct
import subprocess
import threading

from virgatest import VM, case, check, check_eq, main, rings_check, skip

MIB = 1 << 20
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x2, 0x1000, 0x4000, 0x100
DATA = hashlib.shake_256(b"virga").digest(4 * MIB)
SUM = hashlib.sha256(DATA).hexdigest()


def ip(*args):
    """Runs ip; skips the case where this user may not."""
    done = subprocess.run(["ip", *args], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        skip(f"ip {' '.join(args)}: {done.stderr.strip()}")


@contextlib.contextmanager
def tap(name, address, *flags):
    """A TAP interface with an address."""
    ip("tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr", *flags)
    try:
        ip("addr", "add", address, "dev", name)
        ip("link", "set", name, "up")
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False)


def tap_fd(name):
    """A descriptor of a TAP interface, as a launcher would open it."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return fd


class Server:
    """A TCP server: sends DATA to whoever says "get" (or to all), and sums up what it is sent after "put"."""

    def __init__(self, address, asks=True):
        self.asks = asks
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        self.sums = queue.Queue()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            with c, c.makefile("rb") as f:
                if not self.asks or f.readline() == b"get\n":
                    c.sendall(DATA)
                    c.shutdown(socket.SHUT_WR)
                else:
                    self.sums.put(hashlib.sha256(f.read()).hexdigest())


def script(port, user_port):
    """What the guest does."""
    return rings_check("net") + rf"""
    ip addr add 10.77.0.2/24 dev eth0
    ip link set eth0 up
    check a_nic_has_the_address_asked_for grep -qx 52:54:00:12:34:56 /sys/class/net/eth0/address
    check a_nic_has_two_queue_pairs sh -c 'ethtool -l eth0 | grep -c "Combined:.*2" | grep -qx 2'
    check segmentation_and_checksums_are_offloaded sh -c '
        test $(ethtool -k eth0 | grep -cE "^(tcp-segmentation-offload|tx-checksumming|generic-receive-offload): on") = 3'
    check the_host_answers_pings ping -c 3 -w 10 10.77.0.1
    check large_packets_pass ping -c 2 -w 10 -s 20000 10.77.0.1
    check tcp_flows_to_the_host iperf3 -c 10.77.0.1 -t 2 -P 2
    check tcp_flows_from_the_host iperf3 -c 10.77.0.1 -t 2 -P 2 -R
    check what_the_host_sends_arrives_whole sh -c '
        echo get | socat -t 20 - TCP:10.77.0.1:{port} | sha256sum | grep -q {SUM}'
    dd if=/dev/urandom of=/tmp/up bs=64k count=64 2>/dev/null
    (echo put; cat /tmp/up) | socat -u - TCP:10.77.0.1:{port}
    echo "sent: $(sha256sum </tmp/up | cut -c1-64)"
    check offloads_can_be_switched_off ethtool -K eth0 tso off gso off gro off tx off
    check what_arrives_without_them_is_whole sh -c '
        echo get | socat -t 20 - TCP:10.77.0.1:{port} | sha256sum | grep -q {SUM}'
    check both_queue_pairs_get_interrupts sh -eu -c '
        dev=$(basename $(readlink /sys/class/net/eth0/device))
        for q in 0 1; do
            n=0
            for i in $(grep -E "$dev-(in|out)put\.$q" /proc/interrupts | sed "s/.*: *\([0-9]*\) *\([0-9]*\) .*/\1 \2/"); do
                n=$((n + i))
            done
            echo "queue $q: $n"
            test $n -gt 0
        done'

    cat >/tmp/dhcp <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router" dev "$interface"
END
    chmod 755 /tmp/dhcp
    ip link set eth1 up
    check the_user_network_gives_an_address udhcpc -i eth1 -n -q -t 10 -s /tmp/dhcp
    gateway=$(ip route | sed -n 's/^default via \([^ ]*\).*/\1/p')
    # Nothing is sent: passt 2023-03 repeats data for ever to a guest that has closed its own direction.
    check the_user_network_reaches_the_host sh -c "socat -u TCP:$gateway:{user_port} - | sha256sum | grep -q {SUM}"
    socat TCP-LISTEN:80,fork,reuseaddr SYSTEM:"read -r _; cat /tmp/up" &
    wait-for 5 sh -c 'netstat -lnt | grep -q ":80 "'
    echo "serving"
    read -r _

    ip link set eth2 up
    check a_nic_without_a_cable_has_no_carrier grep -qx 0 /sys/class/net/eth2/carrier

    echo "plug"
    wait-for 30 test -e /sys/class/net/eth3
    ip addr add 10.78.0.2/24 dev eth3
    ip link set eth3 up
    check a_plugged_nic_answers ping -c 2 -w 10 10.78.0.1
    echo "unplug"
    check an_unplugged_nic_goes wait-for 30 test ! -e /sys/class/net/eth3
    check the_other_nics_stay ping -c 2 -w 10 10.77.0.1
"""


def fetch(port):
    """All that a connection to a forwarded port yields. The client speaks first: until it has, passt 2023-03
    does not complete the handshake with the guest."""
    with socket.create_connection(("127.0.0.1", port), 20) as s, s.makefile("rb") as f:
        s.sendall(b"get\n")
        return f.read()


@case
def nics_of_all_kinds_carry_traffic():
    if os.getuid():
        skip("needs root to make TAP interfaces")
    if not shutil.which("passt"):
        skip("passt is not installed")
    with tap("vt0", "10.77.0.1/24", "multi_queue"), tap("vt1", "10.78.0.1/24"), \
            subprocess.Popen(["iperf3", "-s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as iperf:
        try:
            server, user = Server("10.77.0.1"), Server("127.0.0.1", asks=False)
            nets = ["tap:vt0,queues=2,mac=52:54:00:12:34:56,id=tap", "user,forward=18080:80,id=user",
                    "none,id=loose,mac=52:54:00:12:34:58"]
            with VM(script(server.port, user.port), nets=nets, cpus=2, memory="256M", tools=True) as vm:
                sent = vm.expect("^sent: (.*)$", 120).group(1)
                check_eq(server.sums.get(timeout=20), sent, "what the guest sent, as it arrived")
                vm.expect("^serving$", 120)
                check_eq(hashlib.sha256(fetch(18080)).hexdigest(), sent, "what came through the forwarded port")
                seen = {(a["nic"], a["ip"]) for a in vm.api("GET", "/v1/vm")[1]["addresses"]}
                check(("tap", "10.77.0.2") in seen and ("tap", "10.77.0.1") not in seen, f"the guest's address is seen: {seen}")
                check(any(nic == "user" for nic, _ in seen), f"what passt's DHCP gave is seen too: {seen}")
                vm.send("go on\n")
                vm.expect("^plug$")
                fd = tap_fd("vt1")
                nic = {"id": "hot", "kind": "tap", "tap": "vt1", "mac": "52:54:00:12:34:57"}
                check_eq(vm.api("POST", "/v1/vm/nics", nic, fds=[fd])[0], 201, "the answer to the plug")
                os.close(fd)
                vm.expect("^unplug$")
                counters = vm.api("GET", "/v1/vm/counters")[1]
                for name in ("rx_packets", "tx_packets"):
                    check(counters["hot"][name] > 0, f"{name} of the plugged NIC did not move")
                    check(counters["tap"][name] > 100, f"{name} of the TAP did not move")
                check_eq(vm.api("DELETE", "/v1/vm/nics/hot")[0], 202, "the answer to the unplug")
                vm.wait_event("detached", "hot")
                vm.run()
        finally:
            iperf.terminate()


if __name__ == "__main__":
    main()
