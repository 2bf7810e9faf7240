#!/usr/bin/env python3
"""Bad input on the wire: malformed frames at every length, BGP garbage, floods. Counted drops, no crash, no leak."""

import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check, frames  # noqa: E402
from harness.command import wait_until  # noqa: E402
from harness.scenario import (CLIENT_ADDRESS, LB_ADDRESS, MASTER_ADDRESS, NODE1_ADDRESS, VS_BGP_ONLY, VS_HTTP,  # noqa: E402
                              running_lab)

INJECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "harness", "frames.py")
CLIENT_MAC, OUR_MAC = "02:00:ac:10:28:0a", "02:00:ac:10:28:ca"
SEED = int(os.environ.get("SLUICE_SEED", "20260722"))


def inject(lab, list_of_frames):
    text = "\n".join(frame.hex() for frame in list_of_frames)
    lab.client.namespace.run(sys.executable, INJECT, "eth0", stdin=text + "\n", timeout=120)


def to_us(packet, ethertype=0x0800):
    return frames.ethernet(OUR_MAC, CLIENT_MAC, ethertype, packet)


def drop_counts(lab):
    return {reason["reason"]: reason["count"] for reason in lab.sluice.json("show", "drops")["reasons"]}


def still_serves(checks, lab, what):
    # Mutated ARP may have told a wrong MAC for the client, as any ARP spoofer could: say the right one again.
    inject(lab, [to_us(frames.arp(1, CLIENT_MAC, CLIENT_ADDRESS, "00:00:00:00:00:00", VS_HTTP), 0x0806)])
    result = lab.client.http(f"http://{VS_HTTP}/", 10)
    checks.ok(not result["errors"] and lab.sluice.running(), f"{what}: serves on", result["errors"])


def good_packets():
    """One of each kind that the engine reads."""
    def packet(protocol, payload, **fields):
        return frames.ipv4(CLIENT_ADDRESS, VS_HTTP, protocol, payload, **fields)
    quoted = packet(6, frames.tcp(CLIENT_ADDRESS, VS_HTTP, 40000, 80, 0x10))[:28]
    return [
        to_us(packet(6, frames.tcp(CLIENT_ADDRESS, VS_HTTP, 50000, 80, 0x02, offset=6, options=b"\x02\x04\x05\xb4"))),
        to_us(packet(6, frames.tcp(CLIENT_ADDRESS, VS_HTTP, 50001, 80, 0x18, payload=b"GET / HTTP/1.1\r\n\r\n"))),
        to_us(packet(17, frames.udp(CLIENT_ADDRESS, VS_HTTP, 50002, 7, b"hello"))),
        to_us(packet(1, frames.icmp(8, 0, payload=b"x" * 32))),
        to_us(packet(1, frames.icmp(3, 4, payload=quoted))),
        to_us(packet(17, frames.udp(CLIENT_ADDRESS, VS_HTTP, 50003, 7, b"y" * 24)[:24], flags_fragment=0x2000)),
        to_us(frames.arp(1, CLIENT_MAC, CLIENT_ADDRESS, "00:00:00:00:00:00", VS_HTTP), 0x0806),
    ]


