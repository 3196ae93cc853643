#!/usr/bin/env python3
"""A Debian kernel under a debugger."""
import os
import random
import shutil
import subprocess
import tempfile

from virgatest import VM, Gdb, case, check, check_eq, main, skip

ENTRY = 0x1000000  # where Linux begins with nokaslr
SCRIPT = r"""
    echo ready
    while read -r word; do echo "heard $word"; test "$word" != end || break; done
"""


def needs_breakpoints():
    """Skips where a guest's breakpoints reach nobody."""
    if os.environ.get("VIRGA_RIG"):
        skip("the SVM that QEMU emulates neither arms a guest's debug registers nor intercepts its int3")


def debugged(tmp, **more):
    """A VM with a socket for a debugger."""
    return VM(SCRIPT, append="nokaslr idle=halt", args=["--gdb", f"{tmp}/gdb", *more.pop("args", [])], **more)


@case
def a_guest_starts_under_a_debugger_and_stops_at_its_entry():
    needs_breakpoints()
    with tempfile.TemporaryDirectory() as tmp, debugged(tmp, args=["--paused"]) as vm, Gdb(f"{tmp}/gdb") as gdb:
        check("PacketSize=1000" in gdb.ask("qSupported:swbreak+;hwbreak+"), "qSupported")
        check("i386:x86-64" in gdb.ask("qXfer:features:read:target.xml:0,800"), "the description")
        check_eq(gdb.ask("?"), "T02thread:1;", "the first stop reply")
        check_eq(gdb.regs()["rip"], 0xfff0, "rip after power-on")
        check_eq(gdb.ask(f"Z1,{ENTRY:x},1"), "OK", "a hardware breakpoint before there is any code")
        check_eq(gdb.ask("vCont;c"), "T05hwbreak:;thread:1;", "the stop at the entry")
        check_eq(gdb.regs()["rip"], ENTRY, "rip at the entry")
        code = gdb.read(ENTRY, 16)
        check_eq(gdb.ask("Qqemu.PhyMemMode:1"), "OK", "physical addresses")
        check_eq(gdb.read(ENTRY, 16), code, "the entry in physical memory")
        check_eq(gdb.ask("Qqemu.PhyMemMode:0"), "OK", "virtual addresses")
        rips = [ENTRY]
        for _ in range(2):
            check_eq(gdb.ask("vCont;s:1"), "T05thread:1;", "the stop after a step")
            rips.append(gdb.regs()["rip"])
        check(all(0 < b - a < 16 for a, b in zip(rips, rips[1:])), f"two steps in a straight line: {rips}")
        check_eq(gdb.ask(f"z1,{ENTRY:x},1"), "OK", "the breakpoint goes")
        check_eq(gdb.ask("D"), "OK", "detach")
        vm.expect("^ready$", 120)
        vm.send("end\n")
        vm.run(60)


def stop_in_idle(vm, gdb):
    """Interrupts until the vCPU has halted; the registers there."""
    for _ in range(300):
        vm.pump(0.1)  # it gets somewhere
        check_eq(gdb.interrupt(), "T02thread:1;", "the stop reply of an interrupt")
        regs = gdb.regs()
        if gdb.read(regs["rip"] - 1, 1) == b"\xf4":
            return regs
        gdb.send("vCont;c")
    raise AssertionError("vCPU 0 was never idle")


@case
def breakpoints_and_watchpoints_in_a_kernel_that_runs():
    needs_breakpoints()
    with tempfile.TemporaryDirectory() as tmp, debugged(tmp) as vm:
        vm.expect("^ready$", 120)
        with Gdb(f"{tmp}/gdb") as gdb:
            gdb.ask("QStartNoAckMode")
            gdb.no_ack = True
            vm.wait_state("paused")
            gdb.send("vCont;c")
            rip = stop_in_idle(vm, gdb)["rip"]
            # A breakpoint behind the hlt, which each timer tick leaves.
            code = gdb.read(rip, 8)
            check_eq(gdb.ask(f"Z0,{rip:x},1"), "OK", "a breakpoint")
            check_eq(gdb.read(rip, 8), code, "the code at a breakpoint, as the guest has it")
            for _ in range(3):
                check_eq(gdb.ask("vCont;c"), "T05swbreak:;thread:1;", "the stop at it")
                check_eq(gdb.regs()["rip"], rip, "rip at it")
                check_eq(gdb.ask(f"z0,{rip:x},1"), "OK", "away with it")
                check_eq(gdb.ask("vCont;s:1"), "T05thread:1;", "the stop after a step")
                check(gdb.regs()["rip"] != rip, "a step moves")
                check_eq(gdb.ask(f"Z0,{rip:x},1"), "OK", "there again")
            check_eq(gdb.ask(f"z0,{rip:x},1"), "OK", "away for good")
            # An interrupt writes its frame below the idle loop's stack.
            gdb.send("vCont;c")
            below = (stop_in_idle(vm, gdb)["rsp"] & ~15) - 8
            check_eq(gdb.ask(f"Z2,{below:x},8"), "OK", "a watchpoint")
            check_eq(gdb.ask("vCont;c"), f"T05watch:{below:x};thread:1;", "the stop at it")
            check_eq(gdb.ask(f"z2,{below:x},8"), "OK", "away with it")
            check_eq(gdb.ask("D"), "OK", "detach")
        vm.send("well\n")
        vm.expect("^heard well$", 60)
        vm.send("end\n")
        vm.run(60)


