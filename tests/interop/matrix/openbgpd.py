"""OpenBGPD for the matrix; its user and its chroot exist only in the daemon's own mounts. Called by: bgp_matrix.py."""

import json
import os

from matrix import cases as c
from matrix.driver import Driver, Route


class OpenBgp(Driver):
    name = "openbgpd"
    package = "openbgpd"
    excluded = {("active", "md5"): "OpenBGPD 7.7 sets no MD5 key on its listener on Linux (strace shows none): a signed SYN is not answered",
                ("restart",): "OpenBGPD has no forwarding state to keep over a restart and says so; it helps others",
                ("we are killed",): "OpenBGPD 7.7 hangs (bgpctl gets no answer any more) when all its restarting peers go at once",
                ("we refresh",): "OpenBGPD 7.7 answers none; its log says \"AID IPv4 unicast not negotiated\" of what both OPENs list",
                ("ebgp", "ipv6-routes"): "OpenBGPD on Linux takes ::1 for the IPv6 next hop of a session over IPv4, and outside the AS "
                "no rule changes that",
                ("ibgp", "passive", "ttl-security"): "OpenBGPD keeps ttl-security to eBGP: where it connects inside the AS, "
                "its segments leave with TTL 64"}

    def config(self, announced):
        lines = [f"AS {c.THEIR_AS}", "router-id 10.9.0.254", "fib-update no", f'socket "{self.world.path("sock")}"', "holdtime 90",
                 "connect-retry 1", f"listen on {c.THEIRS4}", f"listen on {c.THEIRS6}", *(f"network {p}" for p in announced)]
        for case in self.cases:
            lines += [f"neighbor {case.ours} {{", f"  remote-as {case.our_as}", f"  local-address {case.theirs}",
                      "  announce restart yes", "  announce refresh yes"]
            lines += ["  passive"] if case.role == "active" else []
            lines += [f'  tcp md5sig password "{case.password}"'] if case.password else []
            lines += ["  ttl-security yes"] if case.feature == "ttl-security" else []
            lines += ["  announce IPv4 none" if case.over6 else "  announce IPv4 unicast"]
            lines += ["  announce IPv6 unicast"] if case.routes6 else []
            lines += ["  announce add-path recv yes", "  announce add-path send all"] if case.feature == "add-path" else []
            lines += ["}"]
        return "\n".join(lines + ["allow from any", "deny to any", "allow to any prefix 10.244.0.0/16 or-longer",
                                  f"allow to any prefix {c.SHARED4}", "allow to any prefix fd00:244::/32 or-longer",
                                  f"match to any prefix fd00:244::/32 or-longer set nexthop {c.THEIRS6}"]) + "\n"

    def start(self, announced, again=False):
        config = self.world.write("bgpd.conf", self.config(announced))
        os.chmod(config, 0o600)
        os.makedirs(self.world.path("empty"), exist_ok=True)
        script = (f"mount -t tmpfs tmpfs /run && mkdir -m 755 /run/openbgpd && exec {self.file('usr/sbin/bgpd')} -d -f {config}")
        self.child = self.start_with_users(["_openbgpd"], script, start_new_session=True)
        self.wait_until(lambda: "neighbors" in self.bgpctl("-j", "show", "neighbor"))

    def kill(self):
        """All its processes at once: the session engine is the one whose sockets count."""
        os.killpg(self.child.pid, 9)
        self.child.wait()

    def bgpctl(self, *words):
        return self.ask(self.file("usr/sbin/bgpctl"), "-s", self.world.path("sock"), *words)

    def json(self, *words):
        try:
            return json.loads(self.bgpctl("-j", *words))
        except ValueError:
            return {}

    def established(self):
        return {peer["remote_addr"] for peer in self.json("show", "neighbor").get("neighbors", []) if peer["state"] == "Established"}

    def routes(self):
        out = {}
        for route in self.json("show", "rib", "detail").get("rib", []):
            out.setdefault(route["prefix"], Route(
                route.get("exit_nexthop", ""), route.get("metric"), route.get("localpref"),
                frozenset(route.get("communities", [])), [int(asn) for asn in route.get("aspath", "").split()]))
        return out

    def withdraw(self, prefix):
        self.bgpctl("network", "delete", prefix)

    def announce(self, prefix):
        self.bgpctl("network", "add", prefix)

    def refresh(self):
        for case in self.cases:
            self.bgpctl("neighbor", case.ours, "refresh")

    def shut(self, case, text):
        self.bgpctl("neighbor", case.ours, "down", text)

    def last_error(self, case):
        return self.bgpctl("show", "neighbor", case.ours)
