"""GoBGP for the matrix. Called by: tests/interop/bgp_matrix.py."""

import json

from matrix import cases as c
from matrix.driver import Driver, Route


class GoBgp(Driver):
    name = "gobgpd"
    package = "gobgpd"
    excluded = {("they refresh",): "GoBGP keeps what it has received, and softresetin works on that: it never asks"}

    def config(self):
        lines = ["[global.config]", f"as = {c.THEIR_AS}", 'router-id = "10.9.0.254"', "port = 179",
                 f'local-address-list = ["{c.THEIRS4}", "{c.THEIRS6}"]']
        for case in self.cases:
            passive = "true" if case.role == "active" else "false"
            lines += ["[[neighbors]]", "[neighbors.config]", f'neighbor-address = "{case.ours}"', f"peer-as = {case.our_as}"]
            lines += [f'auth-password = "{case.password}"'] if case.password else []
            lines += ["[neighbors.timers.config]", "connect-retry = 1", "idle-hold-time-after-reset = 1", "hold-time = 90",
                      "[neighbors.transport.config]", f"passive-mode = {passive}", f'local-address = "{case.theirs}"',
                      "[neighbors.graceful-restart.config]", "enabled = true", "restart-time = 60", "deferral-time = 5"]
            if case.feature == "ttl-security":
                lines += ["[neighbors.ttl-security.config]", "enabled = true", "ttl-min = 255"]
            families = ([] if case.over6 else ["ipv4-unicast"]) + (["ipv6-unicast"] if case.routes6 else [])
            for family in families:
                lines += ["[[neighbors.afi-safis]]", "[neighbors.afi-safis.config]", f'afi-safi-name = "{family}"',
                          "[neighbors.afi-safis.mp-graceful-restart.config]", "enabled = true"]
                if case.feature == "add-path":
                    lines += ["[neighbors.afi-safis.add-paths.config]", "receive = true", "send-max = 8"]
        return "\n".join(lines) + "\n"

    def start(self, announced, again=False):
        self.world.write("gobgpd.toml", self.config())
        argv = [self.file("usr/bin/gobgpd"), "-f", self.world.path("gobgpd.toml"), "-p", "--api-hosts", "127.0.0.1:50051",
                "--pprof-disable"] + (["-r"] if again else [])
        self.child = self.world.start(self.world.them, argv, "daemon.log")
        self.wait_until(lambda: "10.9.0.254" in self.gobgp("global"))
        for prefix in announced:
            self.announce(prefix)

    def gobgp(self, *words):
        return self.ask(self.file("usr/bin/gobgp"), *words)

    def json(self, *words):
        try:
            return json.loads(self.gobgp("-j", *words)) or []
        except ValueError:
            return []

    def established(self):
        return {peer["state"]["neighbor_address"] for peer in self.json("neighbor") if peer["state"].get("session_state") == 6}

    def routes(self):
        out = {}
        for family in ("ipv4", "ipv6"):
            table = self.json("global", "rib", "-a", family)
            for prefix, paths in (table.items() if table else ()):
                attributes = {attribute["type"]: attribute for attribute in paths[0]["attrs"]}
                hop = attributes.get(3, attributes.get(14, {})).get("nexthop", "")
                communities = attributes.get(8, {}).get("communities", [])
                out[prefix] = Route(hop, attributes.get(4, {}).get("metric"), attributes.get(5, {}).get("value"),
                                    frozenset(f"{v >> 16}:{v & 0xffff}" for v in communities),
                                    [asn for segment in attributes.get(2, {}).get("as_paths") or [] for asn in segment["asns"]])
        return out

    def rib(self, verb, prefix):
        if ":" in prefix:
            self.gobgp("global", "rib", verb, prefix, "nexthop", c.THEIRS6, "-a", "ipv6")
        else:
            self.gobgp("global", "rib", verb, prefix, "nexthop", c.THEIRS4)

    def withdraw(self, prefix):
        self.rib("del", prefix)

    def announce(self, prefix):
        self.rib("add", prefix)

    def refresh(self):
        self.gobgp("neighbor", "all", "softresetin")

    def shut(self, case, text):
        self.gobgp("neighbor", case.ours, "shutdown", "--reason", text)

    def last_error(self, case):
        return self.world.read("daemon.log")
