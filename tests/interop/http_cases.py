#!/usr/bin/env python3
"""The 144 public HTTP/1.1 cases through a running sluiced over af_packet, beside HAProxy: same bytes, same origin, same run.

Usage: http_cases.py BUILD_DIR [CASE]. Needs root and haproxy; works in network namespaces of its own. Prints TAP.
Every case has a virtual server, a HAProxy frontend and an origin port of its own, so that all run at once and what an
origin received is known to be of its case. Rules: where HAProxy (now) and nginx (as recorded in cases.json) both answer
2xx, so do we, as often, and keep or close the connection as they do; where both refuse, nothing whole is forwarded; of
the smuggling cases the origin received nothing, or one unambiguous request.
"""

import asyncio
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(sys.argv[1])
CASES = os.path.join(HERE, "..", "lb", "l7", "cases.json")
ID = f"htc{os.getpid() % 100000}"
LB, NET = f"{ID}-lb", f"{ID}-net"
VIP, SELF, CLIENT, ORIGIN, PEER = "10.79.0.80", "10.79.0.2", "10.79.0.1", "10.79.0.11", "10.79.0.90"
BASE = 8000  # the port of case 0 on each of them
METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"}
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
failures = count = 0


def ok(condition, what, detail=""):
    global failures, count
    count += 1
    print(f"{'ok' if condition else 'not ok'} {count} - {what}", flush=True)
    if not condition:
        failures += 1
        print("\n".join("  # " + line for line in str(detail).splitlines()), flush=True)


def run(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True, timeout=60)


# ---- messages

def read_message(raw, is_request, no_body=False):
    """(bytes of the first message in raw, start line, fields, body, names of trailers), or None while it is not whole."""
    end = raw.find(b"\r\n\r\n")
    if end < 0:
        return None
    start, *lines = raw[:end].split(b"\r\n")
    fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    at = end + 4
    coding = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    length = [value for name, value in fields if name == b"content-length"]
    if no_body or (not is_request and re.match(rb"HTTP/1\.. (1..|204|304)", start)):
        return at, start, fields, b"", []
    if coding:
        body = b""
        while True:
            line = raw.find(b"\r\n", at)
            if line < 0:
                return None
            size = int(raw[at:line].partition(b";")[0], 16)
            at = line + 2
            if size == 0:
                break
            if len(raw) < at + size + 2:
                return None
            body += raw[at:at + size]
            at += size + 2
        trailers = []
        while True:
            line = raw.find(b"\r\n", at)
            if line < 0:
                return None
            trailer, at = raw[at:line], line + 2
            if not trailer:
                return at, start, fields, body, trailers
            trailers.append(trailer.partition(b":")[0].strip().lower())
    size = int(length[0]) if length else 0
    return (at + size, start, fields, raw[at:at + size], []) if len(raw) >= at + size else None


def ambiguity(raw):
    """What two servers could read differently in these bytes; None: they are one whole request. "cut" when not whole."""
    head, separator, _ = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if not re.fullmatch(TOKEN + rb" [!-~]+ HTTP/1\.1", lines[0]):
        return f"start line {lines[0]!r}"
    if not separator:
        return "cut"
    names = []
    for line in lines[1:]:
        field = re.fullmatch(rb"(" + TOKEN + rb"): ?([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?", line)
        if not field:
            return f"field {line!r}"
        name, value = field.group(1).lower(), field.group(2) or b""
        names.append(name)
        if name == b"content-length" and not re.fullmatch(rb"0|[1-9][0-9]*", value):
            return f"length {line!r}"
        if name == b"transfer-encoding" and value != b"chunked":
            return f"coding {line!r}"
        if name.replace(b"_", b"-") != name and name.replace(b"_", b"-") in (b"content-length", b"transfer-encoding"):
            return f"lookalike {line!r}"
    if names.count(b"host") != 1:
        return "not one Host"
    if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
        return "more than one framing"
    if b"transfer-encoding" in names and not re.fullmatch(
            rb"(?:[1-9a-fA-F][0-9a-fA-F]*\r\n(?s:.*?)\r\n)*0\r\n(?:" + TOKEN + rb": [^\r\n]*\r\n)*\r\n", raw[len(head) + 4:]):
        return "cut" if not raw.endswith(b"0\r\n\r\n") else "chunks are not canonical"
    try:
        message = read_message(raw, True)
    except ValueError as error:
        return f"chunks: {error}"
    if message is None:
        return "cut"
    return None if message[0] == len(raw) else f"bytes behind it: {raw[message[0]:message[0] + 40]!r}"


H = b"POST / HTTP/1.1\r\nHost: h\r\n"
AMBIGUOUS = [H + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", H + b"Content-Length: 01\r\n\r\na",
             H + b"Content-Length : 1\r\n\r\na", H + b"Transfer-Encoding: xchunked\r\n\r\n", H + b"X: a\r\n b\r\n\r\n",
             H + b"X: a\rb\r\n\r\n", H + b"Host: i\r\n\r\n", H + b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
             H + b"Transfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n", H + b"Content_Length: 1\r\n\r\n",
             b"POST  / HTTP/1.1\r\nHost: h\r\n\r\n", H + b"X\x00: a\r\n\r\n"]