def expected_drops(checks, lab):
    """Each kind of malformed frame lands under its own name."""
    def packet(protocol=17, payload=frames.udp(CLIENT_ADDRESS, VS_HTTP, 50010, 7, b"hello"), **fields):
        return to_us(frames.ipv4(CLIENT_ADDRESS, VS_HTTP, protocol, payload, **fields))
    cases = {
        "ipv4_bad_version": packet(version_ihl=0x65),
        "ipv4_bad_header_length": packet(version_ihl=0x44),
        "ipv4_bad_total_length": packet(total_length=1500),
        "ipv4_bad_checksum": packet(header_checksum=0x1234),
        "ethertype_unknown": to_us(b"\0" * 50, 0x88B5),
        "ipv4_bad_source": to_us(frames.ipv4("127.0.0.1", VS_HTTP, 17, frames.udp("127.0.0.1", VS_HTTP, 9, 7, b"x"))),
        "udp_malformed": packet(payload=frames.udp(CLIENT_ADDRESS, VS_HTTP, 50011, 7, b"hello", length=4)),
        "tcp_malformed": packet(6, frames.tcp(CLIENT_ADDRESS, VS_HTTP, 50012, 80, 0x02, offset=3)),
        "icmp_malformed": packet(1, frames.icmp(8, 0, payload=b"abc", right=False)),
        "arp_malformed": to_us(frames.arp(1, CLIENT_MAC, CLIENT_ADDRESS, CLIENT_MAC, VS_HTTP, hardware=7), 0x0806),
        "no_virtual_server": packet(6, frames.tcp(CLIENT_ADDRESS, VS_HTTP, 50013, 81, 0x02)),
        "tcp_no_flow": packet(6, frames.tcp(CLIENT_ADDRESS, VS_HTTP, 50014, 80, 0x10)),
    }
    for name, frame in cases.items():
        before = drop_counts(lab).get(name, 0)
        inject(lab, [frame.ljust(60, b"\0")] * 5)
        checks.eventually(lambda name=name, before=before: drop_counts(lab).get(name, 0) >= before + 5, 2,
                          f"5 × {name}", lambda: {k: v for k, v in drop_counts(lab).items() if v})


def truncated(checks, lab):
    """Every kind of packet cut at every length."""
    cut = [frame[:length] for frame in good_packets() for length in range(14, len(frame))]
    inject(lab, cut)
    still_serves(checks, lab, f"{len(cut)} truncated frames")


def mutated(checks, lab):
    """Random bits of good packets flipped."""
    rng = random.Random(SEED)
    checks.note(f"seed {SEED} (SLUICE_SEED sets it)")
    bad = []
    for _ in range(20000):
        frame = bytearray(rng.choice(good_packets_cached))
        for _ in range(rng.randint(1, 6)):
            frame[rng.randrange(12, len(frame))] ^= 1 << rng.randrange(8)
        bad.append(bytes(frame[:rng.randrange(14, len(frame) + 1)]) if rng.random() < 0.2 else bytes(frame))
    inject(lab, bad)
    still_serves(checks, lab, f"{len(bad)} mutated frames")


def fragments(checks, lab):
    """Overlapping, endless, tiny and orphaned fragments: counted, and their buffers come back."""
    rng = random.Random(SEED)
    bad = []
    for number in range(3000):
        offset = rng.randrange(0, 0x1FFF)
        more = 0x2000 if rng.random() < 0.7 else 0
        bad.append(to_us(frames.ipv4(CLIENT_ADDRESS, VS_HTTP, 17, bytes(8 * rng.randrange(0, 20)), identification=number % 500,
                                     flags_fragment=offset | more)))
    inject(lab, bad)
    still_serves(checks, lab, f"{len(bad)} wild fragments")


def syn_flood(checks, lab):
    """30,000 half-open connections: the table does not overflow into anything else, service goes on."""
    rng = random.Random(SEED)
    flood = []
    for _ in range(30000):
        source = f"198.51.100.{rng.randrange(2, 250)}"
        flood.append(to_us(frames.ipv4(source, VS_HTTP, 6, frames.tcp(source, VS_HTTP, rng.randrange(1024, 65535), 80, 2))))
    inject(lab, flood)
    still_serves(checks, lab, f"{len(flood)} SYNs")


good_packets_cached = good_packets()


def wire(checks):
    """Everything above against one Sluice, which must end with the buffers that it began with."""
    with running_lab() as lab:
        wait_until(lambda: lab.master.has_route(VS_BGP_ONLY, LB_ADDRESS), 40, "no route")
        lab.client.http(f"http://{VS_HTTP}/", 20)
        time.sleep(1)
        in_use = lab.sluice.json("show", "workers")["workers"][0]["pool_in_use"]
        for part in (expected_drops, truncated, mutated, fragments, syn_flood):
            checks.note(f"{part.__name__}: {part.__doc__}")
            part(checks, lab)
        checks.eventually(lambda: lab.sluice.json("show", "workers")["workers"][0]["pool_in_use"] <= in_use, 45,
                          f"buffers in use return to {in_use}",
                          lambda: lab.sluice.json("show", "workers")["workers"][0])
        drops = lab.sluice.json("show", "drops")
        checks.equal(drops["total"], sum(reason["count"] for reason in drops["reasons"]), "sum of reasons = drops")
        checks.ok(all(lab.sluice.neighbor(node.address)["established"] for node in lab.nodes), "BGP never noticed")


