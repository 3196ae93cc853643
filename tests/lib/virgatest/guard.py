"""Nothing that a test started outlives it, however it ends.

main() of tap.py goes on in a child of this process; this one waits. Daemons that leave their parent (PostgreSQL, monitors
whose agent died) become children of this process (PR_SET_CHILD_SUBREAPER), so that all that was started is below it, in
whatever session. A signal to end tells the test, whose `with` blocks clean up, and ends the rest, so that these need not
wait for it. What is still there when the test has ended is named, and ended."""
import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ENDS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
CLEAN_UP_S = 20  # for the `with` blocks of a test that was told to end


class Ended(BaseException):
    """The test was told to end. No Exception: no case may go on."""


def below(top, spare=()):
    """{pid: state} of all processes below one, without those spared (what is below these counts)."""
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
                state, parent = f.read().rpartition(b") ")[2].split()[:2]
        except OSError:
            continue
        children.setdefault(int(parent), []).append((int(pid), state.decode()))
    found, look = {}, [top]
    while look:
        for pid, state in children.get(look.pop(), []):
            found[pid] = state
            look.append(pid)
    return {pid: state for pid, state in found.items() if pid not in spare}


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass


def end_below(top, spare=(), limit_s=10):
    """SIGKILL until nothing is below; gives the command lines of what was."""
    lines, deadline = {}, time.monotonic() + limit_s
    while time.monotonic() < deadline:
        left = [pid for pid, state in below(top, spare).items() if state not in "ZX"]
        if not left:
            break
        for pid in left:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    lines.setdefault(pid, f.read().replace(b"\0", b" ").decode("utf-8", "replace").strip())
            except OSError:
                pass
            _kill(pid)
        time.sleep(0.01)
    return list(lines.values())


def _told(*_):
    raise Ended


def _reap(test):
    """Takes the ends of all children; that of the test, or None."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid in (0, test):
                return os.waitstatus_to_exitcode(status) if pid else None
    except ChildProcessError:
        return None


def _watch(test):
    """The guard: until the test has ended. (its exit code, the signal that ended it or None)"""
    told = None
    while True:
        sig = signal.sigwait(ENDS | {signal.SIGCHLD, signal.SIGALRM})
        if sig == signal.SIGCHLD:
            code = _reap(test)
            if code is not None:
                return code, told
            continue
        others = below(os.getpid(), spare=(test,))
        os.kill(test, signal.SIGKILL if told else signal.SIGTERM)
        for pid in others:  # not what cleans up
            _kill(pid)
        if sig != signal.SIGALRM:
            told = sig
        signal.alarm(CLEAN_UP_S)


def guard():
    """Returns in the process that is to be the test; the other one ends with its exit code."""
    libc, me = ctypes.CDLL(None), os.getpid()
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.environ.get("VIRGA_TEST_NAME"):  # by tools/run-tests, which may die too
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    sys.stdout.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS | {signal.SIGCHLD, signal.SIGALRM})
    test = os.fork()
    if test == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        signal.signal(signal.SIGTERM, _told)
        for sig in (signal.SIGINT, signal.SIGHUP):  # those of a terminal reach both: the guard's word counts
            signal.signal(sig, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if os.getppid() != me:
            sys.exit(1)
        return
    code, told = _watch(test)
    for line in end_below(me):
        print(f"# left behind, and ended: {line}", flush=True)
    os._exit(128 + (told or -code) if told or code < 0 else code)
