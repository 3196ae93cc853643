"""A list of named cases that print TAP, the same shape as tests/unit/tap.h."""
import os
import sys
import time
import traceback

from .guard import Ended, guard

_cases = []
_state = {"number": 0, "failed": 0, "reported": 0}


class SkipCase(Exception):
    """Ends a case as skipped; the text is the reason."""


class CaseTimeout(AssertionError):
    """Something did not happen in time."""


def case(fn):
    """Marks a function as a case; its name is the sentence that is reported."""
    _cases.append(fn)
    return fn


def skip(reason):
    """Ends the running case as skipped."""
    raise SkipCase(reason)


def check(condition, text):
    """Fails the case with text unless condition holds."""
    if not condition:
        raise AssertionError(text)


def check_eq(actual, expected, text=""):
    """Fails the case unless both are equal."""
    if actual != expected:
        raise AssertionError(f"{text or 'value'} is {actual!r}, expected {expected!r}")


def until(condition, what, limit_s=90):
    """Waits for what is seen from outside only; returns what the condition did."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        check(time.monotonic() < deadline, f"not in {limit_s} s: {what}")
        time.sleep(0.05)
    return found


def report(ok, name, reason=None):
    """Prints one result; for results that a guest reported. reason makes it a skip."""
    _state["number"] += 1
    _state["reported"] += 1
    _state["failed"] += not ok
    tail = f" # SKIP {reason}" if reason else ""
    print(f"{'ok' if ok else 'not ok'} {_state['number']} - {name}{tail}", flush=True)


def diagnose(text):
    """Prints text as TAP comments."""
    for line in text.rstrip("\n").split("\n"):
        print("# " + line, flush=True)


def run_case(fn):
    """Runs one case; True if it took a second attempt. On the rig a guest that stands still gets one: QEMU's emulation
    of SVM now and then loses an interrupt, which no guest on a real CPU sees. What was seen of it stays in the log."""
    try:
        fn()
        return False
    except CaseTimeout as e:
        if not os.environ.get("VIRGA_RIG"):
            raise
        diagnose(f"{fn.__name__}: {e}; on the rig that gets a second attempt")
    fn()
    return True


def main():
    """Runs the cases (those named on the command line or in VIRGA_TEST_CASES, else all) and exits; with it ends all that
    they started."""
    guard()
    try:
        _run_cases()
    except Ended as e:
        diagnose("".join(traceback.format_exception(type(e), e, e.__traceback__)))
        print("Bail out! it was told to end", flush=True)
        sys.exit(1)


def _run_cases():
    wanted = sys.argv[1:] or os.environ.get("VIRGA_TEST_CASES", "").split()
    for fn in _cases:
        if wanted and fn.__name__ not in wanted:
            continue
        before = _state["failed"]
        begin = time.monotonic()
        try:
            again = run_case(fn)
        except SkipCase as e:
            report(True, fn.__name__, str(e) or "no reason given")
            continue
        except Exception as e:  # a case must not take the others with it
            diagnose("".join(traceback.format_exception(type(e), e, e.__traceback__)[-3:]))
            report(False, fn.__name__)
            continue
        diagnose(f"{fn.__name__}: {time.monotonic() - begin:.1f} s")
        # What the guest reported failed already counts; the case itself went through.
        name = fn.__name__ + (" (at the second attempt)" if again else "")
        report(True, name if before == _state["failed"] else name + " (ran to its end)")
    print(f"1..{_state['number']}", flush=True)
    sys.exit(1 if _state["failed"] else 0)
