#!/usr/bin/env python3
"""What users set of BGP, seen by Calico's BIRD: listen ranges, policies, communities and MED, aggregates, announcement modes."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check  # noqa: E402
from harness.scenario import LB_ADDRESS, MASTER_ADDRESS, NODE1_ADDRESS, running_lab  # noqa: E402

ANY, ALL, INSIDE = "172.16.99.99", "172.16.40.81", ("172.16.98.1", "172.16.98.2")
AGGREGATE = "172.16.98.0/24"
MEMBERS = {"a": "10.244.0.76:80", "b": "10.244.0.77:80"}

# No neighbour is named. Two virtual servers on each address: pool a behind port 80, pool b behind port 81.
CONFIG = """
engine: {{workers: 1, hugepages: false, memory: 256MB, packet-buffers: 16384}}
ports: {{int_vlan: {{device: "net_af_packet0,iface=int0"}}}}
self-ips: [{{address: 172.16.40.202/24, port: int_vlan}}]
routes: [{{prefix: default, gateway: 172.16.40.254}}]
bgp:
  local-as: 64512
  accept: 10.244.0.0/16
  prefix-lists:
    pods: {{prefixes: 10.244.0.0/16 ge 24 le 32}}
  peer-groups:
    nodes:
      remote-as: 64512
      import: [prefix 10.244.77.0/24 reject, prefix-list pods set local-pref 150 accept]
      export: [prefix 172.16.98.0/24 le 32 set community add 64512:98 accept, any accept]
  listen-ranges:
  - {{prefix: 172.16.40.0/24, peer-group: nodes, expiry: 60s}}
  aggregates:
  - {{prefix: 172.16.98.0/24, summary-only: true}}
pools:
  a: {{members: ["10.244.0.76:80"]}}
  b: {{members: ["10.244.0.77:80"]}}
virtual-servers:
  any-a: {{destination: "172.16.99.99:80", pool: a}}
  any-b: {{destination: "172.16.99.99:81", pool: b}}
  all-a: {{destination: "172.16.40.81:80", pool: a}}
  all-b: {{destination: "172.16.40.81:81", pool: b}}
  inside-a: {{destination: "172.16.98.1:80", pool: a}}
  inside-b: {{destination: "172.16.98.2:80", pool: b}}
virtual-addresses:
  172.16.99.99: {{route-advertisement: any, med: 50, communities: [64512:99, 64512:1:2]}}
  172.16.40.81: {{route-advertisement: all}}
