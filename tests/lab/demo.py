#!/usr/bin/env python3
"""The demonstration that the quickstart ends with: the reference deployment at work, each claim shown and checked.

Usage: demo.py up [--variant V] [--keep] | show | down. `up` builds the lab, shows everything and leaves it running;
`show` repeats the demonstration on a running lab. Called by: quickstart, tests/lab/demo_test.py.
"""

import argparse
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness.command import LabError, wait_until  # noqa: E402
from harness.http_client import Connection  # noqa: E402
from harness.node import VARIANTS  # noqa: E402
from harness.scenario import (CLIENT_ADDRESS, LB_ADDRESS, MASTER_ADDRESS, MASTER_PODS, NODE1_ADDRESS, NODE1_PODS,  # noqa: E402
                              STATE_DIR, VS_BGP_ONLY, VS_HTTP, VS_SCENARIO, Lab, lock_machine)
from harness.sluice import build_dir, TOOL  # noqa: E402
from harness.stage import Stage, paint  # noqa: E402

CTL = os.path.join(STATE_DIR, "sluicectl")
MASTER = "ip netns exec sluice-master"
NODE1 = "ip netns exec sluice-node1"
CLIENT = "ip netns exec sluice-client"
POOL = "cfgmap_default_nginx-vs_nginx-deploy-svc"
POOL_FAST = "cfgmap_default_nginx-vs-81_nginx-deploy-svc"


def write_tool(lab):
    """A sluicectl that knows the lab's socket, for the shown commands and for looking around afterwards."""
    with open(CTL, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n# sluicectl of this build, talking to the lab's Sluice.\n"
                   f'exec {os.path.join(build_dir(), TOOL)} --socket {lab.sluice.socket} "$@"\n')
    os.chmod(CTL, 0o755)


def sessions(lab, stage):
    stage.title("BGP: sessions with Calico's BIRD on both nodes")
    stage.wait(lambda: all(node.established(LB_ADDRESS) for node in lab.nodes), 30, "both nodes have the session up")
    for node, prefix in ((lab.master, MASTER), (lab.node1, NODE1)):
        stage.shell(f"{prefix} birdc -s {node.socket} show protocols",
                    keep=lambda line: "BGP" in line or "name" in line)
    stage.shell(f"{CTL} show ip bgp summary")
    neighbors = lab.sluice.json("show", "ip", "bgp", "neighbors")["neighbors"]
    stage.check(len(neighbors) == 2 and all(neighbor["established"] for neighbor in neighbors),
                "Sluice sees both neighbours Established")
    stage.shell(f"{CTL} show ip bgp neighbors {MASTER_ADDRESS}", lines_max=45)


def routes(lab, stage):
    stage.title("Routes: pod blocks towards Sluice, virtual addresses towards the nodes")
    addresses = (VS_SCENARIO, VS_HTTP, VS_BGP_ONLY)
    stage.wait(lambda: all(node.has_route(address, LB_ADDRESS) for node in lab.nodes for address in addresses), 45,
               f"both nodes route {', '.join(addresses)} via {LB_ADDRESS} proto bird")
    stage.shell(f"{MASTER} birdc -s {lab.master.socket} show route", keep=lambda line: "[" in line)
    stage.shell(f"{MASTER} ip route show proto bird")
    text = stage.shell(f"{CTL} show ip route")
    for block, node in (("10.244.0.0/24", MASTER_ADDRESS), ("10.244.1.0/24", NODE1_ADDRESS)):
        stage.check(re.search(rf"^B\S* .*{re.escape(block)} \[200/0\] via {node}, int_vlan", text, re.M),
                    f"Sluice learned {block} via {node}")
    stage.check(re.search(rf"^K.*{re.escape(VS_BGP_ONLY)}/32", text, re.M),
                f"{VS_BGP_ONLY} is in no connected subnet: BGP alone makes it reachable")


def ttl_of(text):
    found = {int(ttl) for ttl in re.findall(r"\bttl=(\d+)", text)}
    return found.pop() if len(found) == 1 else found


