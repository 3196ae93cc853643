#!/usr/bin/env python3
"""Debian's cloud kernel on the machine itself: what it finds, how it starts again, how it ends."""
import os
import re
import time

from virgatest import VM, case, check, check_eq, guest_file, main, skip

# What a PC's guest looks at first. The host compares the clock.
INSPECT = r"""
    check four_vcpus_are_online test "$(cat /sys/devices/system/cpu/online)" = 0-3
    check each_vcpu_runs_programs sh -c 'for c in 0 1 2 3; do test $(taskset -c $c nproc) = 1; done'
    check each_vcpu_gets_its_own_timer_interrupts sh -c '
        grep "LOC:" /proc/interrupts | { read -r _ a b c d _; test $a -gt 0 -a $b -gt 0 -a $c -gt 0 -a $d -gt 0; }'
    check the_console_is_ttyS0 grep -q ttyS0 /proc/consoles
    check kvm_clock_is_offered grep -qw kvm-clock /sys/devices/system/clocksource/clocksource0/available_clocksource
    check the_clock_source_needs_no_exit grep -qxE 'kvm-clock|tsc' /sys/devices/system/clocksource/clocksource0/current_clocksource
    dmesg >/tmp/dmesg
    check acpi_has_no_complaints sh -c '! grep -E "ACPI (Error|Warning|BIOS)|ACPI: .*(fail|invalid|not found)" /tmp/dmesg'
    # The rig's emulated SVM does not tell KVM of XSETBV: the kernel finds one odd CPUID under any VMM.
    check the_kernel_warns_of_nothing sh -c '
        ! grep -v xstate.c /tmp/dmesg | grep -E "Firmware Bug|WARNING:|BUG:|no _PRT|can.t derive routing"'
    check pci_has_no_complaints sh -c '! grep -E "pci.*(fail|no compatible|can.t claim|conflict)" /tmp/dmesg'
    check pci_is_reached_by_ecam grep -q "PCI: MMCONFIG .*\[mem 0xe0000000" /tmp/dmesg
    check every_pci_device_has_msix sh -c 'for d in /sys/bus/pci/drivers/virtio-pci/0*; do test -d $d/msi_irqs; done'
    check smbios_names_the_vm sh -c '
        grep -qx Virga /sys/class/dmi/id/sys_vendor
        test "$(cat /sys/class/dmi/id/product_uuid)" = 11111111-2222-4333-8444-555555555555
        grep . /sys/class/dmi/id/*'
    check acpi_tables_are_there sh -c 'cd /sys/firmware/acpi/tables && test -e FACP -a -e APIC -a -e MCFG -a -e DSDT'
    check a_hypervisor_is_announced grep -q "^flags.* hypervisor" /proc/cpuinfo
    echo "rtc: $(hwclock -u -r >/dev/null 2>&1; cat /sys/class/rtc/rtc0/since_epoch)"
    echo "clock: $(date +%s)"
"""

BUTTON = r"""
    modprobe -a evdev button
    wait-for 5 test -e /dev/input/event0
    mkdir -p /etc/acpi/PWRF
    printf '#!/bin/sh\necho "the button was pressed"\necho >/tmp/pressed\n' >/etc/acpi/PWRF/00000080
    chmod 755 /etc/acpi/PWRF/00000080
    acpid -d 2>/tmp/acpid.log &
    wait-for 20 sh -c 'ls -l /proc/$(pidof acpid)/fd | grep -q input/event'
    echo listening
    wait-for 60 test -e /tmp/pressed
"""


@case
def a_guest_finds_a_whole_pc_and_a_power_button():
    with VM(INSPECT + BUTTON, cpus=4, args=["--uuid", "11111111-2222-4333-8444-555555555555"]) as vm:
        rtc = int(vm.expect(r"^rtc: (\d+)$").group(1))
        clock = int(vm.expect(r"^clock: (\d+)$").group(1))
        now = time.time()
        check(abs(rtc - now) < 10, f"the guest's RTC is {rtc - now:+.0f} s from the host's clock")
        check(abs(clock - now) < 10, f"the guest's clock is {clock - now:+.0f} s from the host's")
        vm.expect("^listening$")
        check_eq(vm.api("PUT", "/v1/vm/power-button")[0], 202, "the answer to the power button")
        vm.expect("^the button was pressed$")
        vm.run()


@case
def a_power_button_that_no_guest_listens_to_is_refused():
    with VM("echo up; read -r line", append="acpi=off") as vm:
        vm.expect("^up$")
        status, answer = vm.api("PUT", "/v1/vm/power-button")
        check_eq(status, 501, "the answer to the power button")
        check("has not enabled the power button" in answer["detail"], f"the refusal says {answer['detail']!r}")
        check_eq(vm.api("PUT", "/v1/vm/stop")[0], 200, "the answer to stop")
        check_eq(vm.wait(), 0, "the exit status of the program")


# Ends as the host types.
AGAIN = r"""
    echo "ready"
    read -r what
    case $what in
        reboot) reboot -f ;;
        panic) echo c >/proc/sysrq-trigger ;;
    esac
"""


