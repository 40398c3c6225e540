#!/usr/bin/env python3
"""docs/flaws.md names a test for each flaw, docs/proof.md one for each step: every test, case, mutation and source
file in them exists.

Then asks for things that are not there and demands to hear so."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

PAGE = os.path.join("docs", "flaws.md")
FLAWS = 33
QUOTED = re.compile(r"`([^`]+)`")
TEST = re.compile(r"([a-z]+)/([a-z_0-9]+(?:\.py)?)(?:: ([a-z_0-9]+))?")


def read(root, *parts):
    path = os.path.join(root, *parts)
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as f:
        return f.read()


def check_test(root, suite, name, case):
    listed = re.search(rf"\['{suite}', '{re.escape(name)}'", read(root, "tests", "meson.build"))
    if not listed:
        return f"{suite}/{name} is not a test of tests/meson.build"
    if case is None:
        return None
    text = read(root, "tests", suite, name + ".c")
    if not re.search(rf"^static void {case}\(void \*\*state\)", text, re.M) or len(re.findall(rf"\b{case}\b", text)) < 2:
        return f"{suite}/{name} has no case {case}"
    return None


def check_word(root, word):
    """What is wrong with one quoted word; None when it is right, or no reference."""
    if word.startswith("mutation: "):
        if f'("{word[10:]}",' not in read(root, "tests", "mutation", "test_mutations.py"):
            return f"no mutation {word[10:]}"
    elif re.fullmatch(r"[a-z_/0-9]+\.[ch]", word):
        if not os.path.exists(os.path.join(root, word)):
            return f"no file {word}"
    elif TEST.fullmatch(word) and os.path.isdir(os.path.join(root, "tests", word.split("/")[0])):
        return check_test(root, *TEST.fullmatch(word).groups())
    return None


def rows(text):
    return [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]


def check(root, text):
    problems = []
    table = rows(text)
    if [int(r.split("|")[1]) for r in table] != list(range(1, FLAWS + 1)):
        problems.append(f"{PAGE}: not the rows 1 to {FLAWS}")
    for row in table:
        kept_out = row.split("|")[4]
        if not any(TEST.fullmatch(w) for w in QUOTED.findall(kept_out)) and "not applicable yet" not in kept_out:
            problems.append(f"{PAGE}: row {row.split('|')[1].strip()} names no test")
    return problems + check_words(root, PAGE, text)


def check_words(root, page, text):
    return [f"{page}: {wrong}" for wrong in (check_word(root, word) for word in QUOTED.findall(text)) if wrong]


def self_check(root, text):
    missed = []
    planted = {"`conformance/test_absent`": "is not a test", "`conformance/test_probe: absent_case`": "has no case",
               "`floors/absent.py`": "is not a test", "`mutation: absent`": "no mutation", "`privacy/absent.c`": "no file"}
    for word, said in planted.items():
        if not any(said in p for p in check(root, text + "\n" + word)):
            missed.append(f"self-check: {word} went unnoticed")
    if not check(root, text.replace("| 7 |", "| 77 |", 1)):
        missed.append("self-check: a missing row went unnoticed")
    if not any("row 13 names no test" in p for p in check(root, re.sub(r"(?m)^(\| 13 \|.*?\|.*?\|) .* \|$", r"\1 faith |", text))):
        missed.append("self-check: a row without a test went unnoticed")
    return missed


if __name__ == "__main__":
    page = read(tree.ROOT, PAGE)
    proof = os.path.join("docs", "proof.md")
    tree.report("flaw tests", check(tree.ROOT, page) + check_words(tree.ROOT, proof, read(tree.ROOT, proof))
                + self_check(tree.ROOT, page))
