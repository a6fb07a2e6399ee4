"""pytest plugin: one TAP line per test on the descriptor $TAP_FD.

Debian 12 has no pytest-tap. The line is written when the test's teardown is over, so that a
failing teardown makes the test fail; a run that dies early has printed fewer lines than its
plan says, which is a failure too.
"""

import collections
import os

import pytest


def skip_reason(report):
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def one_line(text):
    return " ".join(text.split()).replace("#", "_")


class TapWriter:
    def __init__(self, stream):
        self.stream = stream
        self.number = 0
        self.reports = []

    def write(self, line):
        print(line, file=self.stream, flush=True)

    def pytest_collectreport(self, report):
        if report.failed:
            self.write(f"Bail out! {one_line(report.nodeid)} can't be collected")

    def pytest_collection_finish(self, session):
        self.write(f"1..{len(session.items)}")

    def pytest_runtest_logreport(self, report):
        self.reports.append(report)

    def pytest_runtest_logfinish(self, nodeid):
        reports, self.reports = self.reports, []
        self.number += 1
        name = f"{self.number} - {one_line(nodeid)}"
        skipped = [skip_reason(r) for r in reports if r.skipped]
        if any(r.failed for r in reports):
            self.write(f"not ok {name}")
        elif skipped:
            self.write(f"ok {name} # SKIP {one_line(skipped[0])}")
        else:
            self.write(f"ok {name}")


def shares(weights, count):
    """Which of `count` workers each file goes to: the heaviest first, to who has least."""
    loads, share = [0] * count, {}
    for file in sorted(weights, key=lambda file: (-weights[file], file)):
        worker = loads.index(min(loads))
        share[file] = worker
        loads[worker] += weights[file]
    return share


# Whose processes must get their turn when others' do.
ALONE = ["test_terminal.py"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """$SHARD is "2/3", the second of three shares of the test files, or "alone"."""
    shard = os.environ.get("SHARD")
    if not shard:
        return
    if shard == "alone":
        ours = [item for item in items if item.path.name in ALONE]
    else:
        number, count = map(int, shard.split("/"))
        together = [item for item in items if item.path.name not in ALONE]
        share = shares(collections.Counter(item.path for item in together), count)
        ours = [item for item in together if share[item.path] == number - 1]
    chosen = set(ours)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = ours


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    fd = int(os.environ["TAP_FD"])
    os.set_inheritable(fd, False)
    config.pluginmanager.register(TapWriter(os.fdopen(fd, "w", closefd=False)))
