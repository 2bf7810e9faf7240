"""Shows a demonstration: titles, the commands with their real output, and check marks that were really checked.

Called by: demo. Colours only when standard output is a terminal. The first check that fails is remembered: the exit
code is the truth about all of them.
"""

import os
import sys
import time

from .command import run

COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURED else text


class Stage:
    def __init__(self):
        self.started = time.monotonic()
        self.passed = 0
        self.failed = []

    def title(self, text):
        elapsed = time.monotonic() - self.started
        print(f"\n{paint('1', '== ' + text)}  {paint('2', f'[{elapsed:.0f} s]')}", flush=True)

    def say(self, text):
        for line in text.splitlines():
            print(f"   {line}", flush=True)

    def shell(self, line, keep=None, lines_max=30, check=True):
        """Runs the line in a shell exactly as shown; prints its output (lines where keep(line) holds), returns all."""
        print(f"   {paint('36', '$ ' + line)}", flush=True)
        done = run("bash", "-c", line, check=check, timeout=120)
        text = (done.stdout + done.stderr).rstrip("\n")
        lines = [shown for shown in text.splitlines() if keep is None or keep(shown)]
        for shown in lines[:lines_max]:
            print(f"     {shown}", flush=True)
        if len(lines) > lines_max:
            print(f"     … {len(lines) - lines_max} more lines", flush=True)
        return text

    def check(self, condition, text):
        if condition:
            self.passed += 1
            print(f"   {paint('32', '✓')} {text}", flush=True)
        else:
            self.failed.append(text)
            print(f"   {paint('31;1', '✗')} {text}", flush=True)
        return bool(condition)

    def wait(self, condition, seconds, text):
        """A check that may take a while: passes as soon as the condition holds, and says after how long."""
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > seconds:
                return self.check(False, f"{text} (not within {seconds} s)")
            time.sleep(0.2)
        return self.check(True, f"{text} ({time.monotonic() - started:.1f} s)")
