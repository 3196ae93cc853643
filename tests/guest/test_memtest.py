#!/usr/bin/env python3
"""memtest86+ in a guest: a program that is no Linux, with its own drivers of the APICs, and that trusts no memory."""
import os
import re

from virgatest import VM, case, check, check_eq, guest_file, main, skip

LONG = bool(os.environ.get("VIRGA_LONG"))
# It draws a screen: the number of a test stands behind a cursor position, and so does the count of errors.
FOURTH = r"#([4-9]|10) +\["  # or a later one: it looks every two seconds
ERRORS = r"Errors: +(\d+)"


def memtest(cpus, memory, until, timeout):
    """Runs it until its screen says so; no error may have been counted."""
    with VM(kernel=guest_file("memtest.bin"), initrd=guest_file("memtest.bin"), cpus=cpus, memory=memory, end="none",
            modules="none") as vm:
        vm.expect(until, timeout)
        vm.pump(1)
        found = re.findall(ERRORS, vm.text)
        check(found, "the screen counts errors")
        check_eq(found[-1], "0", "errors")
        if cpus > 1:
            check(re.search(rf"SMP: {cpus}T", vm.text), "it uses all CPUs")
        check_eq(vm.api("PUT", "/v1/vm/stop")[0], 200, "the answer to stop")


@case
def the_first_tests_find_no_error():
    memtest(1, "16M", FOURTH, 240)


@case
def two_cpus_test_in_parallel():
    if os.environ.get("VIRGA_RIG"):
        skip("its two CPUs wait for each other by spinning, which takes minutes on an emulated host")
    memtest(2, "16M", FOURTH, 240)


@case
def a_whole_pass_finds_no_error():
    if not LONG:
        skip("takes minutes: ./check --long")
    memtest(4, "32M", r"Pass: +1 ", 3000)


if __name__ == "__main__":
    main()
