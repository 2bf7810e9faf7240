#!/usr/bin/env python3
"""The same service over every kind of port that a kernel can be at the other end of, and with two workers: there also
without SNAT."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check  # noqa: E402
from harness.command import wait_until  # noqa: E402
from harness.scenario import LB_ADDRESS, VS_HTTP, ping, running_lab  # noqa: E402

POOL = "cfgmap_default_nginx-vs-81_nginx-deploy-svc"
PORTS = {
    "af_packet": ("net_af_packet0,iface=int0", 1),
    "af_packet, two queues, two workers": ("net_af_packet0,iface=int0,qpairs=2", 2),
    "af_packet, one queue, two workers": ("net_af_packet0,iface=int0", 2),
    "af_xdp": ("net_af_xdp0,iface=int0", 1),
    "pcap": ("net_pcap0,iface=int0", 1),
    "tap behind a bridge": ("net_tap7,iface=uplink", 1),
}
EXTRA = """
pools:
  direct: {balance: round-robin, members: ["10.244.0.76:80", "10.244.1.37:80"]}
virtual-servers:
  direct: {destination: "172.16.40.89:80", pool: direct, snat: none}
"""


def serves(checks, lab, what):
    wait_until(lambda: all(m["availability"] == "available" for m in lab.sluice.members(POOL).values()), 40,
               "the members do not come up")
    result = lab.client.http(f"http://{VS_HTTP}/", 60, 4)
    checks.ok(not result["errors"] and len(result["answers"]) == len(lab.default_pods()), f"{what}: 60 requests",
              result)
    size = lab.client.namespace.output("bash", "-c", f"curl -s -m 30 http://{VS_HTTP}/1m | wc -c")
    checks.equal(size, str(1 << 20), f"{what}: a megabyte")
    received, ttl, text = ping(lab.client.namespace, VS_HTTP, count=3, size=3000)
    checks.ok((received, ttl) == (3, 255), f"{what}: pings in fragments", text)
    checks.ok(all(node.established("172.16.40.202") for node in lab.nodes), f"{what}: BGP is up")


def handed_over(lab):
    return sum(worker["handovers_in"] for worker in lab.sluice.json("show", "workers")["workers"])


def serves_without_snat(checks, lab, what):
    """Members answer the client's own address, by way of Sluice: packets of either side may reach either worker."""
    for node in lab.nodes:
        node.namespace.ip(f"route replace {lab.client.address}/32 via {LB_ADDRESS}")
    before = handed_over(lab)
    result = lab.client.http("http://172.16.40.89/", 40, 4)
    checks.ok(not result["errors"] and len(result["answers"]) == 2, f"{what}: 40 requests without SNAT", result)
    checks.ok(handed_over(lab) > before, f"{what}: some packets were handed over", (before, handed_over(lab)))


def kinds(checks):
    """Each port kind in a lab of its own."""
    chosen = {what: port for what, port in PORTS.items() if not sys.argv[1:] or sys.argv[1] in what}
    for what, (device, workers) in chosen.items():
        try:
            with running_lab(sluice=False) as lab:
                if "tap" in device:
                    # The tap's kernel side is made by the port; a bridge with int0 joins it to the segment. The bridge
                    # must not answer ARP for the self IP, which this namespace's kernel has too, on the host port.
                    lab.lb.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                              "link set dev int0 master br0", "link set dev int0 up", "link set dev br0 arp off up")
                    lab.sluice.write_config(lab.manifests.directory, device=device, workers=workers)
                    lab.sluice.start()
                    # Another MAC for the kernel's side: a bridge keeps frames to a port's own MAC for itself. Not
                    # earlier: DPDK gives the tap its own MAC when the port starts.
                    lab.lb.ip("link set dev uplink address 02:00:00:00:00:07 master br0 up")
                else:
                    lab.start_sluice(device=device, workers=workers, extra=EXTRA)
                wait_until(lambda: all(node.established("172.16.40.202") for node in lab.nodes), 90, "no BGP")
                serves(checks, lab, what)
                if workers > 1:
                    serves_without_snat(checks, lab, what)
                checks.ok(lab.sluice.stop(), f"{what}: ends by itself")
        except Exception as error:  # one kind that fails must not hide the others
            checks.ok(False, what, str(error))


if __name__ == "__main__":
    check.main(kinds)
