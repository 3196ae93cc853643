#!/usr/bin/env python3
"""A guest that is saved while it works, whose VM ends, and that goes on in a new one."""
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time

from virgatest import VM, WORK, case, check, check_eq, main, program, skip, tap_interface

MIB = 1 << 20
UUID = "5f0e1a52-3bd7-4c19-9d44-0c5a1b1f7a01"


def pause_and_save(vm, path):
    """Afterwards the VM is gone and its guest a file."""
    check_eq(vm.api("PUT", "/v1/vm/pause")[0], 200, "the answer to pause")
    vm.save(path)
    vm.kill()


def goes_on(moves, cpus, engines=(), patience=120):
    """Saves and loads a guest under load, as often as `moves` says; engines: one after another, those of each VM."""
    def flags(n):
        return ["--uuid", UUID] + (["--cpu-model", "rig-v1", "--engine", engines[n % len(engines)]] if engines else [])
    with contextlib.ExitStack() as stack:
        tmp = stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp"))
        nic = stack.enter_context(tap_interface("vsaved", "10.79.0.1/24"))
        for name, size in (("a.img", 64), ("b.img", 16)):
            with open(f"{tmp}/{name}", "wb") as f:
                f.truncate(size * MIB)
        same = {"disks": [f"{tmp}/a.img", f"{tmp}/b.img,cache=none"], "nets": [nic], "cpus": cpus, "memory": "192M"}
        vm = stack.enter_context(VM(WORK, args=flags(0), tools=True, **same))
        vm.expect("^working$", patience)
        for n in range(1, moves + 1):
            vm.expect(f"^wrote {n}$", patience)
            pause_and_save(vm, f"{tmp}/saved")
            check(os.stat(f"{tmp}/saved").st_blocks * 512 < 190 * MIB, "the file has what the guest has not used")
            checks = vm.checks
            vm = stack.enter_context(VM(initrd=vm.initrd, args=flags(n) + ["--load", f"{tmp}/saved"], **same))
            vm.checks = checks
        vm.run(180)


@case
def a_guest_with_one_cpu_goes_on_where_it_was_saved():
    goes_on(2, 1)


@case
def a_guest_with_two_cpus_goes_on_where_it_was_saved():
    goes_on(4, 2)