@case
def a_kernel_that_runs_is_interrupted_and_stepped():
    with tempfile.TemporaryDirectory() as tmp, debugged(tmp) as vm:
        vm.expect("^ready$", 120)
        with Gdb(f"{tmp}/gdb") as gdb:
            vm.wait_state("paused")
            gdb.send("vCont;c")
            stop_in_idle(vm, gdb)
            moved = set()
            for _ in range(40):
                check_eq(gdb.ask("s"), "T05thread:1;", "the stop after a step")
                moved.add(gdb.regs()["rip"])
            check(len(moved) > 10, f"40 steps came to {len(moved)} places")
            check_eq(gdb.ask("D"), "OK", "detach")
        vm.send("well\n")
        vm.expect("^heard well$", 60)
        vm.send("end\n")
        vm.run(60)


@case
def a_reset_takes_breakpoints_along():
    needs_breakpoints()
    direct_map = 0xffff888000000000
    with tempfile.TemporaryDirectory() as tmp, debugged(tmp) as vm:
        vm.expect("^ready$", 120)
        with Gdb(f"{tmp}/gdb") as gdb:
            gdb.regs()
            # Where the kernel runs, and after a reset its packed image lies.
            places = range(0x1100000, 0x1600000, 0x100000)
            for at in places:
                check_eq(gdb.ask(f"Z0,{direct_map + at:x},1"), "OK", "a breakpoint")
            gdb.ask("qRcmd," + b"reset".hex())
            for at in places:
                check_eq(gdb.ask(f"z0,{direct_map + at:x},1"), "OK", "the breakpoint goes")
            check_eq(gdb.ask("D"), "OK", "detach")
        vm.expect("^ready$", 120)
        vm.send("end\n")
        vm.run(60)


@case
def registers_and_memory_are_read_and_written():
    with tempfile.TemporaryDirectory() as tmp, debugged(tmp, cpus=2) as vm:
        vm.expect("^ready$", 120)
        with Gdb(f"{tmp}/gdb") as gdb:
            check_eq(gdb.ask("qfThreadInfo"), "m1,2", "the threads")
            check_eq(bytes.fromhex(gdb.ask("qThreadExtraInfo,2")), b"vCPU 1", "the second one")
            check_eq(gdb.ask("Hg2"), "OK", "the second vCPU")
            old = gdb.ask("pf")
            check_eq(gdb.ask("Pf=8877665544332211"), "OK", "writing r15")
            check_eq(gdb.regs()["r15"], 0x1122334455667788, "r15")
            check_eq(gdb.ask("Pf=" + old), "OK", "r15 as it was")
            stack = gdb.regs()["rsp"] - 0x400
            was = gdb.read(stack, 32)
            check_eq(gdb.ask(f"M{stack:x},4:deadbeef"), "OK", "writing memory")
            check_eq(gdb.ask(b"X%x,3:ab}\x03" % (stack + 4)), "OK", "writing memory in binary")
            check_eq(gdb.read(stack, 7), b"\xde\xad\xbe\xefab#", "what was written")
            check_eq(gdb.ask(f"M{stack:x},20:{was.hex()}"), "OK", "memory as it was")
            check(gdb.ask("m10,4").startswith("E"), "an address that is not mapped")
            check(gdb.ask("pfff").startswith("E"), "a register that is not there")
            check_eq(gdb.ask("Z3,1000,4"), "", "a kind of watchpoint that x86 has not")
            check_eq(gdb.ask("vNonsense"), "", "a packet that nobody knows")
            with tempfile.TemporaryFile() as f:
                status, answer = vm.api("PUT", "/v1/vm/save", fds=[f.fileno()])
            check(status == 409 and "debugger" in answer["detail"], f"saving under a debugger: {status} {answer}")
            # While the API has it run, the debugger has to wait.
            check_eq(vm.api("PUT", "/v1/vm/resume")[0], 200, "the answer to resume")
            check(gdb.ask("g").startswith("E"), "registers of a VM that runs")
            check_eq(vm.api("PUT", "/v1/vm/pause")[0], 200, "the answer to pause")
            gdb.regs()
            rng = random.Random(1)
            gdb.raw(bytes(rng.randrange(256) for _ in range(3000)) + b"$#00+-")
        vm.send("well\n")  # the debugger has hung up: the guest goes on
        vm.expect("^heard well$", 60)
        with Gdb(f"{tmp}/gdb") as gdb:
            gdb.regs()
            gdb.send("k")
            vm.wait(30)


@case
def gdb_itself_debugs_a_guest():
    if not shutil.which("gdb"):
        skip("gdb is not installed")
    with tempfile.TemporaryDirectory() as tmp, debugged(tmp, args=["--paused"]) as vm:
        Gdb(f"{tmp}/gdb").sock.close()  # it is there
        commands = [f"target remote {tmp}/gdb", f"hbreak *{ENTRY:#x}", "continue", "stepi", "info registers rip xmm0 cr3",
                    "info threads", "monitor physical on", f"x/4xb {ENTRY:#x}", "detach"]
        argv = ["gdb", "-q", "-nx", "-batch"] + [a for c in commands for a in ("-ex", c)]
        said = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False).stdout
        check("Breakpoint 1, 0x" in said and "v4_float" in said and "cr3" in said and "are physical" in said, said)
        vm.expect("^ready$", 120)


if __name__ == "__main__":
    main()