def bgp_garbage(checks):
    """Whoever connects to port 179 and talks nonsense is turned away; the real sessions stay."""
    rng = random.Random(SEED)
    marker = b"\xff" * 16
    hold = struct.pack("!HBBHH4sB", 29, 1, 4, 64512, 90, socket.inet_aton(CLIENT_ADDRESS), 0)
    blobs = [b"", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 19, marker, marker + struct.pack("!HB", 18, 4),
             marker + struct.pack("!HB", 65535, 2), marker + struct.pack("!HB", 19, 9), marker + hold[:9], marker + hold,
             rng.randbytes(4096), marker + struct.pack("!HB", 4096, 2) + rng.randbytes(4077)]
    with running_lab() as lab:
        def talk(source, blob):
            source.run(sys.executable, "-c", f"""
import socket, sys
s = socket.socket(); s.settimeout(1)
try:
    s.connect(("{LB_ADDRESS}", 179)); s.sendall(bytes.fromhex("{blob.hex()}")); s.recv(100)
except OSError: pass""", timeout=10)

        for blob in blobs:
            talk(lab.client.namespace, blob)
        for node in lab.nodes:
            fact = lab.sluice.neighbor(node.address)
            checks.ok(fact["established"] and fact["connections_dropped"] == 0 and node.established(LB_ADDRESS),
                      f"a stranger's nonsense: the session with {node.name} lives", fact)
        # A new connection from the neighbour itself means that it has restarted (RFC 4724 §5): its session ends, its
        # routes stay, and the real one comes back.
        for blob in blobs:
            talk(lab.master.namespace, blob)
        checks.ok(lab.sluice.neighbor(NODE1_ADDRESS)["established"], "nonsense from the master: node1's session lives")
        block = lab.sluice.json("show", "ip", "route", "10.244.0.0/24")["routes"]
        checks.ok(block, "nonsense from the master: its block stays")
        checks.eventually(lambda: lab.sluice.neighbor(MASTER_ADDRESS)["established"]
                          and lab.master.established(LB_ADDRESS), 60, "and the real session comes back")
        # A session's own bytes gone wrong: BIRD resets by itself; here the peer's stream is replaced by a liar's.
        lab.master.bird.stop()
        lab.master.namespace.run(sys.executable, "-c", f"""
import socket, struct, time
marker = b"\\xff" * 16
def message(kind, body): return marker + struct.pack("!HB", 19 + len(body), kind) + body
server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("{MASTER_ADDRESS}", 179)); server.listen(8); server.settimeout(30)
bad = [bytes.fromhex("0000000b400101"), b"\\xff\\xff\\xff\\xff", bytes.fromhex("0000ffff"), b"\\0\\0\\0\\0\\x21" + b"\\0" * 5]
for update in bad:
    c, _ = server.accept(); c.settimeout(5)
    try:
        c.recv(4096)
        c.sendall(message(1, struct.pack("!BHH4sB", 4, 64512, 90, socket.inet_aton("{MASTER_ADDRESS}"), 0)))
        c.sendall(message(4, b"")); time.sleep(0.3); c.sendall(message(2, update)); time.sleep(0.3)
        while c.recv(4096): pass
    except OSError: pass
    c.close()
""", timeout=150)
        checks.ok(lab.sluice.running(), "malformed UPDATEs from a neighbour: no crash", lab.sluice.process.log())
        reason = lab.sluice.neighbor(MASTER_ADDRESS)["last_reset_reason"]
        checks.ok(reason, f"the last reset has its reason: {reason}")
        lab.master.start_bird()
        checks.eventually(lambda: lab.master.established(LB_ADDRESS), 90, "the real BIRD gets its session back")


if __name__ == "__main__":
    tests = (wire, bgp_garbage)
    chosen = [test for test in tests if test.__name__ in sys.argv[1:]]
    check.main(*(chosen or tests))
