#!/usr/bin/env python3
"""What Sluice adds to the kernel it removes: after shutdown, after SIGTERM, and at the next start after kill -9."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check  # noqa: E402
from harness.command import output, wait_until  # noqa: E402
from harness.scenario import LB_ADDRESS, VS_HTTP, running_lab  # noqa: E402


def kernel_state(lab):
    """Everything in the namespace that a daemon could have changed, as text; counters and times left out."""
    name = lab.lb.name
    parts = [output("ip", "-netns", name, "-o", "link"), output("ip", "-netns", name, "-o", "addr"),
             output("ip", "-netns", name, "rule"), output("ip", "-netns", name, "route", "show", "table", "all"),
             lab.lb.output("nft", "list", "ruleset"), output("tc", "-netns", name, "qdisc", "show"),
             lab.lb.output("sysctl", "net.ipv4.conf.int0", "net.ipv6.conf.int0", check=False)]
    # The order of links follows their numbers; a link's state may flap while its peer is being configured.
    return "\n".join(parts)


def as_before(checks, lab, before, what):
    """An IPv6 link-local address is tentative for a while after its interface is given back: the kernel's own doing."""
    checks.eventually(lambda: kernel_state(lab) == before, 15, what, lambda: kernel_state(lab))


def after_each_end(checks):
    """The kernel's state before the start and after each kind of end is the same."""
    with running_lab(sluice=False) as lab:
        before = kernel_state(lab)
        for how in ("shutdown", "SIGTERM", "SIGINT"):
            lab.start_sluice()
            during = kernel_state(lab)
            checks.ok(during != before and LB_ADDRESS in during, f"{how}: while it runs the host port is there")
            if how == "shutdown":
                lab.sluice.ctl("shutdown")
            else:
                lab.sluice.process.signal(getattr(signal, how))
            checks.eventually(lambda: not lab.sluice.running(), 10, f"{how}: it ends by itself")
            as_before(checks, lab, before, f"{how}: the kernel's state is as before")
            checks.ok(not os.path.exists(lab.sluice.socket), f"{how}: the socket is gone")
        lab.start_sluice()
        wait_until(lambda: lab.master.established(LB_ADDRESS), 30)
        lab.sluice.process.kill()
        lab.start_sluice()
        checks.eventually(lambda: lab.master.established(LB_ADDRESS), 40, "after kill -9 the next start works")
        checks.ok(lab.sluice.stop(), "and ends")
        as_before(checks, lab, before, "and leaves nothing of either")


def management(lab):
    """IPv4 only: the kernel takes its time to find an IPv6 link-local address unique."""
    return [output("ip", "-4", "-netns", lab.lb.name, *words)
            for words in (("addr", "show", "mgmt0"), ("route", "show", "203.0.113.0/24"))]


def the_machine(checks):
    """The namespace's other traffic is untouched: a second interface keeps its addresses, routes and ARP."""
    with running_lab(sluice=False) as lab:
        lab.lb.ip("link add mgmt0 type bridge", "link set mgmt0 up", "addr add 192.0.2.1/24 dev mgmt0",
                  "route add 203.0.113.0/24 via 192.0.2.254")
        mine = management(lab)
        lab.start_sluice()
        checks.equal(management(lab), mine, "addresses and routes of a management interface stay")
        checks.ok("192.0.2.254" in output("ip", "-netns", lab.lb.name, "route", "get", "203.0.113.9"),
                  "management traffic still takes its route")


def idle(checks):
    """Without traffic a worker sleeps: an idle Sluice costs less than a fifth of a core, and memory does not grow."""
    with running_lab() as lab:
        time.sleep(8)
        cpu, memory = lab.sluice.cpu_seconds(), lab.sluice.resident_kib()
        time.sleep(10)
        used = (lab.sluice.cpu_seconds() - cpu) / 10
        checks.ok(used < 0.2, f"idle: {used * 100:.0f} % of a core")
        for _ in range(5):
            lab.client.http(f"http://{VS_HTTP}/", 200, 4)
        checks.ok(lab.sluice.resident_kib() < memory + 32768, f"{memory} KiB before, {lab.sluice.resident_kib()} KiB after "
                  "1,000 requests")


if __name__ == "__main__":
    tests = (after_each_end, the_machine, idle)
    chosen = [test for test in tests if test.__name__ in sys.argv[1:]]
    check.main(*(chosen or tests))
