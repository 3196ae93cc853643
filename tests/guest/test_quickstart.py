#!/usr/bin/env python3
"""The README's first command, as a newcomer runs it."""
import os
import re
import subprocess

from virgatest import case, check, check_eq, main, skip

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@case
def quickstart_boots_debian_and_has_its_answer():
    if os.environ.get("VIRGA_RIG"):
        skip("it is the machine outside that a newcomer has")
    p = subprocess.run([os.path.join(TOP, "quickstart"), "--check"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=800, check=False)
    try:
        check_eq(p.returncode, 0, "the exit status")
        check(re.search(r"Linux virga-guest .* x86_64 GNU/Linux", p.stdout), "the guest's answer to uname -a")
        times = p.stdout[p.stdout.rindex("\ntimes:"):]
        check("booting Debian" in times and " in all" in times, "how long each step took")
    except Exception:
        print("".join(f"# {line}\n" for line in p.stdout.splitlines()[-60:]), flush=True)
        raise


if __name__ == "__main__":
    main()
