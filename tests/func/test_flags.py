#!/usr/bin/env python3
"""The flags of the programs are those of the manual and of the shells' completions."""
import os
import re
import shutil
import subprocess

from virgatest import case, check, check_eq, main
from virgatest.tap import skip
from virgatest.vm import program

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def flags():
    """What `virga-vmm --help` lists."""
    text = subprocess.run([program("virga-vmm"), "--help"], stdout=subprocess.PIPE, check=True, text=True).stdout
    found = set(re.findall(r"^  --([a-z-]+)", text, re.M))
    check(len(found) > 15, f"the help lists only {found}")
    return found


def read(path):
    """A file of the source tree."""
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


@case
def the_manual_explains_every_flag_and_no_other():
    explained = set(re.findall(r"^\.It Fl -([a-z-]+)", read("docs/man/virga-vmm.8"), re.M))
    check_eq(explained - {"probe"}, flags())


@case
def the_manual_has_every_key_of_the_configuration_file_and_no_other():
    manual = re.search(r"^\.Sh CONFIGURATION FILE$(.*?)^\.Ed$", read("docs/man/virga-vmm.8"), re.M | re.S).group(1)
    rows = re.findall(r'^    \{"(\w+)", VM_CONFIG_KIND_', read("src/vmmapi/vm_config_fields.c"), re.M)
    check(len(rows) > 50, f"{len(rows)} rows were found")
    check_eq(set(re.findall(r'"(\w+)":', manual)), set(rows))


@case
def the_shells_complete_every_flag_and_no_other():
    wanted = flags() | {"help"}
    bash = re.search(r'_virga_flags="([^"]*)"', read("completions/virga.bash")).group(1)
    check_eq(set(re.findall(r"--([a-z-]+)", bash)), wanted, "bash")
    zsh = re.findall(r"^\s+'\*?--([a-z-]+)\[", read("completions/_virga"), re.M)
    check_eq(set(zsh), wanted, "zsh")
    fish = re.findall(r"^__virga_flag -l ([a-z-]+)", read("completions/virga.fish"), re.M)
    check_eq(set(fish), wanted, "fish")


def complete(line):
    """What bash would offer at the end of the line."""
    words = line.split(" ")
    script = ('compopt() { :; }; . "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _virga; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    out = subprocess.run(["bash", "-c", script, os.path.join(TOP, "completions/virga.bash"), *words],
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    return out.split()


@case
def bash_completes_commands_flags_and_values():
    check_eq(complete("virga r"), ["run"])
    check_eq(complete("virga run --ker"), ["--kernel"])
    check_eq(complete("virga run --engine k"), ["kvm"])
    check_eq(complete("virga-vmm --sandbox re"), ["require"])
    check_eq(complete("virga run --disk a.img,form"), ["a.img,format=raw", "a.img,format=qcow2"])


@case
def the_manual_is_well_formed():
    if not shutil.which("mandoc"):
        skip("no mandoc here")
    for page in ("virga.1", "virga-agent.8", "virga-vmm.8"):
        out = subprocess.run(["mandoc", "-Tlint", "-Wwarning", os.path.join(TOP, "docs/man", page)],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, text=True).stdout
        check_eq(out, "", page)


if __name__ == "__main__":
    main()
