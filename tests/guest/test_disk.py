#!/usr/bin/env python3
"""Disks from inside a guest."""
import hashlib
import os
import subprocess
import tempfile

from virgatest import VM, case, check, check_eq, main, rings_check, skip

MIB = 1 << 20


def pattern(path, size):
    """Fills a file with bytes that are nowhere zero."""
    with open(path, "wb") as f:
        f.write(b"virga-disk-test\n" * (size // 16))


def sparse(path, size):
    """Makes a file of zeroes that takes no room."""
    with open(path, "wb") as f:
        f.truncate(size)


# Runs three times on the same disks: new; after the guest's reboot; in another VM.
KEEPS = r"""
    mkdir -p /a /b
    if ! mount -t ext4 -o ro /dev/vda /a 2>/dev/null; then
        boots=1
        mkfs.ext4 -q /dev/vda
        mkfs.ext4 -q -E lazy_itable_init=0 /dev/vdb
        mount -t ext4 /dev/vda /a
        mount -t ext4 /dev/vdb /b
        for i in 1 2 3 4 5 6 7 8; do
            dd if=/dev/urandom of=/a/random$i bs=64k count=$((i * 2)) 2>/dev/null
            yes "line $i of virga" | head -c $((i * 100000 + i)) >/a/text$i
            ln /a/text$i /a/link$i
        done
        rm /a/text3
        cp -r /a/random* /a/link* /b/
        (cd /a && sha256sum random* link*) >/tmp/sums
        cp /tmp/sums /a/sums
        cp /tmp/sums /b/sums
    else
        umount /a
        e2fsck -fn /dev/vda
        e2fsck -fn /dev/vdb
        mount -t ext4 /dev/vda /a
        mount -t ext4 /dev/vdb /b
        (cd /a && sha256sum -c sums >/dev/null)
        (cd /b && sha256sum -c sums >/dev/null)
        boots=$(($(cat /a/boots) + 1))
    fi
    echo $boots >/a/boots
    cp /a/boots /b/boots
    umount /a
    umount /b
    echo "boots: $boots"
    test $boots != 1 || reboot -f
"""


@case
def what_a_guest_writes_is_there_after_its_reboot_and_in_the_next_vm():
    # /tmp may be a tmpfs, which has no direct I/O.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        raw, base, top = tmp + "/raw.img", tmp + "/base.img", tmp + "/top.qcow2"
        sparse(raw, 192 * MIB)
        pattern(base, 8 * MIB)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top, "192M"], check=True)
        with open(base, "rb") as f:
            before = hashlib.sha256(f.read()).hexdigest()
        with VM(KEEPS, disks=[raw, top], tools=True, memory="256M", cpus=2) as vm:
            vm.expect("^boots: 1$", 120)
            vm.expect("^boots: 2$", 120)
            vm.run()
        with VM(KEEPS, disks=[f"{raw},cache=none", top], tools=True, memory="256M") as vm:
            vm.expect("^boots: 3$", 120)
            vm.run()
        with open(base, "rb") as f:
            check_eq(hashlib.sha256(f.read()).hexdigest(), before, "the backing file's checksum")
        checked = subprocess.run(["qemu-img", "check", "-q", top], check=False).returncode
        check_eq(checked, 0, "what qemu-img check says of the qcow2 image")