def pings(stage):
    stage.title("Ping: the virtual addresses answer for themselves, and Sluice reaches pods through its own engine")
    for where, ttl, what in ((MASTER, 255, "a node"), ("ip netns exec sluice-pod76", 254, "a pod, one hop further,")):
        for address in (VS_HTTP, VS_BGP_ONLY):
            text = stage.shell(f"{where} ping -n -c 2 -i 0.2 {address}", keep=lambda line: "bytes from" in line,
                               check=False)
            stage.check(text.count(" bytes from ") == 2 and ttl_of(text) == ttl, f"{what} sees ttl={ttl}")
    for address in (MASTER_PODS[0], NODE1_PODS[0]):
        text = stage.shell(f"{CTL} ping -c 2 -i 0.2 {address}", keep=lambda line: "bytes from" in line, check=False)
        stage.check(text.count(" bytes from ") == 2 and ttl_of(text) == 63, "one routed hop: ttl=63")


def available(lab, pool):
    pools = lab.sluice.json("show", "pool", pool)["pools"]
    return {member["member"] for member in pools[0]["members"] if member["availability"] == "available"}


def balancing(lab, stage):
    stage.title("HTTP: requests from a client are spread over the pods")
    expected = {f"{address}:80" for address in lab.default_pods()}
    for pool in (POOL, POOL_FAST):
        stage.wait(lambda pool=pool: available(lab, pool) == expected, 30,
                   f"monitors found {len(expected)} members of {pool} up")
    stage.wait(lambda: lab.sluice.in_full(POOL) and lab.sluice.in_full(POOL_FAST), 30,
               "every member has finished its slow ramp of 10 s")
    stage.shell(f"{CTL} show virtual --brief")
    stage.shell(f"{CTL} show virtual default_nginx-vs", lines_max=16)
    stage.shell(f"{CLIENT} curl -s http://{VS_SCENARIO}/")
    stage.say(paint("2", "60 requests to each virtual server, a connection each, counted by the pod that answered:"))
    for client, name in ((lab.client, "client"), (lab.far_client, "client beyond the gateway")):
        for address in (VS_SCENARIO, VS_HTTP, VS_BGP_ONLY):
            result = client.http(f"http://{address}/", 60)
            counts = ", ".join(f"{pod} {count}" for pod, count in sorted(result["answers"].items()))
            stage.say(f"  {name} → {address}:80  {counts}")
            stage.check(not result["errors"] and len(result["answers"]) == len(expected),
                        f"{60 - len(result['errors'])} of 60 answered, by {len(result['answers'])} of {len(expected)} pods"
                        + (f"; {result['errors'][0]}" if result["errors"] else ""))
    result = lab.client.udp(VS_HTTP, 7, 30)
    stage.say(f"  client → {VS_HTTP}:7/udp  " + ", ".join(f"{k} {v}" for k, v in sorted(result["answers"].items())))
    stage.check(not result["errors"] and len(result["answers"]) == len(expected),
                f"{30 - len(result['errors'])} of 30 datagrams answered, by {len(result['answers'])} pods")
    stage.shell(f"{CTL} show pool {POOL}", lines_max=24)


def http_proxy(lab, stage):
    stage.title(f"Mode http: {VS_SCENARIO}:80, the scenario's ConfigMap word for word, is a proxy in the packet engine")
    stage.shell(f"{CLIENT} curl -s http://{VS_SCENARIO}/seen", lines_max=4)
    wanted = f'xff="{CLIENT_ADDRESS}"'

    def logs_of_client():
        logs = [os.path.join(lab.pods[address].directory, "access.log") for address in lab.default_pods()]
        return [log for log in logs if wanted in open(log, encoding="ascii", errors="replace").read()]

    # nginx writes its log after the answer.
    logs = wait_until(logs_of_client, 10)
    stage.check(logs, f"nginx was told who the client is: {wanted} (kubernetes.http.x-forwarded-for: true)")
    if logs:
        stage.shell(f"grep xff=.{CLIENT_ADDRESS} {logs[0]} | tail -1")
    with Connection(lab.client.namespace, VS_SCENARIO) as connection:
        requests = [connection.get().status for _ in range(20)]
        stage.check(requests == [200] * 20, "20 requests on one connection answered")
    with Connection(lab.client.namespace, VS_SCENARIO) as connection:
        connection.send("GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nGET /admin HTTP/1.1\r\n\r\n")
        answer = connection.answer()
        stage.check(answer.status == 400, "a request that two parsers could read differently: 400, and no pod sees it")
    text = stage.shell(f"{CTL} show errors default_nginx-vs")
    stage.check("request" in text and "400" in text, "with the byte at fault, the client and the reason")
    stage.shell(f"{CTL} show virtual default_nginx-vs | sed -n '/^HTTP/,$p'", lines_max=40)
    http = lab.sluice.json("show", "virtual", "default_nginx-vs")["virtuals"][0]["http"]
    total = http["latency"]["total"]
    stage.check(http["requests"] >= 80 and http["server_reuse"] >= 19 and total["p99_ms"] >= total["p50_ms"] > 0,
                f"{http['requests']} requests on {http['server_connects']} server connections, median "
                f"{total['p50_ms']} ms")


