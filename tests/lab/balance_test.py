#!/usr/bin/env python3
"""L4 virtual servers with real clients and pods: spread, exact counts, large transfers, source addresses, UDP, limits."""

import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check, kubernetes  # noqa: E402
from harness.command import wait_until  # noqa: E402
from harness.scenario import (HTTP_PORTS, LB_ADDRESS, VS_BGP_ONLY, VS_HTTP, VS_SCENARIO, running_lab)  # noqa: E402

POOLS = ("cfgmap_default_nginx-vs_nginx-deploy-svc", "cfgmap_default_nginx-vs-81_nginx-deploy-svc",
         "cfgmap_default_nginx-vs-99_nginx-deploy-svc")
EXTRA = """
pools:
  limited:
    balance: round-robin
    members: [{address: "10.244.0.76:80", connection-limit: 2}, {address: "10.244.0.77:80", connection-limit: 1}]
  sticky:
    balance: round-robin
    members: ["10.244.0.76:80", "10.244.0.77:80", "10.244.0.78:80", "10.244.1.37:80"]
  hashed:
    balance: consistent-hash
    members: ["10.244.0.76:80", "10.244.0.77:80", "10.244.0.78:80", "10.244.1.37:80"]
  weighted:
    balance: ratio-member
    members: [{address: "10.244.0.76:80", ratio: 3}, {address: "10.244.0.77:80", ratio: 1}]
  preferred:
    min-active-members: 1
    members: [{address: "10.244.0.76:80", priority-group: 10}, {address: "10.244.0.77:80", priority-group: 5}]
  closed:
    members: ["10.244.0.76:9"]
snat-pools:
  outside: {members: [172.16.40.210, 172.16.40.211]}
virtual-servers:
  limited: {destination: "172.16.40.83:80", pool: limited}
  sticky: {destination: "172.16.40.84:80", pool: sticky, persistence: source-address, persistence-timeout: 60s}
  hashed: {destination: "172.16.40.85:80", pool: hashed}
  weighted: {destination: "172.16.40.86:80", pool: weighted, snat: pool, snat-pool: outside}
  preferred: {destination: "172.16.40.87:80", pool: preferred}
  closed: {destination: "172.16.40.88:9", mode: udp, pool: closed}
"""


def everything(checks):
    """One lab for all of it: each part uses virtual servers of its own or restores what it changed."""
    with running_lab(extra=EXTRA) as lab:
        for pool in POOLS:
            wait_until(lambda pool=pool: lab.sluice.in_full(pool), 60, f"members of {pool} do not come up")
        for part in (spread, exact_least_connections, transfers, snat, udp, limits, persistence, ratio, priorities,
                     port_used_again, icmp_errors, type_of_service, accounting):
            checks.note(f"{part.__name__}: {part.__doc__.splitlines()[0]}")
            part(checks, lab)


def spread(checks, lab):
    """Every pod takes its share, whoever asks and from wherever."""
    pods = len(lab.default_pods())
    for client, name in ((lab.client, "client"), (lab.far_client, "client beyond the gateway")):
        for address in (VS_SCENARIO, VS_HTTP, VS_BGP_ONLY):
            result = client.http(f"http://{address}/", pods * 10, 4)
            checks.ok(not result["errors"] and len(result["answers"]) == pods, f"{name} → {address}: all pods answer",
                      json.dumps(result))
    result = lab.client.http(f"http://{VS_HTTP}/", pods * 10)
    checks.equal(sorted(result["answers"].values()), [10] * pods, "round-robin is exact")
    result = lab.pods["10.244.0.76"].namespace.output("curl", "-s", "-m", "5", f"http://{VS_HTTP}/")
    checks.ok(result.startswith("cka nginx-"), "a pod reaches the virtual server itself", result)


def exact_least_connections(checks, lab):
    """Open connections of least-connections-member differ by one at most, also when some close."""
    pods = [lab.pods[address] for address in lab.default_pods()]
    wait_until(lambda: sum(member["serverside"]["connections_current"]
                           for member in lab.sluice.members(POOLS[2]).values()) == 0, 20, "earlier ones do not end")
    held = lab.client.background("hold", VS_BGP_ONLY, 80, 31)
    try:
        held.stdout.readline()
        counts = [pod.connections() for pod in pods]
        checks.ok(sum(counts) == 31 and max(counts) - min(counts) <= 1, f"31 connections: {counts}", counts)
        current = [member["serverside"]["connections_current"] for member in lab.sluice.members(POOLS[2]).values()]
        checks.equal(sorted(current), sorted(counts), "show member counts the same")
        flows = lab.sluice.json("show", "flows", "virtual", "default_nginx-vs-99", "limit", "1000")
        checks.equal(len([flow for flow in flows["flows"] if flow["state"].lower() == "established"]), 31,
                     "show flows lists them")
    finally:
        lab.finish(held)
    checks.eventually(lambda: sum(pod.connections() for pod in pods) == 0, 5, "all close when the client closes")
    checks.eventually(lambda: sum(member["serverside"]["connections_current"]
                                  for member in lab.sluice.members(POOLS[2]).values()) == 0, 15, "and are counted off")