FEATURES = r"""
    check a_disk_shows_its_size sh -c 'test $(cat /sys/block/vda/size) = 131072'
    check a_disk_shows_its_serial grep -qx VIRGA-0001 /sys/block/vda/serial
    check a_disk_has_the_queues_asked_for sh -c 'test $(ls /sys/block/vda/mq | wc -l) = 2'
    check a_disk_has_a_write_back_cache grep -q "write back" /sys/block/vda/queue/write_cache
    check discard_is_offered sh -c 'test $(cat /sys/block/vda/queue/discard_max_bytes) -gt 0'
    check write_zeroes_is_offered sh -c 'test $(cat /sys/block/vda/queue/write_zeroes_max_bytes) -gt 0'
    check discard_succeeds /usr/sbin/blkdiscard -o 0 -l 16M /dev/vda
    check write_zeroes_succeeds /usr/sbin/blkdiscard -z -o 32M -l 4M /dev/vda
    check what_was_zeroed_reads_as_zeroes sh -c '
        dd if=/dev/vda bs=1M skip=32 count=4 2>/dev/null | tr -d "\0" | cmp - /dev/null'
    check what_is_beside_it_is_untouched sh -c '
        dd if=/dev/vda bs=16 skip=2359296 count=1 2>/dev/null | grep -qx virga-disk-test'
    check a_readonly_disk_says_so test "$(cat /sys/block/vdb/ro)" = 1
    check a_readonly_disk_refuses_writes sh -c '! dd if=/dev/zero of=/dev/vdb bs=4k count=1 conv=fsync 2>/dev/null'
    check a_readonly_disk_reads sh -c 'head -c 15 /dev/vdb | grep -q virga-disk-test'
    yes virga | head -c 1048576 >/tmp/x
    check a_flushed_write_succeeds dd if=/tmp/x of=/dev/vda bs=64k seek=800 conv=fsync
    read -r up _ </proc/uptime
    check a_limited_disk_reads dd if=/dev/vdc of=/dev/null bs=4k count=150 iflag=direct
    read -r now _ </proc/uptime
    echo "limited: $up $now"
    read -r _
"""


