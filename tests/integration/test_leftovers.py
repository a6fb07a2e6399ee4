"""Nothing is left behind, however a run ends. RUNS=500 makes it a long test."""

import json
import os
import random
import signal

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
    env = {"WEB": WEB[4], **({"LIMITED": "1"} if limited else {})}
    seen = lab.run(argv, sandbox.who, env=env, timeout=60 + 2 * RUNS)
    assert seen.status == 0, seen
    told = json.loads(seen.out)
    assert told["left"] == {}
    thirds = [len(range(start, RUNS, 3)) for start in range(3)]
    assert told["codes"] == {"0": thirds[0] + thirds[2], "3": thirds[1]}


# Both halves of a daemon's birth: a session of its own, and a parent that is gone.
DAEMON = "echo >daemon; (setsid sh -c 'exec 2>&-; %s; echo up >>daemon; exec sleep 1000' &) ; " \
         "until grep -q up daemon; do sleep 0.01; done; exit 6"


@pytest.mark.parametrize("trap", ["trap - TERM", 'trap "" TERM HUP INT'])
def test_daemon_ends_with_the_command(lab, sandbox, trap):
    seen = sandbox("sh", "-c", DAEMON % trap)
    assert (seen.status, seen.out, seen.err) == (6, "", "")
    assert not lab.leftovers()


def test_daemon_has_time_to_end(lab, sandbox):
    """SIGTERM comes first, and what is done then is done whole."""
    note = lab.homes[sandbox.who] / "daemon"
    trap = f'trap "sleep 0.3; echo cleaned >>{note}; exit" TERM; echo up >>daemon; ' \
           "while :; do sleep 0.05; done"
    seen = sandbox("sh", "-c", DAEMON % trap)
    assert (seen.status, seen.err) == (6, "")
    assert note.read_text().splitlines()[-1] == "cleaned"


@pytest.mark.parametrize("trap, options, status", [
    ("trap - TERM", [], 124), ("trap '' TERM", ["-k", "0.3"], 137),
])
def test_timeout(lab, sandbox, trap, options, status):
    """timeout(1) signals childflow and then its whole group, which is one wish."""
    argv = ["timeout", *options, "0.3", *sandbox.program(), "sh", "-c", f"{trap}; sleep 1000"]
    seen = lab.run(argv, sandbox.who, start_new_session=True)
    assert seen.status == status and seen.err == "", seen


def test_timeout_lets_the_command_end_well(lab, sandbox):
    script = "trap 'sleep 0.3; echo cleaned; exit' TERM; while :; do sleep 0.05; done"
    argv = ["timeout", "0.3", *sandbox.program(), "sh", "-c", script]
    seen = lab.run(argv, sandbox.who, start_new_session=True)
    assert (seen.status, seen.out) == (124, "cleaned\n"), seen


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGCONT, signal.SIGRTMIN + 3])
def test_other_signals_are_passed_on(sandbox, number):
    script = f"import signal; signal.signal({int(number)}, lambda *_: exit(8)); " \
             "print('ready', flush=True); [signal.pause() for _ in iter(int, 1)]"
    process = sandbox.start(PYTHON, "-c", script)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 8
