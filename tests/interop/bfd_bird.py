#!/usr/bin/env python3
"""BFD of a running sluiced with BIRD 2: up, a killed neighbour noticed in time, no flap while the control thread stands still.

Usage: bfd_bird.py BUILD_DIR [WORKERS]. Needs root; works in network namespaces of its own. Prints TAP.
"""

import ctypes
import json
import os
import signal
import sys
import tempfile
import time

from daemon_world import World, eventually, ok, run, summary

BUILD = os.path.abspath(sys.argv[1])
WORKERS = int(sys.argv[2]) if len(sys.argv) > 2 else 1
SELF, NEAR, FAR = "10.78.0.2", "10.78.0.3", "10.79.0.9"  # FAR: behind NEAR, on its loopback
MULTIPLIER = 25  # 2.5 s without a packet: a machine with other work lets nobody wait as long
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


class ThreadHeld:
    """One thread of a process stands still while this lives: the kernel holds it for us as a debugger's."""

    def __init__(self, tid):
        self.tid, self.libc = tid, ctypes.CDLL(None, use_errno=True)

    def ptrace(self, request):
        if self.libc.ptrace(request, self.tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")

    def __enter__(self):
        self.ptrace(PTRACE_SEIZE)
        self.ptrace(PTRACE_INTERRUPT)
        os.waitpid(self.tid, WALL)
        return self

    def __exit__(self, *_):
        self.ptrace(PTRACE_DETACH)


# BIRD runs one BGP protocol at a time for a neighbor's address and port: the other one waits, Idle, for its lock, and gets
# it when the first session goes. Locks of different interfaces are different ones: without "interface" in `near`, `far`
# never came up, and took the place of `near` as soon as a session was reset.
BIRD = f"""
router id {NEAR};
protocol device {{ }}
protocol bfd {{ interface "eth0" {{ min rx interval 100 ms; min tx interval 100 ms; multiplier {MULTIPLIER}; }};
  multihop {{ min rx interval 100 ms; min tx interval 100 ms; multiplier {MULTIPLIER}; }}; }}
protocol static {{ ipv4; route 10.244.0.0/24 blackhole; }}
template bgp common {{ neighbor {SELF} as 64512; passive; bfd; hold time 90; error wait time 1, 2; connect delay time 1; ipv4 {{ import all; export all; }}; graceful restart off; }}
protocol bgp near from common {{ local {NEAR} as 64512; direct; interface "eth0"; }}
protocol bgp far from common {{ local {FAR} as 64512; multihop; ipv4 {{ import all; export none; }}; }}
"""


class BfdWorld(World):
    def write(self, near_bfd=True):
        near = f", bfd: {{min-tx: 100ms, min-rx: 100ms, multiplier: {MULTIPLIER}}}" if near_bfd else ""
        self.write_config(f"""
engine: {{workers: {WORKERS}, memory: 256MB, packet-buffers: 8192}}
ports: {{net0: {{device: "net_af_packet0,iface={self.id}a"}}}}
self-ips: [{{address: {SELF}/24, port: net0}}]
routes: [{{prefix: {FAR}/32, gateway: {NEAR}}}]
bgp:
  local-as: 64512
  neighbors:
  - {{address: {NEAR}, remote-as: 64512, connect-retry: 1s{near}}}
  - {{address: {FAR}, remote-as: 64512, connect-retry: 1s, bfd: {{min-tx: 100ms, min-rx: 100ms, multiplier: {MULTIPLIER}}}}}
""")

    def sessions(self):
        return {s["neighbor"]: s for s in json.loads(self.ctl("--json", "show", "bfd", check=False) or '{"sessions": []}')["sessions"]}

    def up(self, *neighbors):
        sessions = self.sessions()
        return all(n in sessions and sessions[n]["up"] for n in neighbors)

    def ours(self):
        return self.log() + self.ctl("show", "bfd", "-d", check=False) + self.ctl("show", "drops", check=False)

    def everything(self):
        """Not while BIRD stands still: it would not answer."""
        return self.ours() + self.birdc("show", "bfd", "sessions") + self.birdc("show", "protocols")


def comes_up(world):
    world.write()
    ok(world.start_sluiced(), f"sluiced starts with {WORKERS} workers", world.log())
    world.start_bird(BIRD)
    both = (NEAR, FAR)
    ok(eventually(lambda: world.up(*both) and world.established(*both), 60), "BFD and BGP are up, single hop and multihop",
       world.everything)
    sessions = world.sessions()
    ok(not sessions[NEAR]["multihop"] and sessions[FAR]["multihop"], "the neighbour off the subnet is multihop", sessions)
    ok(eventually(lambda: world.sessions()[NEAR]["transmit_interval_ms"] == 100, 10) and
       world.sessions()[NEAR]["detection_time_ms"] == 100 * MULTIPLIER, f"100 ms and {MULTIPLIER} packets are negotiated by the Poll Sequence", world.everything)
    shown = world.birdc("show", "bfd", "sessions")
    ok(shown.count(" Up ") == 2, "BIRD says so, too", shown)
    ok("State Up" in world.ctl("show", "bfd", NEAR), "show bfd ADDRESS", world.ctl("show", "bfd", NEAR))


def control_thread_stands_still(world):
    """Nothing of the control thread runs for 4 s, longer than the detection time; the workers keep both sessions up."""
    before = world.sessions()
    with ThreadHeld(world.daemon.pid):  # `ip netns exec` execs it; the first thread is the control thread
        time.sleep(4)
        shown = world.birdc("show", "bfd", "sessions")
        ok(shown.count(" Up ") == 2, "4 s without the control thread: BIRD has both sessions up", shown)
    after = world.sessions()
    moved = min(after[n]["packets_out"] - before[n]["packets_out"] for n in (NEAR, FAR))
    ok(moved >= 20, f"{moved} packets left meanwhile at least", world.everything)
    ok(all(after[n]["failures"] == 0 and after[n]["up"] for n in (NEAR, FAR)), "and no session failed", world.everything)


def killed_neighbor(world):
    """kill -9 closes BIRD's sockets too, so it is stopped: only BFD can notice that."""
    with open(world.path("bird.pid"), encoding="utf-8") as file:
        pid = int(file.read())
    stopped = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    ok(eventually(lambda: not world.established(NEAR) and not world.established(FAR), 20), "a neighbour that stands still is noticed",
       world.ours)
    ok(time.monotonic() - stopped < 20, f"after {time.monotonic() - stopped:.1f} s; the hold time is 90 s", world.ours)
    neighbor = world.neighbor(NEAR)
    ok("BFD down: control detection time expired" in neighbor["last_reset_reason"], "the reason is shown", neighbor)
    ok(world.sessions()[NEAR]["last_failure"] == "control detection time expired", "show bfd has it, too", world.ours)
    routes = world.ctl("show", "ip", "route")
    ok("10.244.0.0/24" not in routes, "its routes are gone", routes)
    os.kill(pid, signal.SIGCONT)
    ok(eventually(lambda: world.up(NEAR, FAR) and world.established(NEAR, FAR), 60), "it runs on: BFD and BGP come back", world.everything)


def administration(world):
    """What an operator does is no failure."""
    before = world.sessions()[FAR]["failures"]
    world.write(near_bfd=False)
    ok(eventually(lambda: world.birdc("show", "bfd", "sessions").count(" Up ") == 1, 10), "BFD taken out of our configuration: "
       "AdminDown takes BIRD's session down", world.everything)
    # RFC 5882 3.2 would leave BGP alone; BIRD 2 ends its session even so, and makes another one.
    ok(eventually(lambda: NEAR not in world.sessions(), 20), "ours goes after a detection time", world.everything)
    ok(eventually(lambda: world.established(NEAR), 30), "BGP needs no BFD", world.everything)
    ok(world.sessions()[FAR]["failures"] == before and world.established(FAR), "the other session does not notice", world.everything)
    world.write()
    ok(eventually(lambda: world.up(NEAR, FAR) and world.established(NEAR), 30), "configured again, it comes up", world.everything)
    metrics = run("curl", "-s", "--unix-socket", world.path("sock"), "http://x/metrics").stdout
    ok(f'sluice_bfd_up{{neighbor="{NEAR}",hops="single"}} 1' in metrics, "Prometheus knows", metrics[:2000])
    world.daemon.send_signal(signal.SIGTERM)
    ok(eventually(lambda: world.daemon.poll() is not None, 20) and world.daemon.returncode == 0, "sluiced ends", world.log())
    ok(eventually(lambda: "Up" not in world.birdc("show", "bfd", "sessions"), 10), "BIRD's sessions are down", world.birdc("show", "bfd"))


def main():
    with tempfile.TemporaryDirectory(prefix="sluice-bfd-") as folder, BfdWorld(folder, "sbfd", BUILD, NEAR, (FAR,)) as world:
        comes_up(world)
        control_thread_stands_still(world)
        killed_neighbor(world)
        administration(world)
    sys.exit(summary())


if __name__ == "__main__":
    main()
