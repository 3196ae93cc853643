"""Runs one step after another and keeps the person at the terminal informed.

Every step that takes over a second shows itself: on a terminal by one line that is redrawn, in a
log by a line when it begins to be long, one every ten seconds and one at its end. What a command
prints goes to a log file that is shown only when the command fails.
"""
import os
import subprocess
import sys
import threading
import time


class StepError(Exception):
    """A step failed; the text says which and why and is meant to be printed as it is."""


class Progress(threading.Thread):
    """Draws one line while a step runs; tail() gives what the step is at."""

    def __init__(self, title, tail=None):
        super().__init__(daemon=True)
        self.title, self.tail = title, tail
        self.begin = time.monotonic()
        self.done = threading.Event()
        self.tty = sys.stderr.isatty()
        self.shown = False

    def elapsed(self):
        return time.monotonic() - self.begin

    def _show(self):
        at = (self.tail() if self.tail else "") or ""
        line = f"{self.title} ... {self.elapsed():.0f} s"
        if at:
            line += "  " + at
        if self.tty:
            width = max(20, os.get_terminal_size(2).columns - 1)
            sys.stderr.write("\r\033[K" + line[:width])
        else:
            sys.stderr.write(line[:160] + "\n")
        sys.stderr.flush()
        self.shown = True

    def run(self):
        if self.done.wait(1):
            return
        self._show()
        while not self.done.wait(0.5 if self.tty else 10):
            self._show()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.done.set()
        self.join()
        if self.shown:
            end = "failed after" if kind else "done in"
            lead = "\r\033[K" if self.tty else ""
            sys.stderr.write(f"{lead}{self.title} ... {end} {self.elapsed():.1f} s\n")
            sys.stderr.flush()


def _last_line(path, begin):
    try:
        with open(path, "rb") as f:
            f.seek(max(begin, os.fstat(f.fileno()).st_size - 400))
            lines = [x for x in f.read().replace(b"\r", b"\n").split(b"\n") if x.strip()]
    except OSError:
        return ""
    return lines[-1].decode("utf-8", "replace").strip()[:90] if lines else ""


def run(title, argv, log, **kw):
    """Runs argv as one step; its output is appended to the file log. Raises StepError when it fails."""
    begin = os.path.getsize(log) if os.path.exists(log) else 0
    with open(log, "ab") as out, Progress(title, lambda: _last_line(log, begin)):
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", out)
        try:
            rc = subprocess.run(argv, stderr=out, **kw).returncode
        except OSError as e:
            raise StepError(f"{title}: cannot run {argv[0]}: {e.strerror}") from e
    if rc:
        with open(log, "rb") as f:
            f.seek(begin)
            text = f.read().decode("utf-8", "replace").strip().split("\n")[-25:]
        raise StepError(f"{title}: {argv[0]} ended with {rc}; the end of its output ({log}):\n  " + "\n  ".join(text))
