#!/usr/bin/env python3
"""Runs path benches and testpmd's csum mode interleaved on the same core, and prints medians and their ratio.

Usage: bench/path/run.py [--rounds N] [--core N] [--callgrind] BENCH [ARG ...]
  BENCH is an executable of bench/path, e.g. build/bench/path/bench-path-reflect; ARGs are passed on to it.
"""
import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TESTPMD = "dpdk-testpmd"
PEERS = {"testpmd csum, net_ring": "net_ring0", "testpmd csum, net_null": "net_null0,size=64"}


def require(programs):
    """Says which of {program: Debian package} are missing, and how to get them; then there is nothing to run."""
    missing = [f"{program} (package {package})" for program, package in programs.items() if not shutil.which(program)]
    if missing:
        sys.exit(f"bench/path/run.py: missing: {', '.join(missing)}; as root: docker/install-packages bench")


def run_bench(command, core):
    out = subprocess.run(["taskset", "-c", str(core), *command, "--json"], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]


def run_testpmd(vdev, core, main_core, seconds=3):
    """Median of the once-a-second receive rates, in packets per second; the first second is warm-up."""
    command = [TESTPMD, "--lcores", f"0@{main_core},1@{core}", "--no-huge", "-m", "128", "--no-pci", "--no-shconf",
               "--iova-mode=va", "--no-telemetry", f"--vdev={vdev}", "--", "--forward-mode=csum", "--tx-first",
               "--total-num-mbufs=4096", "--stats-period=1", "--auto-start"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    time.sleep(seconds + 1.5)
    process.terminate()
    out = process.communicate(timeout=20)[0].decode(errors="replace")
    rates = [int(rate) for rate in re.findall(r"Rx-pps:\s+(\d+)", out)]
    rates = [rate for rate in rates[1:] if rate > 0]
    if not rates:
        sys.exit(f"testpmd with {vdev} forwarded nothing:\n{out[-2000:]}")
    return statistics.median(rates)


def instructions(command):
    """Instructions a packet by callgrind: the difference of a long and a short run, so that start-up falls out."""
    counts = {}
    for packets in (20480, 61440):
        with tempfile.NamedTemporaryFile() as out:
            result = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", *command,
                                     "--packets", str(packets), "--samples", "1"], capture_output=True, text=True)
        found = re.search(r"Collected\s*:\s*(\d+)", result.stderr)
        if not found:
            sys.exit("callgrind failed:\n" + result.stderr[-2000:])
        counts[packets] = int(found.group(1))
    # Warm-up is as long as the sample (at most), and the generator writes every packet: its part is counted in here.
    return (counts[61440] - counts[20480]) / (2 * (61440 - 20480))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds, at least 5 for a report")
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--callgrind", action="store_true", help="also count instructions (slow)")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if not args.command:
        parser.error("no bench given")
    require({TESTPMD: "dpdk-dev"} | ({"valgrind": "valgrind"} if args.callgrind else {}))
    if not shutil.which(args.command[0]):
        parser.error(f"{args.command[0]} is no program: build it with `ninja -C build-release {args.command[0]}`")
    cases, peers = {}, {name: [] for name in PEERS}
    for _ in range(args.rounds):
        for line in run_bench(args.command, args.core):
            cases.setdefault(line["case"], []).append(line)
        for name, vdev in PEERS.items():
            peers[name].append(run_testpmd(vdev, args.core, 1 - args.core if args.core < 2 else 0))
    print(f"{args.rounds} interleaved rounds on core {args.core}; medians (least..most)")
    for name, rates in peers.items():
        ns = sorted(1e9 / rate for rate in rates)
        print(f"{name:<44} {statistics.median(ns):8.2f} ns  ({ns[0]:.2f}..{ns[-1]:.2f})")
    ring = statistics.median(1e9 / rate for rate in peers["testpmd csum, net_ring"])
    for name, lines in cases.items():
        ns = sorted(line["ns"] for line in lines)
        median = statistics.median(ns)
        cycles = statistics.median(line["cycles"] for line in lines)
        print(f"{name:<44} {median:8.2f} ns  ({ns[0]:.2f}..{ns[-1]:.2f})  {cycles:7.1f} cycles  {1000 / median:7.2f} Mpps"
              f"  {median / ring:5.2f} x testpmd csum")
    if args.callgrind:
        print(f"instructions a packet, generator included: {instructions(args.command):.0f}")


if __name__ == "__main__":
    main()
