#!/usr/bin/python3
"""What a hospital may spend, at a real site: reasons that the ledger asks for, a
month's limit, what is shown before an approval, and data sets that share patients."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402

REASON = "a trial on public data, decided by the board"


def types(fed):
    return [leaf["type"] for leaf in fed.leaves(fed.path("h1", "ledger"))]


def refused(p, *words):
    assert p.returncode != 0, p.stdout
    for word in words:
        assert word in p.stdout + p.stderr, f"{word!r} is not in:\n{p.stdout}{p.stderr}"


def a_large_cap_wants_a_reason(fed):
    init = ("yumen-site", "init", "--name", "h9", "--epsilon-cap", "20.000001", "--dir", fed.path("h9"))
    refused(fed.run(*init, check=False), "above 20", "--override")
    refused(fed.run(*init, check=False, env={"YUMEN_LANG": "zh"}), "超过 20", "--override")
    refused(fed.run(*init, "--override", "", check=False), "reason")
    fed.run(*init, "--override", REASON)
    assert [leaf["type"] for leaf in fed.leaves(fed.path("h9", "ledger"))] == ["genesis", "override", "policy"] + 4 * ["rotate"]

    refused(fed.site("h1", "policy", "sign", "--epsilon-cap", "25", check=False), "above 20", "--override")
    assert types(fed).count("policy") == 1
    fed.site("h1", "policy", "sign", "--epsilon-cap", "25", "--override", REASON)
    now = json.loads(fed.site("h1", "policy", "show", "--json").stdout)
    assert (now["epsilon_cap_micro"], now["epsilon_month_micro"], now["delta_e18"]) == (25000000, 25000000, 10 ** 13)
    fed.site("h1", "policy", "sign", "--epsilon-cap", "8")  # the order is that of the first policy: 10 at 1e-5
    assert json.loads(fed.site("h1", "policy", "show", "--json").stdout)["order_milli"] == now["order_milli"]


def a_large_epsilon_wants_a_reason(fed):
    fed.sponsor("study", "submit", fed.plan(hospitals="{name: h1}", quorum=1, rounds=2, steps=1, noise="6", epsilon="20.5"))
    fed.wait(lambda: "trial" in fed.site("h1", "plans", "list").stdout, 20, "the plan")
    shown = fed.site("h1", "plans", "show", "trial").stdout
    for word in ("spent 0.000000 of 8.000000", "patients by hospital_id", "still fit: ", "as if all charges", "0.000000 now (pld, certified)"):
        assert word in shown, shown
    room = json.loads(fed.site("h1", "plans", "show", "trial", "--json").stdout)["datasets"][0]
    assert room["rounds_left"] == 2 and room["rounds_fit"] > 2 and room["rounds_fit_month"] == room["rounds_fit"]
    assert 0 < room["after_micro"] == 8000000 - room["left_micro"]
    refused(fed.site("h1", "plans", "approve", "trial", "--dataset", "wards", check=False), "20.5", "--override")
    fed.site("h1", "plans", "approve", "trial", "--dataset", "wards", "--override", REASON)
    last = [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] in ("override", "approval")][-2:]
    assert [leaf["type"] for leaf in last] == ["override", "approval"]
    assert last[0]["subject"] == last[1]["plan"] and last[0]["reason"] == REASON
    assert last[0]["epsilon_micro"] == last[1]["epsilon_micro"] == 20500000
    fed.wait_phase(("done",))
    charges = [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == "charge"]
    assert len(charges) == 2 and {c["identified"] for c in charges} == {"hospital_id"}
    return room


def spent(fed):
    rows = json.loads(fed.site("h1", "budget", "--json").stdout)["datasets"]
    return {d["dataset"]: d["spent_micro"] for d in rows}


def register_again(fed, card, name, shares):
    with open(card, encoding="utf-8") as f:
        text = re.sub(r"(?m)^shares_patients_with:.*\n", "", f.read())
    text = re.sub(r"(?m)^name: .*$", f"name: {name}", text)
    if shares:
        text = text.replace("variables:", f"shares_patients_with: [{shares}]\nvariables:")
    with open(card, "w", encoding="utf-8") as f:
        f.write(text)
    fed.site("h1", "data", "add", card)


def who_shares_patients_shares_what_was_spent(fed, card, expected):
    before = spent(fed)["wards"]
    assert before == expected, "what was shown before the approval is what was spent"
    register_again(fed, card, "alone", None)
    assert spent(fed) == {"wards": before, "alone": 0}
    register_again(fed, card, "alone", "wards")
    assert spent(fed) == {"wards": before, "alone": before}
    register_again(fed, card, "alone", None)  # a group only grows
    assert spent(fed) == {"wards": before, "alone": before}


def a_month_is_a_brake(fed):
    fed.site("h1", "policy", "sign", "--epsilon-month", "0.001")
    assert "0.001" in fed.site("h1", "policy", "show").stdout
    fed.sponsor("study", "submit", fed.plan("second", hospitals="{name: h1}", quorum=1, rounds=2, steps=1, noise="6"))
    fed.wait(lambda: "second" in fed.site("h1", "plans", "list").stdout, 20, "the second plan")
    refused(fed.site("h1", "plans", "approve", "second", "--dataset", "wards", check=False), "this month", "next month")
    room = json.loads(fed.site("h1", "plans", "show", "second", "--json").stdout)["datasets"][0]
    assert room["rounds_fit"] > 0 and room["rounds_fit_month"] == 0 and room["month_limit_micro"] == 1000
    assert room["month_micro"] > 1000 and room["spent_micro"] > 0


def a_delta_fits_the_size_class(fed):
    fed.site("h1", "policy", "sign", "--delta", "0.002", "--epsilon-month", "8")
    refused(fed.site("h1", "plans", "check", "second", "--dataset", "wards", check=False), "size class <100", "--delta")
    fed.site("h1", "policy", "sign", "--delta", "1e-5")
    fed.site("h1", "plans", "approve", "second", "--dataset", "wards")
    fed.wait_phase(("done",), study="second")


def the_auditor_sees_it(fed):
    fed.verify()
    out = fed.run("yumen-audit", "budget", fed.path("h1", "ledger"), "--trust", fed.trust_file()).stdout
    assert REASON in out and "hospital_id" in out, out
    o = json.loads(fed.run("yumen-audit", "budget", fed.path("h1", "ledger"), "--trust", fed.trust_file(), "--json").stdout)
    assert [v["epsilon_micro"] for v in o["overrides"]] == [25000000, 20500000]


def main():
    with Federation(sites=("h1",)) as fed:
        fed.init_hub()
        fed.init_site("h1")
        fed.enrol_site("h1")
        card = fed.add_data("h1")
        with open(card, encoding="utf-8") as f:
            text = f.read().replace("size_class:", "patient_identifier: hospital_id\nsize_class:")
        with open(card, "w", encoding="utf-8") as f:
            f.write(text)
        fed.site("h1", "data", "add", card)
        fed.enrol_sponsor()
        a_large_cap_wants_a_reason(fed)
        room = a_large_epsilon_wants_a_reason(fed)
        who_shares_patients_shares_what_was_spent(fed, card, room["after_micro"])
        a_month_is_a_brake(fed)
        a_delta_fits_the_size_class(fed)
        the_auditor_sees_it(fed)
    print("site budget")


if __name__ == "__main__":
    sys.exit(main())
