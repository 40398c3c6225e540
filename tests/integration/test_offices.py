#!/usr/bin/python3
"""Two people at two accounts: one alone neither approves nor raises a cap, the second completes it, a replaced key counts no
more, and two others give an office a new key. What one alone may always do: veto, pause, tighten."""

import json
import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402


def leaves(fed, kind):
    return [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == kind]


def account(fed, name, *offices):
    """A folder of one person's account, with the keys of these offices moved into it."""
    for office in offices:
        shutil.move(fed.path("h1", "offices", office), os.path.join(fed.path(name), office))
    return fed.path(name)


def desk(fed, who, *argv, check=False):
    return fed.site("h1", *argv, "--offices", fed.path(who), check=check)


def waits(p):
    assert p.returncode == 1 and "yumen-site seal" in p.stdout, p.stdout + p.stderr
    return re.search(r"yumen-site seal ([0-9a-f]{64})", p.stdout).group(1)


def pending(fed):
    return json.loads(fed.site("h1", "pending", "list", "--json").stdout)["pending"]


def sealed_by(leaf):
    return sorted(s["office"] for s in leaf["seals"])


def one_person_with_all_keys_goes_on_as_before(fed):
    fed.site("h1", "policy", "sign", "--epsilon-cap", "11")
    assert sealed_by(leaves(fed, "policy")[-1]) == ["audit", "data_office", "it"]
    assert [leaf["office"] for leaf in leaves(fed, "rotate")] == ["it", "data_office", "ethics", "audit"]


def status_says_whose_seal_is_missing(fed):
    item = waits(desk(fed, "li", "policy", "sign", "--epsilon-cap", "13"))
    told = json.loads(fed.site("h1", "status", "--json").stdout)["pending"]
    assert [(x["hash"], x["type"], x["left"], x["from"]) for x in told] == [(item, "policy", 1, ["data_office", "audit"])], told
    assert abs(told[0]["lapses"] - time.time() - 30 * 86400) < 60, told
    for text in fed.screen("h1"):
        line = next(x for x in text.splitlines() if item[:16] in x)
        day = time.strftime("%Y-%m-%d", time.gmtime(told[0]["lapses"] + 8 * 3600))
        assert day in line and line.endswith(("data_office, audit", "数据管理部门, 审计")), text
    fed.site("h1", "seal", item[:16], "--offices", fed.path("wang"))
    assert "SEALS" not in fed.screen("h1")[0]
    desk(fed, "nobody", "policy", "sign", "--epsilon-cap", "10", check=True)


def one_screen_however_much_waits(fed):
    for i in range(12):
        fed.sponsor("study", "submit", fed.plan(f"more-{i}", quorum=1))
        waits(desk(fed, "li", "policy", "sign", "--epsilon-cap", str(100 + i), "--override", f"trial {i}"))
    fed.wait(lambda: "more-11" in fed.site("h1", "plans", "list").stdout, 20, "the plans")
    en, zh = fed.screen("h1")
    shown = [int(x) for x in re.search(r"ASKED OF YOU .* \[(\d+) of (\d+)\]", en).groups()]
    assert shown[1] == 12 and 0 < shown[0] == en.count("more-") < 12, en
    assert re.search(r"WAITS FOR SEALS.* of 1[2-9]\]", en) and re.search(r"/1[2-9]\]", zh), en


def one_alone_raises_no_cap(fed):
    before = len(leaves(fed, "policy"))
    item = waits(desk(fed, "li", "policy", "sign", "--epsilon-cap", "12"))
    assert len(leaves(fed, "policy")) == before, "recorded with one seal"
    assert waits(desk(fed, "li", "seal", item)) == item, "the same person's second seal counts"
    assert waits(desk(fed, "li", "policy", "sign", "--epsilon-cap", "12")) == item, "asking again makes another one"
    desk(fed, "chen", "seal", item)
    assert len(leaves(fed, "policy")) == before, "ethics sealed a policy"
    done = desk(fed, "wang", "seal", item, check=True)
    assert "ledger" in done.stdout and 'epsilon_cap_micro: 12000000' in done.stderr, done.stdout + done.stderr
    newest = leaves(fed, "policy")[-1]
    assert newest["epsilon_cap_micro"] == 12000000 and sealed_by(newest) == ["data_office", "it"], newest
    assert pending(fed) == [] and desk(fed, "wang", "seal", item).returncode != 0
    desk(fed, "nobody", "policy", "sign", "--epsilon-cap", "10", check=True)
    assert leaves(fed, "policy")[-1]["seals"] == [], "tightening needs nobody"


