#!/usr/bin/env python3
"""A guest that is paused and resumed while it works (on a network of its own: test_saved.py runs beside it)."""
import tempfile

from virgatest import VM, WORK, case, check, check_eq, main, tap_interface

MIB = 1 << 20

@case
def a_guest_under_load_survives_pauses():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp, tap_interface("vload", "10.80.0.1/24") as nic:
        for name, size in (("a.img", 64), ("b.img", 16)):
            with open(f"{tmp}/{name}", "wb") as f:
                f.truncate(size * MIB)
        script = WORK.replace("10.79.0.", "10.80.0.")
        with VM(script, disks=[f"{tmp}/a.img", f"{tmp}/b.img,cache=none"], nets=[nic], cpus=2, memory="192M",
                tools=True) as vm:
            vm.expect("^working$", 120)
            for n in range(1, 11):
                vm.expect(f"^wrote {n}$", 120)
                check_eq(vm.api("PUT", "/v1/vm/pause")[0], 200, "the answer to pause")
                vm.wait_state("paused")
                before = vm.api("GET", "/v1/vm/counters")[1]
                vm.pump(0.2)
                after = vm.api("GET", "/v1/vm/counters")[1]
                if vm.api("GET", "/v1/vm")[1]["engine"] == "soft":
                    check(before["cpu0"]["instructions"] > 10**8 and before["cpu1"]["instructions"] > 0, before)
                check_eq(before, after, "the counters of a paused VM, a moment later")
                check_eq(vm.api("PUT", "/v1/vm/resume")[0], 200, "the answer to resume")
            vm.run(180)


if __name__ == "__main__":
    main()
