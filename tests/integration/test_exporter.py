#!/usr/bin/python3
"""One organisation exports for two hospitals: the second one's rule sets are asked with both hospitals' people, however the
name is typed, and with those that its card says are counted elsewhere. Another exporter's people are another's."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation, card_border, plan_border  # noqa: E402

AGENCY, TYPED_OTHERWISE = "Example Agency (Beijing)", "ＥＸＡＭＰＬＥ　agency  （Beijing）"


def data(fed, hospital, exporter):
    card = fed.add_data(hospital)
    with open(card, "a", encoding="utf-8") as f:
        f.write(card_border(exporter))
    fed.add_consent(card)
    fed.site(hospital, "data", "add", card)


def study_at(fed, hospital, study):
    fed.sponsor("study", "submit", fed.plan(study, hospitals="{name: %s}" % hospital, quorum=1, rounds=1, ready=3, attempts=50, extra=plan_border()))
    fed.wait(lambda: study in fed.site(hospital, "plans", "list").stdout, 20, "the plan")


def charges(fed, hospital):
    return [leaf for leaf in fed.leaves(fed.path(hospital, "ledger")) if leaf["type"] == "charge"]


def people(fed, hospital, study):
    told = json.loads(fed.site(hospital, "people", "--study", study, "--dataset", "wards", "--json").stdout)
    rows = [e for e in told["exporters"] if e["name"] and e["year"] == told["year"]]
    return rows[0], told["forecast"]["people"]


def border(fed, hospital, study):
    return fed.site(hospital, "border", "show", study, "--dataset", "wards", check=False).stdout


def the_first_hospital_counts_alone(fed):
    fed.init_hub()
    for hospital in ("h1", "h2"):
        fed.init_site(hospital)
        fed.enrol_site(hospital)
        fed.sign_rules(hospital, "from: 10000}", "from: 110}")
    fed.enrol_sponsor()
    data(fed, "h1", AGENCY)
    study_at(fed, "h1", "one")
    fed.file_records("h1", "one")
    assert people(fed, "h1", "one")[1] == 60
    fed.site("h1", "plans", "approve", "one", "--dataset", "wards")
    fed.wait_phase({"done"}, study="one")
    assert charges(fed, "h1")[0]["people"][0]["people"] == 100


def another_exporter_begins_at_nothing(fed):
    data(fed, "h2", "Other Agency")
    study_at(fed, "h2", "two")
    row, sum_of_all = people(fed, "h2", "two")
    assert row["hospitals"] == [] and (row["sum"], sum_of_all) == (0, 60), row
    assert "security_assessment" not in border(fed, "h2", "two")


def the_same_exporter_counts_both(fed):
    data(fed, "h2", TYPED_OTHERWISE)
    fed.file_records("h2", "two")
    fed.wait(lambda: people(fed, "h2", "two")[0]["hospitals"], 40, "the hub's log, which comes with a round or after 30 s")
    row, sum_of_all = people(fed, "h2", "two")
    assert row["hospitals"] == [{"name": "h1", "people": 100}] and row["people"] == 0 and row["sum"] == 100, row
    assert sum_of_all == 160, sum_of_all
    text = fed.site("h2", "people").stdout
    assert "hospital h1 counts for the same exporter: at most 100" in text and row["exporter"][:16] in text, text
    assert "医院 h1" in fed.site("h2", "people", env={"YUMEN_LANG": "zh"}).stdout
    assert "security_assessment" in border(fed, "h2", "two"), border(fed, "h2", "two")
    fed.site("h2", "plans", "approve", "two", "--dataset", "wards")
    fed.wait(lambda: json.loads(fed.site("h2", "plans", "list", "--json").stdout)["plans"][0]["reason"] == "border", 30, "the refusal")
    assert not charges(fed, "h2")


def a_restart_knows_the_others(fed):
    fed.daemons["trainer-h2"].kill()
    fed.daemons["trainer-h2"].start()
    fed.wait(lambda: people(fed, "h2", "two")[1] == 160, 30, "what the hub's log says")
    assert not charges(fed, "h2")


def with_room_for_both_the_round_runs(fed):
    fed.sign_rules("h2", "from: 10000}", "from: 161}")
    fed.wait_phase({"done"}, study="two")
    decision = [leaf for leaf in fed.leaves(fed.path("h2", "ledger")) if leaf["type"] == "decision"][-1]
    assert decision["facts"]["people"]["n_sensitive"] == 200 and decision["decision"]["outcome"] == "proceed", decision
    assert charges(fed, "h2")[0]["people"][0]["people"] == 100, "its own people alone"
    assert charges(fed, "h2")[0]["exporter"] == charges(fed, "h1")[0]["exporter"]


def those_counted_elsewhere_are_added(fed):
    study_at(fed, "h1", "three")
    fed.wait(lambda: people(fed, "h1", "three")[1] == 160, 40, "h2's hundred on top; its own 60 stay 60")
    data(fed, "h1", AGENCY + "\n  exporter_elsewhere: 5000")
    row, sum_of_all = people(fed, "h1", "three")
    assert (row["elsewhere"], sum_of_all) == (5000, 5160), row
    fed.file_records("h1", "three")
    assert "security_assessment" in border(fed, "h1", "three"), border(fed, "h1", "three")


def the_report_adds_them_up(fed):
    page = fed.path("report.html")
    fed.run("yumen-audit", "report", *(fed.path(n, "ledger") for n in ("hub", "h1", "h2")), "--trust", fed.trust_file(), "--out", page)
    most = {}
    for name in fed.names:
        for leaf in fed.leaves(fed.path(name, "ledger")):
            for p in leaf.get("people", ()) if leaf["type"] == "charge" else ():
                key = (leaf["exporter"], p["year"], name)
                most[key] = max(most.get(key, 0), p["people"])
    with open(page, encoding="utf-8") as f:
        text = f.read()
    pairs = {key[:2] for key in most}
    assert any(sum(k[:2] == p for k in most) == 2 for p in pairs), most  # one exporter of both hospitals
    for who, year in pairs:
        of = [most[k] for k in most if k[:2] == (who, year)]
        assert f"{who[:16]}</code></span></td><td>{year}</td><td>{len(of)}</td><td>{sum(of)}</td>" in text, (who, of)


with Federation(sites=("h1", "h2"), border=True) as federation:
    the_first_hospital_counts_alone(federation)
    another_exporter_begins_at_nothing(federation)
    the_same_exporter_counts_both(federation)
    a_restart_knows_the_others(federation)
    with_room_for_both_the_round_runs(federation)
    those_counted_elsewhere_are_added(federation)
    federation.run("yumen-audit", "verify", *(federation.path(n, "ledger") for n in ("hub", "h1", "h2")), "--trust", federation.trust_file(),
                   "--objects", federation.path("hub", "objects"))
    the_report_adds_them_up(federation)
print("two hospitals of one exporter counted together")
