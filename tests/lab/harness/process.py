"""Processes of the lab: started in a namespace, remembered in a pid file, and stopped by that pid and no other way.

A pid file holds the pid and the process's start time, so that a number which the kernel gave to somebody else
meanwhile is never signalled. Called by: node, pod, sluice, scenario.
"""

import os
import signal
import subprocess
import time

from .command import LabError, wait_until


def start_time(pid):
    """The kernel's start time of a living process in ticks, or None (zombies count as gone)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Process:
    """One daemon of the lab. Name is unique: it names the pid file and the log."""

    def __init__(self, state_dir, name):
        self.name = name
        self.pid_file = os.path.join(state_dir, "pids", name)
        self.log_file = os.path.join(state_dir, "log", name + ".log")

    def start(self, argv, namespace=None, env=None):
        if self.pid():
            raise LabError(f"{self.name} runs already (pid {self.pid()})")
        for path in (self.pid_file, self.log_file):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        argv = [str(word) for word in argv]
        if namespace:
            argv = ["ip", "netns", "exec", namespace] + argv
        with open(self.log_file, "ab") as log:
            # A session of its own: Ctrl-C in the quickstart's terminal must not reach it, and stop() reaches its children.
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                     env={**os.environ, **(env or {})}, cwd="/")
        with open(self.pid_file, "w", encoding="ascii") as file:
            file.write(f"{child.pid} {start_time(child.pid)}\n")
        return child.pid

    def pid(self):
        """The pid while the process lives, else None."""
        try:
            with open(self.pid_file, encoding="ascii") as file:
                pid, started = file.read().split()
        except (OSError, ValueError):
            return None
        self._reap(int(pid))
        return int(pid) if str(start_time(int(pid))) == started else None

    def signal(self, number):
        pid = self.pid()
        if pid:
            os.kill(pid, number)

    def kill(self):
        """kill -9 of the process and its children, as a crash would end it."""
        pid = self.pid()
        if pid:
            os.killpg(pid, signal.SIGKILL)
            wait_until(lambda: not self.pid(), 5, f"{self.name} survived SIGKILL")
        self._forget()

    def stop(self, seconds=10):
        """SIGTERM, then SIGKILL after `seconds`. Returns whether it went by itself."""
        pid = self.pid()
        polite = True
        if pid:
            os.kill(pid, signal.SIGTERM)
            if not wait_until(lambda: not self.pid(), seconds, every=0.02):
                polite = False
                self.kill()
        self._forget()
        return polite

    def log(self, lines=20):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except OSError:
            return ""

    def _forget(self):
        try:
            os.unlink(self.pid_file)
        except FileNotFoundError:
            pass

    @staticmethod
    def _reap(pid):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass


def wait_ready(process, condition, seconds, what):
    """Waits for condition; a process that dies meanwhile, or never gets there, is an error that shows its log."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if not process.pid():
            raise LabError(f"{process.name} ended while {what}; its log ends:\n{process.log()}")
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not after {seconds} s; the log of {process.name} ends:\n{process.log()}")
        time.sleep(0.05)
