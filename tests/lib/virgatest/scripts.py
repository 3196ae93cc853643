"""Pieces of guest scripts that several tests use."""

# Linux takes up what the devices offer: virtio 1, indirect descriptors, event index, packed rings
# (bits 32, 28, 29 and 34 of what it negotiated).
_RINGS = r"""
    check the_DRIVER_driver_uses_packed_rings_event_index_and_indirect_descriptors sh -eu -c '
        for d in /sys/bus/virtio/drivers/virtio_DRIVER/virtio*; do
            f=$(cat "$d/features")
            echo "$d: $f"
            test "$(echo "$f" | cut -c33)$(echo "$f" | cut -c29)$(echo "$f" | cut -c30)$(echo "$f" | cut -c35)" = 1111
        done'
"""


def rings_check(*drivers):
    """Script lines that check what each driver (blk, net, console ...) negotiated."""
    return "".join(_RINGS.replace("DRIVER", d) for d in drivers)


# Writers and readers on two disks, a NIC that pings, a process that watches the clock.
WORK = r"""
    ip addr add 10.79.0.2/24 dev eth0
    ip link set eth0 up
    mkfs.ext4 -q /dev/vda
    mount /dev/vda /mnt
    clock() {
        last=0
        while test ! -e /tmp/stop; do
            read -r now _ </proc/uptime
            test "${now%.*}" -ge "$last" || echo "the clock went back from $last to $now" >/tmp/clock
            last=${now%.*}
        done
    }
    clock &
    (while test ! -e /tmp/stop; do dd if=/dev/vdb of=/dev/null bs=64k iflag=direct 2>/dev/null; done) &
    ping -i 0.2 10.79.0.1 >/tmp/ping &
    echo "working"
    i=0
    while test $i -lt 12; do
        dd if=/dev/urandom of=/mnt/f$i bs=64k count=8 conv=fsync 2>/dev/null
        (cd /mnt && sha256sum f$i) >>/tmp/sums
        i=$((i + 1))
        echo "wrote $i"
    done
    touch /tmp/stop
    killall ping
    wait
    umount /mnt
    check the_file_system_is_whole e2fsck -fn /dev/vda
    mount /dev/vda /mnt
    check what_was_written_is_there sh -c 'cd /mnt && sha256sum -c /tmp/sums >/dev/null'
    check the_clock_never_went_back test ! -e /tmp/clock
    check most_pings_were_answered sh -c 'test $(grep -c "bytes from" /tmp/ping) -gt 5'
    check the_nic_still_works ping -c 2 -w 20 10.79.0.1
    check no_task_hung sh -c '! dmesg | grep -E "blocked for more|soft lockup|rcu.*stall"'
"""
