#!/usr/bin/env python3
"""The quickstart's demonstration: it ends well with everything shown, and Ctrl-C or a failure leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check  # noqa: E402
from harness.command import run, wait_until  # noqa: E402
from harness.namespace import all_names  # noqa: E402
from harness.scenario import STATE_DIR  # noqa: E402

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo.py")


def whole(checks):
    """demo.py up: every check passes, the lab runs on, down removes it."""
    done = run(sys.executable, DEMO, "up", check=False, timeout=280)
    checks.ok(done.returncode == 0, "it ends well", "\n".join((done.stdout + done.stderr).splitlines()[-40:]))
    checks.ok("\033" not in done.stdout, "no colours without a terminal")
    checks.ok(" checks passed, 0 failed" in done.stdout and "The lab is running" in done.stdout, "and says so")
    for words in ("BGP", "Established", "proto bird", "ttl=255", "ttl=254", "ttl=63", "nginx-81", "last reset", "xff=",
                  "Latency in ms"):
        checks.ok(words in done.stdout, f"it shows {words}")
    checks.ok("sluice-lb" in all_names(), "the lab runs on")
    run(sys.executable, DEMO, "down", timeout=60)
    checks.equal((all_names(), os.path.exists(STATE_DIR)), ([], False), "down removes everything")


def interrupted(checks):
    """Ctrl-C in the middle."""
    child = subprocess.Popen([sys.executable, DEMO, "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: "sluice-lb" in all_names(), 20, "it does not start")
    time.sleep(2)
    child.send_signal(signal.SIGINT)
    status = child.wait(60)
    checks.equal((status != 0, all_names(), os.path.exists(STATE_DIR)), (True, [], False), "nothing is left")


if __name__ == "__main__":
    check.main(whole, interrupted)
