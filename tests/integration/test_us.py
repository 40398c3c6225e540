#!/usr/bin/python3
"""US persons of the last twelve months (28 CFR 202.205), end to end: a round counts them in its charge; other patients on the
way to the same recipient count on top and are held; to another recipient they begin at nothing; a restart knows all of it."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import US_BULK, Federation, card_border, plan_border  # noqa: E402



def data(fed, who, recipients):
    card = fed.add_data("h1", rows=lambda i: f"{who}-{i},{20 + i},{i % 10},{i % 2}\n")
    with open(card, "a", encoding="utf-8") as f:
        f.write(card_border("Acme US", US_BULK))
    fed.add_consent(card, recipient=recipients)
    fed.site("h1", "data", "add", card)


def study(fed, name, recipient):
    fed.sponsor("study", "submit", fed.plan(name, hospitals="{name: h1}", quorum=1, rounds=1, ready=3, attempts=50, extra=plan_border(recipient, ', covered_person: "yes"')))
    fed.wait(lambda: name in fed.site("h1", "plans", "list").stdout, 20, "the plan")
    fed.file_records("h1", name)


def charges(fed):
    return [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == "charge"]


def told(fed, name):
    return json.loads(fed.site("h1", "people", "--study", name, "--dataset", "wards", "--json").stdout)


def border(fed, name):
    return fed.site("h1", "border", "show", name, "--dataset", "wards", check=False).stdout


def a_round_counts_them(fed):
    fed.init_hub()
    fed.init_site("h1")
    fed.enrol_site("h1")
    fed.sign_rules("h1", "from: 10001}", "from: 91}")
    fed.enrol_sponsor()
    data(fed, "a", "Acme Shanghai")
    study(fed, "one", "Acme Shanghai")
    f = told(fed, "one")["forecast"]
    assert f["us"] == 60 and [(x["fact"], x["left"], x["warn"]) for x in f["us_limits"]] == [("us_health_n", 30, 50)], f
    fed.site("h1", "plans", "approve", "one", "--dataset", "wards")
    fed.wait_phase({"done"}, study="one")
    us = charges(fed)[0]["us"]
    assert us["people"] == 100 and us["categories"] == "health" and us["until"] > charges(fed)[0]["time"], us
    decision = [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == "decision"][-1]
    assert decision["facts"]["people"]["us_health_n"] == 100 and decision["facts"]["people"]["us_genome_n"] == 0, decision


def others_to_the_same_recipient_count_on_top(fed):
    data(fed, "b", "Acme Shanghai")
    study(fed, "two", "ACME  Shanghai")
    assert told(fed, "two")["forecast"]["us"] == 120
    assert "us_requirements" in border(fed, "two"), border(fed, "two")
    row = told(fed, "two")["us"]
    assert [(r["party_name"], r["people"], r["lost"], r["categories"]) for r in row] == [("Acme US", 60, 0, "health")], row
    for lang, words in (("en", "last twelve months (366 days), from Acme US to"), ("zh", "最近十二个月（366 天）")):
        text = fed.site("h1", "people", "--study", "two", "--dataset", "wards", env={"YUMEN_LANG": lang}).stdout
        assert words in text and "120" in text, text


def another_recipient_begins_at_nothing(fed):
    study(fed, "three", "Other Lab")
    assert told(fed, "three")["forecast"]["us"] == 60
    assert "us_requirements" not in border(fed, "three"), border(fed, "three")


def a_restart_and_a_lost_file_lower_nothing(fed):
    fed.daemons["trainer-h1"].kill()
    fed.daemons["trainer-h1"].start()
    assert told(fed, "two")["forecast"]["us"] == 120
    fed.daemons["trainer-h1"].kill()
    for name in os.listdir(fed.path("h1", "people")):
        if name.endswith(".us"):
            os.unlink(fed.path("h1", "people", name))
    fed.daemons["trainer-h1"].start()
    now = told(fed, "two")
    assert now["forecast"]["us"] == 160 and now["us"][0]["lost"] == 100, now  # a hundred whom nobody can name, and 60
    assert len(charges(fed)) == 1
    fed.run("yumen-audit", "verify", fed.path("hub", "ledger"), fed.path("h1", "ledger"), "--trust", fed.trust_file(),
            "--objects", fed.path("hub", "objects"))
    fed.run("yumen-audit", "report", fed.path("hub", "ledger"), fed.path("h1", "ledger"), "--trust", fed.trust_file(), "--out", fed.path("r.html"))
    with open(fed.path("r.html"), encoding="utf-8") as f:
        text = f.read()
    row = f"{charges(fed)[0]['us']['recipient'][:16]}</code></span></td><td>health</td><td>1</td><td>100</td>"
    assert "28 CFR 202.205" in text and row in text, text


with Federation(sites=("h1",), border=True) as federation:
    a_round_counts_them(federation)
    others_to_the_same_recipient_count_on_top(federation)
    another_recipient_begins_at_nothing(federation)
    a_restart_and_a_lost_file_lower_nothing(federation)
print("US persons of the last twelve months were counted, and held")
