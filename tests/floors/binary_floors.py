#!/usr/bin/env python3
"""What each program links and holds: reads NEEDED, symbols and strings of the built binaries.

The trainer cannot reach the network by a library it does not have, the auditor needs nobody's server, and nothing that
runs in a hospital holds code that trains without noise or repeats a generator."""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

RPC = ("libgrpc", "libgpr", "libabsl")
WEB = ("libcurl", "libmicrohttpd")
NO_LIBRARY = {
    "yumen-trainer": RPC + WEB + ("libssl", "libsqlite3", "libzip", "libpng"),
    "yumen-site": RPC + WEB + ("libssl", "libsqlite3"),
    "yumen-gateway": WEB + ("libopenblas", "libblas", "libcblas", "libsqlite3"),
    "yumen-audit": RPC + WEB + ("libssl", "libzmq", "libsqlite3", "libopenblas", "libblas"),
    "yumen-audit-fetch": RPC + ("libmicrohttpd", "libzmq", "libsqlite3", "libopenblas", "libblas"),
    "yumen-witness": RPC + ("libssl", "libcurl", "libzmq", "libsqlite3", "libopenblas", "libblas"),
    "yumen-coordinator": ("libzmq", "libopenblas", "libblas"),
    "yumen": WEB + ("libzmq", "libsqlite3"),
}
# Hospital programs: no symbol of the simulator, and none that by its name seeds or skips the noise.
HOSPITAL = ("yumen-trainer", "yumen-site", "yumen-gateway")
SYMBOL = re.compile(r"seeded|open_keyed|rng_seed|no_privacy|without_noise|noise_free|^ym_sim_")
STRING = re.compile(rb"--?no[-_]privacy|no_privacy")


def output(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True, errors="replace").stdout


def needed(binary):
    return re.findall(r"\(NEEDED\).*\[(.*?)\]", output("readelf", "-d", binary))


def symbols(file):
    """Names that the file defines, local ones too."""
    names = set()
    for line in output("nm", "--defined-only", file).splitlines():
        parts = line.split()
        if len(parts) == 3:
            names.add(parts[2])
    return names


def simulator_symbols(build):
    """Global functions of the simulator's library: the list that nobody has to keep."""
    archive = os.path.join(build, "sim", "libsim.a")
    if not os.path.exists(archive):
        return None
    names = set()
    for line in output("nm", "--defined-only", "--extern-only", archive).splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] in "TtRrDdBb" and not parts[2].startswith("__"):
            names.add(parts[2])
    return names


def check(build):
    problems = []
    simulator = simulator_symbols(build)
    if not simulator:
        problems.append("sim/libsim.a is not built: cannot tell the simulator's symbols")
    for name, forbidden in NO_LIBRARY.items():
        binary = os.path.join(build, "cmd", name)
        if not os.path.exists(binary):
            problems.append(f"{name} is not built")
            continue
        for library in needed(binary):
            if library.startswith(forbidden):
                problems.append(f"{name} links {library}")
        if name not in HOSPITAL:
            continue
        defined = symbols(binary)
        if not defined:
            problems.append(f"{name} has no symbols to read; build it unstripped")
        for symbol in sorted(defined):
            if SYMBOL.search(symbol) or symbol in (simulator or ()):
                problems.append(f"{name} holds {symbol}")
        with open(binary, "rb") as f:
            if STRING.search(f.read()):
                problems.append(f"{name} holds the text no-privacy")
    return problems


def compile_to(path, text, *more):
    subprocess.run(["cc", "-x", "c", "-", "-x", "none", "-o", path, *more], input=text, text=True, check=True)


def fake_tree(build, bad):
    """Little programs; in a bad tree each breaks its rules."""
    os.makedirs(os.path.join(build, "cmd"))
    os.makedirs(os.path.join(build, "sim"))
    compile_to(os.path.join(build, "sim", "s.o"), "int planted_by_sim(void) { return 1; }", "-c")
    subprocess.run(["ar", "rc", os.path.join(build, "sim", "libsim.a"), os.path.join(build, "sim", "s.o")], check=True)
    for name, forbidden in NO_LIBRARY.items():
        flags = []
        if bad:
            for library in forbidden:
                path = os.path.join(build, f"{library}.so.9")
                compile_to(path, "", "-shared", f"-Wl,-soname,{library}.so.9")
                flags.append(path)
        text = "int main(void) { return 0; }"
        if bad:
            text = ("int planted_by_sim(void); int planted_by_sim(void) { return 1; }\n"
                    "static __attribute__((used)) int ym_rng_open_keyed(void) { return 1; }\n"
                    'const char planted[] = "--no-privacy";\n' + text)
        compile_to(os.path.join(build, "cmd", name), text, "-Wl,--no-as-needed", *flags)


def self_check():
    missed = []
    with tempfile.TemporaryDirectory() as top:
        bad, good = os.path.join(top, "bad"), os.path.join(top, "good")
        fake_tree(bad, True)
        fake_tree(good, False)
        found = check(bad)
        for name, forbidden in NO_LIBRARY.items():
            wanted = [f"{name} links {library}.so.9" for library in forbidden]
            if name in HOSPITAL:
                wanted += [f"{name} holds planted_by_sim", f"{name} holds ym_rng_open_keyed",
                           f"{name} holds the text no-privacy"]
            missed += [f"self-check: not reported: {w}" for w in wanted if w not in found]
        missed += [f"self-check: wrongly reported: {p}" for p in check(good)]
        os.remove(os.path.join(good, "cmd", "yumen-trainer"))
        if "yumen-trainer is not built" not in check(good):
            missed.append("self-check: a missing program went unnoticed")
    return missed


if __name__ == "__main__":
    if not tree.BUILD:
        sys.exit("set YM_BUILD_ROOT to a build folder")
    tree.report("binary floors", check(tree.BUILD) + self_check())
