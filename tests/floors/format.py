#!/usr/bin/env python3
"""Every C file of ours is laid out as .clang-format says, by the clang-format of Debian 12 (14): others lay out otherwise."""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

TOOL = "clang-format-14"


def check(root, files):
    """One run for all files; the names of those that would change."""
    done = subprocess.run([TOOL, "--dry-run", "-Werror", "--ferror-limit=1"] + files, cwd=root, capture_output=True,
                          text=True)
    named = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "[-Wclang-format-violations]" in line})
    if done.returncode and not named:
        named = [done.stderr.strip()]
    return [f"{name}: run {TOOL} -i on it" for name in named]


def tracked():
    """What git tracks; a tree without git is taken whole."""
    done = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "*.c", "*.h"], cwd=tree.ROOT,
                          capture_output=True, text=True)
    names = [n for n in done.stdout.split("\0") if n and os.path.exists(os.path.join(tree.ROOT, n))]
    return names if done.returncode == 0 and names else list(tree.sources(tree.ROOT))


def self_check():
    with tempfile.TemporaryDirectory() as copy:
        with open(os.path.join(tree.ROOT, ".clang-format"), encoding="utf-8") as style:
            with open(os.path.join(copy, ".clang-format"), "w", encoding="utf-8") as f:
                f.write(style.read())
        for name, text in (("bad.c", "int  f( void );\n"), ("good.c", "int f(void);\n")):
            with open(os.path.join(copy, name), "w", encoding="utf-8") as f:
                f.write(text)
        found = check(copy, ["bad.c", "good.c"])
    return [] if len(found) == 1 and found[0].startswith("bad.c") else [f"self-check: expected bad.c, got {found}"]


if __name__ == "__main__":
    tree.report("format", check(tree.ROOT, tracked()) + self_check())
