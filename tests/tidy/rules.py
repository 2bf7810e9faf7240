"""The rules of the house that a machine can check: who may include whom, where DPDK may be named, how files look.

Each rule is a function from a Tree to a list of complaints, each "path:line: what". Called by: tidy_test.py, which also
shows that every rule can fail.
"""

import os
import re
import subprocess

# From the bottom up (ARCHITECTURE.md, "The house"). A folder may include folders of a lower level, and itself.
LEVELS = {
    "dataplane/base": 0,
    "dataplane/wire": 1,
    "dataplane/packet": 2,
    "dataplane/port": 3, "dataplane/ip": 3, "dataplane/flow": 3,
    "dataplane/tcp": 4, "dataplane/bfd": 4,
    "dataplane/worker": 5,
    "lb/snapshot": 6, "monitors": 6,
    "lb/balance": 7, "lb/persist": 7,
    "lb/l4": 8, "lb/l7": 8,
    "lb/datapath": 9,
    "control/config": 10, "control/routing": 10,
    "control/bgp": 11, "control/k8s": 11, "control/admin": 11,
    "control/io": 12,
    "control/cli": 13,
    "control/daemon": 14,
}
# Of lb, monitors may know nothing and be known by nothing in it; the levels alone would let lb/l4 include monitors.
STRANGERS = [("lb", "monitors"), ("monitors", "lb")]

# rte_ names: these folders, and the one-file wrappers of DPDK's own libraries.
DPDK_FOLDERS = ("dataplane/packet/", "dataplane/port/", "dataplane/worker/")
DPDK_WRAPPERS = ("dataplane/ip/fib", "dataplane/ip/fragments")

PRODUCTION = ("dataplane/", "lb/", "monitors/", "control/")
LINES_MAX = 800
# Longer files, each with its reason.
LONG_FILES = {}
GENERATED = re.compile(r"(^|/)build[^/]*/|\.(o|a|so|pyc|orig|rej)$|(^|/)compile_commands\.json$")
BYTES_MAX = 512 * 1024


