#!/usr/bin/env python3
"""What leaves a running sluiced about BGP, read by others: MRT by bgpdump, BMP by tshark; a recording plays again.

Usage: bgp_export.py BUILD_DIR. Needs root; works in network namespaces of its own. Prints TAP.
"""

import ctypes
import glob
import os
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

from daemon_world import Extracted, World, eventually, ok, run, summary

BUILD = os.path.abspath(sys.argv[1])
SELF, NEAR, STATION = "10.76.0.2", "10.76.0.3", 11019
CLONE_NEWNET = 0x40000000
BIRD = f"""
router id {NEAR};
protocol device {{ }}
protocol static one {{ ipv4; route 10.244.0.0/24 blackhole; route 10.244.7.7/32 blackhole; }}
protocol static two {{ ipv4; route 10.244.1.0/24 blackhole {{ bgp_community.add((64512, 77)); }}; }}
protocol bgp p {{ local {NEAR} as 64513; neighbor {SELF} as 64512; hold time 90;
  ipv4 {{ import all; export filter {{ if net = 10.244.1.0/24 then bgp_med = 5; accept; }}; }}; }}
"""


class Station:
    """A BMP station in the namespace of sluiced, which reaches it by the kernel's loopback: keeps what it is told."""

    def __init__(self, namespace):
        self.bytes, self.ready = b"", threading.Event()
        self.thread = threading.Thread(target=self.serve, args=(namespace,), daemon=True)
        self.thread.start()
        self.ready.wait(10)

    def serve(self, namespace):
        with open(f"/run/netns/{namespace}", encoding="utf-8") as file:  # of this thread alone
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        with socket.create_server(("127.0.0.1", STATION)) as listener:
            self.ready.set()
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(65536):
                    self.bytes += data

    def messages(self):
        """(type, bytes) of each whole message."""
        out, at = [], 0
        while at + 6 <= len(self.bytes):
            version, length, kind = struct.unpack_from("!BIB", self.bytes, at)
            assert version == 3 and length >= 6, (version, length)
            if at + length > len(self.bytes):
                break
            out.append((kind, self.bytes[at:at + length]))
            at += length
        return out


def pcap_of(payload, path):
    """A TCP stream from port 40000 to the station, as a capture for tshark."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))  # LINKTYPE_RAW
        sequence = 1000
        for at in range(0, len(payload), 1400):
            part = payload[at:at + 1400]
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(part), at & 0xffff, 0x4000, 64, 6, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
            tcp = struct.pack("!HHIIBBHHH", 40000, STATION, sequence + at, 1, 0x50, 0x18, 65535, 0, 0)
            frame = ip + tcp + part
            file.write(struct.pack("<IIII", 1_700_000_000, at, len(frame), len(frame)) + frame)


def config(world):
    return f"""
engine: {{workers: 1, memory: 256MB, packet-buffers: 8192}}
ports: {{net0: {{device: "net_af_packet0,iface={world.id}a"}}}}
self-ips: [{{address: {SELF}/24, port: net0}}]
bgp:
  local-as: 64512
  neighbors: [{{address: {NEAR}, remote-as: 64513, connect-retry: 1s, hold-time: 30s}}]
  mrt: {{updates: "{world.folder}/updates.%H%M%S.mrt", updates-interval: 2s}}
  bmp: {{station: "127.0.0.1:{STATION}", statistics-interval: 1s}}
