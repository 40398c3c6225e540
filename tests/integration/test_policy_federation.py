#!/usr/bin/python3
"""Whom a hospital serves, at a real one: nobody before it signs a policy; a plan that the policy does not allow is
refused with sentences, at approval and, when the policy changed since, before the next charge; out of hours nothing
runs; and the ledger says what was signed."""

import html.parser
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import SERVES_ALL, Federation  # noqa: E402

OFFER = "wards"


def leaves(fed, kind):
    return [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == kind]


def declined(fed):
    return json.loads(fed.site("h1", "plans", "list", "--json").stdout)["plans"][0]["reason"]


def sign(fed, *edits, check=True):
    text = SERVES_ALL.replace("lifetime: 1000, study: 1000, month: 1000", "lifetime: 10, study: 10, month: 10")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    path = fed.path("policy-h1.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return fed.site("h1", "policy", "sign", path, check=check)


def approve(fed, lang="en"):
    return fed.site("h1", "plans", "approve", "trial", "--dataset", OFFER, check=False, env={"YUMEN_LANG": lang})


def nothing_signed_serves_nobody(fed):
    fed.init_hub()
    fed.init_site("h1")
    assert "nobody is served yet" in fed.run("yumen-site", "init", "--dir", fed.path("alone"), "--name", "alone").stdout
    assert "terms" not in fed.leaves(fed.path("alone", "ledger"))[1]
    fed.enrol_site("h1")
    fed.site("h1", "data", "add", fed.add_data("h1"))
    fed.enrol_sponsor()
    plan = fed.plan(hospitals="{name: h1}", quorum=1, rounds=2, ready=3, attempts=50)
    with open(plan, encoding="utf-8") as f:
        text = f.read()
    with open(plan, "w", encoding="utf-8") as f:
        f.write(text.replace("title: A test", "title: \"<script>alert('x')</script>\""))
    fed.sponsor("study", "submit", plan)
    fed.wait(lambda: "trial" in fed.site("h1", "plans", "list").stdout, 20, "the plan")


def a_bad_file_is_refused_with_its_lines(fed):
    p = sign(fed, ("models: any", "models: [gpt]"), ("hours: any", "hours: always"), check=False)
    assert p.returncode == 1 and "policy-h1.yaml:7" in p.stderr and ":10" in p.stderr, p.stderr
    assert len(leaves(fed, "policy")) == 1
    fed.run("yumen-site", "policy", "check", os.path.join(os.environ["YM_SOURCE_ROOT"], "gate", "policy.yaml"))
    p = fed.run("yumen-site", "policy", "check", fed.path("policy-h1.yaml"), check=False)
    assert p.returncode == 1 and "models[0]" in p.stderr, p.stderr


def a_plan_the_policy_does_not_allow_is_not_approved(fed):
    sign(fed, ("sponsors: any", "sponsors: [somebody-else]"), ("outcomes: any", "outcomes: [died]"))
    shown = fed.site("h1", "plans", "show", "trial").stdout
    assert "OUR POLICY SAYS" in shown and "somebody-else" in shown and "NO " in shown, shown
    p = approve(fed)
    assert p.returncode == 1, p.stdout
    assert "the sponsor is acme; this hospital's policy serves: somebody-else" in p.stdout, p.stdout
    assert "allows: died" in p.stdout and "approved" not in p.stdout, p.stdout
    assert "本院策略仅服务于：somebody-else" in approve(fed, "zh").stdout
    assert not leaves(fed, "approval")


class Page(html.parser.HTMLParser):
    """Tags as they nest, and all text."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not [k for k, v in attrs if k in ("src", "href") or k.startswith("on")], attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data


def the_page_says_it_all_and_holds_no_foreign_markup(fed):
    for lang, said in (("en", ("Request to learn", "somebody-else", "NO", "<script>alert('x')</script>", "sick", "age", "not legal advice",
                               "What is not protected", "Withdrawal", "by a factor of at most", "not approved", "a test")),
                       ("zh", ("申请利用本院病历", "somebody-else", "不受保护的内容", "不构成法律意见", "签字"))):
        path = fed.path(f"page-{lang}.html")
        fed.site("h1", "plans", "show", "trial", "--html", path, env={"YUMEN_LANG": lang})
        with open(path, encoding="utf-8") as f:
            source = f.read()
        page = Page()
        page.feed(source)
        assert page.open == [] and "script" not in page.seen, page.open
        for word in said:
            assert word in page.text, (word, page.text)
        assert "http" not in source and "url(" not in source


def a_policy_changed_since_stops_the_next_charge(fed):
    day = time.gmtime(time.time() + 8 * 3600)  # today and its neighbours are left out, whatever the clock does now
    other = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][(day.tm_wday + 3) % 7]
    sign(fed, ("hours: any", f"hours: [{{days: [{other}], from: \"08:00\", to: \"09:00\"}}]"))
    assert approve(fed).returncode == 0  # hours are no matter of approval
    fed.wait(lambda: declined(fed) == "hours", 30, "the closed hours")
    sign(fed, ("columns: {inputs: any, outcomes: any}", "columns: {inputs: any, outcomes: any, never: [sick]}"))
    fed.wait(lambda: declined(fed) == "policy", 30, "the refusal")
    assert not leaves(fed, "charge")


def options_keep_the_terms_and_a_good_policy_runs(fed):
    sign(fed)
    fed.site("h1", "policy", "sign", "--epsilon-cap", "9")
    last = leaves(fed, "policy")[-1]
    assert last["epsilon_cap_micro"] == 9000000 and last["terms"]["sponsors"] == "any", last
    now = json.loads(fed.site("h1", "policy", "show", "--json").stdout)
    assert now["terms"] == last["terms"] and now["hours"] == "at any time", now
    fed.wait_phase(("done",), timeout=90)
    assert len(leaves(fed, "charge")) == 2


with Federation(sites=("h1",)) as federation:
    nothing_signed_serves_nobody(federation)
    a_bad_file_is_refused_with_its_lines(federation)
    a_plan_the_policy_does_not_allow_is_not_approved(federation)
    the_page_says_it_all_and_holds_no_foreign_markup(federation)
    a_policy_changed_since_stops_the_next_charge(federation)
    options_keep_the_terms_and_a_good_policy_runs(federation)
print("ok")
