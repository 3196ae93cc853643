#!/usr/bin/env python3
"""The seccomp filters hold what the monitor's threads call, no less and no more: records on the rig (under strace, with
the filters not in force) a VM that uses every device, and compares with the policies."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    build = os.environ.get("VIRGA_BUILD", os.path.join(TOP, "build"))
    if not shutil.which("qemu-system-x86_64"):
        print("1..0 # SKIP no QEMU for the rig")
        return 0
    if not os.environ.get("VIRGA_LONG"):
        print("1..0 # SKIP recording every system call takes minutes: ./check --long does it")
        return 0
    with tempfile.TemporaryDirectory() as tmp:
        env = dict(os.environ, VIRGA_RECORD_SYSCALLS="1", VIRGA_TEST_PATIENCE="240")
        rig = subprocess.run([os.path.join(TOP, "tools/run-tests"), "rig", "--build", build, "--keep", tmp, "--jobs", "2",
                              "--test-timeout", "600", os.path.join(TOP, "tests/guest/record/all_devices.py")],
                             env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
        keep = os.environ.get("VIRGA_OUT")
        if keep:
            shutil.copytree(tmp, os.path.join(keep, "filters"), dirs_exist_ok=True)
        found = subprocess.run([os.path.join(TOP, "tools/check-filters"), "--build", build, os.path.join(tmp, "strace")],
                               stdout=subprocess.PIPE, check=False, text=True).stdout
    n = int(re.search(r"^1\.\.(\d+)$", found, re.M).group(1))
    print(re.sub(r"^1\.\.\d+\n", "", found, flags=re.M), end="")
    if rig.returncode:
        for line in rig.stdout.splitlines():
            print("# " + line)
    print(f"{'not ok' if rig.returncode else 'ok'} {n + 1} - the recorded VMs did what they were to do")
    print(f"1..{n + 1}")
    return 1 if rig.returncode or "\nnot ok" in "\n" + found else 0


if __name__ == "__main__":
    sys.exit(main())
