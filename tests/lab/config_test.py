#!/usr/bin/env python3
"""Configuration while it runs: manifests and sluice.yaml edited well and badly, reloads under traffic, bad starts."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import check, kubernetes  # noqa: E402
from harness.command import run, wait_until  # noqa: E402
from harness.scenario import VS_HTTP, VS_SCENARIO, running_lab  # noqa: E402
from harness.sluice import DAEMON, build_dir  # noqa: E402

POOL = "cfgmap_default_nginx-vs-81_nginx-deploy-svc"


def names(lab):
    return {virtual["name"] for virtual in lab.sluice.json("show", "virtual")["virtuals"]}


def wait_serving(lab):
    wait_until(lambda: all(m["availability"] == "available" for m in lab.sluice.members(POOL).values()), 40, "not up")


def bad_manifests(checks):
    """A manifest that is wrong is refused alone, with file, path, value and what is valid; all others stay in force."""
    good = kubernetes.virtual_server("172.16.40.90", 80, "nginx-deploy-svc", 80)
    cases = {
        "no-json": ("{ not json", ("no-json",)),
        "unknown-field": (good.replace('"mode"', '"modus"'), ("modus",)),
        "port-range": (good.replace('"port": 80', '"port": 70000'), ("70000", "65535")),
        "balance-name": (good.replace('"round-robin"', '"round-about"'), ("round-about", "round-robin")),
        "duplicate": (good.replace("172.16.40.90", VS_HTTP), (VS_HTTP,)),
        "no-address": (good.replace("172.16.40.90", "172.16.40.900"), ("172.16.40.900",)),
        "interval": (kubernetes.virtual_server("172.16.40.90", 80, "nginx-deploy-svc", 80,
                                               monitor={"protocol": "http", "interval": 30, "timeout": 10}), ("30", "10")),
    }
    with running_lab() as lab:
        wait_serving(lab)
        before = names(lab)
        for name, (data, words) in cases.items():
            lab.manifests.write(name, kubernetes.config_map(name, data))
            checks.eventually(lambda name=name, words=words: all(word in lab.sluice.process.log(40) for word in
                                                                 (f"{name}.yaml", *words)), 5,
                              f"{name}: the log names the file and {', '.join(words)}",
                              lambda: lab.sluice.process.log(10))
            checks.equal(names(lab), before, f"{name}: nothing else changed")
        lab.manifests.write("no-yaml", "a: [b\nc: }")
        checks.eventually(lambda: "no-yaml.yaml" in lab.sluice.process.log(40), 5, "no-yaml: the log names the file")
        result = lab.client.http(f"http://{VS_HTTP}/", 20)
        checks.equal(result["errors"], [], "the good ones serve on")
        lab.manifests.write("no-json", kubernetes.config_map("no-json", good))
        checks.eventually(lambda: "default_no-json" in names(lab), 5, "mended: it is taken")
        lab.manifests.remove("no-json")
        checks.eventually(lambda: "default_no-json" not in names(lab), 5, "removed: it is gone")


def reload(checks):
    """SIGHUP, `apply` and a changed file take effect as a diff, all or nothing; traffic in flight does not notice."""
    with running_lab() as lab:
        wait_serving(lab)
        traffic = lab.client.background("stream", f"http://{VS_HTTP}/", 8)
        held = lab.client.background("hold", VS_SCENARIO, 80, 3)
        held.stdout.readline()
        with open(lab.sluice.config_file, encoding="utf-8") as file:
            original = file.read()

        def edit(text):
            with open(lab.sluice.config_file + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(lab.sluice.config_file + ".new", lab.sluice.config_file)

        extra = "pools:\n  p: {members: [\"10.244.0.76:80\"]}\nvirtual-servers:\n  " \
                "by-file: {destination: \"172.16.40.91:80\", pool: p}\n"
        edit(original + extra)
        lab.sluice.reload()
        checks.eventually(lambda: "by-file" in names(lab), 5, "SIGHUP: the new virtual server is there")
        checks.equal(lab.client.http("http://172.16.40.91/", 3)["errors"], [], "and serves")
        edit(original)
        checks.eventually(lambda: "by-file" not in names(lab), 5, "file change alone: it is gone again")
        path = os.path.join(lab.state_dir, "other.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(original + extra.replace("by-file", "by-apply"))
        done = lab.sluice.ctl("apply", path, check=False)
        checks.ok(done.returncode == 0 and "by-apply" in names(lab), "sluicectl apply FILE", done.stderr)
        with open(path, "w", encoding="utf-8") as file:
            file.write(original + extra.replace("by-file", "half").replace("172.16.40.91:80", "172.16.40.91:99999")
                       + "nonsense: 1\n")
        done = lab.sluice.ctl("apply", path, check=False)
        checks.ok(done.returncode == 1 and "99999" in done.stderr and "nonsense" in done.stderr,
                  "two errors: both are reported at once", done.stderr)
        checks.ok("half" not in names(lab) and "by-apply" in names(lab), "and nothing of it is in force")
        lab.finish(held)
        events = lab.finish(traffic)["events"]
        errors = [event for event in events if event[2]]
        checks.ok(not errors and len(events) > 80, f"{len(events)} requests meanwhile, none failed", errors[:3])


def start_fails(checks, lab, what, words, text=None, argv=(), prefix=()):
    """sluiced must end with an error on standard error that has all the words, and never start."""
    if text is not None:
        lab.sluice.write_config(lab.manifests.directory, text=text)
    started = time.monotonic()
    done = run(*prefix, os.path.join(build_dir(), DAEMON), *(argv or ("--config", lab.sluice.config_file)),
               namespace=lab.lb.name, check=False, timeout=30)
    said = done.stderr + done.stdout
    checks.ok(0 < done.returncode < 126 and all(word in said for word in words),
              f"{what}: exit code {done.returncode} after {time.monotonic() - started:.1f} s", said[-2000:])


def bad_starts(checks):
    """Each way to start wrongly gives one clear error and leaves nothing behind."""
    with running_lab(sluice=False) as lab:
        lab.sluice.write_config(lab.manifests.directory)
        with open(lab.sluice.config_file, encoding="utf-8") as file:
            good = file.read()
        links = lab.lb.output("ip", "-br", "link")
        start_fails(checks, lab, "no such file", ["nowhere.yaml"], argv=("--config", "/nowhere.yaml"))
        start_fails(checks, lab, "no YAML", ["sluice.yaml"], text="a: [b\n")
        start_fails(checks, lab, "several errors, all reported", ["70000", "nonsense", "blue"],
                    text=good.replace("packet-buffers: 16384", "packet-buffers: blue")
                    + "nonsense: 1\npools: {p: {members: [\"10.0.0.1:70000\"]}}\n")
        start_fails(checks, lab, "an interface that does not exist", ["nosuchif0"],
                    text=good.replace("iface=int0", "iface=nosuchif0"))
        start_fails(checks, lab, "a PMD that does not exist", ["net_nonsense0"],
                    text=good.replace("net_af_packet0,iface=int0", "net_nonsense0"))
        start_fails(checks, lab, "a PCI address without a device", ["0000:ff:1f.7"],
                    text=good.replace("net_af_packet0,iface=int0", "0000:ff:1f.7"))
        start_fails(checks, lab, "an unknown option", ["--nonsense"], argv=("--nonsense",))
        lab.sluice.write_config(lab.manifests.directory)
        start_fails(checks, lab, "not root", ["root"], prefix=("setpriv", "--reuid=65534", "--clear-groups",
                                                             "--inh-caps=-all", "--bounding-set=-all"))
        # Without its file in a folder that nobody may read, "not root" would be about the file.
        checks.equal(lab.lb.output("ip", "-br", "link"), links, "no interface is left behind")
        lab.start_sluice()
        checks.ok(lab.sluice.running(), "and a good start still works")
        done = run(os.path.join(build_dir(), DAEMON), "--config", lab.sluice.config_file, namespace=lab.lb.name,
                   check=False, timeout=30)
        checks.ok(done.returncode != 0 and lab.sluice.running() and lab.sluice.answers(),
                  "a second sluiced on the same socket is refused, the first runs on", done.stderr[-1000:])


if __name__ == "__main__":
    tests = (bad_manifests, reload, bad_starts)
    chosen = [test for test in tests if test.__name__ in sys.argv[1:]]
    check.main(*(chosen or tests))