class Tree:
    """The files that git knows in a checkout (or, without git, every file under it)."""

    def __init__(self, root):
        self.root = root
        done = subprocess.run(["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            names = done.stdout.decode().split("\0")
        else:
            names = [os.path.relpath(os.path.join(folder, name), root)
                     for folder, _, files in os.walk(root) for name in files
                     if not re.search(r"(^|/)(build[^/]+|__pycache__|\.git)(/|$)", os.path.relpath(folder, root))]
        self.files = sorted(name for name in names if name and os.path.isfile(os.path.join(root, name)))

    def text(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def sources(self, *suffixes):
        return [path for path in self.files if path.endswith(suffixes)]

    def production(self):
        return [path for path in self.sources(".h", ".cc") if path.startswith(PRODUCTION)]


def folder_of(path):
    """The folder of LEVELS that a source belongs to; its own sub-folders (tcp/congestion) count as it."""
    folder = os.path.dirname(path)
    while folder and folder not in LEVELS:
        folder = os.path.dirname(folder)
    return folder


def include_direction(tree):
    """Includes go down the house only."""
    complaints = []
    for path in tree.production():
        here = folder_of(path)
        if not here:
            complaints.append(f"{path}:1: its folder is not in the house plan (LEVELS in tests/tidy/rules.py)")
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            there = folder_of(match.group(1))
            if not there:
                if match.group(1).startswith(PRODUCTION) or "/" not in match.group(1):
                    complaints.append(f"{path}:{number}: \"{match.group(1)}\" is not a path from the root of the tree")
                continue
            stranger = any(here.startswith(a) and there.startswith(b) for a, b in STRANGERS)
            if there != here and (LEVELS[there] >= LEVELS[here] or stranger):
                complaints.append(f"{path}:{number}: {here} may not include {there}")
    return complaints


def dpdk_at_the_edge(tree):
    """rte_ names only where the house plan allows them."""
    complaints = []
    for path in tree.production():
        if path.startswith(DPDK_FOLDERS) or path.startswith(DPDK_WRAPPERS):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            code = line.split("//")[0]
            match = re.search(r"\b(rte_\w+|RTE_\w+)", code)
            if match:
                complaints.append(f"{path}:{number}: {match.group(1)} here")
    return complaints


def prefetches_stay(tree):
    """Prefetches go through base/prefetch.h: gcc leaves out calls to a function that does nothing but the builtin."""
    home = "dataplane/base/prefetch.h"
    return [f"{path}:{number}: __builtin_prefetch here, not prefetch_line()" for path in tree.production() if path != home
            for number, line in enumerate(tree.text(path).splitlines(), 1)
            if "__builtin_prefetch" in line.split("//")[0]]


def first_sentence(tree):
    """Every file opens with one sentence that says what it is."""
    complaints = []
    names = (".h", ".cc", ".py", "meson.build", ".sh", ".c", ".conf")
    for path in tree.files:
        text = tree.text(path) if path.endswith(names) or is_script(tree, path) else None
        if text is None or path.endswith("__init__.py") and not text:
            continue
        lines = [line for line in text.splitlines()[:4] if not line.startswith(("#!", "# shellcheck "))]
        first = lines[0].strip() if lines else ""
        if path.endswith("meson.build") and not first.startswith("#"):
            continue  # a short list of the folder's files needs no introduction; one with logic has one
        match = re.match(r'(//|#|"""|/\*)\s*(.*)', first)
        if not match or len(match.group(2).split()) < 4:
            complaints.append(f"{path}:1: does not open with a sentence that says what the file is")
    return complaints


def pragma_once(tree):
    """Headers guard themselves with #pragma once."""
    return [f"{path}:1: no #pragma once" for path in tree.sources(".h")
            if not re.search(r"^#pragma once$", tree.text(path), re.M)]


def file_length(tree):
    """No source above 800 lines that is not listed with its reason."""
    complaints = []
    for path in tree.sources(".h", ".cc", ".py", ".sh"):
        lines = tree.text(path).count("\n")
        if lines > LINES_MAX and path not in LONG_FILES:
            complaints.append(f"{path}: {lines} lines (at most {LINES_MAX}, or a reason in LONG_FILES)")
    return complaints


def no_generated_files(tree):
    """Nothing that a build makes, and nothing large, is in the tree."""
    complaints = [f"{path}: looks generated" for path in tree.files if GENERATED.search(path)]
    complaints += [f"{path}: more than {BYTES_MAX} bytes" for path in tree.files
                   if os.path.getsize(os.path.join(tree.root, path)) > BYTES_MAX]
    return complaints


def nothing_postponed(tree):
    """No TODO, FIXME, XXX or HACK: what is not done is in the README's list, or in an issue."""
    complaints = []
    for path in tree.sources(".h", ".cc", ".py", ".sh", "meson.build"):
        if path.startswith("tests/tidy/"):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                complaints.append(f"{path}:{number}: {line.strip()}")
    return complaints


def links_exist(tree):
    """Relative links of the Markdown pages, and paths in them between backquotes, lead to files."""
    complaints = []
    for path in tree.sources(".md"):
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                if not os.path.exists(os.path.join(tree.root, os.path.dirname(path), target)):
                    complaints.append(f"{path}:{number}: no such file: {target}")
    return complaints


def drop_reasons_are_counted(tree):
    """Every reason in the list of drop reasons is counted somewhere: a name that nothing uses is a promise not kept."""
    source = "dataplane/base/drop_reason.h"
    if source not in tree.files:
        return []
    names = re.findall(r"^\s*X\((\w+), \"", tree.text(source), re.M)
    used = "\n".join(tree.text(path) for path in tree.production() if path != source)
    return [f"{source}: no code drops with the reason {name}" for name in names
            if not re.search(rf"\bDropReason::{name}\b", used)]


def is_script(tree, path):
    """Whether the file is an executable script of a shell or Python without a telling suffix."""
    if "." in os.path.basename(path) or not os.access(os.path.join(tree.root, path), os.X_OK):
        return False
    return tree.text(path).startswith("#!")


def shell_scripts(tree):
    return [path for path in tree.files if path.endswith(".sh")
            or is_script(tree, path) and re.match(r"#!.*\b(ba)?sh\b", tree.text(path).splitlines()[0])]


def shellcheck(tree):
    """Shell scripts pass shellcheck."""
    scripts = shell_scripts(tree)
    if not scripts:
        return []
    done = subprocess.run(["shellcheck", "-x", "-P", "SCRIPTDIR", "-f", "gcc", *scripts], cwd=tree.root, stdout=subprocess.PIPE, text=True,
                          check=False)
    return done.stdout.splitlines()


def clang_format(tree):
    """C++ is formatted as .clang-format says."""
    files = tree.sources(".h", ".cc")
    if not files:
        return []
    jobs = [subprocess.Popen(["clang-format", "--dry-run", "--Werror", *files[i::2]], cwd=tree.root,
                             stderr=subprocess.PIPE, text=True) for i in range(2) if files[i::2]]
    bad = set()
    for job in jobs:
        bad.update(re.findall(r"^([^:\n]+):\d+:\d+: error", job.communicate()[1], re.M))
    return [f"{path}: run `clang-format -i {path}`" for path in sorted(bad)]


RULES = (include_direction, dpdk_at_the_edge, prefetches_stay, first_sentence, pragma_once, file_length, no_generated_files,
         nothing_postponed, links_exist, drop_reasons_are_counted, shellcheck, clang_format)
