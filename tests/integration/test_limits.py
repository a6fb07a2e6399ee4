"""Full tables, few descriptors, little memory: refused clearly, bounded, and over afterwards.

CROWD and STALLED make the two tests that are named so larger.
"""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from conftest import PLAIN
from guest import pattern
from lab import CLOSED_PORT, HOLE, PYTHON, WEB
from polling import poll
from test_faults import Family, assert_one_sentence, reason_code
from test_tcp import SOURCE, STALL, stalled_server  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

CROWD = int(os.environ.get("CROWD", 2000))
STALLED = int(os.environ.get("STALLED", 20))
UDP_TWICE = 7020
MIB = 1 << 20


@pytest.fixture(scope="session", autouse=True)
def echo_server(lab):
    lab._serve_ready(lab.internet, [PYTHON, lab.top / "bin/crowd.py", "serve", *WEB.values()])


class Engine:
    def __init__(self, process):
        self.pid = Family(process).engine

    def memory(self):
        """Its resident bytes."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024

    def seconds(self):
        """Time on a processor so far."""
        words = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def assert_at_rest(self):
        """Of a moment it uses next to nothing, unless it spins."""

        def rests():
            begin, used = time.monotonic(), self.seconds()
            poll(lambda: time.monotonic() > begin + 0.4, "a moment")
            return self.seconds() - used < 0.1

        poll(rests, "an engine at rest")


@pytest.fixture
def guest(lab, sandbox):
    """Starts one of guest/crowd.py's programs and waits for its first line."""
    started = []

    def start(*arguments, limits=":"):
        limited = ["sh", "-c", f'{limits}; exec "$@"', "sh"]
        argv = [*limited, *sandbox.program(), PYTHON, lab.top / "bin/crowd.py", *arguments]
        process = lab.start(argv, sandbox.who, stdin=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def facts(process):
    line = process.stdout.readline()
    assert "=" in line, (line, process.communicate(timeout=30))
    return dict(word.split("=") for word in line.split())


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()


def end(process):
    go_on(process)
    return process.communicate(timeout=60), process.returncode


def tell(capsys, text):
    with capsys.disabled():
        print(f"\n{text}", end=" ")


# --- many connections ---------------------------------------------------------------------------


def test_crowd(guest, family, capsys):
    """All are open at the same time, and each is served."""
    process = guest("crowd", WEB[family], CROWD)
    assert facts(process) == {"opened": str(CROWD), "failed": "0", "echoed": str(CROWD)}
    engine = Engine(process)
    memory = engine.memory()
    (out, err), status = end(process)
    assert status == 0
    if "CROWD" in os.environ:
        tell(capsys, f"{CROWD}: {err.strip()}, engine {memory / MIB:.0f} MiB")
    assert memory < 32 * MIB + CROWD * 8192


def test_stalled(lab, guest, family, stalled_server, capsys):  # noqa: F811
    """Who doesn't read, costs a bounded amount of memory, and gets everything in the end."""
    count = 6 * MIB
    mark = lab.event_mark()
    process = guest("stalled", WEB[family], SOURCE, STALL, STALLED, count)
    assert facts(process) == {"stalled": str(2 * STALLED)}
    memory = Engine(process).memory()
    stalled_server()
    (out, err), status = end(process)
    expected = f"{count} {pattern.digest(count)}"
    assert (status, out.strip()) == (0, expected)

    def ends():
        seen = lab.events_since("stall", mark)
        return seen if len(seen) == STALLED else None

    got = {f"{e['bytes']} {e['sha256']} {e['end']}" for e in poll(ends, "all uploads")}
    assert got == {f"{expected} eof"}
    if "STALLED" in os.environ:
        tell(capsys, f"{STALLED} each way: engine {memory / MIB:.0f} MiB")
    assert memory < 16 * MIB + 2 * STALLED * MIB


@pytest.mark.skipif(os.geteuid() != 0, reason="the engine's descriptors are hidden from users")
def test_descriptors_come_back(guest, family):
    process = guest("come_and_go", WEB[family], CLOSED_PORT, 200)
    assert process.stdout.readline() == "begin\n"
    engine = Engine(process)
    before = engine.descriptors()
    go_on(process)
    assert facts(process) == {"good": "200", "bad": "200"}
    poll(lambda: engine.descriptors() == before, "the descriptors of all connections")
    end(process)


# --- limits -------------------------------------------------------------------------------------


def assert_refused_then_room(process, count):
    """Some connections worked, the others were refused at once; then there is room again."""
    seen = facts(process)
    assert int(seen["opened"]) == int(seen["echoed"]) and 0 < int(seen["opened"]) < count
    assert seen["failed"] == "ECONNREFUSED"
    engine = Engine(process)
    engine.assert_at_rest()
    go_on(process)
    assert facts(process) == {"opened": "1", "echoed": "1"}
    engine.assert_at_rest()
    (out, err), status = end(process)
    assert (status, err) == (0, "")


def test_few_descriptors(guest, family):
    assert_refused_then_room(guest("beyond", WEB[family], 20, limits="ulimit -n 32"), 20)


def test_descriptors_run_out(lab, guest, family, who):
    """Nobody knew the limit when the tables were made."""
    process = guest("beyond", WEB[family], 200)
    assert process.stdout.readline() == "begin\n"
    assert lab.run(["prlimit", f"--pid={Engine(process).pid}", "--nofile=60"], who).status == 0
    go_on(process)
    assert_refused_then_room(process, 200)


def test_many_destinations(guest, family):
    """20,000 datagrams from one socket to as many ports: others are served meanwhile and after."""
    process = guest("destinations", WEB[family], 20000, UDP_TWICE)
    seen = facts(process)
    assert seen["tcp"] == "ok" and seen["answer"].endswith("hello")
    engine = Engine(process)
    assert engine.memory() < 64 * MIB
    engine.assert_at_rest()
    end(process)


@pytest.mark.parametrize("limit", ["-v", "-d"])
def test_little_memory(lab, sandbox, limit):
    """At any size the run works, or ends with a sentence."""
    codes = set()
    for size in range(600, 40000, 1500):
        argv = ["sh", "-c", f'ulimit {limit} {size}; exec "$@"', "sh", *sandbox.program(), "true"]
        seen = lab.run(argv, sandbox.who)
        if seen.status == 125:
            assert_one_sentence(seen)
        # Where not even the program can be loaded, it is not ours to say so.
        elif seen.status:
            assert "error while loading" in seen.err or seen.status in (127, 139, 137), seen
        codes.add(seen.status)
    assert 0 in codes


@pytest.mark.parametrize("who", ["user"])  # root may have as many as it likes
def test_no_more_processes(lab, sandbox):
    argv = ["bash", "-c", 'ulimit -u 0; exec "$@"', "bash", *sandbox.program(), "true"]
    assert_one_sentence(lab.run(argv, sandbox.who), "temporarily unavailable")


# --- the engine dies ----------------------------------------------------------------------------

DEATHS = {"killed": [signal.SIGKILL], "crashed": [signal.SIGSEGV],
          "stopped": [signal.SIGSTOP, signal.SIGKILL]}


@pytest.mark.parametrize("kind", ["connect", "recv", "idle"])
@pytest.mark.parametrize("how", DEATHS)
def test_engine_dies(lab, guest, kind, how, capsys):
    """Whoever waits for the network is dead, or is told, at once."""
    process = guest("each_errno", kind, {"connect": HOLE, "recv": WEB, "idle": WEB}[kind][4])
    assert process.stdout.readline() == "ready\n"
    engine = Engine(process)
    begin = time.monotonic()
    for number in DEATHS[how]:
        os.kill(engine.pid, number)
    process.wait(2.5)
    out, err = process.communicate()
    if "CROWD" in os.environ:
        tell(capsys, f"{kind}, {how}: {time.monotonic() - begin:.3f} s")
    assert process.returncode == 125
    assert err.startswith("childflow: ") and "engine" in err and err.count("\n") == 2, err
    assert reason_code(err) == "runtime_shutdown_failed"