def transfers(checks, lab):
    """A megabyte arrives complete and right, over veth with partial checksums and giant segments."""
    for address in (VS_SCENARIO, VS_BGP_ONLY):
        digest = lab.client.namespace.output("bash", "-c", f"curl -s -m 20 http://{address}/1m | wc -c")
        checks.equal(digest.strip(), str(1 << 20), f"1 MiB from {address}")
    text = lab.client.namespace.output("bash", "-c", f"curl -s -m 20 http://{VS_HTTP}/1m")
    checks.ok(re.fullmatch(r"(nginx-\d+ )\1*(?:nginx-?\d*)?|(nginx-\d+ )+n?g?i?n?x?-?\d*", text) is not None
              and len(set(text.split()[:-1])) == 1, "and every word of it is the same pod's")


def snat(checks, lab):
    """Pods see the self IP as the client's address (automap), or one of the pool."""
    seen = set()
    lab.client.http(f"http://{VS_HTTP}/", 12)
    for address in lab.default_pods():
        with open(os.path.join(lab.pods[address].directory, "access.log"), encoding="ascii") as file:
            seen.update(line.split()[0] for line in file.readlines()[-3:])
    checks.ok(seen <= {LB_ADDRESS}, f"automap: pods see {seen}", seen)
    result = lab.client.http("http://172.16.40.86/", 8)
    checks.equal(result["errors"], [], "through a SNAT pool")
    with open(os.path.join(lab.pods["10.244.0.76"].directory, "access.log"), encoding="ascii") as file:
        seen = {line.split()[0] for line in file.readlines()[-3:]}
    checks.ok(seen <= {"172.16.40.210", "172.16.40.211"}, f"pool: the pod sees {seen}", seen)