@case
def a_vmlinux_starts_by_its_pvh_note_and_again_after_each_kind_of_reset():
    with VM(AGAIN, kernel=guest_file("vmlinux"), cpus=2) as vm:
        for how in ("reboot", "panic", "api"):
            vm.expect("^ready$")
            if how == "api":
                check_eq(vm.api("PUT", "/v1/vm/reset")[0], 200, "the answer to reset")
            else:
                vm.send(how + "\n")
            vm.expect("^virga-guest: init$")
        vm.expect("^ready$")
        status, answer = vm.api("GET", "/v1/vm")
        check_eq((status, answer["state"]), (200, "running"), "the VM after three resets")
        events = vm.events()
        check_eq([e["event"] for e in events].count("reset"), 3, "reset events")
        vm.send("off\n")
        vm.run()


@case
def a_guest_ends_the_vm_with_an_exit_code_of_its_own():
    with VM("true", end="debug-exit", args=["--debug-exit"]) as vm:
        check_eq(vm.guest_exit(), 0)
        check_eq(vm.wait(), 3, "the exit status: (1 << 1) | 1")


OLD_CPU = r"""
    check the_brand_is_the_models grep -q "^model name.*Virga x86-64-v2" /proc/cpuinfo
    check what_the_level_has_is_there sh -c 'for f in cx16 popcnt sse4_1 sse4_2 ssse3; do grep -qw $f /proc/cpuinfo || exit 1; done'
    check what_is_above_it_is_not sh -c '! grep -qwE "avx|avx2|bmi1|fma|movbe|xsave" /proc/cpuinfo'
"""
NEW_CPU = r"""
    check the_brand_is_the_models grep -q "^model name.*Virga x86-64-v3" /proc/cpuinfo
    check what_the_level_has_is_there sh -c 'for f in avx2 bmi1 bmi2 fma movbe f16c; do grep -qw $f /proc/cpuinfo || exit 1; done'
    check what_is_above_it_is_not sh -c '! grep -qwE "avx512f|sha_ni|vaes" /proc/cpuinfo'
"""


@case
def a_cpu_model_hides_what_is_above_its_level():
    models = (("x86-64-v2", OLD_CPU), ("x86-64-v3", NEW_CPU))
    # The rig's emulated SVM does not tell KVM of XSETBV, so guests there switch AVX off themselves.
    for model, script in models[:1] if os.environ.get("VIRGA_RIG") else models:
        with VM(script, args=["--cpu-model", model]) as vm:
            vm.run(120)


def threads(pid):
    """{name: /proc directory} of the threads of a process and those below it."""
    found, pids = {}, [pid]
    for p in pids:
        for tid in os.listdir(f"/proc/{p}/task"):
            where = f"/proc/{p}/task/{tid}"
            with open(where + "/comm", encoding="ascii") as f:
                found[f.read().strip()] = where
            with open(where + "/children", encoding="ascii") as f:
                pids += [int(child) for child in f.read().split()]
    return found


@case
def vcpus_stay_where_they_are_pinned_and_memory_is_there_from_the_start():
    if len(os.sched_getaffinity(0)) < 2:
        skip("pinning shows on two CPUs or more")
    first, second = sorted(os.sched_getaffinity(0))[:2]
    with VM("echo here; sleep 1000", cpus=2, memory="96M,shared,prealloc", args=["--pin", f"{second},{first}"]) as vm:
        vm.expect("^here$", 120)
        for name, cpu in (("cpu0", second), ("cpu1", first)):
            with open(threads(vm.process.pid)[name] + "/status", encoding="ascii") as f:
                check_eq(re.search(r"^Cpus_allowed_list:\s*(\S+)$", f.read(), re.M).group(1), str(cpu), f"the CPUs of {name}")
        with open(threads(vm.process.pid)["cpu0"] + "/smaps", encoding="utf-8") as f:
            sizes = re.findall(r"^Size:\s+(\d+) kB\n(?:.*\n)*?Rss:\s+(\d+) kB", f.read(), re.M)
        check(("98304", "98304") in sizes, f"RAM is resident: {[s for s in sizes if int(s[0]) > 50000]}")


@case
def memory_is_of_huge_pages_where_asked_for():
    count = "/proc/sys/vm/nr_hugepages"
    with open(count, encoding="ascii") as f:
        before = int(f.read())
    try:
        with open(count, "w", encoding="ascii") as f:
            f.write(str(before + 64))
        with open(count, encoding="ascii") as f:
            if int(f.read()) < before + 64:
                skip("this host has no 128 MiB in huge pages to give")
        for more in ("", ",shared"):
            with VM("echo here; sleep 1000", memory="96M,hugepages" + more) as vm:
                vm.expect("^here$", 120)
                with open(threads(vm.process.pid)["cpu0"] + "/smaps", encoding="utf-8") as f:
                    sizes = re.findall(r"^Size:\s+(\d+) kB\nKernelPageSize:\s+(\d+) kB", f.read(), re.M)
                check(("98304", "2048") in sizes, f"RAM is 96 MiB of 2 MiB pages: {[s for s in sizes if int(s[0]) > 50000]}")
    except PermissionError:
        skip(f"this user may not write {count}")
    finally:
        try:
            with open(count, "w", encoding="ascii") as f:
                f.write(str(before))
        except PermissionError:
            pass


if __name__ == "__main__":
    main()
