"""Runs the built `yumen` for the benches in Python."""

import json
import os
import subprocess
import sys


def yumen(*argv):
    program = os.path.join(os.environ["YM_BUILD_ROOT"], "cmd", "yumen")
    done = subprocess.run([program, *argv, "--json"], stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit("yumen %s: exit %d" % (argv[0], done.returncode))
    return json.loads(done.stdout)