def an_override_needs_two_before_its_policy(fed):
    ask = ("policy", "sign", "--epsilon-cap", "25", "--override", "public data")
    item = waits(desk(fed, "wang", *ask))
    assert pending(fed)[0]["type"] == "override" and pending(fed)[0]["from"] == ["ethics", "audit"], pending(fed)
    desk(fed, "chen", "seal", item, check=True)
    assert sealed_by(leaves(fed, "override")[-1]) == ["data_office", "ethics"]
    item = waits(desk(fed, "wang", *ask))
    assert pending(fed)[0]["type"] == "policy"
    desk(fed, "li", "seal", item, check=True)
    assert leaves(fed, "policy")[-1]["epsilon_cap_micro"] == 25000000


def rules_stay_asked_until_two_say_no(fed):
    fed.site("h1", "border", "on")
    before = len(leaves(fed, "border"))
    item = waits(desk(fed, "li", "border", "off", "--reason", "public data"))
    assert len(leaves(fed, "border")) == before
    desk(fed, "wang", "seal", item, check=True)
    assert leaves(fed, "border")[-1]["asked"] is False
    # what was sealed once is used up: asked again, the same words wait for two again
    fed.site("h1", "border", "on")
    assert waits(desk(fed, "nobody", "border", "off", "--reason", "public data")) == item
    assert pending(fed)[0]["sealed"] == [] and pending(fed)[0]["left"] == 2, pending(fed)
    last = max(s["time"] for s in leaves(fed, "border")[-2]["seals"])
    fed.wait(lambda: int(time.time()) > last, 5, "another second: a seal says when it was made")
    assert waits(desk(fed, "li", "seal", item)) == item
    desk(fed, "wang", "seal", item, check=True)


def a_document_is_its_own_office_s(fed):
    path = fed.path("vote.pdf")
    with open(path, "w", encoding="utf-8") as f:
        f.write("vote")
    add = ("dossier", "add", "ethics", "--study", "trial", "--dataset", "wards", "--document", path, "--issuer", "committee",
           "--number", "7", "--committee", "reg-9", "--until", "2999-12-31")
    waits(desk(fed, "wang", *add))
    assert leaves(fed, "dossier") == []
    desk(fed, "chen", *add, check=True)
    assert sealed_by(leaves(fed, "dossier")[-1]) == ["ethics"]


def one_alone_approves_nothing(fed):
    item = waits(desk(fed, "li", "plans", "approve", "trial", "--dataset", "wards"))
    assert leaves(fed, "approval") == []
    row = json.loads(fed.site("h1", "plans", "list", "--json").stdout)["plans"][0]
    assert row["decision"] == "undecided", row
    desk(fed, "wang", "seal", item, check=True)
    assert sealed_by(leaves(fed, "approval")[-1]) == ["data_office", "it"]
    fed.wait_phase({"done"}, timeout=90)


