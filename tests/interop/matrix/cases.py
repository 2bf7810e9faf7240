"""The sessions of the matrix: who connects, inside or across the AS, and what is switched on; one line each, by product.

A case's number is the last byte of our addresses (10.9.0.N, fd00:9::N) and is in all that its speaker announces, so that what
a daemon shows can be told apart. Called by: tests/interop/bgp_matrix.py, the drivers beside this file.
"""

import dataclasses
import itertools

THEIR_AS = 64512
THEIRS4, THEIRS6 = "10.9.0.254", "fd00:9::fe"
KEPT4, GOING4 = "10.244.1.0/24", "10.244.2.0/24"  # what the daemon announces: always; until it is withdrawn
KEPT6, GOING6 = "fd00:244:1::/64", "fd00:244:2::/64"
SHARED4 = "172.22.0.0/24"  # announced by the two plain eBGP speakers: two paths, where ADD-PATH carries both
PASSWORD = "s3cret-2385"

KINDS = ("ibgp", "ebgp")
ROLES = ("active", "passive")  # ours: active connects, passive is connected to
FEATURES = ("plain", "md5", "ttl-security", "add-path", "ipv6-routes", "over-ipv6")


@dataclasses.dataclass(frozen=True)
class Case:
    number: int
    kind: str
    role: str
    feature: str

    @property
    def name(self):
        return f"{self.kind} {self.role} {self.feature}"

    @property
    def our_as(self):
        return THEIR_AS if self.kind == "ibgp" else 4200000000 + self.number

    @property
    def over6(self):
        return self.feature == "over-ipv6"

    @property
    def routes6(self):  # IPv6 unicast is what the case looks at
        return self.feature in ("ipv6-routes", "over-ipv6")

    @property
    def ours(self):
        return f"fd00:9::{self.number:x}" if self.over6 else f"10.9.0.{self.number}"

    @property
    def theirs(self):
        return THEIRS6 if self.over6 else THEIRS4

    @property
    def next_hop(self):  # of what we announce
        return f"fd00:9::{self.number:x}" if self.routes6 else f"10.9.0.{self.number}"

    @property
    def their_next_hop(self):
        return THEIRS6 if self.routes6 else THEIRS4

    @property
    def address(self):  # our virtual address
        return f"fd00:20::{self.number:x}/128" if self.routes6 else f"172.20.{self.number}.1/32"

    @property
    def second(self):  # another one, for what happens to an address that is not announced again
        return f"fd00:21::{self.number:x}/128" if self.routes6 else f"172.21.{self.number}.1/32"

    @property
    def kept(self):
        return KEPT6 if self.routes6 else KEPT4

    @property
    def going(self):
        return GOING6 if self.routes6 else GOING4

    @property
    def password(self):
        return PASSWORD if self.feature.startswith("md5") else ""

    @property
    def med(self):
        return 10 + self.number

    @property
    def local_pref(self):
        return 200 + self.number

    @property
    def community(self):
        return f"64512:{self.number}"

    @property
    def as_path(self):  # prepended once where there is a path
        return [] if self.kind == "ibgp" else [self.our_as, self.our_as]

    def speaker_arguments(self, binary, *more):
        out = [binary, "--as", str(self.our_as), "--remote-as", str(THEIR_AS), "--id", f"10.9.0.{self.number}",
               "--neighbor", self.theirs, "--self", f"10.9.0.{self.number}/24", *more]
        if self.routes6:
            out += ["--self", f"fd00:9::{self.number:x}/64", "--ipv6"]
        if self.role == "passive":
            out += ["--passive"]
        if self.password:
            out += ["--password", "not the one" if self.feature == "md5-wrong" else self.password]
        if self.feature == "ttl-security":
            out += ["--ttl-security", "1"]
        if self.feature == "add-path":
            out += ["--add-path"]
        if self.feature == "hold-timer":
            out += ["--hold", "6"]
        return out

    def announcement(self, prefix):
        text = f"announce {prefix} med {self.med} community {self.community} local-pref {self.local_pref}"
        return text if self.kind == "ibgp" else text + " prepend 1"


def all_cases():
    product = itertools.product(FEATURES, KINDS, ROLES)
    cases = [Case(number, kind, role, feature) for number, (feature, kind, role) in enumerate(product, 1)]
    number = len(cases) + 1
    return cases + [Case(number, "ibgp", "active", "md5-wrong"), Case(number + 1, "ibgp", "active", "hold-timer")]
