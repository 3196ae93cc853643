"""The cache of made things: one directory each, named <what>-<hash of everything it is made of>.

It lives in $VIRGA_CACHE, else in ${XDG_CACHE_HOME:-~/.cache}/virga, so that it survives a clone. A
directory appears under its final name only when it is complete; a lock file per name lets several
clones share the cache. Of each kind the four used last are kept.
"""
import contextlib
import fcntl
import hashlib
import json
import os
import shutil

KEEP = 4


def root():
    """The cache directory, made when it is not there."""
    path = os.environ.get("VIRGA_CACHE")
    if not path:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        path = os.path.join(base, "virga")
    os.makedirs(path, exist_ok=True)
    return os.path.abspath(path)


def key(inputs):
    """A short name of a dictionary of strings."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def digest(*paths):
    """The hash of the contents of files."""
    h = hashlib.sha256()
    for p in paths:
        with open(p, "rb") as f:
            h.update(hashlib.sha256(f.read()).digest())
    return h.hexdigest()


@contextlib.contextmanager
def _locked(name):
    with open(os.path.join(root(), f".{name}.lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _prune(kind, keep_name):
    """Removes the least recently used of a kind beyond KEEP; half-made ones of dead runs too."""
    top = root()
    hashed = [d for d in os.listdir(top) if d.rsplit("-", 1)[0] == kind and len(d.rsplit("-", 1)[-1]) == 16]
    hashed.sort(key=lambda d: os.stat(os.path.join(top, d)).st_mtime, reverse=True)
    for d in hashed[KEEP:]:
        if d != keep_name:
            shutil.rmtree(os.path.join(top, d), ignore_errors=True)


def get(kind, inputs, make):
    """The directory of what inputs describe; make(dir) fills it the first time.

    Blocks while another process makes the same thing.
    """
    name = f"{kind}-{key(inputs)}"
    path = os.path.join(root(), name)
    with _locked(kind):
        if not os.path.isdir(path):
            part = path + ".part"
            shutil.rmtree(part, ignore_errors=True)
            os.makedirs(part)
            make(part)
            with open(os.path.join(part, "inputs.json"), "w", encoding="utf-8") as f:
                json.dump(inputs, f, indent=1, sort_keys=True)
            os.rename(part, path)
        os.utime(path)
        _prune(kind, name)
    return path
