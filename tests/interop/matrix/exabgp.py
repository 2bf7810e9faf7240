"""ExaBGP for the matrix: commands through a FIFO, what it hears as JSON in a file. Called by: tests/interop/bgp_matrix.py."""

import json
import os
import sys

from matrix import cases as c
from matrix.driver import Driver, Route

# Runs as ExaBGP's API process: what comes from the FIFO goes to it, what it says goes to the file.
PIPE = """
import os, sys, threading
fifo, heard = sys.argv[1:]
def commands():
    fd = os.open(fifo, os.O_RDWR)
    while True:
        os.write(1, os.read(fd, 65536))
open(heard + ".ready", "w").close()
threading.Thread(target=commands, daemon=True).start()
with open(heard, "ab", buffering=0) as file:
    for line in sys.stdin.buffer:
        file.write(line)
"""


class ExaBgp(Driver):
    name = "exabgp"
    package = "exabgp"
    excluded = {
        ("active", "ttl-security"): "ExaBGP sets outgoing-ttl where it connects; its SYN-ACK leaves with TTL 64 and is dropped",
        ("several paths",): "ExaBGP passes no routes on: a prefix has the one path that it was told to announce",
        ("we are killed: it keeps our address",): "ExaBGP has no table: it tells a program what it hears",
        ("we are back: End-of-RIB sweeps",): "ExaBGP has no table: it tells a program what it hears",
        ("we shut down",): "ExaBGP has no table: it tells a program what it hears",
        ("they shut down",): "where graceful restart is spoken, ExaBGP's teardown closes the connection without a NOTIFICATION",
        ("they refresh",): "ExaBGP 4.2 answers route refresh; it has no command to ask for it",
    }

    def neighbor(self, case, announced):
        lines = [f"neighbor {case.ours} {{", "router-id 10.9.0.254;", f"local-address {case.theirs};", f"local-as {c.THEIR_AS};",
                 f"peer-as {case.our_as};", "hold-time 90;"]
        lines += ["passive true;"] if case.role == "active" else []
        lines += [f'md5-password "{case.password}";'] if case.password else []
        lines += ["incoming-ttl 255; outgoing-ttl 255;"] if case.feature == "ttl-security" else []
        families = ([] if case.over6 else ["ipv4 unicast;"]) + (["ipv6 unicast;"] if case.routes6 else [])
        add_path = ["add-path send/receive;"] if case.feature == "add-path" else []
        routes = [f"route {prefix} next-hop {c.THEIRS6 if ':' in prefix else c.THEIRS4};" for prefix in announced
                  if (":" in prefix and case.routes6) or (":" not in prefix and not case.over6)]
        return "\n".join([*lines, "family {", *families, "}", "capability { graceful-restart 60; route-refresh; asn4;", *add_path, "}",
                          "api { processes [ pipe ]; neighbor-changes; receive { parsed; update; notification; } }",
                          "static {", *routes, "}", "}"])

    def start(self, announced, again=False):
        if not os.path.exists(self.world.path("fifo")):
            os.mkfifo(self.world.path("fifo"))
        self.world.write("heard", "")
        if os.path.exists(self.world.path("heard.ready")):
            os.unlink(self.world.path("heard.ready"))
        self.seen, self.table, self.up, self.why = 0, {}, set(), {}
        self.world.write("pipe.py", PIPE)
        config = "\n".join([f"process pipe {{ run {sys.executable} {self.world.path('pipe.py')} {self.world.path('fifo')} "
                            f"{self.world.path('heard')}; encoder json; }}", *(self.neighbor(case, announced) for case in self.cases)])
        self.world.write("exabgp.conf", config + "\n")
        env = {"PYTHONPATH": self.file("usr/lib/python3/dist-packages"), "exabgp_tcp_bind": f"{c.THEIRS4} {c.THEIRS6}",
               "exabgp_tcp_port": "179", "exabgp_daemon_user": "root", "exabgp_api_cli": "false", "exabgp_daemon_drop": "false",
               "exabgp_log_level": "INFO", "exabgp_log_destination": "stdout", "exabgp_api_ack": "false"}
        script = f"exec {sys.executable} -m exabgp {self.world.path('exabgp.conf')}"
        self.child = self.world.start(self.world.them, ["sh", "-c", script], "daemon.log", env, start_new_session=True)
        self.fifo = os.open(self.world.path("fifo"), os.O_RDWR | os.O_NONBLOCK)
        self.wait_until(lambda: os.path.exists(self.world.path("heard.ready")))

    def kill(self):
        os.killpg(self.child.pid, 9)
        self.child.wait()
        os.close(self.fifo)

    def command(self, text):
        os.write(self.fifo, text.encode() + b"\n")

    def hear(self):
        """Applies what has been heard since."""
        text = self.world.read("heard")
        lines = text[self.seen:].splitlines(keepends=True)
        for line in lines:
            if not line.endswith("\n"):
                break
            self.seen += len(line)
            try:
                message = json.loads(line)
            except ValueError:
                continue
            neighbor = message.get("neighbor", {})
            address = neighbor.get("address", {}).get("peer", "")
            if message.get("type") == "state":
                if neighbor.get("state") == "up":
                    self.up.add(address)
                else:
                    self.up.discard(address)
            if message.get("type") == "notification":
                self.why[address] = line
            if message.get("type") == "update":
                self.update(neighbor.get("message", {}).get("update", {}))

    def update(self, update):
        attributes = update.get("attribute", {})
        as_path = attributes.get("as-path", [])
        for hops in update.get("announce", {}).values():
            for hop, routes in hops.items() if isinstance(hops, dict) else ():
                for route in routes if hop != "null" else ():
                    self.table[route["nlri"]] = Route(hop, attributes.get("med"), attributes.get("local-preference"),
                                                      frozenset(f"{a}:{b}" for a, b in attributes.get("community", [])), list(as_path))
        for routes in update.get("withdraw", {}).values():
            for route in routes:
                self.table.pop(route["nlri"], None)

    def established(self):
        self.hear()
        return set(self.up)

    def routes(self):
        self.hear()
        return dict(self.table)

    def each_neighbor(self, verb, prefix):
        six = ":" in prefix
        for case in self.cases:
            if case.routes6 if six else not case.over6:
                self.command(f"neighbor {case.ours} {verb} route {prefix} next-hop {c.THEIRS6 if six else c.THEIRS4}")

    def withdraw(self, prefix):
        self.each_neighbor("withdraw", prefix)

    def announce(self, prefix):
        self.each_neighbor("announce", prefix)

    def refresh(self):
        pass  # excluded

    def shut(self, case, text):
        self.command(f"neighbor {case.ours} teardown 2")

    def last_error(self, case):
        self.hear()
        return self.why.get(case.ours, "")
