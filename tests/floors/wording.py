#!/usr/bin/env python3
"""What a person reads never says that something is allowed by law, or more private than it is: the message catalogue in
both languages, quoted texts of the sources, pages, scripts, rule sets. Records and claims are named as such."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree  # noqa: E402

NEVER = [(re.compile(p, re.I), why) for p, why in (
    (r"\b(non-?)?complian(t|ce)\b", "say which record or rule"),
    (r"\b(un)?lawful", "the software does not decide what the law requires"),
    (r"\b(il)?legal(ly)? to\b", "the software does not decide what the law requires"),
    (r"\bpermitted by law\b", "the software does not decide what the law requires"),
    (r"approved by (the )?(CAC|NHC)\b", "name the record, its number and who entered it"),
    (r"safe (to|for) export", "name the recorded basis"),
    (r"\bexempt\b(?!\s+claim)", "an exemption is a claim of somebody named"),
    (r"\banonymi[sz]|\banonymous(ly)?\b", "say (epsilon, delta) for one patient's records"),
    (r"guarantees? privacy", "say (epsilon, delta) for one patient's records"),
    (r"\b(PIPL|GDPR)[- ](certified|approved)", "nobody certified it"),
    (r"合规|合法|违法", "本软件不判断法律要求"),
    (r"匿名", "写明 (epsilon, delta)"),
    (r"(?<!主张)豁免(?!主张)", "豁免是具名人员的主张"))]
# The words as names of things that are not a promise.
QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def texts(path, whole):
    """(line number, text a person may read) of a file: all of it, or what stands in quotes."""
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if whole:
                yield number, line
            else:
                for quoted in QUOTED.findall(line):
                    yield number, quoted


def files(root):
    yield os.path.join(root, "README.md"), True
    for folder, endings in (("docs", (".md",)), ("gate", (".yaml",)), ("scripts", ("",)), ("proto", (".proto",))):
        for here, _, names in os.walk(os.path.join(root, folder)):
            yield from ((os.path.join(here, n), True) for n in sorted(names) if n.endswith(endings) and not n.endswith(".pyc"))
    for path in tree.sources(root, (".c", ".h", ".def")):
        if not path.startswith(("tests", "bench")):
            yield os.path.join(root, path), path.endswith(".def")


def check(listed, root):
    problems = []
    for path, whole in listed:
        for number, text in texts(path, whole):
            problems += [f"{os.path.relpath(path, root)}:{number}: \"{found.group()}\": {why}"
                         for pattern, why in NEVER for found in pattern.finditer(text)]
    return problems


def self_check():
    planted = ["This model is compliant.", "it is lawful", "Legal to send", "approved by the CAC", "safe to export", "exempt from review",
               "anonymised data", "guarantees privacy", "GDPR-certified", "permitted by law", "数据合规", "结果合法", "已匿名化", "予以豁免"]
    return [f"self-check: \"{text}\" went unnoticed" for text in planted if not any(p.search(text) for p, _ in NEVER)]


if __name__ == "__main__":
    listed = list(files(tree.ROOT))
    few = [] if len(listed) > 200 else [f"self-check: only {len(listed)} files were read"]
    tree.report("wording", check(listed, tree.ROOT) + self_check() + few)
