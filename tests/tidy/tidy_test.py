#!/usr/bin/env python3
"""Checks the tree against the house rules (rules.py), after showing on small trees that each rule can fail.

Usage: tidy_test.py [ROOT]. Called by: `meson test`, ./test tidy.
"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rules  # noqa: E402

TOP = "// A file that is there to be checked.\n"

# rule: (files that break it, files that keep it).
EXAMPLES = {
    rules.include_direction: (
        [{"dataplane/ip/a.cc": TOP + '#include "lb/datapath/datapath.h"\n'},
         {"dataplane/wire/a.h": TOP + '#include "dataplane/worker/worker.h"\n'},
         {"dataplane/ip/a.cc": TOP + '#include "dataplane/flow/table.h"\n'},
         {"lb/l4/a.cc": TOP + '#include "monitors/monitor.h"\n'},
         {"monitors/a.cc": TOP + '#include "lb/snapshot/words.h"\n'},
         {"control/bgp/a.cc": TOP + '#include "control/k8s/objects.h"\n'},
         {"lb/l4/a.cc": TOP + '#include "flow.h"\n'},
         {"lb/new_folder_that_nobody_planned/a.cc": TOP}],
        [{"lb/datapath/a.cc": TOP + '#include "dataplane/ip/fib.h"\n#include "lb/l4/nat.h"\n',
          "dataplane/tcp/congestion/a.cc": TOP + '#include "dataplane/tcp/conn.h"\n#include <vector>\n',
          "control/config/a.cc": TOP + '#include "lb/snapshot/words.h"\n'}]),
    rules.dpdk_at_the_edge: (
        [{"lb/l4/a.cc": TOP + "rte_mbuf* m;\n"}, {"dataplane/ip/neighbor.cc": TOP + "x = RTE_MIN(1, 2);\n"}],
        [{"dataplane/port/a.cc": TOP + "rte_mbuf* m;\n", "dataplane/ip/fib.cc": TOP + "rte_fib* fib;\n",
          "lb/l4/a.cc": TOP + "int x;  // not rte_hash\n"}]),
    rules.first_sentence: (
        [{"lb/l4/a.cc": "#include <vector>\n"}, {"lb/l4/a.h": "// Flow.\n"}, {"tests/a.py": "import os\n"}],
        [{"lb/l4/a.cc": TOP, "tests/a.py": '#!/usr/bin/env python3\n"""Says what it is here."""\n'}]),
    rules.pragma_once: ([{"lb/l4/a.h": TOP}], [{"lb/l4/a.h": TOP + "#pragma once\n"}]),
    rules.file_length: ([{"lb/l4/a.cc": TOP + "\n" * 800}], [{"lb/l4/a.cc": TOP + "\n" * 799}]),
    rules.no_generated_files: (
        [{"build/a.o": "x"}, {"lb/a.o": "x"}, {"data.bin": "x" * (rules.BYTES_MAX + 1)}], [{"lb/l4/a.cc": TOP}]),
    rules.prefetches_stay: (
        [{"lb/l4/a.cc": TOP + "__builtin_prefetch(p);\n"}], [{"lb/l4/a.cc": TOP + "prefetch_line(p);\n"}]),
    rules.nothing_postponed: ([{"lb/l4/a.cc": TOP + "// TODO: later\n"}], [{"lb/l4/a.cc": TOP}]),
    rules.links_exist: (
        [{"README.md": "[gone](docs/gone.md)\n"}],
        [{"README.md": "[here](a/b.md#part) [web](https://example.org/x)\n", "a/b.md": "[up](../README.md)\n"}]),
    rules.drop_reasons_are_counted: (
        [{"dataplane/base/drop_reason.h": '  X(ttl_exceeded, "the TTL ran out")\n', "lb/l4/a.cc": "ttl_exceeded\n"}],
        [{"dataplane/base/drop_reason.h": '  X(ttl_exceeded, "the TTL ran out")\n',
          "lb/l4/a.cc": "DropReason::ttl_exceeded\n"}]),
    rules.shellcheck: ([{"a.sh": "#!/bin/bash\nrm $1/*\nif [ $x = 1 ]\n"}], [{"a.sh": '#!/bin/bash\necho "$1"\n'}]),
    rules.clang_format: (
        [{".clang-format": "BasedOnStyle: Google\n", "lb/l4/a.cc": "int   x ;\n"}],
        [{".clang-format": "BasedOnStyle: Google\n", "lb/l4/a.cc": "int x;\n"}]),
}


def complaints_on(rule, files):
    with tempfile.TemporaryDirectory(prefix="sluice-tidy-") as root:
        for path, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return rule(rules.Tree(root))


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    tree = rules.Tree(os.path.abspath(root))
    count = failed = 0

    def ok(condition, what, lines=()):
        nonlocal count, failed
        count += 1
        failed += not condition
        print(f"{'ok' if condition else 'not ok'} {count} - {what}")
        for line in lines:
            print(f"  # {line}")

    for rule in rules.RULES:
        bad, good = EXAMPLES[rule]
        missed = [str(sorted(files)) for files in bad if not complaints_on(rule, files)]
        ok(not missed, f"{rule.__name__} fails on {len(bad)} bad trees", missed)
        wrong = [line for files in good for line in complaints_on(rule, files)]
        ok(not wrong, f"{rule.__name__} passes on a good tree", wrong)
    ok(len(tree.files) > 10, f"the tree has {len(tree.files)} files")
    for rule in rules.RULES:
        lines = rule(tree)
        ok(not lines, f"{rule.__name__}: {rule.__doc__.splitlines()[0]}", lines)
    print(f"1..{count}\n{count - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