@case
def a_disk_offers_what_it_should():
    with tempfile.TemporaryDirectory() as tmp:
        disk, readonly, slow = tmp + "/disk.img", tmp + "/ro.img", tmp + "/slow.img"
        pattern(disk, 64 * MIB)
        pattern(readonly, 1 * MIB)
        pattern(slow, 4 * MIB)
        full = os.stat(disk).st_blocks
        disks = [f"{disk},serial=VIRGA-0001,queues=2,id=main", f"{readonly},readonly", f"{slow},iops=50,id=slow"]
        with VM(rings_check("blk") + FEATURES, disks=disks, cpus=2, tools=True, memory="192M") as vm:
            m = vm.expect(r"^limited: (\S+) (\S+)$", 120)
            # 150 requests at 50 a second cannot be faster; how much slower is no matter.
            took = float(m.group(2)) - float(m.group(1))
            check(took > 1.5, f"150 reads at 50 a second took only {took} s")
            counters = vm.api("GET", "/v1/vm/counters")[1]
            check(counters["slow"]["throttled"] > 0, "the limited disk counts what it held back")
            for name in ("reads", "writes", "flushes", "discards"):
                check(counters["main"][name] > 0, f"the counter {name} did not move")
            with VM("true", disks=[disk]) as second:
                check(second.wait() != 0, "a second VM started with an image that is in use")
                check("disk.img" in second.stderr() and "in use" in second.stderr(),
                      f"the refusal says {second.stderr()!r}")
            vm.send("go on\n")
            vm.run()
        left = os.stat(disk).st_blocks
        check(left <= full - 12 * MIB // 512, f"the image takes {left} blocks of {full} after a discard of 16 MiB")
        with open(disk, "rb") as f:
            check_eq(f.read(16 * MIB).strip(b"\0"), b"", "the discarded bytes")
            f.seek(50 * MIB)
            check_eq(f.read(12), b"virga\nvirga\n", "the image at 50 MiB")


HOT = r"""
    dmesg -n 1
    modprobe virtio_blk
    echo "plug"
    wait-for 30 test -b /dev/vda
    check a_plugged_disk_is_named_by_its_id grep -qx hot /sys/block/vda/serial
    check a_plugged_disk_takes_a_file_system mkfs.ext4 -q /dev/vda
    mount /dev/vda /mnt
    echo "written after the plug" >/mnt/file
    umount /mnt
    check a_plugged_disk_passes_fsck e2fsck -fn /dev/vda
    echo "unplug"
    wait-for 30 test ! -e /sys/block/vda
    check an_unplugged_disk_leaves_the_pci_bus wait-for 30 sh -c '! grep 0x1042 /sys/bus/pci/devices/*/device'
    echo "again"
    wait-for 30 test -b /dev/vda
    mount /dev/vda /mnt
    check a_disk_plugged_again_has_its_data grep -q "written after the plug" /mnt/file
    umount /mnt
"""


@case
def a_disk_is_plugged_in_and_out_and_in_again():
    with tempfile.TemporaryDirectory() as tmp, VM(HOT, tools=True, memory="192M") as vm:
        image = tmp + "/hot.img"
        sparse(image, 32 * MIB)

        def plug():
            with open(image, "r+b") as f:
                return vm.api("POST", "/v1/vm/disks", {"id": "hot", "path": image}, fds=[f.fileno()])

        vm.expect("^plug$")
        check_eq(vm.api("POST", "/v1/vm/disks", {"id": "hot", "path": image})[0], 400, "a plug without a descriptor")
        check_eq(plug(), (201, {"id": "hot"}), "the answer to the plug")
        check_eq(plug()[0], 409, "a second disk of the same name")
        vm.expect("^unplug$")
        check_eq(vm.api("DELETE", "/v1/vm/disks/nosuch")[0], 404, "an unplug of what is not there")
        check_eq(vm.api("DELETE", "/v1/vm/disks/hot")[0], 202, "the answer to the unplug")
        vm.expect("^again$")
        vm.wait_event("detached", "hot")
        check_eq(plug()[0], 201, "the answer to the second plug")
        vm.run()


FULL = r"""
    dmesg -n 1
    yes "a line of a file too large for its host" | head -c 12582912 >/tmp/big
    echo "write"
    check a_write_goes_on_after_the_host_made_room dd if=/tmp/big of=/dev/vda bs=64k conv=fsync
    echo 3 >/proc/sys/vm/drop_caches
    check nothing_was_lost_meanwhile sh -c 'head -c 12582912 /dev/vda | cmp - /tmp/big'
    check the_guest_saw_no_error sh -c '! dmesg | grep "I/O error.*vda"'
    check a_full_disk_is_reported_where_the_vm_should_go_on sh -c '! dd if=/tmp/big of=/dev/vdb bs=64k conv=fsync'
    echo 3 >/proc/sys/vm/drop_caches
    check what_did_fit_is_there sh -c 'head -c 65536 /tmp/big >/tmp/begin; head -c 65536 /dev/vdb | cmp - /tmp/begin'
"""


@case
def a_full_host_stops_the_vm_or_is_reported_as_configured():
    with tempfile.TemporaryDirectory() as tmp:
        for name in ("stop", "report"):
            os.mkdir(f"{tmp}/{name}")
            rc = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M,mode=777", "small", f"{tmp}/{name}"],
                                check=False).returncode
            if rc:
                skip("needs the right to mount a small tmpfs")
            sparse(f"{tmp}/{name}/image", 16 * MIB)
        disks = [f"{tmp}/stop/image,on_error=stop,id=stops", f"{tmp}/report/image,on_error=report,id=reports"]
        try:
            with VM(FULL, disks=disks, memory="192M") as vm:
                vm.expect("^write$")
                event = vm.wait_event("io-error", "stops")
                check("No space left" in event["text"], f"the event says {event['text']!r}")
                vm.wait_state("paused")
                check("stops" in vm.api("GET", "/v1/vm")[1]["reason"], "the reason names the disk")
                subprocess.run(["mount", "-o", "remount,size=64M", f"{tmp}/stop"], check=True)
                check_eq(vm.api("PUT", "/v1/vm/resume")[0], 200, "the answer to resume")
                vm.run()
        finally:
            for name in ("stop", "report"):
                subprocess.run(["umount", "-l", f"{tmp}/{name}"], check=False)


if __name__ == "__main__":
    main()