def a_lost_key_is_replaced_by_two_others(fed):
    made = fed.run("yumen-site", "offices", "make", "it", "--out", fed.path("li2")).stdout
    key = re.search(r"offices replace it (\S+)", made).group(1)
    item = waits(desk(fed, "wang", "offices", "replace", "it", key))
    assert waits(desk(fed, "li", "seal", item)) == item, "IT sealed its own replacement"
    desk(fed, "zhao", "seal", item, check=True)
    listed = json.loads(fed.site("h1", "offices", "list", "--json").stdout)["offices"]
    assert {"office": "it", "public_key": key, "account": -1} in listed, listed
    item = waits(desk(fed, "wang", "policy", "sign", "--epsilon-cap", "26", "--override", "again"))
    desk(fed, "zhao", "seal", item, check=True)
    item = waits(desk(fed, "wang", "policy", "sign", "--epsilon-cap", "26"))
    refused = desk(fed, "li", "seal", item)
    assert refused.returncode == 1 and "does not fit" in refused.stderr, refused.stdout + refused.stderr
    assert leaves(fed, "policy")[-1]["epsilon_cap_micro"] == 25000000
    desk(fed, "li2", "seal", item, check=True)
    assert leaves(fed, "policy")[-1]["epsilon_cap_micro"] == 26000000
    assert desk(fed, "wang", "offices", "close", "data_office").returncode == 1
    item = waits(desk(fed, "wang", "offices", "close", "audit"))
    desk(fed, "li2", "seal", item, check=True)
    assert desk(fed, "wang", "offices", "close", "ethics").returncode == 1, "fewer than three have keys"


def a_seal_comes_from_its_office_s_account(fed):
    """The key is at hand, the account is another one; then it is the right one. The kernel says who asks."""
    trainer, path = fed.daemons["trainer-h1"], fed.path("h1", "site.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    me = os.getuid()
    for account, taken in ((me + 1, False), (me, True)):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + f"accounts: {{data_office: {account}}}\n")
        trainer.kill(15)
        trainer.start()
        fed.wait(lambda: json.loads(fed.site("h1", "status", "--json").stdout)["log"] == "good", 30, "the log")
        item = waits(desk(fed, "nobody", "policy", "sign", "--epsilon-cap", "27", "--override", f"as {account}"))
        p = desk(fed, "wang", "seal", item)
        if taken:
            assert waits(p) == item and f"account={me}" in trainer.tail(), p.stdout + p.stderr
        else:
            assert p.returncode == 1 and f"account {account}" in p.stderr and f"account {me}" in p.stderr, p.stdout + p.stderr
            assert next(x for x in pending(fed) if x["hash"] == item)["sealed"] == []
    listed = json.loads(fed.site("h1", "offices", "list", "--json").stdout)["offices"]
    assert [x["account"] for x in listed] == [-1, me, -1, -1], listed
    with open(path, "w", encoding="utf-8") as f:
        f.write(text + f"accounts: {{data_office: {me}, audit: {me}}}\n")
    p = fed.site("h1", "status", check=False)
    assert p.returncode == 2 and "another office has this account" in p.stderr, p.stdout + p.stderr
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def one_alone_stops_everything(fed):
    fed.site("h1", "plans", "pause", "trial", check=False)
    fed.site("h1", "plans", "veto", "trial")
    assert "seals" not in leaves(fed, "veto")[-1]


def main():
    with Federation(sites=("h1",), epsilon_cap="10") as fed:
        fed.up()
        one_person_with_all_keys_goes_on_as_before(fed)
        account(fed, "li", "it")
        account(fed, "wang", "data_office")
        account(fed, "chen", "ethics")
        account(fed, "zhao", "audit")
        status_says_whose_seal_is_missing(fed)
        one_alone_raises_no_cap(fed)
        an_override_needs_two_before_its_policy(fed)
        fed.sponsor("study", "submit", fed.plan(quorum=1))
        fed.wait(lambda: "trial" in fed.site("h1", "plans", "list").stdout, 20, "the plan")
        rules_stay_asked_until_two_say_no(fed)
        a_document_is_its_own_office_s(fed)
        one_alone_approves_nothing(fed)
        a_lost_key_is_replaced_by_two_others(fed)
        a_seal_comes_from_its_office_s_account(fed)
        one_alone_stops_everything(fed)
        one_screen_however_much_waits(fed)
        fed.verify()
    return 0


if __name__ == "__main__":
    sys.exit(main())
