#!/usr/bin/env python3
"""The seccomp filters hold what the monitor's threads call, no less and no more: records (under strace, with the filters
not in force) VMs that use every device, on KVM in the rig and by the software engine here, and compares with the policies."""
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def record(build, keep, mode):
    """The ended process that ran VMs with every device and left what they called in keep/strace."""
    env = dict(os.environ, VIRGA_RECORD_SYSCALLS="1", VIRGA_TEST_PATIENCE="240", VIRGA_OUT=keep)
    if mode == "scripts":
        made = subprocess.run([os.path.join(TOP, "tools/image/build"), "guest"], stdout=subprocess.PIPE, text=True, check=True)
        env.update(VIRGA_TEST_ARGS="--engine soft", VIRGA_GUEST=made.stdout.strip().split("\n")[-1])
    return subprocess.run([os.path.join(TOP, "tools/run-tests"), mode, "--build", build, "--keep", keep, "--jobs", "2",
                           "--test-timeout", "900", os.path.join(TOP, "tests/guest/record/all_devices.py")],
                          env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)


def sockets(directory, names):
    """Those of the names that cannot be copied."""
    return [n for n in names if stat.S_ISSOCK(os.lstat(os.path.join(directory, n)).st_mode)]


def main():
    build = os.environ.get("VIRGA_BUILD", os.path.join(TOP, "build"))
    if not shutil.which("qemu-system-x86_64"):
        print("1..0 # SKIP no QEMU for the rig")
        return 0
    if not os.environ.get("VIRGA_LONG"):
        print("1..0 # SKIP recording every system call takes minutes: ./check --long does it")
        return 0
    with tempfile.TemporaryDirectory() as tmp:
        runs = [record(build, os.path.join(tmp, "kvm"), "rig"), record(build, os.path.join(tmp, "soft"), "scripts")]
        keep = os.environ.get("VIRGA_OUT")
        if keep:
            shutil.copytree(tmp, os.path.join(keep, "filters"), dirs_exist_ok=True, ignore=sockets)
        found = subprocess.run([os.path.join(TOP, "tools/check-filters"), "--build", build, os.path.join(tmp, "kvm/strace"),
                                os.path.join(tmp, "soft/strace")], stdout=subprocess.PIPE, check=False, text=True).stdout
    n = int(re.search(r"^1\.\.(\d+)$", found, re.M).group(1))
    print(re.sub(r"^1\.\.\d+\n", "", found, flags=re.M), end="")
    for run in runs:
        n += 1
        if run.returncode:
            for line in run.stdout.splitlines():
                print("# " + line)
        print(f"{'not ok' if run.returncode else 'ok'} {n} - the recorded VMs did what they were to do")
    print(f"1..{n}")
    return 1 if any(run.returncode for run in runs) or "\nnot ok" in "\n" + found else 0


if __name__ == "__main__":
    sys.exit(main())