def udp(checks, lab):
    """Datagrams are balanced, answered from the virtual address, and large ones travel in fragments."""
    pods = len(lab.default_pods())
    result = lab.client.udp(VS_HTTP, 7, pods * 5)
    checks.ok(not result["errors"] and sorted(result["answers"].values()) == [5] * pods, "every pod answers its share",
              json.dumps(result))
    text = lab.client.namespace.output(sys.executable, "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect(("{VS_HTTP}", 7))
s.send(b"x" * 4000); print(len(s.recv(65535)))""")
    checks.ok(int(text) > 4000, "4,000 bytes there and back, in fragments", text)


def limits(checks, lab):
    """Connection limits hold exactly; one more is refused with RST, and counted."""
    held = lab.client.background("hold", "172.16.40.83", 80, 3)
    held.stdout.readline()
    result = lab.client.http("http://172.16.40.83/", 1)
    checks.ok(result["errors"] and ("refused" in result["errors"][0] or "reset" in result["errors"][0]),
              "the fourth of 2 + 1 is refused at once", json.dumps(result))
    members = lab.sluice.members("limited")
    checks.equal([members[f"10.244.0.7{n}:80"]["serverside"]["connections_current"] for n in (6, 7)], [2, 1],
                 "each member has its limit")
    lab.finish(held)
    checks.eventually(lambda: not lab.client.http("http://172.16.40.83/", 1)["errors"], 15, "free again: served again")


def persistence(checks, lab):
    """Source persistence and consistent hashing keep a client on its member; another client may have another."""
    for address, name in (("172.16.40.84", "persistence source-address"), ("172.16.40.85", "consistent-hash")):
        result = lab.client.http(f"http://{address}/", 20)
        checks.ok(not result["errors"] and len(result["answers"]) == 1, f"{name}: one client, one member",
                  json.dumps(result))


def ratio(checks, lab):
    """ratio-member 3:1 gives three times as much."""
    result = lab.client.http("http://172.16.40.86/", 40)
    checks.equal(dict(result["answers"]), {"nginx-76": 30, "nginx-77": 10}, "40 requests at 3:1")


def priorities(checks, lab):
    """The preferred group takes all while it has enough members, the next one when it does not."""
    result = lab.client.http("http://172.16.40.87/", 10)
    checks.equal(dict(result["answers"]), {"nginx-76": 10}, "the preferred group takes all")
    lab.sluice.ctl("modify", "member", "preferred", "10.244.0.76:80", "state", "offline")
    result = lab.client.http("http://172.16.40.87/", 10)
    checks.equal(dict(result["answers"]), {"nginx-77": 10}, "forced offline: the next group does")
    lab.sluice.ctl("modify", "member", "preferred", "10.244.0.76:80", "state", "enabled")
    result = lab.client.http("http://172.16.40.87/", 10)
    checks.equal(dict(result["answers"]), {"nginx-76": 10}, "enabled: back to the first")


def port_used_again(checks, lab):
    """Another client with the same source port meets the pod's TIME_WAIT of the first: it must get through all the same."""
    for round_number in range(3):
        for client in (lab.client, lab.far_client):
            seconds = client.namespace.output(sys.executable, "-c", f"""
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.settimeout(6)
s.bind(("", {20000 + round_number})); began = time.monotonic()
s.connect(("172.16.40.87", 80)); s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
while s.recv(4096): pass
print(time.monotonic() - began)""", check=False)
            checks.ok(seconds and float(seconds) < 2.5, f"port {20000 + round_number} of {client.address}: {seconds} s")
            time.sleep(2.5)  # until our own flow has left TIME_WAIT and its port is free again


def icmp_errors(checks, lab):
    """ICMP errors about a flow reach the side that they concern, with that side's own addresses in them."""
    result = lab.client.udp("172.16.40.88", 9, 2)
    checks.ok(len(result["errors"]) == 2 and all("refused" in error for error in result["errors"]),
              "the pod's port unreachable reaches the client", json.dumps(result))
    # A narrow link behind the gateway: the far client offers MSS 1460, the gateway says what really fits.
    lab.gateway.ip("link set dev eth1 mtu 1300")
    size = lab.far_client.namespace.output("bash", "-c", f"curl -s -m 20 http://{VS_HTTP}/1m | wc -c")
    checks.equal(size, str(1 << 20), "fragmentation needed reaches the pod: a megabyte passes a link of MTU 1300")
    cached = [lab.pods[address].namespace.output("ip", "route", "get", LB_ADDRESS) for address in lab.default_pods()]
    checks.ok(any("mtu 1300" in text for text in cached), "and a pod has learned that MTU for our address", cached)
    lab.gateway.ip("link set dev eth1 mtu 1500")


def type_of_service(checks, lab):
    """DSCP and ECN pass unchanged."""
    pod = lab.pods["10.244.0.76"]
    receiver = subprocess.Popen(["ip", "netns", "exec", pod.namespace.name, sys.executable, "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 9)); s.setsockopt(0, 13, 1); s.settimeout(10)
print("ready", flush=True)
_, ancillary, _, _ = s.recvmsg(100, 100)
print(ancillary[0][2][0])"""], stdout=subprocess.PIPE, text=True)
    try:
        receiver.stdout.readline()
        lab.client.namespace.run(sys.executable, "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(0, 1, 0xba); s.sendto(b"x", ("172.16.40.88", 9))""")
        checks.equal(receiver.communicate(timeout=15)[0].strip(), str(0xBA), "TOS byte 0xba arrives as 0xba")
    finally:
        receiver.kill()


def accounting(checks, lab):
    """Nothing leaks: buffers in use return to their level when traffic stops."""
    lab.client.http(f"http://{VS_HTTP}/1m", 20, 4)
    time.sleep(1)
    workers = lab.sluice.json("show", "workers")["workers"]
    in_use = sum(worker["pool_in_use"] for worker in workers)
    lab.client.http(f"http://{VS_HTTP}/1m", 60, 8)
    checks.eventually(lambda: sum(worker["pool_in_use"] for worker in lab.sluice.json("show", "workers")["workers"])
                      <= in_use, 10, f"buffers in use return to {in_use}")


def no_endpoints(checks):
    """A service without endpoints answers RST, and ICMP unreachable for UDP; and its address is not announced."""
    with running_lab(pods=[]) as lab:
        result = lab.client.http(f"http://{VS_HTTP}/", 2)
        checks.ok(len(result["errors"]) == 2 and "refused" in result["errors"][0], "connection refused", json.dumps(result))
        result = lab.client.udp(VS_HTTP, 7, 1)
        checks.ok(result["errors"] and "refused" in result["errors"][0], "UDP: port unreachable", json.dumps(result))
        checks.ok(not lab.master.has_route(VS_BGP_ONLY, LB_ADDRESS), "nothing is announced")
        lab.manifests.write("nginx-endpoints", kubernetes.endpoints("nginx-deploy-svc", ["10.244.0.76"], HTTP_PORTS))
        checks.eventually(lambda: not lab.client.http(f"http://{VS_HTTP}/", 1)["errors"], 10, "an endpoint joins: served")
        checks.eventually(lambda: lab.master.has_route(VS_BGP_ONLY, LB_ADDRESS), 40, "and announced")


if __name__ == "__main__":
    check.main(everything, no_endpoints)
