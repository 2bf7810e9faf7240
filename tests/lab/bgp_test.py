#!/usr/bin/env python3
"""BGP between Sluice and Calico's BIRD 1.6: sessions, routes both ways, deaths and returns, in three generations of Calico."""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check  # noqa: E402
from harness.command import wait_until  # noqa: E402
from harness.node import VARIANTS  # noqa: E402
from harness.scenario import (LB_ADDRESS, MASTER_ADDRESS, NODE1_ADDRESS, VS_BGP_ONLY, VS_HTTP,  # noqa: E402
                              VS_SCENARIO, running_lab)

ADDRESSES = (VS_SCENARIO, VS_HTTP, VS_BGP_ONLY)


def sluice_route(lab, prefix):
    """The next hops of a route that Sluice uses, or None."""
    for route in lab.sluice.json("show", "ip", "route")["routes"]:
        if route["prefix"] == prefix and route["selected"]:
            return route
    return None


def announced(lab, address):
    return all(node.has_route(address, LB_ADDRESS) for node in lab.nodes)


def generations(checks):
    """Sessions and routes with each generation of Calico's BIRD configuration, and with two of them mixed."""
    for variants in [(name, name) for name in VARIANTS] + [("2019", "v3.33")]:
        label = " and ".join(sorted(set(variants)))
        with running_lab(variants) as lab:
            for node in lab.nodes:
                checks.eventually(lambda node=node: lab.sluice.neighbor(node.address)["established"], 5,
                                  f"{label}: Established with {node.name} on both ends")
                checks.eventually(lambda node=node: (sluice_route(lab, node.block) or {}).get("code") == "B", 5,
                                  f"{label}: Sluice has the block of {node.name}")
                hops = [hop["gateway"] for hop in sluice_route(lab, node.block)["next_hops"]]
                checks.equal(hops, [node.address], f"{label}: its next hop is the node that owns it")
            for address in ADDRESSES:
                checks.eventually(lambda address=address: announced(lab, address), 40,
                                  f"{label}: both kernels have `{address} via {LB_ADDRESS} proto bird`")
            checks.ok(lab.master.has_route("10.244.1.0/24", NODE1_ADDRESS),
                      f"{label}: the mesh's own route is there: End-of-RIB came from Sluice",
                      lab.master.kernel_routes())
            route = lab.master.birdc("show", "route", VS_BGP_ONLY + "/32", "all")
            checks.ok(f"BGP.next_hop: {LB_ADDRESS}" in route and "BGP.local_pref: 100" in route
                      and "BGP.origin: Incomplete" in route, f"{label}: next hop self, LOCAL_PREF 100, origin ?", route)


def facts(checks):
    """`show ip bgp neighbors` has every fact that BIG-IP's shows, as JSON and as text."""
    with running_lab() as lab:
        wait_until(lambda: sluice_route(lab, "10.244.0.0/24"), 10)
        wait_until(lambda: lab.sluice.neighbor(MASTER_ADDRESS)["announced_prefixes"] == 3, 20)
        fact = lab.sluice.neighbor(MASTER_ADDRESS)
        checks.equal((fact["state"], fact["remote_router_id"], fact["remote_as"], fact["internal"]),
                     ("Established", MASTER_ADDRESS, 64512, True), "state, router ID, AS")
        checks.equal((fact["hold_time_s"], fact["keepalive_s"]), (90, 30), "hold time 90 s and keepalive 30 s negotiated")
        capabilities = {c["name"]: (c["advertised"], c["received"]) for c in fact["capabilities"]}
        for word in ("refresh", "IPv4 [Uu]nicast|ipv4 unicast", "[Gg]raceful"):
            found = [both for name, both in capabilities.items() if re.search(word, name)]
            checks.ok((True, True) in found, f"capability {word}: advertised and received",
                      capabilities)
        checks.equal(fact["remote_restart_time_s"], 120, "graceful restart: remote restart time 120 s")
        checks.equal((fact["accepted_prefixes"], fact["announced_prefixes"]), (1, 3), "prefixes accepted and announced")
        checks.equal((fact["connections_established"], fact["connections_dropped"]), (1, 0), "connections")
        for direction in ("messages_sent", "messages_received"):
            counts = fact[direction]
            # Two OPENs when both sides opened at the same moment: one connection lost the collision (RFC 4271 6.8).
            checks.ok(counts["open"] in (1, 2) and counts["update"] >= 1 and counts["keepalive"] >= 1, f"{direction} counted",
                      counts)
        checks.ok(fact["local_address"] == LB_ADDRESS and fact["foreign_address"] == MASTER_ADDRESS
                  and 179 in (fact["local_port"], fact["foreign_port"]) and fact["next_hop"] == LB_ADDRESS,
                  "addresses, ports and next hop", fact)
        text = lab.sluice.show("show", "ip", "bgp", "neighbors", MASTER_ADDRESS)
        for words in ("BGP neighbor is 172.16.40.199", "Established", "hold time is 90", "120",
                      "Connections established 1", LB_ADDRESS):
            checks.ok(words.lower() in text.lower(), f"the text says \"{words}\"", text)
        summary = lab.sluice.show("show", "ip", "bgp", "summary")
        checks.ok(MASTER_ADDRESS in summary and NODE1_ADDRESS in summary, "the summary has both neighbours", summary)
        table = lab.sluice.show("show", "ip", "bgp")
        checks.ok("10.244.0.0/24" in table and VS_BGP_ONLY in table, "the table has both directions' routes", table)
        route = lab.sluice.show("show", "ip", "route")
        checks.ok(re.search(r"^B[ *>]+10\.244\.0\.0/24 \[200/0\] via 172\.16\.40\.199, int_vlan, \d\d:\d\d:\d\d", route, re.M),
                  "show ip route: `B 10.244.0.0/24 [200/0] via 172.16.40.199, int_vlan, hh:mm:ss`", route)
        checks.ok(re.search(r"^C[ *>]+172\.16\.40\.0/24", route, re.M), "connected subnet", route)


