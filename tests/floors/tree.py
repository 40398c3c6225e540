"""What the floor tests share: where the sources are, and copies to plant faults in."""

import os
import shutil
import sys

ROOT = os.environ.get("YM_SOURCE_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("YM_BUILD_ROOT", "")
ROOMS = ("base", "tensor", "privacy", "proto", "gate", "models", "rpc", "web", "audit", "worker", "coordinator", "sim", "cmd",
         "tests", "bench")


def sources(root, suffixes=(".c", ".h")):
    """Paths below root, relative, of the rooms' own files."""
    for room in ROOMS:
        for folder, _, files in os.walk(os.path.join(root, room)):
            for name in sorted(files):
                if name.endswith(suffixes):
                    yield os.path.relpath(os.path.join(folder, name), root)


def copy_sources(to):
    for path in sources(ROOT):
        os.makedirs(os.path.dirname(os.path.join(to, path)), exist_ok=True)
        shutil.copy(os.path.join(ROOT, path), os.path.join(to, path))


def report(name, problems):
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f"{name}: {len(problems)} found")
    print(f"{name}: clean")
