#!/usr/bin/env python3
"""sluicectl against a running Sluice: every show as text and JSON, capture, Prometheus, exit codes, help."""

import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check  # noqa: E402
from harness.command import output, run, wait_until  # noqa: E402
from harness.process import Process  # noqa: E402
from harness.scenario import LB_ADDRESS, VS_HTTP, running_lab  # noqa: E402
from harness.sluice import TOOL, build_dir  # noqa: E402

POOL = "cfgmap_default_nginx-vs-81_nginx-deploy-svc"
SHOWS = {  # words: what the text must have
    "virtual": ("Ltm::Virtual Server: default_nginx-vs", "Availability", "172.16.40.80:80"),
    "virtual-address": (VS_HTTP,),
    "pool": (f"Ltm::Pool: {POOL}", "Availability", "10.244.0.76:80"),
    "member": ("10.244.0.76:80",),
    "node": ("10.244.0.76",),
    "monitor": ("cka", "10.244.0.76:80"),
    "ip route": ("10.244.0.0/24", "int_vlan"),
    "ip bgp": ("10.244.0.0/24",),
    "ip bgp summary": ("172.16.40.199",),
    "ip bgp neighbors": ("172.16.40.199", "172.16.40.198"),
    "arp": ("172.16.40.199", "02:00:ac:10:28:c7"),
    "flows": (),
    "workers": (),
    "ports": ("int_vlan", "02:00:ac:10:28:ca"),
    "drops": (),
    "config": ("172.16.40.202/24",),
    "version": ("22.11",),
}


def everything(checks):
    """One lab for all of it."""
    with running_lab() as lab:
        wait_until(lambda: all(m["availability"] == "available" for m in lab.sluice.members(POOL).values()), 40, "not up")
        wait_until(lambda: lab.sluice.neighbor("172.16.40.199")["established"], 20)
        lab.client.http(f"http://{VS_HTTP}/", 10)
        for part in (shows, counters, mode_http_note, captures, prometheus, usage):
            checks.note(f"{part.__name__}: {part.__doc__.splitlines()[0]}")
            part(checks, lab)
    unreachable(checks)


def shows(checks, lab):
    """Every `show` says what it must, as text, and as JSON that parses."""
    for words, needed in SHOWS.items():
        text = lab.sluice.show("show", *words.split())
        missing = [needle for needle in needed if needle not in text]
        checks.ok(text and not missing and "\033" not in text, f"show {words}", f"no {missing} in:\n{text}")
        checks.ok(isinstance(lab.sluice.json("show", *words.split()), dict), f"show {words} --json")


def counters(checks, lab):
    """Counters count what passed: connections, packets and bytes of a known transfer."""
    def traffic():
        virtual = lab.sluice.json("show", "virtual", "default_nginx-vs-81")["virtuals"][0]
        return virtual["clientside"]
    before = traffic()
    result = lab.client.http(f"http://{VS_HTTP}/100", 20)
    checks.equal(result["errors"], [], "20 requests")
    checks.eventually(lambda: traffic()["connections_total"] == before["connections_total"] + 20, 3, "20 connections more")
    after = traffic()
    checks.ok(after["bytes_out"] - before["bytes_out"] > 20 * 300 and after["packets_in"] - before["packets_in"] >= 20 * 5,
              "bytes and packets too", f"{before}\n{after}")


def mode_http_note(checks, lab):
    """A `mode: http` server says how it is served."""
    virtual = lab.sluice.json("show", "virtual", "default_nginx-vs")["virtuals"][0]
    checks.equal((virtual["mode"], virtual["destination"]), ("http", "172.16.40.80:80"), "mode and destination as written")
    checks.note(virtual["note"])


def captures(checks, lab):
    """`capture` writes what passed the engine's ports, filtered, as pcapng that tcpdump reads."""
    path = os.path.join(lab.state_dir, "test.pcapng")
    capture = Process(lab.state_dir, "capture")
    capture.start([os.path.join(build_dir(), TOOL), "--socket", lab.sluice.socket, "capture", "tcp port 80 and host "
                   + VS_HTTP, "-c", "20", "-w", path])
    time.sleep(1)
    lab.client.http(f"http://{VS_HTTP}/", 10)
    checks.ok(wait_until(lambda: not capture.pid(), 10), "it ends after 20 packets", capture.log())
    capture.stop()
    text = output("tcpdump", "-nn", "-r", path, check=False)
    lines = [line for line in text.splitlines() if " > " in line]
    checks.equal(len(lines), 20, "20 packets in the file")
    checks.ok(all(VS_HTTP + ".80" in line for line in lines), "all of them of the filter", text)
    done = lab.sluice.ctl("capture", "tcp port banana", "-w", path, check=False)
    checks.ok(done.returncode != 0 and "banana" in done.stderr, "a filter that makes no sense is an error", done.stderr)


def prometheus(checks, lab):
    """The metrics page parses, line by line."""
    text = lab.lb.output("curl", "-s", "http://127.0.0.1:9100/metrics")
    bad = [line for line in text.splitlines() if line and not line.startswith("#")
           and not re.fullmatch(r'[a-zA-Z_:][\w:]*(\{(\w+="(\\.|[^"\\])*",?)*\})? [-+0-9.eE]+|.* (NaN|[+-]Inf)', line)]
    checks.ok(text.count("\n") > 50 and not bad, "format", bad[:5])
    checks.ok("sluice_" in text and POOL in text, "names and labels", text[:500])


def usage(checks, lab):
    """Wrong usage is exit code 2 with help, unknown things are 1, --help is everywhere."""
    for words, code in ((("show", "nonsense"), 2), ((), 2), (("show", "pool", "no-such-pool"), 1),
                        (("ping", "not-an-address"), 2), (("show", "ip", "route", "banana"), 1)):
        done = lab.sluice.ctl(*words, check=False)
        checks.ok(done.returncode == code and done.stderr, f"sluicectl {' '.join(words)}: {code}",
                  f"{done.returncode}: {done.stderr}{done.stdout}")
    for words in ((), ("show",), ("show", "ip", "bgp"), ("modify", "member"), ("capture",), ("ping",)):
        done = lab.sluice.ctl(*words, "--help", check=False)
        checks.ok(done.returncode == 0 and "sage" in done.stdout, f"sluicectl {' '.join(words)} --help", done.stdout)
    checks.ok(LB_ADDRESS in lab.sluice.show("sh", "ip", "bgp", "sum"), "words may be shortened")


def unreachable(checks):
    """Without a daemon: exit code 3 and one sentence."""
    done = run(os.path.join(build_dir(), TOOL), "--socket", "/nowhere.sock", "show", "pool", check=False)
    checks.ok(done.returncode == 3 and "/nowhere.sock" in done.stderr, "sluiced is not running: exit code 3", done.stderr)


if __name__ == "__main__":
    check.main(everything)
