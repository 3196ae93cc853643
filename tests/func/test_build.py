#!/usr/bin/env python3
"""What a build directory that somebody just made is asked for is all that is needed."""
import json
import os
import subprocess

from virgatest import case, check, check_eq, main

BUILD = os.environ["VIRGA_BUILD"]


def ask(*argv):
    """What a program prints."""
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


@case
def the_target_that_quickstart_builds_is_every_program_that_is_installed():
    targets = json.loads(ask("meson", "introspect", "--targets", BUILD))
    installed = {os.path.basename(t["filename"][0]) for t in targets if t["type"] == "executable" and t["installed"]}
    check(len(installed) >= 5, f"programs: {installed}")
    inputs = ask("ninja", "-C", BUILD, "-t", "query", "programs").split("outputs:")[0].split("input:")[1].split()
    check_eq({i for i in inputs if i != "phony"} & installed, installed, "built by `ninja programs`")


main()
