"""Nothing is left behind, however a run ends. RUNS=500 makes it a long test."""

import json
import os
import random

import pytest

from conftest import PLAIN
from lab import PYTHON, WEB

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

RUNS = int(os.environ.get("RUNS", 40))
SEED = int(os.environ.get("SEED", random.randrange(10**6)))
# More namespaces of a kind than this can't be: the kernel itself counts what is not given back.
LIMIT = 30
LIMITS = "; ".join(f"echo {LIMIT} >/proc/sys/user/max_{kind}_namespaces"
                   for kind in ("user", "net", "mnt", "pid"))


# A user has no PID namespace without a user namespace around it, which can be limited.
@pytest.mark.parametrize("who, limited", [("root", False), ("root", True), ("user", True)])
def test_killed_at_random_moments(lab, sandbox, limited):
    print(f"SEED={SEED} repeats this")
    own = ["--user", "--map-root-user"] if limited else []
    script = f'mount -t tmpfs lab /dev/shm; {LIMITS if limited else ":"}; exec "$@"'
    argv = ["unshare", *own, "--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh",
            PYTHON, "-ISs", lab.top / "bin/leftovers.py", RUNS, SEED, *sandbox.program()]
    seen = lab.run(argv, sandbox.who, env={"WEB": WEB[4]}, timeout=60 + 2 * RUNS)
    assert seen.status == 0, seen
    told = json.loads(seen.out)
    assert told["left"] == {}
    thirds = [len(range(start, RUNS, 3)) for start in range(3)]
    assert told["codes"] == {"0": thirds[0] + thirds[2], "3": thirds[1]}