def block_syns(node, direction):
    """Lets only one side open TCP connections to port 179."""
    hook, field = ("input", "saddr") if direction == "from-sluice" else ("output", "daddr")
    node.namespace.run("nft", "-f", "-", stdin=f"""
        table ip lab {{
          chain one {{
            type filter hook {hook} priority 0;
            ip {field} {LB_ADDRESS} tcp dport 179 tcp flags syn / syn,ack drop
          }}
        }}""")


def either_side_opens(checks):
    """The session comes up when only Sluice, or only the node, can open the connection."""
    with running_lab(sluice=False) as lab:
        block_syns(lab.master, "from-sluice")
        block_syns(lab.node1, "from-node")
        lab.start_sluice()
        checks.eventually(lambda: lab.master.established(LB_ADDRESS), 30, "only the node opens: Established")
        checks.eventually(lambda: lab.node1.established(LB_ADDRESS), 30, "only Sluice opens: Established")
        checks.equal(lab.sluice.neighbor(MASTER_ADDRESS)["local_port"], 179, "the node connected to our port 179")
        checks.equal(lab.sluice.neighbor(NODE1_ADDRESS)["foreign_port"], 179, "we connected to the node's port 179")


def bird_killed(checks):
    """kill -9 of a BIRD: its routes stay as stale (graceful restart), the session returns, the routes are fresh again."""
    with running_lab() as lab:
        wait_until(lambda: sluice_route(lab, "10.244.0.0/24") and sluice_route(lab, "10.244.1.0/24"), 10)
        lab.master.bird.kill()
        checks.eventually(lambda: not lab.sluice.neighbor(MASTER_ADDRESS)["established"], 5, "the end is noticed")
        checks.ok(sluice_route(lab, "10.244.0.0/24"), "the block stays")
        stale = [path["stale"] for path in lab.sluice.json("show", "ip", "bgp", "10.244.0.0/24")["paths"]]
        checks.equal(stale, [True], "and is marked stale")
        checks.ok(lab.sluice.neighbor(NODE1_ADDRESS)["established"], "the other session is untouched")
        lab.master.start_bird()
        checks.eventually(lambda: lab.sluice.neighbor(MASTER_ADDRESS)["established"], 20, "the session is back")
        checks.eventually(lambda: [path["stale"] for path in lab.sluice.json("show", "ip", "bgp", "10.244.0.0/24")["paths"]]
                          == [False], 10, "the route is fresh again")
        fact = lab.sluice.neighbor(MASTER_ADDRESS)
        checks.equal((fact["connections_established"], fact["connections_dropped"]), (2, 1), "connections counted")
        checks.eventually(lambda: announced(lab, VS_BGP_ONLY), 40, "the node has our routes again")


def bird_says_goodbye(checks):
    """A NOTIFICATION takes the routes along at once, and `last reset` names it."""
    with running_lab() as lab:
        wait_until(lambda: sluice_route(lab, "10.244.0.0/24"), 10)
        name = "Global_" + LB_ADDRESS.replace(".", "_")
        lab.master.birdc("disable", name)
        checks.eventually(lambda: sluice_route(lab, "10.244.0.0/24") is None, 3, "disabled on the node: its block is gone")
        reason = lab.sluice.neighbor(MASTER_ADDRESS)["last_reset_reason"]
        checks.ok("6/2" in reason or "Administrative" in reason, "the reason is Cease/Administrative Shutdown", reason)
        lab.master.birdc("enable", name)
        checks.eventually(lambda: sluice_route(lab, "10.244.0.0/24"), 30, "enabled again: it is back")
        lab.master.bird.stop()
        checks.eventually(lambda: sluice_route(lab, "10.244.0.0/24") is None, 3, "SIGTERM of BIRD: gone at once too")