@case
def a_guest_moves_from_kvm_to_the_software_engine_and_back():
    found = subprocess.run([program("virga-vmm"), "--probe", "kvm"], stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        skip(found.stdout.strip())
    if os.environ.get("VIRGA_TEST_ARGS"):
        skip("VIRGA_TEST_ARGS says which engine")
    goes_on(4, 2, ("kvm", "soft"), 300)


IDLE = r"""
    echo ready
    read -r word
    echo "heard $word"
"""


def refused(path, *args, memory="128M", cpus=1):
    """What a monitor says that is to load the file, and does not."""
    with VM(initrd=guest_initrd[0], memory=memory, cpus=cpus, args=["--load", path, *args]) as vm:
        check_eq(vm.wait(30), 1, "the exit status of a monitor that cannot load")
        return vm.stderr()


guest_initrd = []


@case
def what_does_not_fit_is_refused_with_the_reason():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp, VM(IDLE) as vm:
        saved, bad = f"{tmp}/saved", f"{tmp}/bad"
        vm.expect("^ready$", 120)
        guest_initrd[:] = [vm.initrd]
        with open(saved, "w+b") as f:
            status, answer = vm.api("PUT", "/v1/vm/save", fds=[f.fileno()])
            check_eq(status, 409, "the answer to saving a VM that runs")
            check("pause" in answer["detail"], answer["detail"])
        pause_and_save(vm, saved)
        check("--memory" in refused(saved, memory="256M"), "another size of RAM")
        for text, flags in (("rng is off, the saved VM's is on", ["--rng", "off"]),
                            ("nics has 1 entries, the saved VM's has 0", ["--net", "none,mac=52:54:00:00:00:01"]),
                            ('cpus.model is "x86-64-v2", the saved VM\'s is "host"', ["--cpu-model", "x86-64-v2"]),
                            (f"uuid is {UUID}, the saved VM's is ", ["--uuid", UUID])):
            said = refused(saved, *flags)
            check(text in said, f"the message lacks {text!r}: {said}")
        check("cpus.count is 2, the saved VM's is 1" in refused(saved, cpus=2), "another number of vCPUs")
        with open(saved, "rb") as f:
            content = f.read()
        for text, broken in (("cut off", content[:-1]), ("not complete", bytes(64) + content[64:]),
                             ("not a saved VM", b"x" + content[1:]), ("checksum", content[:100] + b"\xff" + content[101:]),
                             ("corrupt", content + b"x"), ("cut off", b""),
                             ("the RAM of saved VM", content[:-4096] + b"x" + content[-4095:])):
            with open(bad, "wb") as f:
                f.write(broken)
            check(text in refused(bad), f"a file that is {text}")
        with VM(initrd=guest_initrd[0], args=["--load", saved]) as vm:
            vm.send("well\n")
            vm.expect("^heard well$", 60)


# Written past the guest's page cache and never flushed.
UNFLUSHED = r"""
    dd if=/dev/urandom of=/tmp/data bs=64k count=64 2>/dev/null
    dd if=/tmp/data of=/dev/vda bs=64k seek=100 oflag=direct 2>/dev/null
    echo ready
    read -r _
    check what_was_not_flushed_is_there sh -c 'dd if=/dev/vda bs=64k skip=100 count=64 iflag=direct 2>/dev/null | cmp - /tmp/data'
"""


@case
def an_image_holds_what_the_guest_wrote_even_if_the_saver_is_killed():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{tmp}/a.qcow2", "64M"], check=True)
        with VM(UNFLUSHED, disks=[f"{tmp}/a.qcow2"]) as vm:
            vm.expect("^ready$", 120)
            check_eq(vm.api("PUT", "/v1/vm/pause")[0], 200, "the answer to pause")
            vm.save(f"{tmp}/saved")
            os.kill(monitor(vm), signal.SIGKILL)
            vm.wait()
            with VM(initrd=vm.initrd, disks=[f"{tmp}/a.qcow2"], args=["--load", f"{tmp}/saved"]) as again:
                again.checks = vm.checks
                again.send("go on\n")
                again.run()


def monitor(vm):
    """The process id of the monitor behind its launcher; it itself where nothing could be put into a sandbox."""
    pid = vm.process.pid
    while True:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            children = f.read().split()
        if not children:
            return pid
        pid = int(children[0])


DEVICES = r"""
    echo "before" >/dev/hvc0
    echo "ready"
    read -r _
    echo "it is $(date +%s)"
    exec 3<>/dev/hvc0
    echo "hello from the guest" >&3
    read -r line <&3
    check a_line_arrives_on_the_virtio_console test "$line" = "hello from the host"
    socat VSOCK-LISTEN:5000 EXEC:cat &
    echo "listening"
    wait
    check random_bytes_still_come sh -c 'test "$(head -c 64 /dev/hwrng | wc -c)" = 64'
    check no_task_hung sh -c '! dmesg | grep -E "blocked for more|soft lockup|rcu.*stall"'
"""


def talk(path, first, last, say=b""):
    """Connects to a unix socket, says something, reads until it hears `last`; again while nobody listens yet."""
    for _ in range(100):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(60)
            peer.connect(path)
            text, more = first, b"?"
            try:
                peer.sendall(first)
                while more:
                    more = peer.recv(4096)
                    text += more
                    if last in text[len(first):]:
                        peer.sendall(say)
                        return
            except ConnectionError:
                pass
        time.sleep(0.1)
    raise AssertionError(f"{path} said {text!r} and ended")


@case
def time_balloon_console_and_vsock_go_on():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        same = {"args": ["--virtio-console", f"unix:{tmp}/hvc0", "--vsock", f"7:{tmp}/vsock"], "memory": "256M"}
        with VM(DEVICES, tools=True, **same) as vm:
            vm.expect("^ready$", 120)
            check_eq(vm.api("PUT", "/v1/vm/balloon", {"target_bytes": 96 * MIB})[0], 200, "the answer to inflate")
            for _ in range(600):
                if vm.api("GET", "/v1/vm/balloon")[1]["actual_bytes"] == 96 * MIB:
                    break
                vm.pump(0.1)
            pause_and_save(vm, f"{tmp}/saved")
            check(os.stat(f"{tmp}/saved").st_blocks * 512 < 160 * MIB, "the file has what the balloon took")
            time.sleep(12)  # what a guest whose clock stood still would be behind
            same["args"] += ["--load", f"{tmp}/saved"]
            with VM(initrd=vm.initrd, **same) as again:
                again.checks = vm.checks
                check_eq(again.api("GET", "/v1/vm/balloon")[1]["actual_bytes"], 96 * MIB, "the balloon's size")
                again.send("go on\n")
                behind = time.time() - int(again.expect(r"^it is (\d+)$", 60).group(1))
                check(-2 < behind < 10, f"the guest's clock is {behind:.1f} s behind")
                talk(f"{tmp}/hvc0", b"", b"hello from the guest", b"hello from the host\n")
                again.expect("^listening$", 60)
                talk(f"{tmp}/vsock", b"CONNECT 5000\necho\n", b"echo")
                again.run()


@case
def a_guest_that_goes_on_is_reset_as_any_other():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp, VM(IDLE) as vm:
        vm.expect("^ready$", 120)
        pause_and_save(vm, f"{tmp}/saved")
        with VM(initrd=vm.initrd, args=["--load", f"{tmp}/saved"]) as again:
            check_eq(again.api("PUT", "/v1/vm/reset")[0], 200, "the answer to reset")
            again.expect("^virga-guest: init$", 120)
            again.expect("^ready$", 120)
            again.send("well\n")
            again.expect("^heard well$", 60)


@case
def a_guest_that_uses_a_share_is_not_saved():
    if not os.path.exists("/usr/lib/qemu/virtiofsd"):
        skip("virtiofsd is not installed (package qemu-system-common)")
    if os.getuid():
        skip("needs root, as the server of the share does")
    with tempfile.TemporaryDirectory() as tmp, VM(IDLE, args=["--share", f"{tmp}:data"]) as vm:
        vm.expect("^ready$", 120)
        check_eq(vm.api("PUT", "/v1/vm/pause")[0], 200, "the answer to pause")
        with open(f"{tmp}/saved", "wb") as f:
            status, answer = vm.api("PUT", "/v1/vm/save", fds=[f.fileno()])
        check_eq((status, answer["code"]), (501, "not-supported"), "the answer to save")
        check("'data'" in answer["detail"], f"the answer names the share: {answer['detail']}")
        check_eq(vm.api("PUT", "/v1/vm/resume")[0], 200, "the answer to resume")
        vm.send("well\n")
        vm.expect("^heard well$", 60)


@case
def a_guest_that_is_loaded_paused_waits_for_resume():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp, VM(IDLE) as vm:
        vm.expect("^ready$", 120)
        pause_and_save(vm, f"{tmp}/saved")
        with VM(initrd=vm.initrd, args=["--load", f"{tmp}/saved", "--paused"]) as again:
            check_eq(again.api("GET", "/v1/vm")[1]["state"], "paused", "the state")
            check_eq(again.api("PUT", "/v1/vm/boot")[0], 409, "the answer to boot")
            check_eq(again.api("PUT", "/v1/vm/resume")[0], 200, "the answer to resume")
            again.send("well\n")
            again.expect("^heard well$", 60)


if __name__ == "__main__":
    main()
