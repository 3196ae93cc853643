"""Numbers to tables on the terminal and JSON files in bench/results/."""
import datetime
import json
import os
import platform
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def median(values):
    """The middle value, or the mean of the two middle ones."""
    v = sorted(values)
    n = len(v)
    return v[n // 2] if n % 2 else (v[n // 2 - 1] + v[n // 2]) / 2


def summary(values):
    """{"median", "min", "max", "runs"} of one series."""
    return {"median": median(values), "min": min(values), "max": max(values), "runs": list(values)}


class Table:
    """Rows of cells, printed in aligned columns: the first to the left, the others to the right."""

    def __init__(self, title, *columns):
        self.title, self.rows = title, [columns]

    def row(self, *cells):
        """Adds a row; floats are shown with three digits that matter."""
        self.rows.append(tuple(f"{c:.3g}" if isinstance(c, float) and abs(c) < 100 else
                               f"{c:.0f}" if isinstance(c, float) else str(c) for c in cells))

    def show(self):
        """Prints it."""
        widths = [max(len(r[i]) for r in self.rows) for i in range(len(self.rows[0]))]
        print(self.title)
        for r in self.rows:
            print("  " + r[0].ljust(widths[0]) + "".join("  " + c.rjust(w) for c, w in zip(r[1:], widths[1:])))
        sys.stdout.flush()


def _output(*argv, cwd=None):
    try:
        return subprocess.run(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def host():
    """The machine this runs on: CPU, cores, kernel, QEMU."""
    model = ""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    qemu = _output("qemu-system-x86_64", "--version").split("\n")[0]
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "qemu": qemu}


def commit(top):
    """The commit that was built, with a mark when the tree had changes."""
    name = _output("git", "-c", "safe.directory=*", "rev-parse", "HEAD", cwd=top)
    changed = _output("git", "-c", "safe.directory=*", "status", "--porcelain", "--", "src", "meson.build", cwd=top)
    return name + ("-changed" if changed else "")


def _without_places(value):
    """The value with the checkout and the image cache by name instead of by where this machine has them."""
    if isinstance(value, dict):
        return {k: _without_places(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_places(v) for v in value]
    if not isinstance(value, str):
        return value
    cache = os.environ.get("VIRGA_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "virga")
    for place, name in ((TOP + "/", ""), (os.path.abspath(cache), "$VIRGA_CACHE")):
        value = value.replace(place, name)
    return value


def write(path, result):
    """Writes one result and says where."""
    result = _without_places(result)
    result["date"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1, sort_keys=True)
        f.write("\n")
    print(f"written: {os.path.relpath(path)}", flush=True)
