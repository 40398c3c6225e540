#!/usr/bin/env python3
"""The same source, in two folders and two build folders, gives programs of the same bytes, and none of them knows where it
was built. Usage: test_reproducible.py OPTIMIZATION PROGRAM..."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ["YM_SOURCE_ROOT"]


def files():
    """Of the source, by name."""
    done = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                          cwd=SOURCE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode == 0 and done.stdout:
        return [n for n in done.stdout.decode().split("\0") if n and os.path.isfile(os.path.join(SOURCE, n))]
    return [os.path.relpath(os.path.join(here, n), SOURCE) for here, _, names in os.walk(SOURCE)
            if not os.path.relpath(here, SOURCE).startswith("build") for n in names]


def copy(source, place, names):
    for name in names:
        os.makedirs(os.path.dirname(os.path.join(place, name)), exist_ok=True)
        shutil.copyfile(os.path.join(source, name), os.path.join(place, name))
        shutil.copymode(os.path.join(source, name), os.path.join(place, name))


def build(place, folder, optimization, programs):
    """The copy of the source in place, built in its folder; hash of each program."""
    env = {**os.environ, "CCACHE_DISABLE": "1", "LC_ALL": "C.UTF-8"}
    for argv in (["meson", "setup", folder, f"-Doptimization={optimization}"],
                 ["ninja", "-C", folder, *(f"cmd/{p}" for p in programs)]):
        p = subprocess.run(argv, cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=1500)
        if p.returncode != 0:
            sys.exit(f"{' '.join(argv)}: {p.stdout[-3000:]}")
    out = {}
    for name in programs:
        with open(os.path.join(place, folder, "cmd", name), "rb") as f:
            data = f.read()
        if place.encode() in data:
            sys.exit(f"{name} knows that it was built in {place}")
        out[name] = hashlib.sha256(data).hexdigest()
    return out


def main(root, optimization, programs):
    one, two, names = os.path.join(root, "a"), os.path.join(root, "another", "place"), files()
    copy(SOURCE, one, names)
    copy(one, two, names)  # of the copy: the source may change meanwhile
    first = build(one, "build", optimization, programs)
    second = build(two, os.path.join("out", "of", "the", "way"), optimization, programs)
    for name in programs:
        print(first[name], second[name], name)
    if first != second:
        sys.exit("the same source gave other bytes")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="yumen-") as scratch:
        main(scratch, sys.argv[1], sys.argv[2:])
