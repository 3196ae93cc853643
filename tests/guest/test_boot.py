#!/usr/bin/env python3
"""Debian's cloud kernel boots to user space and its devices are there."""
from virgatest import VM, case, check_eq, main


@case
def a_debian_kernel_runs_a_script_and_powers_off():
    with VM("uname -r; check the_console_is_ttyS0 grep -q ttyS0 /proc/consoles") as vm:
        vm.run(checks=1)


@case
def a_write_to_the_debug_exit_port_ends_the_vm():
    with VM("true", end="debug-exit", args=["--debug-exit"]) as vm:
        check_eq(vm.guest_exit(), 0, "the exit code of the guest's script")
        vm.wait()


if __name__ == "__main__":
    main()