# ---- the origin

class Origin:
    """One port: echoes POST bodies, lists request fields at /echo, answers OK to the rest; keeps what it received."""

    def __init__(self):
        self.received = []  # by connection

    async def serve(self, reader, writer):
        index = len(self.received)
        self.received.append(b"")
        rest, continued = b"", False
        try:
            while data := await reader.read(65536):
                self.received[index] += data
                rest += data
                if not continued and re.match(rb"[^\r]* HTTP/1\.1\r\n(?s:.*)\nexpect: 100-continue\r\n(?s:.*)\r\n", rest, re.I):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    continued = True
                while message := read_message(rest, True):
                    rest, continued = rest[message[0]:], False
                    if not self.answer(writer, *message[1:]):
                        return
        except (OSError, ValueError, asyncio.CancelledError):
            pass  # the other side went, sent nonsense, or the test is over
        finally:
            writer.close()

    @staticmethod
    def answer(writer, start, fields, body, trailers):
        words = start.split(b" ")
        good = len(words) == 3 and words[0] in METHODS
        status, text = b"200 OK" if good else b"400 Bad Request", b"OK"
        if any(name == b"expect" and value.lower() != b"100-continue" for name, value in fields):
            status, good = b"417 Expectation Failed", False
        elif any(name in (b"content-length", b"transfer-encoding") for name in trailers):
            status, good = b"400 Bad Request", False
        if good and words[0] == b"POST":
            text = body
        elif good and words[1].startswith(b"/echo"):
            text = b"".join(name + b": " + value + b"\n" for name, value in fields)
        close = not good or any(name == b"connection" and b"close" in value.lower() for name, value in fields)
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n" % len(text) + (b"Connection: close\r\n" if close else b"") + b"\r\n"
                     + (b"" if words[0] == b"HEAD" else text))
        return not close


# ---- one case

class Answer:
    def __init__(self):
        self.statuses = []
        self.end = "open"
        self.raw = b""

    @property
    def final(self):
        return next((s for s in self.statuses if s >= 200), None)

    def __str__(self):
        return f"{self.statuses or 'nothing'}, then {self.end}"


async def exchange(address, port, payload, expects_answer):
    """Sends the payload; every response until the connection closes or nothing more comes."""
    answer = Answer()
    reader, writer = await asyncio.open_connection(address, port, local_addr=(CLIENT, 0))
    writer.write(payload)
    no_body, rest = payload.startswith(b"HEAD "), b""
    try:
        while True:
            # Silence means something only once an answer is there; a busy machine may need its time for that.
            patience = 0.5 if answer.final else 20 if expects_answer else 1.5
            data = await asyncio.wait_for(reader.read(65536), patience)
            if not data:
                answer.end = "closed"
                break
            answer.raw += data
            rest += data
            while message := read_message(rest, False, no_body):
                answer.statuses.append(int(message[1].split(b" ")[1]))
                rest = rest[message[0]:]
    except asyncio.TimeoutError:
        pass
    except OSError:
        answer.end = "reset"
    writer.close()
    return answer


def load():
    with open(CASES, encoding="utf-8") as file:
        cases = [json.loads(line.rstrip().rstrip(",")) for line in file if line.lstrip().startswith("{")]
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    return [case for case in cases if only in case["id"]]


async def try_all(cases):
    """[(our answer, HAProxy's, what our origin received by connection)], all cases at once."""
    origins, servers = [], []
    for i in range(len(cases)):
        pair = (Origin(), Origin())  # for Sluice, for HAProxy
        for j, origin in enumerate(pair):
            servers.append(await asyncio.start_server(origin.serve, ORIGIN, BASE + 1000 * j + i))
        origins.append(pair)

    async def one(i, case):
        answers = []
        for address in (VIP, PEER):
            payload = case["payload"].replace("__HOST__", f"{address}:{BASE + i}").encode("latin-1")
            answers.append(exchange(address, BASE + i, payload, case["haproxy_2_6"]["status"] is not None))
        return await asyncio.gather(*answers)

    results = await asyncio.gather(*[one(i, case) for i, case in enumerate(cases)])
    await asyncio.sleep(0.2)
    for server in servers:
        server.close()
    return [(ours, peer, pair[0].received) for (ours, peer), pair in zip(results, origins)]


# ---- rules

