"""Two namespaces joined by a veth pair for each daemon, processes in them, and our speakers: what the matrix stands on.

Namespaces are `mx<pid>-…`, removed at the end with all that runs in them. Called by: tests/interop/bgp_matrix.py.
"""

import os
import subprocess
import tempfile
import threading
import time

from matrix.cases import THEIRS4, THEIRS6


def run(*argv, check=True, timeout=20):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stdout.strip()}")
    return done.stdout


class World:
    """`us` has the addresses of all speakers, `them` the daemon's."""

    def __init__(self, name, numbers):
        self.us, self.them = f"mx{os.getpid()}-{name}-us", f"mx{os.getpid()}-{name}-them"
        self.folder = tempfile.mkdtemp(prefix=f"sluice-mx-{name}-")
        os.chmod(self.folder, 0o755)
        self.children = []
        addresses = [f"10.9.0.{n}/24" for n in numbers] + [f"fd00:9::{n:x}/64" for n in numbers]
        try:
            for space in (self.us, self.them):
                run("ip", "netns", "add", space)
            run("ip", "link", "add", "eth0", "netns", self.us, "type", "veth", "peer", "name", "eth0", "netns", self.them)
            self.batch(self.us, addresses)
            self.batch(self.them, [THEIRS4 + "/24", THEIRS6 + "/64"])
        except BaseException:
            self.end()
            raise

    @staticmethod
    def batch(space, addresses):
        lines = ["link set lo up", "link set eth0 up"]
        lines += [f"address add {a} dev eth0" + (" nodad" if ":" in a else "") for a in addresses]
        subprocess.run(["ip", "-n", space, "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True,
                       stdout=subprocess.DEVNULL)

    def inside(self, space, *argv, check=True, timeout=20):
        return run("ip", "netns", "exec", space, *argv, check=check, timeout=timeout)

    def start(self, space, argv, log, env=None, **options):
        """A process in the namespace; `ip netns exec` becomes it, so its pid is the child's."""
        with open(os.path.join(self.folder, log), "ab") as file:
            child = subprocess.Popen(["ip", "netns", "exec", space, *argv], stdout=options.pop("stdout", file), stderr=file,
                                     env={**os.environ, **(env or {})}, cwd=self.folder,
                                     stdin=options.pop("stdin", subprocess.DEVNULL), **options)
        self.children.append(child)
        return child

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def end(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
        for space in (self.us, self.them):
            for pid in run("ip", "netns", "pids", space, check=False).split():
                if pid.isdigit():
                    run("kill", "-9", pid, check=False)
            run("ip", "netns", "del", space, check=False)
        for child in self.children:
            child.wait()


class Speaker:
    """One bgp_speaker process: commands in, answers and events out."""

    def __init__(self, world, case, binary, *more):
        self.case = case
        self.events, self.answers = [], []
        self.condition = threading.Condition()
        self.child = world.start(world.us, case.speaker_arguments(binary, *more), f"speaker-{case.number}.log",
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.asking = None
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        lines = []
        for line in self.child.stdout:
            line = line.rstrip("\n")
            with self.condition:
                if line.startswith(("event ", "log ", "error ", "ready")):
                    self.events.append(line)
                elif line == ".":
                    self.answers.append(lines)
                    lines = []
                else:
                    lines.append(line)
                self.condition.notify_all()

    def ask(self, command, timeout=15):
        """The lines of the answer; none when the speaker has ended."""
        with self.condition:
            before = len(self.answers)
        try:
            self.child.stdin.write(command + "\n")
            self.child.stdin.flush()
        except (BrokenPipeError, ValueError):
            return []
        limit = time.monotonic() + timeout
        with self.condition:
            while len(self.answers) == before:
                if not self.condition.wait(max(0.0, min(0.5, limit - time.monotonic()))) and (
                        time.monotonic() >= limit or self.child.poll() is not None):
                    return []
            return self.answers[-1]

    def established(self):
        with self.condition:
            last = [e for e in self.events if e.startswith(("event up", "event down"))][-1:]
        return bool(last) and last[0].startswith("event up")

    def downs(self):
        with self.condition:
            return [e for e in self.events if e.startswith("event down")]

    def paths(self):
        """prefix → its paths, each a dictionary of what bgp_speaker prints."""
        out = {}
        for line in self.ask("paths"):
            _, prefix, *facts = line.split(" ")
            out.setdefault(prefix, []).append(dict(fact.partition("=")[::2] for fact in facts))
        return out

    def facts(self):
        return "\n".join(self.ask("neighbors"))

    def kill(self):
        self.child.kill()
        self.child.wait()
