"""What the matrix asks of a daemon: the class that every driver fills in.

Called by: tests/interop/bgp_matrix.py. Drivers: bird.py, frr.py, gobgpd.py, openbgpd.py, exabgp.py.
"""

import dataclasses
import os
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PEERS = os.environ.get("SLUICE_PEERS", os.path.join(ROOT, "build-peers"))
LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclasses.dataclass
class Route:
    """A route of ours as the daemon shows it; None: it does not show that."""
    next_hop: str
    med: int | None = None
    local_pref: int | None = None
    communities: frozenset | None = None
    as_path: list | None = None


class Driver:
    name = ""
    package = None  # unpacked by docker/extract-package; None: installed
    # What this daemon cannot do, as {(what, …): reason}: `what` is a feature of a case or a step; all must apply.
    excluded = {}
    our_restart_time = 60  # what our speakers tell it

    def __init__(self, world, cases):
        self.world, self.cases = world, cases
        self.child = None

    # ---- to be filled in
    def start(self, announced, again=False):
        """Runs it with the sessions of all cases, announcing the prefixes; `again`: it comes back from a crash."""
        raise NotImplementedError

    def established(self):
        """Our addresses whose session it calls Established."""
        raise NotImplementedError

    def routes(self):
        """prefix → Route of all that it has learned."""
        raise NotImplementedError

    def withdraw(self, prefix):
        raise NotImplementedError

    def announce(self, prefix):
        raise NotImplementedError

    def refresh(self):
        """Asks every neighbour for its routes again."""
        raise NotImplementedError

    def shut(self, case, text):
        """Ends the session with Cease 6/2 and the text."""
        raise NotImplementedError

    def last_error(self, case):
        """Why the session ended, as it shows it."""
        raise NotImplementedError

    # ---- shared
    def to_come(self, again):
        """The cases whose speaker connects; who comes back from a crash waits for all that it is configured with."""
        return [case for case in self.cases if not again or case.feature not in ("md5-wrong", "hold-timer")]

    def kill(self):
        self.child.kill()
        self.child.wait()

    def file(self, path):
        return os.path.join(PEERS, self.package, path) if self.package else "/" + path

    def environment(self):
        if not self.package:
            return {}
        folder = self.file(LIBRARIES)
        return {"LD_LIBRARY_PATH": f"{folder}:{folder}/frr"}

    def start_with_users(self, users, script, log="daemon.log", **options):
        """The daemon where these users and groups exist: in its own mounts, as the namespace has them anyway."""
        mounts = ""
        for number, name in enumerate(("passwd", "group")):
            with open("/etc/" + name, encoding="utf-8") as file:
                lines = [f"{user}:x:{64990 + i}:{f'{64990 + i}::/:/bin/false' if number == 0 else 'root'}" for i, user in enumerate(users)]
                path = self.world.write(name, file.read() + "\n".join(lines) + "\n")
            mounts += f"mount --bind {path} /etc/{name} && "
        return self.world.start(self.world.them, ["sh", "-c", mounts + script], log, self.environment(), **options)

    def ask(self, *argv):
        """Output of the daemon's own tool, in its namespace."""
        env = [f"{key}={value}" for key, value in self.environment().items()]
        return self.world.inside(self.world.them, "env", *env, *argv, check=False)

    def wait_until(self, condition, seconds=20, child=None):
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit or (child or self.child).poll() is not None:
                raise RuntimeError(f"{self.name} does not start: {self.world.read('daemon.log')[-2000:]}")
            time.sleep(0.1)

    @classmethod
    def why_not(cls, *words):
        """`what: reason` of the exclusion that applies to all these words, if one does."""
        for what, reason in cls.excluded.items():
            if all(word in words for word in what):
                return f"{' '.join(what)}: {reason}"
        return None
