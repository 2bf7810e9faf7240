"""Builds Sluice and runs its tests group by group, counts every single case, and closes with `N passed, N failed`.

Usage: ./test [--fast] [GROUP...]. Logs and results: build-test-results/. Called by: ./test (which installs packages first).
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(ROOT, "build-test-results")
JOBS = max(2, len(os.sched_getaffinity(0)))
GCC = {"CC": "gcc", "CXX": "g++"}
CLANG = {"CC": "clang", "CXX": "clang++"}
SANITIZED = {
    # halt_on_error: a report ends the program, so it is a failed test. new_delete_type_mismatch stays on.
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "LSAN_OPTIONS": f"suppressions={ROOT}/tests/support/lsan.supp:print_suppressions=0",
    "TSAN_OPTIONS": f"suppressions={ROOT}/tests/support/tsan.supp:halt_on_error=1",
}
# Programs whose subject is threads: these run under TSan too.
THREADED = ("test-base", "test-worker", "test-io", "test-lb-balance")
FUZZ_SECONDS = 8
# A program's time limit, as its meson.build says it, times this: other work may have the cores for a minute.
PATIENCE = 3
SUMMARY_LINES = 16


class Run:
    """Counts and the record of one invocation."""

    def __init__(self, fuzz_seconds):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.times = []
        self.fuzz_seconds = fuzz_seconds
        self.children = []

    def add(self, name, passed, failed, skipped=0, detail=""):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        if failed:
            self.failures.append((name, detail))
        verdict = "FAILED" if failed else "ok"
        counts = f"{passed} passed" + (f", {failed} failed" if failed else "") + (
            f", {skipped} skipped" if skipped else "")
        say(f"  {verdict:<7}{name:<44}{counts}")
        if failed and detail:
            for line in detail.rstrip().splitlines()[-60:]:
                say(f"         {line}")

    def step(self, title, function, *arguments):
        say(f"== {title}")
        started = time.monotonic()
        try:
            return function(self, *arguments)
        except StepFailed as error:
            self.add(title, 0, 1, detail=str(error))
            return None
        finally:
            seconds = time.monotonic() - started
            self.times.append((title, seconds))
            say(f"   {title}: {seconds:.0f} s")


class StepFailed(Exception):
    """A step that gave no results at all: a build that broke, a missing program."""


def say(text):
    print(text, flush=True)


# Before a command: it takes only the time that nobody else wants. Each session is a scheduling group of its own, so
# `nice` alone would not do.
YIELDING = ["sh", "-c", "echo 19 2> /dev/null > /proc/self/autogroup; exec nice -n 19 \"$@\"", "sh"]


def command(run, argv, log, env=None, timeout=1500):
    """Runs a command with its output in a log file; its process group is ended when we are."""
    path = os.path.join(RESULTS, log)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        child = subprocess.Popen(argv, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT,
                                 env={**os.environ, **(env or {})}, start_new_session=True)
        run.children.append(child)
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            end_group(child)
            file.write(f"\nended after {timeout} s\n")
        finally:
            if child.poll() is not None:
                run.children.remove(child)
    with open(path, encoding="utf-8", errors="replace") as file:
        return child.returncode, file.read()


def end_group(child):
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


# ---- builds ------------------------------------------------------------------------------------------------------

# A dozen files a translation unit: the headers of Boost, DPDK and GoogleTest are read once for all of them.
UNITY = ["--unity=on", "-Dunity_size=12"]
BUILDS = {
    # What the quickstart runs, and in its directory: what one has compiled the other need not.
    "build-release": (GCC, ["-Dbuildtype=release", *UNITY]),
    # Assertions are on in these two. Line tables are all that a sanitizer's report needs.
    "build-asan": (CLANG, [*UNITY, "-Doptimization=1", "-Ddebug=false", "-Dcpp_args=-gline-tables-only",
                           "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfuzz=true", "-Dbench=false"]),
    "build-tsan": (CLANG, [*UNITY, "-Doptimization=1", "-Ddebug=false", "-Dcpp_args=-gline-tables-only",
                           "-Db_sanitize=thread", "-Db_lundef=false", "-Dbench=false"]),
}


def configure(run, directory):
    """Makes the build directory, or brings an existing one (the quickstart's has no tests) to our options."""
    env, options = BUILDS[directory]
    if not os.path.exists(os.path.join(ROOT, directory, "build.ninja")):
        shutil.rmtree(os.path.join(ROOT, directory), ignore_errors=True)
        argv = ["meson", "setup", directory, *options]
    elif directory == "build-release":
        argv = ["meson", "configure", directory, "-Dtests=true", "-Dbench=true"]
    else:
        return
    status, text = command(run, argv, f"{directory}-setup.log", env)
    if status != 0:
        raise StepFailed(text)


def build(run, directory, targets=(), prefix=()):
    """Configures and builds; warnings are errors in every build."""
    configure(run, directory)
    status, text = command(run, [*prefix, "ninja", "-C", directory, "-j", str(JOBS), "-k", "5", *targets],
                           f"{directory}-ninja.log", timeout=3000)
    if status != 0:
        parts = [part for part in re.split(r"^(?=FAILED: )", text, flags=re.M) if part.startswith("FAILED")]
        raise StepFailed("\n".join("\n".join(part.splitlines()[:30]) for part in parts) or text[-4000:])
    run.add(f"{directory}: compiles without a warning", 1, 0)


# ---- tests that meson runs ---------------------------------------------------------------------------------------

def meson_tests(run, directory, suite, env=None, names=(), processes=JOBS, timeout=1500):
    """`meson test` of one suite; counts the cases inside each program (GoogleTest's JSON, or TAP lines)."""
    label = f"{directory}-{suite}"
    cases_dir = os.path.join(RESULTS, label + "-cases")
    shutil.rmtree(cases_dir, ignore_errors=True)
    os.makedirs(cases_dir)
    status, text = command(
        run, ["meson", "test", "-C", directory, "--no-rebuild", "--suite", suite, "--num-processes", str(processes),
              "--logbase", label, "--timeout-multiplier", str(PATIENCE), *names], f"{label}.log", {**(env or {}), "GTEST_OUTPUT": f"json:{cases_dir}/",
                                                            "SLUICE_TEST_ROOT": ROOT}, timeout)
    log = os.path.join(ROOT, directory, "meson-logs", label + ".json")
    results = []
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            results = [json.loads(line) for line in file if line.strip()]
        os.unlink(log)
    if not results:
        raise StepFailed(f"`meson test --suite {suite}` ran nothing ({status}):\n{text[-3000:]}")
    for result in results:
        name = result["name"].rpartition(" ")[2]
        cases = gtest_cases(cases_dir, result["command"]) or tap_cases(result.get("stdout", ""))
        passed, failed, skipped = cases or (0, 0, 0)
        good = result["result"] in ("OK", "EXPECTEDFAIL")
        if result["result"] == "SKIP":
            passed, failed, skipped = 0, 0, 1
        elif good and not cases:
            passed = 1
        elif not good and failed == 0:
            failed = 1  # a crash, a time-out, a sanitizer's report after the last case
        detail = f"{result['result']} ({result['returncode']})\n{result.get('stdout', '')}\n{result.get('stderr', '')}"
        run.add(f"{directory.removeprefix('build-')} {name}", passed, failed, skipped,
                interesting(detail))


def gtest_cases(folder, argv):
    """(passed, failed, skipped) of the program's GoogleTest report; None when it wrote none."""
    program = next((os.path.basename(word) for word in argv if os.path.basename(word).startswith("test-")), None)
    path = os.path.join(folder, f"{program}.json")
    if not program or not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        cases = [case for suite in json.load(file)["testsuites"] for case in suite["testsuite"]]
    failed = sum(1 for case in cases if case.get("failures"))
    skipped = sum(1 for case in cases if case.get("result") in ("SKIPPED", "SUPPRESSED") or case["status"] == "NOTRUN")
    return len(cases) - failed - skipped, failed, skipped


def tap_cases(text):
    good = re.findall(r"^ok\b.*$", text, re.M)
    bad = re.findall(r"^not ok\b", text, re.M)
    skipped = sum(1 for line in good if re.search(r"# SKIP", line, re.I))
    return (len(good) - skipped, len(bad), skipped) if good or bad else None


def interesting(text):
    """The part of a failed program's output that tells why: failed checks and what surrounds them."""
    lines = text.splitlines()
    keep = set()
    for number, line in enumerate(lines):
        if re.search(r"^not ok|^FAIL|^TIMEOUT|Failure$|FAILED|ERROR: |runtime error|WARNING: ThreadSan|Assertion|terminate", line):
            keep.update(range(number - 1, number + 8))
    return "\n".join(line for number, line in enumerate(lines) if number in keep) or "\n".join(lines[-30:])


# ---- groups ------------------------------------------------------------------------------------------------------

def built(run, title, directory, targets=(), prefix=()):
    """Builds once, however many groups need it. False: it cannot be built."""
    if not any(name == title for name, _ in run.times):
        run.step(title, build, directory, targets, prefix)
    return title not in [name for name, _ in run.failures]


def built_gcc(run):
    return built(run, "build with gcc (everything)", "build-release")


def built_asan(run, prefix=()):
    return built(run, "build with clang, ASan and UBSan", "build-asan", (), prefix)


def built_tsan(run, prefix=()):
    """Of the TSan build only the programs that test threads, and the daemon itself."""
    programs = existing_programs("build-tsan", THREADED, run)
    return programs if built(run, "build with clang and TSan", "build-tsan", programs, prefix) else []


def unit(run):
    if built_gcc(run):
        run.step("unit tests", meson_tests, "build-release", "unit")


def tidy(run):
    def check(run):
        status, text = command(run, [sys.executable, "tests/tidy/tidy_test.py", ROOT], "tidy.log")
        passed, failed, skipped = tap_cases(text) or (0, 1, 0)
        run.add("tidy", passed, failed or (1 if status else 0), skipped, interesting(text))
    run.step("house rules", check)


def asan(run):
    if built_asan(run):
        run.step("unit tests under ASan and UBSan", meson_tests, "build-asan", "unit", SANITIZED)


def tsan(run):
    for program in built_tsan(run):
        run.step(f"{program} under TSan", gtest_program, "build-tsan", program)


def existing_programs(directory, names, run):
    """Ninja targets (paths) of the named programs in a build directory."""
    configure(run, directory)
    _, text = command(run, ["ninja", "-C", directory, "-t", "targets", "all"], f"{directory}-targets.log")
    targets = re.findall(r"^(\S+): cpp_LINKER", text, re.M)
    return [target for target in targets if os.path.basename(target) in names]


def gtest_program(run, directory, program):
    name = os.path.basename(program)
    report = os.path.join(RESULTS, f"{directory}-{name}.json")
    if os.path.exists(report):
        os.unlink(report)
    status, text = command(run, [os.path.join(ROOT, directory, program), f"--gtest_output=json:{report}"],
                           f"{directory}-{name}.log", SANITIZED, 300)
    folder = os.path.dirname(report)
    os.rename(report, os.path.join(folder, name + ".json")) if os.path.exists(report) else None
    passed, failed, skipped = gtest_cases(folder, [name]) or (0, 0, 0)
    if status != 0 and failed == 0:
        failed = 1
    run.add(f"{directory.replace('build-', '')} {name}", passed, failed, skipped, interesting(text))


def fuzz(run):
    if not built_asan(run):
        return
    folder = os.path.join(ROOT, "build-asan", "tests", "fuzz")
    targets = sorted(name for name in os.listdir(folder) if name.startswith("fuzz-") and "." not in name) \
        if os.path.isdir(folder) else []
    run.step(f"{len(targets)} fuzz targets, {run.fuzz_seconds} s each", fuzz_all, folder, targets)


def fuzz_all(run, folder, targets):
    """Each target from its seeds for some seconds; JOBS of them at a time."""
    waiting, running = list(targets), []
    while waiting or running:
        while waiting and len(running) < JOBS:
            running.append(start_fuzzing(run, folder, waiting.pop(0)))
        time.sleep(0.1)
        for job in [job for job in running if job[1].poll() is not None]:
            running.remove(job)
            finish_fuzzing(run, *job)


def start_fuzzing(run, folder, target):
    seeds = os.path.join(ROOT, "tests", "fuzz", "corpus", target.removeprefix("fuzz-"))
    corpus = tempfile.mkdtemp(prefix="sluice-fuzz-")
    log = open(os.path.join(RESULTS, target + ".log"), "w+", encoding="utf-8", errors="replace")
    # Names of new functions and the entropic schedule cost more than the targets themselves: 20 runs a second, not 300.
    argv = [os.path.join(folder, target), f"-max_total_time={run.fuzz_seconds}", "-timeout=10", "-rss_limit_mb=2048",
            "-print_funcs=0", "-entropic=0", "-print_final_stats=1", f"-artifact_prefix={RESULTS}/{target}-", corpus]
    argv += [seeds] if os.path.isdir(seeds) else []
    child = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **SANITIZED},
                             start_new_session=True)
    run.children.append(child)
    return target, child, log, corpus


