"""BIRD 1.6 (bird and bird6) and BIRD 2 for the matrix. Called by: tests/interop/bgp_matrix.py."""

import os
import re

from matrix import cases as c
from matrix.driver import Driver, Route


class Bird2(Driver):
    name = "bird2"
    package = "bird2"
    program, tool = "usr/sbin/bird", "usr/sbin/birdc"
    families = (4, 6)

    def session(self, case):
        lines = [f"local {case.theirs} as {c.THEIR_AS}", f"neighbor {case.ours} as {case.our_as}", "direct",
                 "connect delay time 1", "connect retry time 2", "error wait time 1, 2", "hold time 90",
                 "graceful restart yes", "graceful restart time 60"]
        if case.role == "active":
            lines += ["passive yes"]
        if case.password:
            lines += [f'password "{case.password}"']
        if case.feature == "ttl-security":
            lines += ["ttl security on"]
        return lines + self.channels(case)

    def channels(self, case):
        add_path = "add paths on; " if case.feature == "add-path" else ""
        own = f"{{ import all; export filter ours; next hop self; {add_path}}}"
        return ([f"ipv4 {own}"] if not case.over6 else []) + ([f"ipv6 {own}"] if case.routes6 else [])

    def statics(self, announced):
        for number, prefix in enumerate((c.KEPT4, c.GOING4, c.KEPT6, c.GOING6)):
            family = 6 if ":" in prefix else 4
            if family not in self.families:
                continue
            disabled = "" if prefix in announced else "disabled; "
            yield f"protocol static s{number} {{ {disabled}{self.channel_of(family)}route {prefix} blackhole; }}"

    @staticmethod
    def channel_of(family):
        return f"ipv{family}; "

    def head(self):
        return ["protocol direct { ipv4; ipv6; interface \"eth0\"; }"]

    def config(self, announced, cases):
        lines = ["router id 10.9.0.254;", "graceful restart wait 15;", "protocol device { }", *self.head(), *self.statics(announced),
                 "filter ours { if source = RTS_STATIC then accept; " + self.shared() + " reject; }"]
        for case in cases:
            lines.append(f"protocol bgp n{case.number} {{\n  " +
                         "\n  ".join(line + ";" for line in self.session(case)) + "\n}")
        return "\n".join(lines) + "\n"

    @staticmethod
    def shared():
        return f"if net.type = NET_IP4 then if net = {c.SHARED4} then accept;"

    def start(self, announced, again=False):
        config = self.world.write("bird.conf", self.config(announced, self.to_come(again)))
        if os.path.exists(self.world.path("bird.ctl")):  # of the one that was killed
            os.unlink(self.world.path("bird.ctl"))
        argv = [self.file(self.program), "-f", "-c", config, "-s", self.world.path("bird.ctl"), "-P", self.world.path("bird.pid")]
        self.child = self.world.start(self.world.them, argv + (["-R"] if again else []), "daemon.log", self.environment())
        self.wait_until(lambda: "BIRD" in self.bird("show", "status"))

    def bird(self, *words):
        return self.ask(self.file(self.tool), "-s", self.world.path("bird.ctl"), *words)

    def established(self):
        up = set(re.findall(r"^n(\d+) .*Established", self.bird("show", "protocols"), re.M))
        return {case.ours for case in self.cases if str(case.number) in up}

    def routes(self):
        out, prefix = {}, None
        facts = {}
        text = self.bird("show", "route", "all")
        for line in text.splitlines():
            head = re.match(r"([0-9a-f.:]+/\d+) ", line)
            if head:
                prefix, facts = head.group(1), {}
            fact = re.match(r"\s+BGP\.(\w+): ?(.*)", line)
            if fact and prefix:
                facts[fact.group(1)] = fact.group(2)
                if "next_hop" in facts:
                    out[prefix] = Route(facts["next_hop"].split()[0], number(facts.get("med")), number(facts.get("local_pref")),
                                        frozenset(f"{a}:{b}" for a, b in re.findall(r"\((\d+),(\d+)\)", facts.get("community", ""))),
                                        [int(a) for a in facts.get("as_path", "").split()])
        return out

    def which(self, prefix):
        return f"s{(c.KEPT4, c.GOING4, c.KEPT6, c.GOING6).index(prefix)}"

    def withdraw(self, prefix):
        self.bird("disable", self.which(prefix))

    def announce(self, prefix):
        self.bird("enable", self.which(prefix))

    def refresh(self):
        self.bird("reload", "in", "all")

    def shut(self, case, text):
        self.bird("disable", f"n{case.number}", f'"{text}"')

    def last_error(self, case):
        return self.bird("show", "protocols", "all", f"n{case.number}")


class Bird(Bird2):
    name = "bird"
    package = None
    program, tool = "usr/sbin/bird", "usr/sbin/birdc"
    families = (4,)
    excluded = {
        ("ipv6-routes",): "BIRD 1.6 is one daemon a family: bird6 has no sessions over IPv4, bird no IPv6 routes",
        ("over-ipv6",): "BIRD 1.6 is one daemon a family: bird6 is the one with sessions over IPv6",
    }

    def channels(self, case):
        return ["import all", "export filter ours", "next hop self"] + (["add paths on"] if case.feature == "add-path" else [])

    @staticmethod
    def channel_of(family):
        return ""

    def head(self):
        return ["protocol direct { interface \"eth0\"; }", f"listen bgp address {c.THEIRS4};"]

    @staticmethod
    def shared():
        return f"if net = {c.SHARED4} then accept;"


class Bird6(Bird):
    name = "bird6"
    program, tool = "usr/sbin/bird6", "usr/sbin/birdc6"
    families = (6,)
    excluded = {(feature,): "BIRD 1.6 is one daemon a family: bird is the one with sessions over IPv4"
                for feature in ("plain", "md5", "ttl-security", "add-path", "ipv6-routes", "md5-wrong", "hold-timer")}

    def head(self):
        return ["protocol direct { interface \"eth0\"; }", f"listen bgp address {c.THEIRS6};"]

    @staticmethod
    def shared():
        return ""


def number(text):
    return int(text) if text and text.isdigit() else None
