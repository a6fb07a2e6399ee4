"""--diff: what one flow log has that another has not."""

import os
import subprocess

import pytest

from conftest import PLAIN
from flowlogs import Run, fetch, process, violation, write
from lab import CLOSED_PORT, FAR


@pytest.fixture
def diff(tmp_path):
    if PLAIN:
        pytest.skip("CHILDFLOW=plain")

    def run(old, new, *options, status=0):
        write(tmp_path / "old.jsonl", old)
        write(tmp_path / "new.jsonl", new)
        seen = subprocess.run([os.environ["CHILDFLOW"], *options, "--diff", "old.jsonl", "new.jsonl"],
                              cwd=tmp_path, capture_output=True, text=True)
        assert (seen.returncode, seen.stderr) == (status, ""), seen
        head, _, rest = seen.stdout.partition("new:\n")
        assert head == "childflow diff\nold: old.jsonl\nnew: new.jsonl\n"
        new, rest = rest.split("gone:\n")
        gone, bigger = rest.split("bigger:\n")
        return [[line.removeprefix("  ") for line in part.splitlines()] for part in (new, gone, bigger)]
    return run


NONE = ["<none>"]
CURL, GIT = process(1, "curl"), process(2, "git")


def run_of(*talks, asked=(), more=()):
    run = Run()
    for name, ip, who, sizes in talks:
        if name:
            run.ask(name, [ip], who)
        run.talk(ip, 443, who, [name] if name else [], **sizes)
    for name in asked:
        run.ask(name, [])
    return run.add(*more).end().records


def test_same_runs_do_not_differ(diff):
    one = run_of(("one.test", "192.0.2.1", CURL, {"down": 5000}))
    assert diff(one, one, "--fail-on-new") == [NONE, NONE, NONE]


def test_addresses_behind_a_name_may_change(diff):
    old = run_of(("one.test", "192.0.2.1", CURL, {}))
    new = run_of(("one.test", "192.0.2.2", CURL, {}))
    assert diff(old, new, "--fail-on-new") == [NONE, NONE, NONE]


def test_new_and_gone(diff):
    old = run_of(("one.test", "192.0.2.1", CURL, {"down": 7}), (None, "192.0.2.9", CURL, {}))
    denied = violation("10.0.0.1:22", "deny_cidr", "--deny-cidr", "10.0.0.1", 22, matched_cidr="10.0.0.0/8")
    new = run_of(("one.test", "192.0.2.1", CURL, {"down": 7}), ("two.test", "192.0.2.2", GIT, {"up": 1, "down": 2}),
                 asked=["three.test"], more=[denied])
    found = [
        "asked three.test: times=1", "asked two.test: times=1", "process /usr/bin/git: times=1",
        "refused tcp 10.0.0.1:22 by --deny-cidr 10.0.0.0/8: times=1",
        "tcp two.test:443: flows=1, received=2, sent=1"]
    gone = ["tcp 192.0.2.9:443: flows=1, received=0, sent=0"]
    assert diff(old, new) == [found, gone, NONE]
    assert diff(old, new, "--fail-on-new", status=1)[0] == found
    assert diff(new, old) == [gone, found, NONE]
    assert diff(old, old, "--fail-on-new") == [NONE, NONE, NONE]


def test_bigger(diff):
    old = run_of(("one.test", "192.0.2.1", CURL, {"up": 500, "down": 1000}))
    same = run_of(("one.test", "192.0.2.1", CURL, {"up": 1400, "down": 1900}))
    more = run_of(("one.test", "192.0.2.1", CURL, {"up": 500, "down": 2000}))
    assert diff(old, same) == [NONE, NONE, NONE]
    assert diff(old, more, "--fail-on-new") == [
        NONE, NONE, ["tcp one.test:443: flows=1, received=1000->2000, sent=500"]]
    twice = run_of(*[("one.test", "192.0.2.1", CURL, {"up": 250, "down": 500})] * 2)
    assert diff(old, twice)[2] == ["asked one.test: times=1->2", "tcp one.test:443: flows=1->2, received=1000, sent=500"]


def test_logs_of_the_first_version(diff):
    assert diff(fetch("one.test", "192.0.2.1"), fetch("two.test", "192.0.2.2"))[0] == [
        "asked two.test: times=1", "tcp 192.0.2.2:80: flows=1, received=0, sent=0"]


def test_fail_on_new_needs_a_diff(sandbox):
    seen = sandbox("true", options=["--fail-on-new"])
    assert seen.status == 2 and "--fail-on-new requires --diff" in seen.err


def test_a_log_that_is_not_there(sandbox, lab, who):
    seen = lab.run([*sandbox.program()[:1], "--diff", "/nonexistent", "/dev/null"], who)
    assert (seen.status, seen.out) == (1, "")
    assert seen.err == "childflow: open /nonexistent: No such file or directory\n"


def test_real_runs(lab, sandbox, who):
    logs = [lab.homes[who] / f"{name}.jsonl" for name in ("old", "new")]
    sandbox("curl", "-4sS", "http://v4.example.net/hello", options=["--flow-log", logs[0]])
    sandbox("sh", "-c", f"curl -4sS http://v4.example.net/hello; curl -s http://{FAR[4]}:{CLOSED_PORT}/",
            options=["--flow-log", logs[1]])
    seen = lab.run([*sandbox.program()[:1], "--fail-on-new", "--diff", *logs], who)
    new = seen.out.split("new:\n")[1].split("gone:\n")[0]
    assert seen.status == 1 and "example.net" not in new, seen
    assert f"  tcp {FAR[4]}:{CLOSED_PORT}: flows=1, received=0, sent=0\n" in new, seen
    for log in logs:
        log.unlink()
