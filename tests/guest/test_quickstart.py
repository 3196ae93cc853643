#!/usr/bin/env python3
"""The README's first command, as a newcomer runs it."""
import os
import re
import shutil
import subprocess
import tempfile

from virgatest import case, check, check_eq, main, skip

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def quickstart(*flags, env=None):
    """Runs it; its output, and the table of times."""
    p = subprocess.run([os.path.join(TOP, "quickstart"), "--check", *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=1500, check=False, env=dict(os.environ, **(env or {})))
    try:
        check_eq(p.returncode, 0, "the exit status")
        times = p.stdout[p.stdout.rindex("\ntimes:"):]
        check("booting Debian" in times and " in all" in times, "how long each step took")
        return p.stdout
    except Exception:
        print("".join(f"# {line}\n" for line in p.stdout.splitlines()[-60:]), flush=True)
        raise


@case
def one_vm_boots_debian_and_has_its_answer():
    if os.environ.get("VIRGA_RIG"):
        skip("it is the machine outside that a newcomer has")
    check(re.search(r"Linux virga-guest .* x86_64 GNU/Linux", quickstart("--vm")), "the guest's answer to uname -a")


@case
def a_cloud_with_a_vm_that_answers_over_ssh():
    if os.environ.get("VIRGA_RIG"):
        skip("it is the machine outside that a newcomer has")
    if not os.environ.get("VIRGA_LONG"):
        skip("builds an image and boots it with cloud-init, some minutes: ./check --long")
    state = tempfile.mkdtemp(prefix="virga-qs-", dir="/var/tmp")
    try:
        check(re.search(r"over SSH: Linux quickstart .* x86_64 GNU/Linux", quickstart(env={"VIRGA_STATE": state})), "the guest's answer")
    finally:
        virga = os.path.join(TOP, "build/virga")
        env = dict(os.environ, VIRGA_CONFIG=os.path.join(TOP, "build/quickstart-config.json"))
        for words in (("vm", "rm", "quickstart", "--purge", "--yes"), ("down", "--state", state)):
            subprocess.run([virga, *words], env=env, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    main()
