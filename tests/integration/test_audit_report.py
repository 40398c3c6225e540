#!/usr/bin/env python3
"""yumen-audit report: one page that needs nothing from elsewhere, in both languages, whatever the ledgers say; its exit
code is that of verify."""

import base64
import hashlib
import html.parser
import os
import re
import subprocess
import sys
import tempfile

BUILD = os.environ["YM_BUILD_ROOT"]
GOLDEN = os.path.join(os.environ["YM_SOURCE_ROOT"], "tests", "vectors", "ledger", "golden")
ENV = {**os.environ, "YUMEN_LANG": "en"}
TAGS = {"html", "head", "meta", "title", "style", "body", "input", "nav", "label", "article", "h1", "h2", "h3", "p", "div",
        "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "pre", "span", "br", "figure", "figcaption",
        "b", "svg", "g", "path", "text", "circle", "rect"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "type", "id", "checked", "for", "scope", "colspan",
              "viewbox", "role", "d", "x", "y", "cx", "cy", "r", "width", "height", "text-anchor"}
VOID = {"meta", "input", "br", "path", "circle", "rect"}
HOSTILE = "</style></title></article><script>alert(1)</script><img src=x onerror='alert(2)'>\"&lt;%s\u202egnp.x\u0007"


class Page(html.parser.HTMLParser):
    """The page's tags must nest and be ours; its text by language."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.language, self.style, self.policy = [], {"en": "", "zh-Hans": ""}, None, "", ""
        self.feed(source)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in ATTRIBUTES, name
        attrs = dict(attrs)
        if tag == "article":
            self.language = attrs["lang"]
        if attrs.get("http-equiv") == "Content-Security-Policy":
            self.policy = attrs["content"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID, tag
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()
        if tag == "article":
            self.language = None

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        elif self.language:
            self.text[self.language] += data


def run(expect, *argv):
    p = subprocess.run([os.path.join(BUILD, "cmd", "yumen-audit"), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, env=ENV, timeout=60)
    if p.returncode != expect:
        sys.exit(f"{' '.join(argv)}: exit {p.returncode}, expected {expect}\n{p.stdout}{p.stderr}")


def report(out, expect, dirs, *options):
    run(expect, "report", *dirs, *options, "--out", out)
    with open(out, encoding="utf-8") as f:
        source = f.read()
    page = Page(source)
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert page.policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'", page.policy
    assert not re.search(r"https?:|url\(|@import|javascript", source), "something from elsewhere"
    return source, page


def logs(folder):
    return [os.path.join(folder, name) for name in ("hub", "h1", "h2")]


def main(root):
    out = os.path.join(root, "report.html")
    source, page = report(out, 0, logs(GOLDEN), "--trust", os.path.join(GOLDEN, "trust"))
    for figure in ("3.625782", "20.000000", "0123456789abcdef0123456789abcdef01234567"):
        assert all(figure in text for text in page.text.values()), figure
    assert "not proved" in page.text["en"] and "未被证明" in page.text["zh-Hans"]
    assert "Each equals what its charge says" in page.text["en"]
    assert "Level: ledgers." in page.text["en"]
    assert report(out, 0, logs(GOLDEN), "--trust", os.path.join(GOLDEN, "trust"))[0] == source, "not the same bytes again"
    chinese, _ = report(out, 0, logs(GOLDEN), "--trust", os.path.join(GOLDEN, "trust"), "--lang", "zh")
    assert '<html lang="zh-Hans">' in chinese and 'id="zh" checked' in chinese

    _, page = report(out, 1, logs(GOLDEN))
    assert "origin not checked" in page.text["en"]
    run(2, "report", *logs(GOLDEN))
    run(3, "report", os.path.join(root, "nowhere"), "--out", out)

    hostile = os.path.join(root, "hostile")
    os.mkdir(hostile)
    subprocess.run([os.path.join(BUILD, "tests", "make_ledgers"), hostile, HOSTILE], check=True, timeout=60)
    _, page = report(out, 12, logs(hostile), "--trust", os.path.join(hostile, "trust"))
    shown = HOSTILE.replace("\u202e", "\ufffd").replace("\u0007", "\ufffd")
    for language, text in page.text.items():
        assert text.count(shown) >= 7, (language, text.count(shown))
        assert "\u202e" not in text and "\u0007" not in text
        assert "identified_differs" in text
        assert "Each equals what its charge says" not in text and "均与扣费所载相符" not in text
    assert "Each of these holds only where no finding" in page.text["en"]
    print("ok")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="yumen-") as scratch:
        main(scratch)
