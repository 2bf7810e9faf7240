#!/usr/bin/env python3
"""Our BGP speaker against the daemons of Debian 12, session by session and step by step; prints TAP. Needs root.

    bgp_matrix.py PATH_OF_bgp_speaker [bird bird6 bird2 frr gobgpd openbgpd exabgp]     (KEEP=1: files of failures stay)

matrix/cases.py has the sessions; one daemon has them all at once, each with a speaker of its own; the daemons run beside each
other. What a daemon cannot do stands in its driver, with the reason, and is printed. Called by: tests/interop/meson.build.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from matrix import cases as c  # noqa: E402
from matrix.bird import Bird, Bird2, Bird6  # noqa: E402
from matrix.driver import ROOT  # noqa: E402
from matrix.exabgp import ExaBgp  # noqa: E402
from matrix.frr import Frr  # noqa: E402
from matrix.gobgpd import GoBgp  # noqa: E402
from matrix.openbgpd import OpenBgp  # noqa: E402
from matrix.world import Speaker, World  # noqa: E402

DRIVERS = {driver.name: driver for driver in (Bird, Bird6, Bird2, Frr, GoBgp, OpenBgp, ExaBgp)}
PATIENCE = 45  # seconds for a step on a loaded machine; when all is well a step takes one or two
STARTED = time.monotonic()


class Tap:
    """One line a check, from any thread."""

    def __init__(self):
        self.lock = threading.Lock()
        self.count = self.failures = 0

    def line(self, good, name, detail=""):
        with self.lock:
            self.count += 1
            self.failures += 0 if good else 1
            print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)
            for text in [] if good else str(detail).splitlines()[:12]:
                print(f"# {text}", flush=True)

    def comment(self, text):
        with self.lock:
            print(f"# {text}", flush=True)


class Matrix:
    """One daemon and all its sessions."""

    def __init__(self, tap, driver_class, binary):
        self.tap, self.binary = tap, binary
        everything = c.all_cases()
        excluded = {case: reason for case in everything if (reason := driver_class.why_not(case.kind, case.role, case.feature))}
        self.cases = [case for case in everything if case not in excluded]
        self.name = driver_class.name
        self.said = set()
        for reason in excluded.values():
            self.say_excluded(reason)
        self.world = World(self.name, [case.number for case in self.cases])
        self.driver = driver_class(self.world, self.cases)
        self.speakers = {}
        self.good = [case for case in self.cases if case.feature not in ("md5-wrong", "hold-timer")]
        self.failed = False

    def say_excluded(self, reason):
        if reason not in self.said:
            self.said.add(reason)
            self.tap.comment(f"excluded: {self.name} {reason}")

    # ---- checks

    def each(self, step, wrong, state=lambda: None, cases=None, seconds=PATIENCE, steps=()):
        """Waits until wrong(case, state) is empty for every case; a line for each. `steps`: words for exclusions."""
        wanted = []
        for case in self.good if cases is None else cases:
            reason = self.driver.why_not(case.kind, case.role, case.feature, step, *steps)
            if reason:
                self.say_excluded(reason)
            else:
                wanted.append(case)
        limit = time.monotonic() + seconds
        pending = {case: "not looked at" for case in wanted}
        while pending:
            seen = state()
            for case in list(pending):
                pending[case] = wrong(case, seen)
                if not pending[case]:
                    del pending[case]
                    self.tap.line(True, f"{self.name} {case.name}: {step}")
            if time.monotonic() > limit:
                break
            if pending:
                time.sleep(0.15)
        for case, detail in pending.items():
            self.failed = True
            self.tap.line(False, f"{self.name} {case.name}: {step}", detail)
        return not pending

    def up(self, case, established):
        if not self.speakers[case].established():
            return "not Established here: " + "; ".join(self.speakers[case].events[-4:])
        return "" if case.ours in established else "not Established there"

    def shown(self, case, routes, prefix=None):
        """What is wrong with our address as the daemon shows it."""
        route = routes.get(prefix or case.address)
        if route is None:
            return f"{prefix or case.address} is not there: {sorted(routes)}"
        wanted = {"next_hop": case.next_hop, "med": case.med, "communities": frozenset([case.community]), "as_path": case.as_path,
                  "local_pref": case.local_pref if case.kind == "ibgp" else route.local_pref}
        return "; ".join(f"{key} is {getattr(route, key)}, not {value}" for key, value in wanted.items()
                         if getattr(route, key) != value)

    def learned(self, case, prefix, stale=None):
        """What is wrong with the daemon's prefix as our speaker has it."""
        paths = self.speakers[case].paths().get(prefix)
        if not paths:
            return f"{prefix} is not there: {self.speakers[case].paths()}"
        path = paths[0]
        wanted = {"via": case.their_next_hop, "as": "" if case.kind == "ibgp" else str(c.THEIR_AS)}
        if stale is not None:
            wanted["stale"] = "1" if stale else "0"
        return "; ".join(f"{key} is {path[key]}, not {value}" for key, value in wanted.items() if path[key] != value)

    def gone(self, case, prefix):
        return f"{prefix} is still there" if prefix in self.speakers[case].paths() else ""

    # ---- steps

    def run(self):
        began = time.monotonic()
        try:
            self.driver.start([c.KEPT4, c.GOING4, c.KEPT6, c.GOING6])
            self.start_speakers()
            for step in (self.establish, self.exchange, self.refresh, self.withdraw, self.they_restart, self.we_restart,
                         self.they_shut, self.we_shut):
                step()
                if self.failed:
                    break  # what comes after would only repeat it
            self.hold_timer_end()
        except Exception:  # the other daemons go on
            self.tap.line(False, f"{self.name}: the test ran to its end", traceback.format_exc())
            self.failed = True
        finally:
            self.world.end()
            if self.failed and os.environ.get("KEEP"):
                self.tap.comment(f"files of {self.name} are in {self.world.folder}")
            else:
                if self.failed:
                    self.tap.comment(f"the end of {self.name}'s log: " + self.world.read("daemon.log")[-1500:].replace("\n", "\n# "))
                shutil.rmtree(self.world.folder, ignore_errors=True)
            self.tap.comment(f"{self.name}: {time.monotonic() - began:.0f} s")

    def start_speakers(self, *more):
        for case in self.cases:
            if case in self.good or not more:
                self.speakers[case] = Speaker(self.world, case, self.binary, "--restart-time", str(self.driver.our_restart_time),
                                              *more)

    def establish(self):
        cases = [case for case in self.cases if case.feature != "md5-wrong"]
        self.each("establish", self.up, self.driver.established, cases)
        for case in self.cases:
            if case.feature == "md5-wrong":  # all others had the time, and it has not
                self.each("stays down", lambda case, up: "" if case.ours not in up and not self.speakers[case].established()
                          else "a wrong password does", self.driver.established, [case])
                self.speakers[case].kill()
            if case.feature == "hold-timer":  # from here on neither side hears the other
                self.world.inside(self.world.us, "nft", f"add table ip quiet; add chain ip quiet in {{ type filter hook input "
                                  f"priority 0; }}; add rule ip quiet in ip daddr {case.ours} drop; add chain ip quiet out {{ type "
                                  f"filter hook output priority 0; }}; add rule ip quiet out ip saddr {case.ours} drop")

    def exchange(self):
        for case in self.good:
            self.speakers[case].ask(case.announcement(case.address))
            self.speakers[case].ask(case.announcement(case.second))
            if case.feature == "plain" and case.kind == "ebgp":
                self.speakers[case].ask(case.announcement(c.SHARED4))
        self.each("announce", self.shown, self.driver.routes)
        self.each("learn", lambda case, _: self.learned(case, case.kept) or self.learned(case, case.going))
        self.each("several paths", self.several_paths, cases=[case for case in self.good if case.feature == "add-path"])

    def several_paths(self, case, _):
        if "ADD-PATH receive: advertised and received" not in self.speakers[case].facts():
            return self.speakers[case].facts()
        paths = self.speakers[case].paths().get(c.SHARED4, [])
        return "" if len({path["id"] for path in paths}) >= 2 else f"paths of {c.SHARED4}: {paths}"

    def refresh(self):
        counts = {case: self.messages(case, "Received") for case in self.good}
        for case in self.good:
            if not self.driver.why_not(case.kind, case.role, case.feature, "we refresh"):
                self.speakers[case].ask(f"refresh {case.theirs}")
        # It sends its routes again: more UPDATEs than before, and nothing is lost.
        self.each("we refresh", lambda case, _: (self.learned(case, case.kept) or
                  ("" if self.messages(case, "Received")["update"] > counts[case]["update"] else
                   f"no UPDATE came: {self.messages(case, 'Received')} after {counts[case]}")))
        self.driver.refresh()
        self.each("they refresh", lambda case, routes: (
            "" if self.messages(case, "Received")["route refresh"] > counts[case]["route refresh"] else "no request came")
                  or self.shown(case, routes), self.driver.routes)
        self.each("still up", self.up, self.driver.established)

    def messages(self, case, direction):
        line = next((line for line in self.speakers[case].facts().splitlines() if f"{direction} " in line and "messages:" in line), "")
        words = [part.strip().split(" ", 1) for part in line.partition("messages:")[2].split(",")]
        return {word[1]: int(word[0]) for word in words if len(word) == 2}

    def withdraw(self):
        for case in self.good:
            self.speakers[case].ask(f"withdraw {case.address}")
        self.each("we withdraw", lambda case, routes: f"{case.address} is still there" if case.address in routes else "",
                  self.driver.routes)
        for case in self.good:
            self.speakers[case].ask(case.announcement(case.address))
        self.each("we announce again", self.shown, self.driver.routes)
        for prefix in {case.going for case in self.good}:
            self.driver.withdraw(prefix)
        self.each("they withdraw", lambda case, _: self.gone(case, case.going) or self.learned(case, case.kept))
        for prefix in {case.going for case in self.good}:
            self.driver.announce(prefix)
        self.each("they announce again", lambda case, _: self.learned(case, case.going))

    def they_restart(self):
        """RFC 4724 4.2: killed, it takes nothing with it; back, it sweeps with End-of-RIB what it does not say again."""
        downs = {case: len(self.speakers[case].downs()) for case in self.good}
        self.driver.kill()
        self.each("killed: the session ends", lambda case, _: "" if len(self.speakers[case].downs()) > downs[case] else "still up")
        self.each("killed: routes stay, stale", lambda case, _: self.learned(case, case.kept, True) or
                  self.learned(case, case.going, True), steps=("restart",))
        without = [case for case in self.good if self.driver.why_not(case.kind, case.role, case.feature, "restart")]
        self.each("killed: without graceful restart routes go", lambda case, _: self.gone(case, case.kept), cases=without)
        self.driver.start([c.KEPT4, c.KEPT6], again=True)
        self.each("back: established", self.up, self.driver.established)
        self.each("back: End-of-RIB sweeps", lambda case, _: self.learned(case, case.kept, False) or self.gone(case, case.going))
        self.each("back: it has our address", self.shown, self.driver.routes)

    def we_restart(self):
        """RFC 4724 4.1: our speaker is killed and comes back with the R bit: our addresses stay there meanwhile."""
        if reason := self.driver.why_not("we are killed"):
            return self.say_excluded(reason)
        for case in self.good:
            self.speakers[case].kill()
        self.each("we are killed: it notices", lambda case, up: "still up" if case.ours in up else "", self.driver.established)
        self.each("we are killed: it keeps our address", self.shown, self.driver.routes)
        self.start_speakers("--restarting")
        for case in self.good:
            self.speakers[case].ask(case.announcement(case.address))
        self.each("we are back: established", self.up, self.driver.established)
        self.each("we are back: End-of-RIB sweeps", lambda case, routes: self.shown(case, routes) or (
            f"{case.second} is still there" if case.second in routes else ""), self.driver.routes)

    def they_shut(self):
        """RFC 9003, from there: the text arrives, and routes go at once."""
        half = self.good[::2]
        for case in half:
            self.driver.shut(case, f"maintenance {case.number}")
        self.each("they shut down", lambda case, _: self.gone(case, case.kept) or self.reset_text(case), cases=half)

    def reset_text(self, case):
        line = next((line for line in self.speakers[case].facts().splitlines() if "Last reset" in line), "")
        wanted = ["received Cease/", "Cease/Administrative Shutdown"]  # RFC 8538: or inside a Hard Reset
        if reason := self.driver.why_not("they send text"):
            self.say_excluded(reason)
        else:
            wanted += [f"maintenance {case.number}"]
        return "" if all(word in line for word in wanted) else line or "no reset"

    def we_shut(self):
        """RFC 9003 and 8538, from here: our addresses go at once, the text arrives."""
        half = self.good[1::2]
        for case in half:
            self.speakers[case].ask(f"shutdown bye from {case.number}")
        self.each("we shut down", lambda case, routes: f"{case.address} is still there" if case.address in routes else "",
                  self.driver.routes, cases=half)
        self.each("we shut down: it shows our text", lambda case, _: "" if f"bye from {case.number}" in self.driver.last_error(case)
                  else self.driver.last_error(case), cases=half)

    def hold_timer_end(self):
        """Begun right after the session was up: long over by now on both sides."""
        self.each("we send Hold Timer Expired", lambda case, _: "" if any("Hold Timer Expired" in e for e in self.speakers[case].events)
                  else self.speakers[case].events[-3:], cases=[case for case in self.cases if case.feature == "hold-timer"])


def main():
    binary = os.path.abspath(sys.argv[1])
    names = sys.argv[2:] or list(DRIVERS)
    packages = sorted({DRIVERS[name].package for name in names} - {None})
    if packages:
        subprocess.run([os.path.join(ROOT, "docker", "extract-package"), *packages], check=True, stdout=subprocess.DEVNULL)
    tap = Tap()
    matrices = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was made is removed
    try:
        matrices = [Matrix(tap, DRIVERS[name], binary) for name in names]
        threads = [threading.Thread(target=matrix.run, daemon=True) for matrix in matrices]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for matrix in matrices:
            matrix.world.end()
    print(f"1..{tap.count}\n# {time.monotonic() - STARTED:.0f} s in all")
    sys.exit(1 if tap.failures or not tap.count else 0)


if __name__ == "__main__":
    main()
