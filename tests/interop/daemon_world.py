"""What the tests of a whole sluiced beside other programs share: TAP, two network namespaces on a veth, sluiced, BIRD 2.

    with tempfile.TemporaryDirectory() as folder, World(folder, "sbfd", build) as world:
        world.write_config("...yaml..."); ok(world.start_sluiced(), "sluiced starts"); world.start_bird("...conf...")
    sys.exit(summary())

Called by: bfd_bird.py, bgp_export.py, daemon_smoke.py (TAP and small things only).
"""
import json
import os
import signal
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PEERS = os.environ.get("SLUICE_PEERS", ROOT + "/build-peers")
COUNTS = {"all": 0, "failed": 0}


def ok(condition, what, detail=""):
    """A line of TAP; `detail` is a text, or a function that makes one, for when it fails."""
    COUNTS["all"] += 1
    print(f"{'ok' if condition else 'not ok'} {COUNTS['all']} - {what}", flush=True)
    if not condition:
        COUNTS["failed"] += 1
        print("\n".join("  # " + line for line in str(detail() if callable(detail) else detail).splitlines()), flush=True)
    return condition


def summary():
    print(f"1..{COUNTS['all']}")
    return 1 if COUNTS["failed"] else 0


def run(*words, check=True, timeout=60, env=None):
    return subprocess.run([str(word) for word in words], check=check, capture_output=True, text=True, timeout=timeout, env=env)


def eventually(test, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if test():
            return True
        time.sleep(0.05)
    return bool(test())


class Extracted:
    """A Debian package as docker/extract-package unpacks it, so that it brings no service and pushes nothing out."""

    def __init__(self, package):
        run(ROOT + "/docker/extract-package", package, timeout=300)
        self.folder = f"{PEERS}/{package}"
        libraries = self.folder + "/usr/lib/x86_64-linux-gnu"
        self.environment = dict(os.environ, LD_LIBRARY_PATH=f"{libraries}:{libraries}/wireshark")

    def program(self, path):
        return f"{self.folder}/{path}"

    def run(self, path, *words, check=True):
        return run(self.program(path), *words, check=check, env=self.environment)


class World:
    """Namespace ID-lb with sluiced, ID-peer with `near` on eth0 and BIRD; both are gone when the `with` ends."""

    def __init__(self, folder, prefix, build, near, extra=()):
        self.folder, self.build, self.near, self.extra = folder, os.path.abspath(build), near, extra
        self.id = f"{prefix}{os.getpid() % 100000}"
        self.lb, self.peer = f"{self.id}-lb", f"{self.id}-peer"
        self.bird, self.daemon, self.bird2 = None, None, Extracted("bird2")

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # a runner's timeout; what we made is removed
        for name in (self.lb, self.peer):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", self.id + "a", "netns", self.lb, "type", "veth", "peer", "name", "eth0", "netns", self.peer)
        run("ip", "-n", self.lb, "link", "set", self.id + "a", "up")
        run("ip", "-n", self.peer, "link", "set", "eth0", "up")
        run("ip", "-n", self.peer, "addr", "add", self.near + "/24", "dev", "eth0")
        for address in self.extra:
            run("ip", "-n", self.peer, "addr", "add", address + "/32", "dev", "lo")
        return self

    def __exit__(self, *_):
        for process in (self.daemon, self.bird):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        for name in (self.lb, self.peer):
            run("ip", "netns", "del", name, check=False)

    def path(self, name):
        return f"{self.folder}/{name}"

    def write_config(self, text):
        with open(self.path("sluice.yaml.new"), "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.path("sluice.yaml.new"), self.path("sluice.yaml"))

    def start_bird(self, text):
        with open(self.path("bird.conf"), "w", encoding="utf-8") as file:
            file.write(text)
        with open(self.path("bird.log"), "a", encoding="utf-8") as log:
            self.bird = subprocess.Popen(
                ["ip", "netns", "exec", self.peer, self.bird2.program("usr/sbin/bird"), "-f", "-c", self.path("bird.conf"), "-s",
                 self.path("bird.ctl"), "-P", self.path("bird.pid")], stderr=log, stdout=log, env=self.bird2.environment)

    def birdc(self, *words):
        return self.bird2.run("usr/sbin/birdc", "-s", self.path("bird.ctl"), *words, check=False).stdout

    def start_sluiced(self, *options):
        with open(self.path("log"), "w", encoding="utf-8") as log:
            self.daemon = subprocess.Popen(
                ["ip", "netns", "exec", self.lb, self.build + "/control/daemon/sluiced", "--config", self.path("sluice.yaml"),
                 "--socket", self.path("sock"), "--host-interface", self.id + "t", *options], stderr=log, stdout=log)
        return eventually(lambda: self.daemon.poll() is not None or "is ready" in self.log(), 60) and self.daemon.poll() is None

    def log(self):
        with open(self.path("log"), encoding="utf-8") as file:
            return file.read()

    def ctl(self, *words, check=True):
        return run(self.build + "/control/cli/sluicectl", "--socket", self.path("sock"), *words, check=check).stdout

    def json(self, *words):
        return json.loads(self.ctl("--json", *words))

    def neighbor(self, address):
        return self.json("show", "ip", "bgp", "neighbors", address)["neighbors"][0]

    def established(self, *neighbors):
        return all(self.neighbor(n)["established"] for n in neighbors)