admin: {{socket: {socket}}}
"""

# What a node must not be believed: a default route, a prefix that is not ours, a pod block that the policy names.
STRAY = """
protocol static stray {
  route 192.0.2.0/24 blackhole;
  route 10.244.77.0/24 blackhole;
}
filter to_the_load_balancer {
  if ( net = 0.0.0.0/0 || net = 192.0.2.0/24 || net = 10.244.77.0/24 ) then accept;
  calico_aggr();
  if ( net ~ 10.244.0.0/16 ) then accept;
  reject;
}
"""


def announce_stray(node):
    with open(node.config_file, encoding="utf-8") as file:
        text = file.read()
    session = f"protocol bgp Global_{LB_ADDRESS.replace('.', '_')} from bgp_template {{\n"
    assert session in text
    text = text.replace(session, STRAY + session + "  export filter to_the_load_balancer;\n")
    with open(node.config_file, "w", encoding="utf-8") as file:
        file.write(text)


def routes_of(lab, which):
    paths = lab.sluice.json("show", "ip", "bgp", "neighbors", MASTER_ADDRESS, which)["paths"]
    return {path["prefix"]: path for path in paths}


def learned(lab):
    return sorted(route["prefix"] for route in lab.sluice.json("show", "ip", "route")["routes"] if route["code"] == "B")


def virtual_address(lab, address):
    return lab.sluice.json("show", "virtual-address", address)["virtual_addresses"][0]


def on_node(lab, prefix):
    """What BIRD on the master says of a route of ours, with all attributes."""
    return lab.master.birdc("show", "route", prefix if "/" in prefix else prefix + "/32", "all")


def listen_range(checks, lab):
    # BIRD itself says "up" only later: with -R it waits for the whole mesh, of which the other node is not there yet.
    checks.eventually(lambda: lab.sluice.neighbor(MASTER_ADDRESS)["established"], 60,
                      "a node that no line names: Established")
    fact = lab.sluice.neighbor(MASTER_ADDRESS)
    checks.equal((fact["dynamic"], fact["listen_range"], fact["import_policy"], fact["export_policy"]),
                 (True, "172.16.40.0/24", "2 rules", "2 rules"), "it is marked dynamic, and its policies are shown")
    checks.equal([n["address"] for n in lab.sluice.json("show", "ip", "bgp", "neighbors")["neighbors"]], [MASTER_ADDRESS],
                 "a node that has not come is no neighbour")
    lab.node1.start_bird()
    checks.eventually(lambda: lab.node1.established(LB_ADDRESS), 20, "a second node joins: no change was needed here")
    summary = lab.sluice.show("show", "ip", "bgp", "summary")
    checks.ok("*" + MASTER_ADDRESS in summary and "*" + NODE1_ADDRESS in summary, "the summary marks both", summary)


def import_policy(checks, lab):
    checks.eventually(lambda: learned(lab) == ["10.244.0.0/24", "10.244.1.0/24"], 10,
                      "of all that the nodes announce the two pod blocks are learned", lambda: learned(lab))
    wanted = {"0.0.0.0/0": "rejected: the default route", "192.0.2.0/24": "rejected: outside of what is accepted",
              "10.244.77.0/24": "rejected: import policy"}
    checks.eventually(lambda: set(wanted) <= set(routes_of(lab, "received-routes")), 5, "received-routes has the others")
    received = routes_of(lab, "received-routes")
    checks.equal({prefix: received[prefix]["reason"] for prefix in wanted}, wanted, "each with its reason")
    accepted = routes_of(lab, "routes")
    checks.equal((list(accepted), accepted["10.244.0.0/24"]["local_pref"], received["10.244.0.0/24"]["local_pref"]),
                 (["10.244.0.0/24"], 150, 100), "`routes` is after the policy (LOCAL_PREF 150), `received-routes` before it")
    detail = lab.sluice.show("show", "ip", "bgp", "10.244.0.0/24")
    checks.ok("best: the only path" in detail and "localpref 150" in detail, "show ip bgp PREFIX says why it is used", detail)
    lab.master.birdc("disable", "stray")
    checks.eventually(lambda: "192.0.2.0/24" not in routes_of(lab, "received-routes"), 5, "what is withdrawn is forgotten")


def attributes(checks, lab):
    checks.eventually(lambda: "BGP.med: 50" in on_node(lab, ANY), 10, "the node sees MED 50", lambda: on_node(lab, ANY))
    route = on_node(lab, ANY)
    checks.ok("(64512,99)" in route and "(64512, 1, 2)" in route, "and the address's communities, large ones too", route)
    checks.ok("BGP.med" not in on_node(lab, ALL), "an address without MED goes without")
    told = routes_of(lab, "advertised-routes")
    checks.equal(sorted(told), sorted([ANY + "/32", ALL + "/32", AGGREGATE]), "advertised-routes: what this neighbour was told")
    checks.equal((told[ANY + "/32"]["med"], told[ANY + "/32"]["communities"]), (50, ["64512:99", "64512:1:2"]),
                 "with its attributes")


def aggregate(checks, lab):
    checks.ok(lab.master.has_route(AGGREGATE, LB_ADDRESS), "the covering prefix is in the node's kernel",
              lab.master.kernel_routes)
    checks.ok("(64512,98)" in on_node(lab, AGGREGATE), "with the community that the export policy adds",
              lambda: on_node(lab, AGGREGATE))
    checks.ok(not any(lab.master.has_route(address, LB_ADDRESS) for address in INSIDE),
              "summary-only: the addresses inside are not announced beside it")
    state = virtual_address(lab, INSIDE[0])
    checks.ok(not state["announced"] and AGGREGATE in state["announcement"], "and show says what stands for them", state)


def modes(checks, lab):
    def kernel():
        return [bool(lab.master.has_route(prefix, LB_ADDRESS)) for prefix in (ANY, ALL, AGGREGATE)]

    def member(pool, state):
        lab.sluice.ctl("modify", "member", pool, MEMBERS[pool], "state", state)

    checks.equal(kernel(), [True, True, True], "both virtual servers of each address can serve: all is announced")
    member("b", "offline")
    checks.eventually(lambda: kernel() == [True, False, True], 5, "one of two cannot: any stays, all goes, the aggregate stays",
                      kernel)
    state = virtual_address(lab, ALL)
    checks.equal((state["announced"], state["announcement"]), (False, "1 of 2 virtual servers can serve"),
                 "show virtual-address says why")
    member("a", "offline")
    checks.eventually(lambda: kernel() == [False, False, False], 5, "none can: nothing is announced", kernel)
    member("a", "enabled")
    member("b", "enabled")
    checks.eventually(lambda: kernel() == [True, True, True], 5, "and all is back", kernel)


def drain(checks, lab):
    lab.sluice.ctl("drain", ANY)
    checks.eventually(lambda: "(65535,0)" in on_node(lab, ANY) and "BGP.local_pref: 0" in on_node(lab, ANY), 5,
                      "drained: RFC 8326's community and LOCAL_PREF 0", lambda: on_node(lab, ANY))
    checks.ok("(65535,0)" not in on_node(lab, ALL), "the other address is not")
    checks.ok(virtual_address(lab, ANY)["draining"], "show says so")
    lab.sluice.ctl("drain", ANY, "off")
    checks.eventually(lambda: "(65535,0)" not in on_node(lab, ANY) and "BGP.local_pref: 100" in on_node(lab, ANY), 5,
                      "and taken back")


def all_of_it(checks):
    """One lab, no neighbour named in sluice.yaml; the nodes' BIRDs start after Sluice, the second one later."""
    with running_lab(sluice=False) as lab:
        for node in lab.nodes:
            node.bird.stop()
        announce_stray(lab.master)
        lab.sluice.write_config("", text=CONFIG.format(socket=lab.sluice.socket))
        lab.sluice.start()
        lab.master.start_bird()
        for part in (listen_range, import_policy, attributes, aggregate, modes, drain):
            checks.note(part.__name__)
            part(checks, lab)
            checks.ok(lab.sluice.neighbor(MASTER_ADDRESS)["established"], f"{part.__name__}: the session has lasted")


if __name__ == "__main__":
    check.main(all_of_it)
