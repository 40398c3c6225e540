#!/usr/bin/python3
"""Processor and memory of a hospital's policy, at a real trainer: no more threads work than it grants, whatever the
environment asks; what needs more memory than it grants is refused in words, at the desk and to the hub, before a charge,
and the trainer lives on; when more is granted the same study runs."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import CMD, SERVES_ALL, Federation  # noqa: E402

THREADS = 4  # that the environment asks for; the machine may have fewer processors
LARGE = """  family: mlp
  hidden: [3000, 600]
"""


def sign(fed, threads, memory):
    path = fed.path("machine.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(SERVES_ALL.replace("1000", "10").replace("cpu_threads: any", f"cpu_threads: {threads}")
                .replace("memory_mib: any", f"memory_mib: {memory}"))
    out = fed.site("h1", "policy", "sign", path).stdout
    assert (f"processor threads: at most {threads}" in out) == (threads != "any"), out
    assert (f"memory: at most {memory} MiB" in out) == (memory != "any"), out


def reason(fed):
    return json.loads(fed.site("h1", "plans", "list", "--json").stdout)["plans"][0]["reason"]


def charges(fed):
    return [leaf for leaf in fed.leaves(fed.path("h1", "ledger")) if leaf["type"] == "charge"]


def threads_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Threads:"))


def most_threads(fed, idle):
    """While the dry run's two steps are made: how many more there are than when nothing is done."""
    pid, most = fed.daemons["trainer-h1"].proc.pid, 0
    p = subprocess.Popen([os.path.join(CMD, "yumen-site"), "plans", "check", "trial", "--dataset", "wards", "--dir", fed.path("h1")],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while p.poll() is None:
        most = max(most, threads_of(pid))
        time.sleep(0.001)
    assert p.returncode == 0, p.communicate()
    return most - idle


def a_large_model(fed):
    fed.init_hub()
    os.environ["YUMEN_THREADS"] = str(THREADS)
    fed.init_site("h1")
    del os.environ["YUMEN_THREADS"]
    fed.enrol_site("h1")
    fed.site("h1", "data", "add", fed.add_data("h1"))
    fed.enrol_sponsor()
    plan = fed.plan(hospitals="{name: h1}", quorum=1, rounds=1, steps=1, noise=20, ready=5, attempts=50)
    with open(plan, encoding="utf-8") as f:
        text = f.read()
    with open(plan, "w", encoding="utf-8") as f:
        f.write(text.replace("  family: logistic\n", LARGE))
    fed.sponsor("study", "submit", plan)
    fed.wait(lambda: "trial" in fed.site("h1", "plans", "list").stdout, 20, "the plan")


def no_more_threads_than_the_policy_grants(fed):
    idle = threads_of(fed.daemons["trainer-h1"].proc.pid)
    sign(fed, 2, "any")
    assert most_threads(fed, idle) == 1  # beside the one that is always there
    sign(fed, "any", "any")
    assert most_threads(fed, idle) == THREADS - 1


def what_needs_more_memory_is_refused_in_words(fed):
    sign(fed, 1, 140)  # the program 64 MiB, and 44 bytes for each of the model's 1,810,201 parameters: 140 in all
    shown = fed.site("h1", "plans", "show", "trial").stdout
    assert "at least 140 MiB beside the rows" in shown and "at most 140 MiB" in shown, shown
    p = fed.site("h1", "plans", "approve", "trial", "--dataset", "wards", check=False)
    assert p.returncode == 1 and "this hospital's policy grants 140 (memory_mib)" in p.stdout, p.stdout + p.stderr
    sign(fed, 1, 139)
    shown = fed.site("h1", "plans", "show", "trial", env={"YUMEN_LANG": "zh"}).stdout
    assert "除数据行外至少 140 MiB" in shown and "至多 139 MiB" in shown, shown


def the_hub_hears_it_before_a_charge(fed):
    pid = fed.daemons["trainer-h1"].proc.pid
    sign(fed, 1, "any")
    fed.site("h1", "plans", "pause", "trial")
    fed.site("h1", "plans", "approve", "trial", "--dataset", "wards")
    sign(fed, 1, 140)
    fed.site("h1", "plans", "pause", "trial", "--off")
    fed.wait(lambda: reason(fed) == "memory", 30, "the refusal")
    sign(fed, 1, 139)
    fed.wait(lambda: reason(fed) == "policy", 30, "the refusal by the term alone")
    assert not charges(fed) and fed.daemons["trainer-h1"].alive() and fed.daemons["trainer-h1"].proc.pid == pid


def with_enough_of_it_the_same_study_runs(fed):
    sign(fed, 2, 512)
    fed.wait_phase(("done",))
    assert len(charges(fed)) == 1


with Federation(sites=("h1",)) as federation:
    a_large_model(federation)
    no_more_threads_than_the_policy_grants(federation)
    what_needs_more_memory_is_refused_in_words(federation)
    the_hub_hears_it_before_a_charge(federation)
    with_enough_of_it_the_same_study_runs(federation)
