#!/usr/bin/env python3
"""The house's own tools see what they are there to see."""
import os
import subprocess
import sys
import tempfile

from virgatest import case, check, check_eq, main

TOOLS = os.path.join(os.environ["VIRGA_TOP"], "tools")


def tree(files):
    """A directory with the given files."""
    top = tempfile.mkdtemp(prefix="virga-tools-")
    for name, text in files.items():
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)
    return top


def run(tool, *args):
    """(exit code, output) of a tool."""
    p = subprocess.run([os.path.join(TOOLS, tool), *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       check=False)
    return p.returncode, p.stdout


LAYERS = "base:\nseam: base\nmaker: base seam!\nuser: base seam\n"
HEADERS = {"src/LAYERS": LAYERS, "src/base/err.h": "", "src/seam/seam.h": '#include "base/err.h"\n',
           "src/seam/seam_provider.h": "", "src/seam/seam_internal.h": "",
           "src/maker/maker.c": '#include "seam/seam_provider.h"\n', "src/user/user.c": '#include "seam/seam.h"\n'}


@case
def layers_accepts_what_the_file_allows():
    check_eq(run("check-layers", tree(HEADERS))[0], 0, "exit code")


@case
def layers_sees_an_include_from_above():
    code, text = run("check-layers", tree(dict(HEADERS, **{"src/base/err.c": '#include "seam/seam.h"\n'})))
    check_eq(code, 1, "exit code")
    check("base may not use seam" in text, text)


@case
def layers_sees_a_provider_header_without_the_grant():
    code, text = run("check-layers", tree(dict(HEADERS, **{"src/user/user.c": '#include "seam/seam_provider.h"\n'})))
    check_eq(code, 1, "exit code")
    check("is for implementers" in text, text)


@case
def layers_sees_an_internal_header_leave_its_folder():
    code, text = run("check-layers", tree(dict(HEADERS, **{"src/maker/maker.c": '#include "seam/seam_internal.h"\n'})))
    check_eq(code, 1, "exit code")
    check("is internal to" in text, text)


@case
def headers_sees_one_that_needs_another_first():
    code, text = run("check-headers", tree({"src/base/a.h": "struct a {\n    uint8_t x;\n};\n"}))
    check_eq(code, 1, "exit code")
    check("a.h does not compile alone" in text, text)


@case
def docs_sees_a_link_and_a_file_that_are_not_there():
    top = tree({"README.md": "[a](there.md) and `tools/nothing`\n", "tools/x": ""})
    code, text = run("check-docs", top)
    check_eq(code, 1, "exit code")
    check("there.md" in text and "tools/nothing" in text, text)


@case
def run_tests_counts_results_and_not_programs():
    good = "#!/bin/sh\necho 'ok 1 - a'\necho 'ok 2 - b # SKIP no luck'\necho 1..2\n"
    bad = "#!/bin/sh\necho 'ok 1 - a'\necho 'not ok 2 - b'\necho 1..2\nexit 1\n"
    dies = "#!/bin/sh\necho 'ok 1 - a'\nkill -9 $$\n"
    short = "#!/bin/sh\necho 'ok 1 - a'\necho 1..2\n"
    skips = "#!/bin/sh\necho nothing to test with\nexit 77\n"
    top = tree({"test_good": good, "test_bad": bad, "test_dies": dies, "test_short": short, "test_skips": skips})
    code, text = run("run-tests", "scripts", "--label", "sum", top)
    check_eq(code, 1, "exit code")
    check("sum: 4 passed, 3 failed, 2 skipped" in text, text)


@case
def what_is_installed_lies_where_a_debian_package_has_it():
    with tempfile.TemporaryDirectory(prefix="virga-install-") as top:
        p = subprocess.run(["meson", "install", "-C", os.environ["VIRGA_BUILD"], "--no-rebuild", "--destdir", top],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        check_eq(p.returncode, 0, f"meson install: {p.stdout[-500:]}")
        found = {os.path.relpath(os.path.join(d, n), top) for d, _, names in os.walk(top) for n in names}
        prefix = next(f for f in found if f.endswith("bin/virga"))[:-len("bin/virga")]
        for name in ("bin/virga-vmm", "bin/virga-agent", "share/man/man1/virga.1", "share/man/man8/virga-vmm.8",
                     "share/man/man8/virga-agent.8",
                     "share/bash-completion/completions/virga", "share/bash-completion/completions/virga-vmm",
                     "share/zsh/vendor-completions/_virga", "share/fish/vendor_completions.d/virga.fish"):
            check(prefix + name in found, f"{name} is not among {sorted(found)}")


if __name__ == "__main__":
    sys.exit(main())
