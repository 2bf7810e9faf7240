#!/usr/bin/env python3
"""One sluiced on a veth: ARP, ping of self IP and virtual address, HTTP through it, reload under traffic, clean end.

Usage: daemon_smoke.py BUILD_DIR [WORKERS]. Needs root; works in network namespaces of its own. Prints TAP.
"""

import ctypes
import http.client
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from daemon_world import eventually, ok, run, summary

BUILD = os.path.abspath(sys.argv[1])
WORKERS = int(sys.argv[2]) if len(sys.argv) > 2 else 1
ID = f"smk{os.getpid() % 100000}"
LB, NET = f"{ID}-lb", f"{ID}-net"
VIP, SELF, CLIENT, SERVERS = "10.77.0.80", "10.77.0.2", "10.77.0.1", ("10.77.0.11", "10.77.0.12")
CLONE_NEWNET = 0x40000000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"hello from {self.server.server_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def in_namespace(name, work):
    """Runs work() on a thread that lives in the namespace; sockets made there stay there."""
    def body():
        with open(f"/run/netns/{name}", "rb") as file:
            setns(file.fileno())
        work()
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread


def setns(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def get(path="/", connection=None):
    mine = connection or http.client.HTTPConnection(VIP, 80, timeout=3, source_address=(CLIENT, 0))
    mine.request("GET", path)
    text = mine.getresponse().read().decode()
    if connection is None:
        mine.close()
    return text


def config(members, extra=""):
    return f"""
engine: {{workers: {WORKERS}, memory: 256MB, packet-buffers: 8192}}
ports: {{net0: {{device: "net_af_packet0,iface={ID}a"}}}}
self-ips: [{{address: {SELF}/24, port: net0}}]
monitors: {{web: {{type: http, interval: 1s, timeout: 3s, send: "GET / HTTP/1.0\\r\\n\\r\\n", recv: "hello"}}}}
pools: {{web: {{monitors: [web], members: [{", ".join(f'"{m}:8080"' for m in members)}]}}}}
virtual-servers: {{web: {{destination: "{VIP}:80", pool: web}}}}
{extra}
"""


class Smoke:
    def __init__(self, folder):
        self.folder = folder
        self.socket = folder + "/sock"
        self.file = folder + "/sluice.yaml"
        self.daemon = None

    def set_up(self):
        for name in (LB, NET):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", ID + "a", "netns", LB, "type", "veth", "peer", "name", ID + "b", "netns", NET)
        run("ip", "-n", LB, "link", "set", ID + "a", "up")
        run("ip", "-n", NET, "link", "set", ID + "b", "up")
        for address in (CLIENT, *SERVERS):
            run("ip", "-n", NET, "addr", "add", address + "/24", "dev", ID + "b")
        ready = threading.Barrier(len(SERVERS) + 1)
        for address in SERVERS:
            def serve(address=address):
                server = http.server.ThreadingHTTPServer((address, 8080), Handler)
                ready.wait()
                server.serve_forever()
            in_namespace(NET, serve)
        ready.wait(10)

    def tear_down(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        for name in (LB, NET):
            run("ip", "netns", "del", name, check=False)

    def write(self, text):
        with open(self.file + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.file + ".new", self.file)

    def ctl(self, *words, check=True):
        return run(BUILD + "/control/cli/sluicectl", "--socket", self.socket, *words, check=check)

    def json(self, *words):
        return json.loads(self.ctl("--json", *words).stdout)

    def start(self):
        with open(self.folder + "/log", "w", encoding="utf-8") as log:
            self.daemon = subprocess.Popen(
                ["ip", "netns", "exec", LB, BUILD + "/control/daemon/sluiced", "--config", self.file, "--socket", self.socket,
                 "--host-interface", ID + "t"], stderr=log, stdout=log)
        return eventually(lambda: self.daemon.poll() is not None or self.ready(), 30) and self.daemon.poll() is None

    def log(self):
        with open(self.folder + "/log", encoding="utf-8") as file:
            return file.read()

    def ready(self):
        return os.path.exists(self.socket) and "is ready" in self.log()

    def states(self):
        return {m["member"]: m["availability"] for m in self.json("show", "member")["members"]}


def traffic(smoke):
    before = run("ip", "netns", "exec", LB, "ip", "rule").stdout
    smoke.write(config(SERVERS[:1]))
    ok(smoke.start(), f"sluiced starts with {WORKERS} workers", smoke.log())
    for address in (SELF, VIP):
        ping = run("ip", "netns", "exec", NET, "ping", "-c2", "-i0.2", "-W2", address, check=False).stdout
        ok("ttl=255" in ping and " 0% packet loss" in ping, f"ping {address}", ping)
    ok(eventually(lambda: smoke.states() == {SERVERS[0] + ":8080": "available"}, 10), "the monitor finds the member up",
       smoke.ctl("show", "monitor").stdout)
    ok(get() == f"hello from {SERVERS[0]}", "HTTP through the virtual address")
    ping = smoke.ctl("ping", SERVERS[0], "-c", "2", "-i", "0.2").stdout
    ok("ttl=64" in ping and "2 received" in ping, "sluicectl ping", ping)
    reload_under_traffic(smoke)
    for words in ("virtual", "pool", "arp", "workers", "drops"):
        ok(smoke.ctl("show", words).stdout, f"show {words}")
    entries = {e["address"]: e["state"] for e in smoke.json("show", "arp")["arp"]}
    ok(entries.get(SERVERS[0]) == "reachable", "the member is a neighbor", entries)
    smoke.daemon.terminate()
    ok(eventually(lambda: smoke.daemon.poll() is not None, 15) and smoke.daemon.returncode == 0, "SIGTERM ends it with 0",
       smoke.log())
    after = run("ip", "netns", "exec", LB, "ip", "rule").stdout
    links = run("ip", "-n", LB, "link").stdout
    ok(before == after and ID + "t" not in links and not os.path.exists(smoke.socket), "nothing is left in the kernel",
       before + after + links)
    complaints = [line for line in smoke.log().splitlines() if " error " in line and "rejected" not in line]
    ok(not complaints, "no other complaint in the log", "\n".join(complaints))


def reload_under_traffic(smoke):
    """A connection that is open stays on its member while the configuration changes, and no new one fails."""
    kept = http.client.HTTPConnection(VIP, 80, timeout=3, source_address=(CLIENT, 0))
    get(connection=kept)
    stop, errors, answers = threading.Event(), [], set()

    def load():
        while not stop.is_set():
            try:
                answers.add(get())
            except OSError as error:
                errors.append(str(error))
    loader = in_namespace(NET, load)
    smoke.write(config(SERVERS))
    ok(eventually(lambda: len(smoke.states()) == 2, 5), "a changed file takes effect by itself", smoke.log())
    ok(eventually(lambda: len(answers) == 2, 10), "the new member gets its share", answers)
    smoke.ctl("modify", "member", "web", SERVERS[0] + ":8080", "state", "disabled")
    ok(get(connection=kept) == f"hello from {SERVERS[0]}", "an open connection stays on its disabled member")

    def fresh():  # the answer to a request of before may come after clear(), so once is not enough
        answers.clear()
        time.sleep(0.2)
        return set(answers)
    ok(eventually(lambda: fresh() == {f"hello from {SERVERS[1]}"}, 5), "new ones go elsewhere", answers)
    smoke.write(config(SERVERS) + "nonsense: 1\n")
    bad = smoke.ctl("apply", check=False)
    ok(bad.returncode == 1 and "nonsense" in bad.stderr, "a wrong file is rejected with its place", bad.stderr)
    ok(get(connection=kept) and smoke.states()[SERVERS[0] + ":8080"] == "available", "and nothing has changed")
    smoke.write(config(SERVERS))
    stop.set()
    loader.join()
    kept.close()
    ok(not errors, "no request failed meanwhile", errors[:5])


def bad_starts(smoke):
    smoke.write(config(SERVERS).replace(f"iface={ID}a", "iface=nosuch0"))
    started = smoke.start()
    ok(not started and smoke.daemon.wait(10) == 1 and "nosuch0" in smoke.log(), "a port that does not exist is one clear error",
       smoke.log())
    smoke.write("ports: 7\n")
    started = smoke.start()
    ok(not started and smoke.daemon.wait(10) == 2 and "ports" in smoke.log(), "a wrong configuration is exit code 2", smoke.log())


def main():
    folder = tempfile.mkdtemp(prefix="sluice-smoke-")
    smoke = Smoke(folder)
    try:
        smoke.set_up()
        done = []
        worker = in_namespace(NET, lambda: (traffic(smoke), bad_starts(smoke), done.append(True)))
        worker.join()
        ok(done, "the test ran to its end", smoke.log() if os.path.exists(folder + "/log") else "")
    finally:
        smoke.tear_down()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(summary())


if __name__ == "__main__":
    socket.setdefaulttimeout(5)
    main()
