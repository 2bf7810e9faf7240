#!/usr/bin/env python3
"""The lab itself, without Sluice: nodes peer, pods answer behind proxy ARP, and down() leaves nothing behind.

If this fails, the other tests of the folder say nothing about Sluice.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check  # noqa: E402
from harness.command import output  # noqa: E402
from harness.namespace import all_names  # noqa: E402
from harness.node import VARIANTS  # noqa: E402
from harness.scenario import (CLIENT_ADDRESS, FAR_CLIENT_ADDRESS, MASTER_ADDRESS, NODE1_ADDRESS,  # noqa: E402
                              STATE_DIR, ping, running_lab)


def mesh(checks):
    """Both nodes' BIRD peer with each other and offer their block, in each of Calico's three generations."""
    for variant in VARIANTS:
        with running_lab((variant, variant), sluice=False) as lab:
            checks.eventually(lambda: lab.master.established(NODE1_ADDRESS) and lab.node1.established(MASTER_ADDRESS),
                              15, f"{variant}: the node mesh is Established")
            checks.eventually(lambda: "10.244.1.0/24" in lab.master.birdc("show", "route", check=False), 10,
                              f"{variant}: the master's BIRD has the other node's block")


def pods(checks):
    """Pods live behind their node as Calico wires them, and their services answer."""
    with running_lab(sluice=False) as lab:
        pod = lab.pods["10.244.0.76"]
        received, ttl, _ = ping(pod.namespace, CLIENT_ADDRESS, count=2)
        checks.equal((received, ttl), (2, 63), "a pod reaches a host on the segment, one hop away")
        received, ttl, _ = ping(pod.namespace, FAR_CLIENT_ADDRESS, count=2)
        checks.equal((received, ttl), (2, 62), "a pod reaches a host beyond the gateway")
        neighbors = output("ip", "-netns", pod.namespace.name, "neigh", "show", "169.254.1.1")
        checks.ok("ee:ee:ee:ee:ee:ee" in neighbors, "169.254.1.1 is answered by the node's proxy ARP", neighbors)
        checks.equal(lab.lb.output("ip", "-4", "-br", "addr", "show", "dev", "int0").split()[2:], [],
                     "the kernel has no address on the interface that is Sluice's")
        page = lab.master.namespace.output("curl", "-s", f"http://{pod.address}/")
        checks.equal(page, f"cka {pod.name} {pod.address}", "nginx of a pod answers its node")
        lab.client.namespace.ip(f"route add 10.244.0.0/24 via {MASTER_ADDRESS}")
        result = lab.client.udp(pod.address, 7, 3)
        checks.equal((dict(result["answers"]), result["errors"]), ({pod.name: 3}, []), "UDP echo of a pod answers")


def nothing_left(checks):
    """down() removes every namespace, process and file of the lab."""
    with running_lab(sluice=False) as lab:
        checks.equal(len(all_names()), 7 + len(lab.pods), "namespaces while it runs")
        pids = [process.pid() for pod in lab.pods.values() for process in (pod.nginx, pod.echo)]
        pids += [node.bird.pid() for node in lab.nodes]
        checks.ok(all(pids), f"{len(pids)} processes run")
    checks.equal(all_names(), [], "no namespace is left")
    checks.equal([pid for pid in pids if os.path.exists(f"/proc/{pid}")], [], "no process is left")
    checks.ok(not os.path.exists(STATE_DIR), f"{STATE_DIR} is gone")


if __name__ == "__main__":
    check.main(mesh, pods, nothing_left)
