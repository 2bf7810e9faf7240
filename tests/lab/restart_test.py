#!/usr/bin/env python3
"""Restart of Sluice under traffic: nodes keep its addresses, connections go on, new ones succeed; planned and by kill -9."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check  # noqa: E402
from harness.scenario import LB_ADDRESS, VS_BGP_ONLY, VS_HTTP, VS_SCENARIO, running_lab  # noqa: E402

ADDRESSES = (VS_SCENARIO, VS_HTTP, VS_BGP_ONLY)


class RouteWatch:
    """What the kernels of the nodes say about routes while a `with` lasts."""

    def __init__(self, lab):
        self.lab = lab
        self.lost = []

    def __enter__(self):
        self.children = [subprocess.Popen(["ip", "-n", node.namespace.name, "-o", "monitor", "route"], text=True,
                                          stdout=subprocess.PIPE) for node in self.lab.nodes]
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.terminate()
            text, _ = child.communicate()
            self.lost += [line for line in text.splitlines() if line.startswith("Deleted") and
                          any(address in line for address in ADDRESSES)]


def serves(lab):
    return all(node.has_route(address, LB_ADDRESS) for node in lab.nodes for address in ADDRESSES)


def sessions(lab):
    return {node.address: lab.sluice.neighbor(node.address) for node in lab.nodes}


def back(lab):
    return lab.sluice.answers() and all(node.established(LB_ADDRESS) for node in lab.nodes) and all(
        fact["established"] and fact["announced_prefixes"] == len(ADDRESSES) for fact in sessions(lab).values())


def frames_in(lab):
    """Frames that the network has brought to Sluice's port since the lab was made."""
    text = lab.lb.output("cat", "/sys/class/net/int0/statistics/rx_packets")
    return int(text)


def planned(checks):
    """`sluicectl restart`: sluiced executes itself anew; its flows, routes and verdicts go on."""
    with running_lab() as lab:
        checks.eventually(lambda: serves(lab), 60, "the nodes have the addresses")
        talk = lab.client.background("talk", VS_HTTP, 80, 12)
        checks.ok("open" in talk.stdout.readline(), "12 connections talk through Sluice")
        # How long the restart takes is the machine's affair: this client's kernel does not give up ARP after 3 s.
        lab.client.namespace.sysctl(net__ipv4__neigh__eth0__ucast_solicit=20, net__ipv4__neigh__eth0__mcast_solicit=20)
        stream = lab.client.background("stream", f"http://{VS_SCENARIO}/", 12, 20)
        pid, before = lab.sluice.process.pid(), frames_in(lab)
        # Those of `talk`: connections of `stream` may end before the restart begins.
        flows = [flow for flow in lab.sluice.json("show", "flows")["flows"]
                 if flow["state"] == "established" and flow["destination"].startswith(VS_HTTP)]
        with RouteWatch(lab) as watch:
            lab.sluice.ctl("restart")
            checks.eventually(lambda: re.search(r"flows go on after the restart", lab.sluice.process.log(400)), 30, "it restarts",
                              lambda: lab.sluice.process.log(30))
            checks.eventually(lambda: back(lab), 60, "sessions are Established and the addresses announced, on both ends",
                              lambda: lab.sluice.process.log(30))
            spread = lab.finish(stream, 60)["events"]
        checks.equal(watch.lost, [], "no node's kernel lost a route to us meanwhile")
        checks.equal(lab.sluice.process.pid(), pid, "it is the same process still")
        log = lab.sluice.process.log(400)
        went = re.search(r"worker 0: (\d+) of (\d+) flows go on after the restart", log)
        checks.ok(went and went.group(1) == went.group(2) and int(went.group(1)) >= len(flows) >= 12,
                  f"all flows go on ({went and went.group(0)})", log)
        checks.ok("restart complete: all neighbours have sent End-of-RIB" in log,
                  "announcements and decisions waited for both End-of-RIBs", log)
        failed = [event for event in spread if event[2]]
        gaps = [b[0] - a[0] for a, b in zip(spread, spread[1:])]
        checks.equal(failed, [], f"{len(spread)} new connections meanwhile, none failed (longest wait {max(gaps):.2f} s)")
        result = lab.finish(talk, 30)["connections"]
        checks.equal([one["error"] for one in result], [None] * 12, "every connection of before goes on: "
                     f"{sum(one['answered'] for one in result)} answers, longest silence {max(one['longest_s'] for one in result)} s")
        kept = re.search(r"restart: (\d+) frames came to int_vlan while nobody ran and go on, 0 too long", log)
        checks.ok(kept and int(kept.group(1)) > 0, f"of {frames_in(lab) - before} frames {kept and kept.group(1)} came while nobody "
                  "ran: kept, and handled by the new process", log)
        reasons = {r["reason"]: r["count"] for r in lab.sluice.json("show", "drops")["reasons"] if r["count"]}
        lost = [reason for reason in ("tcp_no_flow", "no_available_member", "no_virtual_server", "neighbor_queue_full",
                                      "neighbor_unresolved", "no_route") if reasons.get(reason)]
        checks.equal(lost, [], f"the new process drops nothing of this traffic: {reasons}")


def crash(checks):
    """kill -9: the nodes keep the addresses as stale; the next sluiced says that it restarted and withdraws nothing."""
    with running_lab() as lab:
        checks.eventually(lambda: serves(lab), 60, "the nodes have the addresses")
        with RouteWatch(lab) as watch:
            lab.sluice.process.kill()
            # The host port has died with it, so not even a FIN came out: the nodes hear of it from the next sluiced's OPEN.
            checks.ok(serves(lab), "the nodes keep the addresses")
            lab.sluice.start()
            checks.eventually(lambda: back(lab), 60, "sessions are Established and the addresses announced, on both ends",
                              lambda: lab.sluice.process.log(30))
        checks.equal(watch.lost, [], "no node's kernel lost a route to us meanwhile")
        log = lab.sluice.process.log(400)
        checks.ok("neighbors are told that we have restarted" in log, "the start found that the one before had crashed", log)
        result = lab.client.http(f"http://{VS_HTTP}/", 20)
        checks.equal(result["errors"], [], "and it serves")


if __name__ == "__main__":
    tests = (planned, crash)
    chosen = [test for test in tests if test.__name__ in sys.argv[1:]]
    check.main(*(chosen or tests))