"""


def mrt(world, bgpdump):
    world.ctl("dump", "bgp", "rib", "-w", world.path("rib.mrt"))
    lines = bgpdump.run("usr/bin/bgpdump", "-m", world.path("rib.mrt")).stdout.splitlines()
    table = {line.split("|")[5]: line.split("|") for line in lines}
    ok(sorted(table) == ["10.244.0.0/24", "10.244.1.0/24", "10.244.7.7/32"] and all(
        row[0] == "TABLE_DUMP2" and row[2] == "B" and row[3] == NEAR and row[4] == "64513" and row[6] == "64513" and row[8] == NEAR
        for row in table.values()), "bgpdump reads the table: prefix, neighbour, AS path, next hop", lines)
    with_med = table.get("10.244.1.0/24", [""] * 14)
    ok(with_med[10] == "5" and with_med[11] == "64512:77", "and MED and community", with_med)


def updates(world, bgpdump):
    files = sorted(glob.glob(world.path("updates.*.mrt")))
    ok(len(files) >= 2, f"the log of updates goes on in another file every 2 s: {len(files)} of them", files)
    text, trouble = "", ""
    for file in files:
        read = bgpdump.run("usr/bin/bgpdump", "-m", file, check=False)
        text += read.stdout
        trouble += "\n".join(line for line in read.stderr.splitlines() if "warn" in line.lower() or "error" in line.lower())
    lines = [line.split("|") for line in text.splitlines()]
    told = {(line[2], line[5]) for line in lines if line[0] == "BGP4MP_ET" and line[2] in "AW" and line[3] == NEAR}
    ok({("A", "10.244.0.0/24"), ("A", "10.244.1.0/24"), ("W", "10.244.7.7/32")} <= told, "bgpdump reads announcements and a withdrawal",
       text)
    states = [tuple(line[-2:]) for line in lines if line[2] == "STATE" and line[3] == NEAR]
    ok(("5", "6") in states and ("6", "1") in states, "and the session's states, up to Established and back to Idle", states)
    ok(not trouble, "without complaint", trouble)


def bmp(world, station, tshark):
    kinds = [kind for kind, _ in station.messages()]
    ok(kinds[0] == 4 and {0, 1, 2, 3} <= set(kinds), "the station had Initiation first, then Peer Up, routes, statistics, Peer Down", kinds)
    pcap_of(station.bytes, world.path("bmp.pcap"))
    shown = tshark.run("usr/bin/tshark", "-r", world.path("bmp.pcap"), "-d", f"tcp.port=={STATION},bmp", "-V", "-O", "bmp,bgp",
                       check=False)
    text = shown.stdout
    ok("BGP Monitoring Protocol" in text and "Malformed" not in text and "Expert Info (Error" not in text,
       "tshark's dissector finds nothing malformed", text[-3000:] + shown.stderr)
    for what in ("Peer Up Notification", "Peer Down Notification", "Statistics Report", "Route Monitoring", "Initiation Message"):
        ok(what in text, f"and names {what}", text[:3000])
    ok(f"Address: {NEAR}" in text and "ASN: 64513" in text and "10.244.1.0/24" in text, "neighbour, AS and route are as they were", text[:3000])


def main():
    bgpdump, tshark = Extracted("bgpdump"), Extracted("tshark")
    with tempfile.TemporaryDirectory(prefix="sluice-export-") as folder, World(folder, "sbex", BUILD, NEAR) as world:
        station = Station(world.lb)
        world.write_config(config(world))
        ok(world.start_sluiced("--record-bgp", world.path("recording")), "sluiced starts", world.log())
        world.start_bird(BIRD)
        ok(eventually(lambda: world.neighbor(NEAR)["accepted_prefixes"] == 3, 60), "BIRD's three routes are there", world.log)
        mrt(world, bgpdump)
        started = time.monotonic()
        with open(world.path("bird.conf"), "r+", encoding="utf-8") as file:
            text = file.read().replace("route 10.244.7.7/32 blackhole;", "")
            file.seek(0)
            file.truncate()
            file.write(text)
        world.birdc("configure")
        ok(eventually(lambda: world.neighbor(NEAR)["accepted_prefixes"] == 2, 20), "one is withdrawn", world.log)
        eventually(lambda: time.monotonic() - started > 2.2, 3)  # another interval
        world.birdc("disable", "p")
        ok(eventually(lambda: not world.established(NEAR), 20), "the neighbour ends the session", world.log)
        eventually(lambda: any(kind == 2 for kind, _ in station.messages()), 10)
        world.daemon.send_signal(signal.SIGTERM)
        ok(eventually(lambda: world.daemon.poll() is not None, 20) and world.daemon.returncode == 0, "sluiced ends", world.log)
        updates(world, bgpdump)
        bmp(world, station, tshark)
        replayed = run(BUILD + "/control/daemon/sluiced", "--replay-bgp", world.path("recording"), check=False)
        ok(replayed.returncode == 0 and "1 sessions came up" in replayed.stdout, f"the recording plays again: {replayed.stdout.strip()}",
           replayed.stderr)
    sys.exit(summary())


if __name__ == "__main__":
    main()
