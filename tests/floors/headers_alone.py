#!/usr/bin/env python3
"""Every header compiles alone, warnings as errors: a contract may not lean on what its reader happened to include."""

import concurrent.futures
import os
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

PACKAGES = ["jansson", "libcrypto", "libprotobuf-c", "grpc", "libzmq", "sqlite3", "cmocka", "openblas"]


def flags():
    found = subprocess.run(["pkg-config", "--cflags"] + PACKAGES, check=True, capture_output=True, text=True).stdout
    return ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wstrict-prototypes",
            "-Wno-missing-field-initializers", "-Wno-unused-function", "-fsyntax-only"] + shlex.split(found)


def check(root, headers):
    compiler = shlex.split(os.environ.get("CC", "cc"))
    common = compiler + flags() + ["-I", root] + (["-I", tree.BUILD] if tree.BUILD else []) + ["-x", "c", "-"]

    def one(path):
        # twice: a header must also survive being included again
        text = f'#include "{path}"\n#include "{path}"\n'
        done = subprocess.run(common + ["-I", os.path.join(root, os.path.dirname(path))], input=text, text=True,
                              capture_output=True)
        return None if done.returncode == 0 else f"{path} does not compile alone:\n{done.stderr.strip()}"

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [problem for problem in pool.map(one, headers) if problem]


def self_check():
    with tempfile.TemporaryDirectory() as copy:
        for name, text in (("leans.h", "size_t planted(void);\n"), ("again.h", "struct planted { int a; };\n"),
                           ("good.h", "#ifndef G\n#define G\nstruct planted { int a; };\n#endif\n")):
            with open(os.path.join(copy, name), "w", encoding="utf-8") as f:
                f.write(text)
        found = check(copy, ["leans.h", "again.h", "good.h"])
    if len(found) == 2 and found[0].startswith("leans.h") and found[1].startswith("again.h"):
        return []
    return [f"self-check: expected leans.h and again.h to fail, got {found}"]


if __name__ == "__main__":
    tree.report("headers alone", check(tree.ROOT, list(tree.sources(tree.ROOT, (".h",)))) + self_check())
