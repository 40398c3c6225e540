#!/usr/bin/python3
"""Ten thousand people, to one person, at a real hospital whose gate asks the shipped Chinese rule set (vector V2): two studies
of 6,000 sensitive patients of one exporter, outside recipient, no operator of critical infrastructure. The first goes by
contract once its records are there. With the second they are 9,999 different people, which goes the same way, or 10,000,
which is held for the data office. Another name of study, data set or exporter, and a copy, change nothing; a copy's own
people count on top.

The year's end to the second needs a clock that can be turned: tests/property/test_meter.c, the_year_turns_in_china and
a_round_over_midnight_counts_in_both_years; tests/unit/test_door.c, an_update_does_not_leave_in_a_year_that_its_charge_does_not_count_for.
"""

import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import RECORDS, Federation, card_border, plan_border  # noqa: E402

EXPORTER = "Example Hospital"
HELD = "needs the record \"security_assessment\", which is absent; it waits for: data_office [D-11, cn-health/1]"


def register(fed, name, people, exporter=EXPORTER):
    """A data set of the patients with these numbers, who agreed to everything."""
    rng = random.Random(name)
    numbers = list(people)
    card = fed.add_data("h1", len(numbers), rows=lambda i: f"p{numbers[i]},{rng.uniform(20, 90):.3f},{rng.uniform(0, 10):.4f},{i % 2}\n")
    with open(card, encoding="utf-8") as f:
        text = f.read()
    text = text.replace("name: wards", f"name: {name}").replace('"<100"', '"2000-9999"')
    text = text.replace("patient_column: pid", "patient_column: pid\npatient_identifier: hospital_id")
    with open(card, "w", encoding="utf-8") as f:
        f.write(text + card_border(exporter))
    fed.add_consent(card)
    fed.site("h1", "data", "add", card)


def submit(fed, study):
    fed.sponsor("study", "submit", fed.plan(study, hospitals="{name: h1}", quorum=1, rounds=1, steps=1, q="0.01", nominal=6000,
                                            noise=20, ready=5, attempts=50, extra=plan_border()))
    fed.wait(lambda: study in fed.site("h1", "plans", "list").stdout, 20, "the plan")


def approve(fed, study, dataset):
    fed.site("h1", "plans", "approve", study, "--dataset", dataset)


def border(fed, study, dataset):
    return fed.site("h1", "border", "show", study, "--dataset", dataset, check=False)


def charges(fed, study):
    return [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == "charge" and leaf["study"] == study]


def reason(fed, study):
    return next(p["reason"] for p in json.loads(fed.site("h1", "plans", "list", "--json").stdout)["plans"] if p["study"] == study)


def counted(fed):
    return [(e["name"], e["people"]) for e in json.loads(fed.site("h1", "people", "--json").stdout)["exporters"] if e["people"]]


def goes(fed, study, dataset):
    p = border(fed, study, dataset)
    assert p.returncode == 0 and "contract_or_certificate" in p.stdout, p.stdout
    fed.wait_phase(("done",), study)
    assert len(charges(fed, study)) == 1
    decision = [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == "decision" and leaf["study"] == study][-1]
    assert decision["decision"]["outcome"] == "proceed" and decision["decision"]["label"] == "contract_or_certificate", decision


def is_held(fed, study, dataset):
    """The dry run has counted its people exactly."""
    fed.site("h1", "plans", "check", study, "--dataset", dataset)
    p = border(fed, study, dataset)
    assert p.returncode == 1 and HELD in p.stdout, p.stdout
    assert not charges(fed, study)


def six_thousand_go_by_contract_once_it_is_there(fed):
    fed.init_hub()
    fed.init_site("h1")
    fed.enrol_site("h1")
    fed.enrol_sponsor()
    fed.sign_rules("h1")
    register(fed, "first", range(6000))
    submit(fed, "one")
    for kind in set(RECORDS) - {"standard_contract"}:
        fed.record("h1", kind, "one", "first")
    approve(fed, "one", "first")
    p = border(fed, "one", "first")
    assert p.returncode == 1 and "standard_contract" in p.stdout and "it waits for: data_office [D-13" in p.stdout, p.stdout
    assert not charges(fed, "one")
    fed.record("h1", "standard_contract", "one", "first")
    goes(fed, "one", "first")
    assert counted(fed) == [(EXPORTER, 6000)]


def with_the_second_study_ten_thousand_are_held(fed):
    submit(fed, "two")
    register(fed, "second", range(6000, 12000))
    for kind in RECORDS:
        fed.record("h1", kind, "two", "second")
    is_held(fed, "two", "second")  # 12,000 different people
    register(fed, "second", range(4000, 10000))
    is_held(fed, "two", "second")  # 10,000
    approve(fed, "two", "second")
    fed.wait(lambda: reason(fed, "two") == "border", 30, "the refusal")
    assert not charges(fed, "two") and counted(fed) == [(EXPORTER, 6000)]


def a_new_name_or_a_copy_changes_nothing(fed):
    submit(fed, "renamed")
    for dataset, exporter in (("other-name", EXPORTER), ("other-exporter", "Another Hospital")):
        register(fed, dataset, range(4000, 10000), exporter)  # of two exporters nobody is the same: 12,000
        for kind in RECORDS:
            fed.record("h1", kind, "renamed", dataset)
        is_held(fed, "renamed", dataset)


def nine_thousand_nine_hundred_and_ninety_nine_go(fed):
    register(fed, "second", range(3999, 9999))
    approve(fed, "two", "second")
    goes(fed, "two", "second")
    assert counted(fed) == [(EXPORTER, 9999)]
    left = json.loads(fed.site("h1", "people", "--json").stdout)["exporters"][0]["limits"]
    assert [(x["from"], x["left"], x["warn"]) for x in left if x["fact"] == "n_sensitive"] == [(10000, 0, 95)], left


def one_more_person_is_held_and_the_same_people_are_not(fed):
    submit(fed, "three")
    register(fed, "again", range(2000, 8000))
    for kind in RECORDS:
        fed.record("h1", kind, "three", "again")
    fed.site("h1", "plans", "check", "three", "--dataset", "again")
    assert border(fed, "three", "again").returncode == 0, border(fed, "three", "again").stdout
    register(fed, "again", [*range(2000, 7999), 9999])
    is_held(fed, "three", "again")


with Federation(sites=("h1",), border=True) as federation:
    six_thousand_go_by_contract_once_it_is_there(federation)
    with_the_second_study_ten_thousand_are_held(federation)
    a_new_name_or_a_copy_changes_nothing(federation)
    nine_thousand_nine_hundred_and_ninety_nine_go(federation)
    one_more_person_is_held_and_the_same_people_are_not(federation)
    federation.verify()
