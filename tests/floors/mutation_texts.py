#!/usr/bin/env python3
"""tests/mutation/test_mutations.py follows the code: what each entry replaces stands once in its file, and the tests
that it names exist, with the programs of each script. The entries themselves run with scripts/test --full."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

sys.path.insert(0, os.path.join(tree.ROOT, "tests", "mutation"))
from test_mutations import MUTATIONS, SCRIPTS  # noqa: E402


def read(*parts):
    with open(os.path.join(tree.ROOT, *parts), encoding="utf-8") as f:
        return f.read()


def check(mutations, listed):
    problems, names = [], set()
    for name, path, text, replacement, tests in mutations:
        count = read(path).count(text) if os.path.exists(os.path.join(tree.ROOT, path)) else 0
        if count != 1:
            problems.append(f"{name}: its text stands {count} times in {path}")
        if text == replacement or name in names:
            problems.append(f"{name}: replaces nothing, or is there twice")
        problems += [f"{name}: no test {t}" for t in tests if not re.search(rf"'{re.escape(t)}'", listed)]
        problems += [f"{name}: the programs of {t} are not in SCRIPTS" for t in tests if t.endswith(".py") and t not in SCRIPTS]
        names.add(name)
    return problems


if __name__ == "__main__":
    meson = read("tests", "meson.build")
    first = MUTATIONS[0]
    planted = [(first[0], first[1], "text that is not there", "x", first[4]), (first[0], first[1], first[2], first[2], ["test_absent", "test_rpc.py"])]
    missed = [] if len(check(planted, meson)) == 5 else ["self-check: a stale entry went unnoticed"]
    tree.report("mutation texts", check(MUTATIONS, meson) + missed)
