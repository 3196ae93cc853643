#!/usr/bin/env python3
"""A guest that is saved while it works, whose VM ends, and that goes on in a new one."""
import contextlib
import os
import subprocess
import tempfile

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
        check("1 vCPUs" in refused(saved, cpus=2), "another number of vCPUs")
        text = refused(saved, "--rng", "off")
        check("PCI slots" in text, f"another device: {text}")
        with open(saved, "rb") as f:
            content = f.read()
        for text, broken in (("cut off", content[:-1]), ("not complete", bytes(64) + content[64:]),
                             ("not a saved VM", b"x" + content[1:]), ("checksum", content[:100] + b"\xff" + content[101:]),
                             ("corrupt", content + b"x"), ("cut off", b"")):
            with open(bad, "wb") as f:
                f.write(broken)
            check(text in refused(bad), f"a file that is {text}")
        with VM(initrd=guest_initrd[0], args=["--load", saved]) as vm:
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