def pod_stops(lab, stage):
    stage.title("A pod stops: its monitor marks it down, and no request is lost after that")
    pod = lab.pods[MASTER_PODS[1]]
    member = f"{pod.address}:80"
    stage.shell(f"kill {pod.nginx.pid()}    # nginx of {pod.name} at {pod.address}")
    for pool, timeout in ((POOL_FAST, 5), (POOL, 30)):
        stage.wait(lambda pool=pool: member not in available(lab, pool), timeout,
                   f"{member} is down in {pool} within its monitor's timeout of {timeout} s")
    stage.shell(f"{CTL} show member {POOL_FAST} | cut -d' ' -f2- | grep -E 'Member|{member}'")
    for address in (VS_HTTP, VS_SCENARIO):
        result = lab.client.http(f"http://{address}/", 200, 4)
        stage.check(not result["errors"] and pod.name not in result["answers"],
                    f"{200 - len(result['errors'])} of 200 requests to {address} answered, "
                    f"{result['answers'].get(pod.name, 0)} by {pod.name}"
                    + (f"; {result['errors'][0]}" if result["errors"] else ""))
    pod.start_nginx()
    stage.say(f"(nginx of {pod.name} is started again)")
    stage.wait(lambda: member in available(lab, POOL_FAST), 10, f"{member} is back")
    stage.wait(lambda: member in available(lab, POOL), 31, f"{member} is back in the scenario's pool too")


def pod_joins(lab, stage):
    stage.title("A pod joins: the Endpoints manifest gains an address, and it takes requests")
    address = MASTER_PODS[-1]
    path = lab.manifests.path("nginx-endpoints")
    stage.shell(f"sed -i 's/^  - ip: {re.escape(MASTER_PODS[0])}$/&\\n  - ip: {address}/' {path}")
    stage.shell(f"grep -n 'ip:' {path}")
    stage.wait(lambda: f"{address}:80" in available(lab, POOL_FAST), 10, f"{address}:80 is a member and up")
    name, errors, answered = lab.pods[address].name, [], {}

    def takes_its_share():
        result = lab.client.http(f"http://{VS_HTTP}/", 70)
        errors.extend(result["errors"])
        answered.update(result["answers"])
        return errors or answered.get(name, 0) >= 10

    # Its share grows with the slow ramp of 10 s.
    stage.wait(takes_its_share, 15, f"it has its full share: 10 of 70 requests are answered by {name}")
    stage.check(not errors, "and every request was answered" if not errors else f"failed: {errors[0]}")