def finish_fuzzing(run, target, child, log, corpus):
    run.children.remove(child)
    shutil.rmtree(corpus, ignore_errors=True)
    log.seek(0)
    text = log.read()
    log.close()
    executed = re.search(r"stat::number_of_executed_units: (\d+)", text)
    runs = int(executed.group(1)) if executed else 0
    bad = child.returncode != 0 or runs == 0
    run.add(f"{target}: {runs} inputs", int(not bad), int(bad), detail=interesting(text))


def interop(run):
    if built_gcc(run):
        run.step("against other daemons and kernels", meson_tests, "build-release", "netns", None, (), 1, 1200)


def lab(run):
    if built_gcc(run):
        run.step("the reference deployment in network namespaces", meson_tests, "build-release", "lab", None, (), 1, 1800)


def lab_beside_builds(run):
    """The lab and the interop tests mostly wait: they run side by side, and the sanitizers' builds in what they leave."""
    def builds():
        built_asan(run, YIELDING)
        built_tsan(run, YIELDING)
    if not built_gcc(run):
        return
    beside = [threading.Thread(target=builds, daemon=True), threading.Thread(target=interop, args=(run,), daemon=True)]
    for thread in beside:
        thread.start()
    lab(run)
    for thread in beside:
        thread.join()


GROUPS = {
    "tidy": (tidy, "house rules: includes, formatting, scripts, links"),
    "unit": (unit, "gcc build of everything, unit tests"),
    "lab": (lab, "the reference deployment: sluiced, BIRD, nginx and clients in network namespaces"),
    "interop": (interop, "against other daemons and kernels, in network namespaces of their own"),
    "asan": (asan, "clang build of everything with ASan and UBSan, unit tests"),
    "tsan": (tsan, "the programs that test threads, under TSan"),
    "fuzz": (fuzz, "each fuzz target some seconds from its seeds, under ASan and UBSan"),
}
FAST = ("tidy", "unit")
# All of them, in an order that leaves no core idle.
ALL = (tidy, unit, lab_beside_builds, asan, tsan, fuzz)