def judge(cases, results):
    good = {"both answer 2xx: so do we, as often, and the connection stays or ends alike": [],
            "both refuse: nothing whole is forwarded": [],
            "both wait for more: so do we": [],
            "smuggling: the origin received nothing, or one unambiguous request": [],
            "HAProxy answers as in cases.json": []}
    alike, refused, waits, smuggling, recorded = good.values()
    numbers = [0] * 5
    for case, (ours, peer, received) in zip(cases, results):
        nginx = case["nginx_1_22"]
        peer_good = peer.final is not None and peer.final < 300
        nginx_good = nginx["status"] is not None and nginx["status"] < 300
        whole = [raw for raw in received if raw and ambiguity(raw) != "cut"]
        tell = f"{case['id']}: we {ours}; HAProxy {peer}; nginx {nginx['status']}; the origin: {received!r}"
        if peer_good and nginx_good:
            numbers[0] += 1
            same_end = ours.end == peer.end or nginx["end"] != peer.end
            if ours.final is None or ours.final >= 300 or ours.statuses != peer.statuses or not same_end:
                alike.append(tell)
        elif (peer.final or 0) >= 400 and (nginx["status"] or 0) >= 400:
            numbers[1] += 1
            if whole or (ours.final or 400) < 400 or ours.end == "open":
                refused.append(tell)
        elif peer.final is None and nginx["status"] is None:
            numbers[2] += 1
            if ours.statuses or whole:
                waits.append(tell)
        if case["suite"] == "Smuggling":
            numbers[3] += 1
            wrong = [ambiguity(raw) for raw in received if raw]
            cut_after_refusal = wrong == ["cut"] and (ours.final or 0) >= 400
            if len(wrong) > 1 or (wrong and wrong[0] is not None and not cut_after_refusal):
                smuggling.append(f"{wrong} {tell}")
        numbers[4] += 1
        first = peer.statuses[0] if peer.statuses else None
        if first != case["haproxy_2_6"]["status"]:
            recorded.append(tell)
    for (what, wrong), number in zip(good.items(), numbers):
        ok(not wrong, f"{what} ({number} cases)", "\n".join(wrong))


# ---- the place

def sluice_config(cases):
    pools = "\n".join(f"  o{i}: {{members: [\"{ORIGIN}:{BASE + i}\"]}}" for i in range(len(cases)))
    servers = "\n".join(f"  v{i}: {{destination: \"{VIP}:{BASE + i}\", mode: http, pool: o{i}}}" for i in range(len(cases)))
    return f"""
engine: {{workers: 1, memory: 256MB, packet-buffers: 8192}}
ports: {{net0: {{device: "net_af_packet0,iface={ID}a"}}}}
self-ips: [{{address: {SELF}/24, port: net0}}]
pools:
{pools}
virtual-servers:
{servers}
"""


def haproxy_config(cases):
    return """global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
""" + "\n".join(f"listen p{i}\n  bind {PEER}:{BASE + i}\n  server s {ORIGIN}:{BASE + 1000 + i}" for i in range(len(cases))) + "\n"


def in_namespace(name, work):
    def body():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{name}", "rb") as file:
            if libc.setns(file.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        work()
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread


def set_up():
    for name in (LB, NET):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "link", "add", ID + "a", "netns", LB, "type", "veth", "peer", "name", ID + "b", "netns", NET)
    run("ip", "-n", LB, "link", "set", ID + "a", "up")
    run("ip", "-n", NET, "link", "set", ID + "b", "up")
    for address in (CLIENT, ORIGIN, PEER):
        run("ip", "-n", NET, "addr", "add", address + "/24", "dev", ID + "b")


def wait_for(test, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not test():
        time.sleep(0.05)
    return test()


def main():
    cases = load()
    folder = tempfile.mkdtemp(prefix="sluice-http-")
    log = os.path.join(folder, "log")
    processes, results = [], []

    def text():
        with open(log, encoding="utf-8") as file:
            return file.read()
    try:
        set_up()
        for name, content in (("sluice.yaml", sluice_config(cases)), ("haproxy.cfg", haproxy_config(cases))):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(content)
        with open(log, "w", encoding="utf-8") as file:
            for namespace, argv in ((LB, [BUILD + "/control/daemon/sluiced", "--config", folder + "/sluice.yaml", "--socket",
                                          folder + "/sock", "--host-interface", ID + "t"]),
                                    (NET, ["haproxy", "-db", "-f", folder + "/haproxy.cfg"])):
                processes.append(subprocess.Popen(["ip", "netns", "exec", namespace, *argv], stdout=file, stderr=file))
        up = wait_for(lambda: "is ready" in text() or any(p.poll() is not None for p in processes), 30)
        up = up and wait_for(lambda: run("ip", "netns", "exec", NET, "ss", "-Hltn", "sport", "=",
                                         f":{BASE + len(cases) - 1}").stdout.strip(), 10)
        ok(up and all(p.poll() is None for p in processes), "sluiced and HAProxy start", text())
        in_namespace(NET, lambda: results.extend(asyncio.run(try_all(cases)))).join()
        ok(len(results) == len(cases) and (len(cases) == 144 or len(sys.argv) > 2), f"all {len(cases)} cases were tried")
        ok(all(map(ambiguity, AMBIGUOUS)) and ambiguity(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n") is None,
           "the judge of what an origin received knows bad from good", [ambiguity(raw) for raw in AMBIGUOUS])
        judge(cases, results)
        processes[0].terminate()
        ok(processes[0].wait(15) == 0, "sluiced ends with 0", text())
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for name in (LB, NET):
            run("ip", "netns", "del", name, check=False)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"1..{count}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