def bird_dies(lab, stage):
    stage.title("A node's BIRD is killed and comes back: forwarding goes on, the session returns by itself")
    node = lab.master
    before = lab.sluice.neighbor(node.address)["connections_established"]
    traffic = lab.client.background("stream", f"http://{VS_HTTP}/", 14)
    stage.shell(f"kill -9 {node.bird.pid()}    # bird of k8s-master")
    stage.wait(lambda: not lab.sluice.neighbor(node.address)["established"], 5, "Sluice noticed that the session ended")
    stage.shell(f"{CTL} show ip bgp summary")
    stage.check("10.244.0.0/24" in stage.shell(f"{CTL} show ip route 10.244.0.0/24"),
                "its block stays as stale while graceful restart lasts")
    node.start_bird()
    stage.say("(bird of k8s-master is started again)")
    stage.wait(lambda: lab.sluice.neighbor(node.address)["established"] and node.established(LB_ADDRESS), 30,
               "the session is Established again, on both ends")
    events = lab.finish(traffic)["events"]
    errors = [event for event in events if event[2]]
    stage.check(not errors and len(events) > 100,
                f"{len(events)} requests meanwhile, {len(errors)} failed" + (f": {errors[0][2]}" if errors else ""))
    after = lab.sluice.neighbor(node.address)
    stage.check(after["connections_established"] == before + 1, f"last reset: {after['last_reset_reason']}")


def engine(lab, stage):
    stage.title("The engine: every packet accounted for")
    stage.shell(f"{CTL} show workers")
    stage.shell(f"{CTL} show drops")
    drops = lab.sluice.json("show", "drops")
    stage.check(drops["total"] == sum(reason["count"] for reason in drops["reasons"]),
                f"{drops['total']} drops, each under a named reason")


def demonstrate(lab):
    stage = Stage()
    sessions(lab, stage)
    routes(lab, stage)
    pings(stage)
    balancing(lab, stage)
    http_proxy(lab, stage)
    pod_stops(lab, stage)
    pod_joins(lab, stage)
    bird_dies(lab, stage)
    engine(lab, stage)
    print()
    for text in stage.failed:
        print(f"{paint('31;1', '✗')} {text}")
    print(f"{stage.passed} checks passed, {len(stage.failed)} failed, {time.monotonic() - stage.started:.0f} s")
    return stage


def look_around():
    print(f"""
The lab is running. To look around:
  {CTL} show virtual            (also: show pool, show ip bgp neighbors, show flows, show drops; --json)
  {CTL} capture -w /tmp/sluice.pcapng
  {CLIENT} curl http://{VS_SCENARIO}/
  {MASTER} ip route
  {MASTER} birdc -s {STATE_DIR}/bird-master.ctl show route
  edit {STATE_DIR}/manifests/*.yaml and {STATE_DIR}/sluice.yaml: Sluice follows
  tail -f {STATE_DIR}/log/sluiced.log
It ends with:
  ./quickstart down""")


def up(lab, keep):
    """Builds the lab and shows it. Whatever goes wrong, or Ctrl-C, removes it again, unless `keep`."""
    finished = False
    try:
        print("== lab: namespaces, Calico nodes, pods, clients", flush=True)
        lab.up()
        lab.write_manifests()
        lab.start_sluice()
        write_tool(lab)
        stage = demonstrate(lab)
        finished = not stage.failed
        if finished:
            look_around()
    except LabError as error:
        print(f"\n{paint('31;1', '✗')} {error}", file=sys.stderr)
    finally:
        if not finished:
            log = lab.sluice.process.log(15)
            if log:
                print(f"\nthe last lines of {lab.sluice.process.log_file}:\n{log}", file=sys.stderr)
            if keep:
                print(f"the lab is kept (--keep); `./quickstart down` removes it; logs: {lab.state_dir}/log",
                      file=sys.stderr)
            else:
                print("removing the lab (--keep would keep it)", file=sys.stderr)
                lab.down()
    return 0 if finished else 1


def main():
    parser = argparse.ArgumentParser(prog="./quickstart", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("up", "show", "down"))
    parser.add_argument("--variant", choices=VARIANTS, default="2019", help="generation of Calico's BIRD configuration")
    parser.add_argument("--keep", action="store_true", help="keep the lab when something fails")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab = Lab((arguments.variant, arguments.variant))
    lock_machine()
    if arguments.action == "down":
        lab.down()
        return 0
    if arguments.action == "show":
        if not lab.sluice.running():
            raise LabError("the lab is not running: `./quickstart` brings it up")
        lab.write_endpoints(lab.default_pods())
        return 1 if demonstrate(lab).failed else 0
    return up(lab, arguments.keep)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"quickstart: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