def hold_timer(checks):
    """A node that falls silent is found out by the hold timer, and its routes go when graceful restart may not keep them."""
    with running_lab(neighbor=", hold-time: 3s") as lab:
        wait_until(lambda: sluice_route(lab, "10.244.0.0/24"), 10)
        checks.equal(lab.sluice.neighbor(MASTER_ADDRESS)["hold_time_s"], 3, "hold time 3 s negotiated")
        lab.master.namespace.run("nft", "-f", "-", stdin="""
            table ip silent {
              chain in {
                type filter hook input priority 0;
                tcp sport 179 drop
                tcp dport 179 drop
              }
              chain out {
                type filter hook output priority 0;
                tcp sport 179 drop
                tcp dport 179 drop
              }
            }""")
        checks.eventually(lambda: not lab.sluice.neighbor(MASTER_ADDRESS)["established"], 3 + 2, "the hold timer expired")
        reason = lab.sluice.neighbor(MASTER_ADDRESS)["last_reset_reason"]
        checks.ok(re.search(r"[Hh]old", reason), "the reason says hold timer", reason)
        checks.eventually(lambda: lab.sluice.neighbor(NODE1_ADDRESS)["established"], 1, "the other session lives")
        lab.master.namespace.run("nft", "delete", "table", "ip", "silent")
        checks.eventually(lambda: lab.sluice.neighbor(MASTER_ADDRESS)["established"], 40, "and comes back by itself")


def password(checks):
    """TCP MD5: the right password works, a wrong one keeps the session down and says so."""
    with running_lab(sluice=False) as lab:
        for node, secret in ((lab.master, "right"), (lab.node1, "wrong")):
            with open(node.config_file, encoding="utf-8") as file:
                text = file.read()
            with open(node.config_file, "w", encoding="utf-8") as file:
                file.write(text.replace(f"neighbor {LB_ADDRESS} as 64512;",
                                        f"neighbor {LB_ADDRESS} as 64512;\n  password \"{secret}\";"))
            node.birdc("configure")
        lab.start_sluice(neighbor=", password: right")
        checks.eventually(lambda: lab.master.established(LB_ADDRESS), 30, "the same password: Established")
        checks.ok(not lab.node1.established(LB_ADDRESS), "another password: not")
        fact = lab.sluice.neighbor(NODE1_ADDRESS)
        checks.ok(not fact["established"] and fact["last_error"], "Sluice says why it is down", fact)
        checks.ok("right" not in lab.sluice.show("show", "config"), "show config does not print the password")


def shutdown(checks):
    """SIGTERM of sluiced withdraws its routes at once; started again, everything returns."""
    with running_lab() as lab:
        for address in ADDRESSES:
            checks.eventually(lambda address=address: announced(lab, address), 40, f"{address} is announced")
        lab.sluice.process.signal(signal.SIGTERM)
        checks.eventually(lambda: not any(node.has_route(address, LB_ADDRESS) for node in lab.nodes
                                          for address in ADDRESSES), 5, "all are withdrawn")
        checks.eventually(lambda: not lab.sluice.running(), 10, "sluiced has ended")
        lab.sluice.start()
        checks.eventually(lambda: all(announced(lab, address) for address in ADDRESSES), 60, "and are back after a start")


def clear(checks):
    """`clear ip bgp` resets a session hard, and refreshes it softly without a reset."""
    with running_lab() as lab:
        before = lab.sluice.neighbor(MASTER_ADDRESS)
        lab.sluice.ctl("clear", "ip", "bgp", MASTER_ADDRESS, "soft", "in")
        checks.eventually(lambda: lab.sluice.neighbor(MASTER_ADDRESS)["messages_sent"]["route_refresh"] == 1, 5,
                          "soft in: one ROUTE-REFRESH goes out")
        checks.ok(lab.sluice.neighbor(MASTER_ADDRESS)["connections_dropped"] == before["connections_dropped"],
                  "and the session stays")
        lab.sluice.ctl("clear", "ip", "bgp", MASTER_ADDRESS)
        checks.eventually(lambda: lab.sluice.neighbor(MASTER_ADDRESS)["connections_established"] == 2
                          and lab.master.established(LB_ADDRESS), 40, "hard: dropped and Established again")
        done = lab.sluice.ctl("clear", "ip", "bgp", "172.16.40.77", check=False)
        checks.ok(done.returncode != 0 and "172.16.40.77" in done.stderr, "an unknown neighbour is an error",
                  done.stderr)


if __name__ == "__main__":
    tests = (generations, facts, either_side_opens, bird_killed, bird_says_goodbye, hold_timer, password, shutdown, clear)
    chosen = [test for test in tests if test.__name__ in sys.argv[1:]]
    check.main(*(chosen or tests))
