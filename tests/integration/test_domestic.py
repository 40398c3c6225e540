#!/usr/bin/python3
"""A plan whose model is domestic-only: hospitals train as ever; its sponsor gets no state and no sum from the hub by any
hash of the log, and is told why; the watch goes on without them. The same sponsor's open study stays open."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from federation import Federation  # noqa: E402

PLAN = """border:
  recipient: Example Company
  contact: privacy@example.cn
  method: download of the model
  categories: laboratory values
  rights: by letter to the hospital
  storage: Shanghai
  foreign_law: none
  declares: {recipient: mainland, overseas_access: none, public_service: "no"}
"""
ONLY = PLAN.replace("  declares:", "  model_release: domestic_only\n  declares:")


def run_study(fed, study, extra):
    fed.sponsor("study", "submit", fed.plan(study=study, rounds=2, quorum=2, noise="40", extra=extra))
    fed.approve_all(study)
    fed.wait(lambda: (fed.study(study) or {}).get("phase") == "done", 60, "the end of " + study)


def main():
    with Federation(sites=("h1", "h2")) as fed:
        fed.up()
        run_study(fed, "kept", ONLY)
        out = fed.path("kept.safetensors")
        p = fed.sponsor("model", "get", "kept", "--out", out, check=False)
        assert p.returncode != 0 and "domestic_only" in p.stderr and not os.path.exists(out), (p.returncode, p.stderr)
        watched = fed.sponsor("study", "watch", "kept", "--json")
        events = [json.loads(line) for line in watched.stdout.splitlines()]
        assert events and all(e["type"] == "study" for e in events) and events[-1]["phase"] == "done", watched.stdout
        results = [x for x in fed.leaves(fed.path("hub", "ledger")) if x["type"] == "round_result" and x["study"] == "kept"]
        assert len(results) == 2 and all(os.path.exists(fed.path("hub", "objects", x["state_after"])) for x in results), results
        run_study(fed, "open", PLAN)
        fed.sponsor("model", "get", "open", "--out", fed.path("open.safetensors"))


if __name__ == "__main__":
    main()
