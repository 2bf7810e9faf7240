"""FRRouting's bgpd and zebra for the matrix. Called by: tests/interop/bgp_matrix.py."""

import json
import socket

from matrix import cases as c
from matrix.driver import Driver, Route


class Frr(Driver):
    name = "frr"
    package = "frr"
    # Where it connects and IPv6 routes are spoken, FRR 8.4 begins again only when the restart time of the one that went is over.
    our_restart_time = 12

    def config(self, announced):
        lines = ["hostname them", "log stdout", "ip prefix-list own seq 5 permit 10.244.0.0/16 le 24",
                 f"ip prefix-list own seq 10 permit {c.SHARED4}", "ipv6 prefix-list own6 seq 5 permit fd00:244::/32 le 64",
                 "route-map ours permit 10", " match ip address prefix-list own", "route-map ours6 permit 10",
                 " match ipv6 address prefix-list own6", f"router bgp {c.THEIR_AS}", " bgp router-id 10.9.0.254",
                 " no bgp ebgp-requires-policy", " no bgp network import-check", " bgp graceful-restart",
                 " bgp graceful-restart preserve-fw-state", " bgp graceful-restart restart-time 60",
                 " bgp graceful-restart stalepath-time 60", " bgp graceful-restart select-defer-time 5", " timers bgp 30 90"]
        for case in self.cases:
            n = f" neighbor {case.ours}"
            lines += [f"{n} remote-as {case.our_as}", f"{n} timers connect 1", f"{n} advertisement-interval 0",
                      f"{n} update-source {case.theirs}"]
            lines += [f"{n} passive"] if case.role == "active" else []
            lines += [f"{n} password {case.password}"] if case.password else []
            lines += [f"{n} ttl-security hops 1"] if case.feature == "ttl-security" else []
        for family, list_name, kept in (("ipv4", "ours", [p for p in announced if ":" not in p]),
                                        ("ipv6", "ours6", [p for p in announced if ":" in p])):
            lines += [f" address-family {family} unicast"] + [f"  network {prefix}" for prefix in kept]
            for case in self.cases:
                n = f"  neighbor {case.ours}"
                if case.over6 if family == "ipv4" else not case.routes6:
                    lines += [f"  no neighbor {case.ours} activate"] if family == "ipv4" else []
                    continue
                lines += [f"{n} activate", f"{n} next-hop-self", f"{n} route-map {list_name} out"]
                lines += [f"{n} addpath-tx-all-paths"] if case.feature == "add-path" else []
            lines += [" exit-address-family"]
        return "\n".join(lines) + "\n"

    def start(self, announced, again=False):
        self.world.write("bgpd.conf", self.config(announced))
        if not again:  # zebra survives: forwarding goes on
            self.world.write("zebra.conf", "hostname them\n")
            self.zebra = self.daemon("zebra", "-K", "60")
            self.wait_until(lambda: "FRRouting" in self.vtysh("show version", daemon="zebra"), child=self.zebra)
        self.child = self.daemon("bgpd", "-l", c.THEIRS4, "-l", c.THEIRS6)
        self.wait_until(lambda: "FRRouting" in self.vtysh("show version"))

    def daemon(self, program, *more):
        argv = [self.file("usr/lib/frr/" + program), "-f", self.world.path(program + ".conf"), "-i", self.world.path(program + ".pid"),
                "-z", self.world.path("zserv"), "--vty_socket", self.world.folder, "-u", "root", "-g", "root", "-P", "0", "--log", "stdout",
                "--moduledir", self.file("usr/lib/x86_64-linux-gnu/frr/modules"), *more]
        return self.start_with_users(["frr", "frrvty"], "exec " + " ".join(argv))

    def vtysh(self, *commands, daemon="bgpd"):
        """What vtysh would say, from bgpd's own socket: each answer ends with three zeros and a status."""
        out = ""
        try:
            with socket.socket(socket.AF_UNIX) as vty:
                vty.settimeout(20)
                vty.connect(self.world.path(daemon + ".vty"))
                for command in ("enable", *commands):
                    vty.sendall(command.encode() + b"\0")
                    answer = b""
                    while not (len(answer) >= 4 and answer[-4:-1] == b"\0\0\0"):
                        part = vty.recv(65536)
                        if not part:
                            return out
                        answer += part
                    out += answer[:-4].decode(errors="replace") + "\n"
        except (OSError, socket.timeout):
            pass
        return out

    def json(self, *commands):
        text, out, decoder = self.vtysh(*commands), [], json.JSONDecoder()
        while (start := text.find("{")) >= 0:
            try:
                value, end = decoder.raw_decode(text[start:])
            except ValueError:
                break
            out.append(value)
            text = text[start + end:]
        return out

    def established(self):
        peers = {}
        for summary in self.json("show bgp ipv4 unicast summary json", "show bgp ipv6 unicast summary json"):
            peers.update(summary.get("peers", {}))
        return {address for address, peer in peers.items() if peer.get("state") == "Established"}

    def routes(self):
        out = {}
        commands = [f"show bgp ipv{6 if case.routes6 else 4} unicast {prefix} json" for case in self.cases
                    for prefix in (case.address, case.second)]
        for found in self.json(*commands):
            for path in found.get("paths", [])[:1]:
                hops = [hop["ip"] for hop in path.get("nexthops", []) if hop.get("scope", "global") == "global"]
                out[found["prefix"]] = Route(
                    hops[0] if hops else "", path.get("metric"), path.get("locPrf"),
                    frozenset(path.get("community", {}).get("list", [])),
                    [asn for segment in path.get("aspath", {}).get("segments", []) for asn in segment["list"]])
        return out

    def network(self, prefix, no):
        family = "ipv6" if ":" in prefix else "ipv4"
        self.vtysh("configure terminal", f"router bgp {c.THEIR_AS}", f"address-family {family} unicast", f"{no}network {prefix}")

    def withdraw(self, prefix):
        self.network(prefix, "no ")

    def announce(self, prefix):
        self.network(prefix, "")

    def refresh(self):
        self.vtysh("clear bgp ipv4 unicast * soft in", "clear bgp ipv6 unicast * soft in")

    def shut(self, case, text):
        self.vtysh("configure terminal", f"router bgp {c.THEIR_AS}", f"neighbor {case.ours} shutdown message {text}")

    def last_error(self, case):
        return self.vtysh(f"show bgp neighbors {case.ours} json")
