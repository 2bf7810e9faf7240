"""The checks of a test file: each is one TAP line, the plan comes last, and the exit code tells the truth.

Called by: every *_test.py of tests/lab and tests/interop, the demo's counterpart is in demo.py.
"""

import sys
import time
import traceback

from .command import LabError


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def ok(self, condition, what, why=""):
        """One check; `why` (text or a function of none) is shown when it fails."""
        number = self.passed + self.failed + 1
        if condition:
            self.passed += 1
            print(f"ok {number} - {what}", flush=True)
        else:
            self.failed += 1
            print(f"not ok {number} - {what}", flush=True)
            text = why() if callable(why) else why
            for line in str(text).splitlines():
                print(f"  # {line}", flush=True)
        return bool(condition)

    def equal(self, got, expected, what):
        return self.ok(got == expected, what, f"got {got!r}, expected {expected!r}")

    def eventually(self, condition, seconds, what, why=""):
        """Passes as soon as condition holds, within `seconds`; says how long it took."""
        started = time.monotonic()
        while True:
            try:
                if condition():
                    return self.ok(True, f"{what} ({time.monotonic() - started:.1f} s)")
            except LabError as error:
                why = why or str(error)
            if time.monotonic() - started > seconds:
                return self.ok(False, f"{what} (within {seconds} s)", why)
            time.sleep(0.1)

    def note(self, text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)


def main(*tests):
    """Runs each test function with the Checks; an exception fails the one test and the others still run."""
    checks = Checks()
    for test in tests:
        checks.note(f"{test.__name__}: {(test.__doc__ or '').strip().splitlines()[0]}")
        try:
            test(checks)
        except KeyboardInterrupt:
            raise
        except Exception as error:  # a broken test is a failed check, not the end of the file
            detail = str(error) if isinstance(error, LabError) else traceback.format_exc()
            checks.ok(False, f"{test.__name__} ran to its end", detail)
    print(f"1..{checks.passed + checks.failed}")
    print(f"{checks.passed} passed, {checks.failed} failed")
    sys.exit(0 if checks.failed == 0 and checks.passed > 0 else 1)