def main():
    parser = argparse.ArgumentParser(
        prog="./test", description="Builds Sluice and runs its tests.", formatter_class=argparse.RawTextHelpFormatter,
        epilog="groups:\n" + "\n".join(f"  {name:<9}{text}" for name, (_, text) in GROUPS.items()))
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="only these groups (default: all)")
    parser.add_argument("--fast", action="store_true", help=f"only {' and '.join(FAST)}")
    parser.add_argument("--fuzz-seconds", type=int, default=FUZZ_SECONDS, help="for each target (%(default)s)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.groups if name not in GROUPS]
    if unknown:
        parser.error(f"no such group: {' '.join(unknown)} (there are: {' '.join(GROUPS)})")
    groups = arguments.groups or (FAST if arguments.fast else ())

    shutil.rmtree(RESULTS, ignore_errors=True)
    os.makedirs(RESULTS)
    run = Run(arguments.fuzz_seconds)

    def stop(number, _):
        for child in list(run.children):
            end_group(child)
        sys.exit(128 + number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    started = time.monotonic()
    for group in [GROUPS[name][0] for name in groups] or ALL:
        group(run)

    say("== summary")
    for title, seconds in run.times:
        say(f"  {seconds:6.0f} s  {title}")
    say(f"  {time.monotonic() - started:6.0f} s  in all; logs in {os.path.relpath(RESULTS)}/")
    for name, detail in run.failures:  # once more at the end: who reads only that should know why
        say(f"  FAILED: {name}")
        for line in detail.splitlines()[:SUMMARY_LINES]:
            say(f"    {line[:300]}")
    if run.skipped:
        say(f"  {run.skipped} skipped")
    say(f"{run.passed} passed, {run.failed} failed")
    return 1 if run.failed or not run.passed else 0


if __name__ == "__main__":
    sys.exit(main())
