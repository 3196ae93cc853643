"""What this machine's apt knows: Debian's own sources, package versions, package files.

Nothing here names a mirror: the sources are those the machine is configured with, and of them
those whose Release file says Debian.
"""
import functools
import json
import os
import shutil
import subprocess
import tempfile

from . import cache
from .steps import StepError, run


def _output(argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return p.stdout if p.returncode == 0 else ""


def _apt_state():
    """Changes when apt's lists or sources do."""
    paths = ("/var/lib/apt/lists", "/etc/apt/sources.list", "/etc/apt/sources.list.d")
    return [os.stat(p).st_mtime_ns if os.path.exists(p) else 0 for p in paths]


def _remembered(fn):
    """apt needs up to a second for an answer: keeps answers until its lists change."""
    @functools.lru_cache(maxsize=None)
    @functools.wraps(fn)
    def wrapped(*args):
        path = os.path.join(cache.root(), "apt-answers.json")
        name = json.dumps([fn.__name__, args])
        try:
            with open(path, encoding="utf-8") as f:
                memo = json.load(f)
        except (OSError, ValueError):
            memo = {}
        if memo.get("state") == _apt_state() and name in memo:
            return memo[name]
        answer = fn(*args)
        if memo.get("state") != _apt_state():
            memo = {"state": _apt_state()}
        memo[name] = answer
        part = f"{path}.{os.getpid()}"
        with open(part, "w", encoding="utf-8") as f:
            json.dump(memo, f)
        os.rename(part, path)
        return answer
    return wrapped


@_remembered
def sources():
    """Lines of a sources.list of the Debian archives of this machine."""
    fmt = "deb [arch=amd64] $(REPO_URI) $(RELEASE) $(COMPONENT)"
    argv = ["apt-get", "indextargets", "Created-By: Packages", "Origin: Debian", "--format", fmt]
    lines = sorted(set(_output(argv).split("\n")) - {""})
    if not lines:
        if os.geteuid() != 0:
            raise StepError("apt has no package lists; run apt-get update as root")
        with tempfile.NamedTemporaryFile() as log:
            run("apt-get update", ["apt-get", "update"], log.name)
        lines = sorted(set(_output(argv).split("\n")) - {""})
    if not lines:
        raise StepError("no Debian archive among the machine's apt sources; add one to /etc/apt/sources.list.d")
    return lines


def suite():
    """The code name of the release this machine runs, such as bookworm."""
    with open("/etc/os-release", encoding="utf-8") as f:
        for line in f:
            if line.startswith("VERSION_CODENAME="):
                return line.split("=", 1)[1].strip().strip('"')
    return "bookworm"


def proxy_options():
    """mmdebstrap options that hand on the machine's apt proxy settings."""
    out = []
    for line in _output(["apt-config", "dump"]).split("\n"):
        if line.startswith(("Acquire::http::", "Acquire::https::")) and "Proxy" in line and '""' not in line:
            out.append("--aptopt=" + line)
    return out


@_remembered
def versions(*packages):
    """{package: version that apt would install}; raises StepError for one that does not exist."""
    sources()
    found = {}
    name = None
    for line in _output(["apt-cache", "--no-all-versions", "show"] + list(packages)).split("\n"):
        if line.startswith("Package: "):
            name = line[9:]
        elif line.startswith("Version: ") and name:
            found.setdefault(name, line[9:])
    missing = [p for p in packages if p not in found]
    if missing:
        raise StepError(f"no package {' '.join(missing)} in the machine's apt sources; run apt-get update as root")
    return {p: found[p] for p in packages}


@_remembered
def depends(package):
    """The names of the first alternatives that a package depends on."""
    sources()
    for line in _output(["apt-cache", "--no-all-versions", "show", package]).split("\n"):
        if line.startswith("Depends: "):
            return [d.strip().split(" ")[0].split(":")[0] for d in line[9:].split(",")]
    return []


def unpack(packages, dest, log):
    """Downloads packages (not what they depend on) and unpacks them under dest without installing."""
    with tempfile.TemporaryDirectory() as tmp:
        os.chmod(tmp, 0o777)
        run(f"downloading {' '.join(packages)}", ["apt-get", "download"] + list(packages), log, cwd=tmp)
        for deb in sorted(os.listdir(tmp)):
            run(f"unpacking {deb.split('_')[0]}", ["dpkg", "-x", os.path.join(tmp, deb), dest], log)


def bootstrap(title, dest, log, packages, options):
    """mmdebstrap into the directory dest from the machine's own Debian sources."""
    if os.geteuid() != 0:
        raise StepError(f"{title}: needs root; run it with sudo")
    if not shutil.which("mmdebstrap"):
        raise StepError(f"{title}: no mmdebstrap on this machine; apt-get install mmdebstrap")
    argv = ["mmdebstrap", "--mode=root", "--format=directory", '--aptopt=Apt::Install-Recommends "false"']
    argv += proxy_options() + list(options)
    argv += ["--include=" + ",".join(packages), suite(), dest, "-"]
    with tempfile.TemporaryFile("w+") as f:
        f.write("\n".join(sources()) + "\n")
        f.seek(0)
        run(title, argv, log, stdin=f)
