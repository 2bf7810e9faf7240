#!/usr/bin/env python3
"""ICMP: who answers with which TTL, at any size and in fragments, and pings of Sluice's own through the engine."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check  # noqa: E402
from harness.command import wait_until  # noqa: E402
from harness.scenario import LB_ADDRESS, VS_BGP_ONLY, VS_HTTP, VS_SCENARIO, ping, running_lab  # noqa: E402


def everything(checks):
    """One lab for all: pings need no change of it."""
    with running_lab() as lab:
        wait_until(lambda: all(node.has_route(VS_BGP_ONLY, LB_ADDRESS) for node in lab.nodes), 40, "no route")
        ttls(checks, lab)
        sizes(checks, lab)
        from_sluice(checks, lab)
        unanswered(checks, lab)


def ttls(checks, lab):
    pod, far_pod = lab.pods["10.244.0.76"], lab.pods["10.244.1.37"]
    for address in (VS_SCENARIO, VS_HTTP, VS_BGP_ONLY, LB_ADDRESS):
        for name, namespace, ttl in (("node", lab.master.namespace, 255), ("the other node", lab.node1.namespace, 255),
                                     ("client", lab.client.namespace, 255), ("pod", pod.namespace, 254),
                                     ("pod on the other node", far_pod.namespace, 254),
                                     ("client beyond the gateway", lab.far_client.namespace, 254)):
            received, seen, text = ping(namespace, address, count=2)
            if address == VS_BGP_ONLY and name == "client":
                checks.ok(received == 2 and seen in (255, 254), f"{name} → {address} by its gateway", text)
            else:
                checks.equal((received, seen), (2, ttl), f"{name} → {address}: ttl={ttl}")


def sizes(checks, lab):
    for size in (0, 1, 56, 1000, 1471, 1472, 1473, 4000, 16000, 65507):
        received, ttl, text = ping(lab.client.namespace, VS_HTTP, count=2, size=size)
        checks.ok(received == 2, f"{size} bytes of payload are answered" + (" (fragments)" if size > 1472 else ""), text)
    received, _, text = ping(lab.client.namespace, VS_HTTP, count=3, size=2000, extra=["-p", "5a"])
    checks.ok(received == 3 and "wrong data" not in text, "the payload comes back unchanged", text)


def from_sluice(checks, lab):
    for address, ttl in (("10.244.0.76", 63), ("10.244.1.37", 63), ("172.16.40.199", 64), ("172.16.40.10", 64),
                         ("198.51.100.10", 63)):
        done = lab.sluice.ctl("ping", "-c", "2", "-i", "0.2", address, check=False)
        checks.ok(done.returncode == 0 and done.stdout.count(f"ttl={ttl}") == 2, f"Sluice → {address}: ttl={ttl}",
                  done.stdout + done.stderr)
    done = lab.sluice.ctl("ping", "-c", "2", "-i", "0.2", "-s", "4000", "10.244.0.76", check=False)
    checks.ok(done.returncode == 0, "with 4,000 bytes, in fragments", done.stdout + done.stderr)


def unanswered(checks, lab):
    done = lab.sluice.ctl("ping", "-c", "1", "-i", "0.2", "172.16.40.77", check=False)
    checks.ok(done.returncode == 1 and "ttl=" not in done.stdout, "nobody there: exit code 1", done.stdout + done.stderr)
    received, _, text = ping(lab.client.namespace, "172.16.40.82", count=1, timeout=1)
    checks.equal(received, 0, "an address that is no virtual address stays silent")
    drops = lab.sluice.json("show", "drops")
    checks.equal(drops["total"], sum(reason["count"] for reason in drops["reasons"]), "the sum of reasons is the drops")


if __name__ == "__main__":
    check.main(everything)
