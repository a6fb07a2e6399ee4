"""Which process of the tree has opened a flow: without root, and without slowing it down."""

import os
import pathlib
import subprocess
import time

import pytest

from conftest import PLAIN
from lab import DNS, NOBODY, PYTHON, WEB, url_host
from polling import poll

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

HTTP, FIN_FIRST, STALL, UDP_TWICE = 80, 7005, 7006, 7020
PYTHON_FILE = os.path.realpath(PYTHON)


@pytest.fixture
def guest(lab, sandbox, flow_log):
    """Runs one of guest/attribution.py's programs: {port: the name of its process}."""

    def run(*words, options=(), **how):
        seen = sandbox(PYTHON, lab.top / "bin/attribution.py", *words,
                       options=[*flow_log.options, *options], **how)
        assert (seen.status, seen.err) == (0, ""), seen
        return named(seen.out)

    return run


def named(out):
    return {int(port): name for port, name in map(str.split, out.splitlines())}


def owners(flow_log, *kinds):
    """By the port of the command's socket: the name of the process."""
    return {int(event["child_addr"].rsplit(":", 1)[1]): event["comm"]
            for event in flow_log.of(*kinds)}


def test_curl(sandbox, flow_log, family):
    """From the first question on, and in each event."""
    url = "http://www.example.net/hello"
    assert sandbox("curl", f"-sS{family}", url, options=flow_log.options).status == 0
    events = flow_log.events()[1:-1]
    assert len(events) >= 5
    for event in events:
        assert (event["comm"], event["exe"]) == ("curl", os.path.realpath("/usr/bin/curl")), event
    assert len({event["pid"] for event in events}) == 1


def test_pid_is_the_callers(lab, sandbox, flow_log):
    """Not the number that the process has inside."""
    mark = lab.event_mark()
    script = f"exec curl -sN telnet://{WEB[4]}:{STALL}"
    process = sandbox.start("sh", "-c", script, options=flow_log.options, stdin=subprocess.PIPE)
    poll(lambda: lab.events_since("stall_begin", mark), "the connection")
    (attempt,) = flow_log_now(flow_log, "connect_attempt")
    proc = pathlib.Path(f"/proc/{attempt['pid']}")
    assert (proc / "comm").read_text() == "curl\n"
    assert f"NSpid:\t{attempt['pid']}\t" in (proc / "status").read_text()
    process.kill()
    process.communicate(timeout=30)
    lab.end_stalled(mark)
    flow_log.path.unlink()


def flow_log_now(flow_log, kind):
    """Of a run that goes on."""
    return [event for event in flow_log.events() if event["event"] == kind]


def test_static_program(sandbox, flow_log, static_program):
    argv = [static_program, WEB[4], HTTP, "/hello"]
    assert sandbox(*argv, options=flow_log.options).status == 0
    for event in flow_log.of("connect_attempt", "connect_result", "flow_end"):
        assert (event["comm"], event["exe"]) == ("static-fetch", str(static_program))


def test_forked_workers(guest, flow_log):
    seen = guest("forked", WEB[4], HTTP, 20)
    assert set(seen.values()) == {f"worker{n}" for n in range(20)}
    assert owners(flow_log, "flow_end") == seen


def test_short_lived_processes(guest, flow_log):
    """Each is gone as soon as it is connected."""
    for _ in range(5):  # what a run may spend at once is enough for ten on any machine
        seen = guest("short", WEB[4], HTTP, 10)
        assert len(seen) == 10
        assert owners(flow_log, "connect_attempt") == seen
        assert owners(flow_log, "flow_end") == seen


def test_socket_of_parent_and_worker(guest, flow_log):
    """It is the one that connects."""
    seen = guest("shared", WEB[4], HTTP)
    assert owners(flow_log, "connect_attempt") == seen and list(seen.values()) == ["worker"]


def test_connection_that_is_inherited(lab, guest, flow_log):
    seen = guest("inherited", WEB[4], HTTP, input="")
    assert owners(flow_log, "flow_end") == seen and list(seen.values()) == ["parent"]


def test_threads(guest, flow_log):
    ports = guest("threads", WEB[4], HTTP, 10)
    assert owners(flow_log, "flow_end") == dict.fromkeys(ports, "leader")


def test_orphan(guest, flow_log):
    seen = guest("orphan", WEB[4], HTTP)
    assert owners(flow_log, "connect_attempt") == seen and list(seen.values()) == ["orphan"]


def test_datagram(guest, flow_log, family):
    seen = guest("datagram", WEB[family], UDP_TWICE)
    assert owners(flow_log, "flow_start") == owners(flow_log, "flow_end") == seen


@pytest.mark.parametrize("who", ["root"])  # the lab's host grants others no ping sockets
def test_ping(sandbox, flow_log, family):
    assert sandbox("ping", "-n", "-c1", WEB[family], options=flow_log.options).status == 0
    for event in flow_log.of("flow_start", "flow_end"):
        assert event["comm"] == "ping", event


def test_questions(sandbox, flow_log):
    """Each its own, by whichever way it came."""
    script = f"dig +short www.example.net @{DNS[4]}; dig +tcp +short v4.example.net; " \
        "getent hosts www.example.net"
    assert sandbox("sh", "-c", script, options=flow_log.options).status == 0
    asked = {(e["qname"], e["protocol"], e["comm"]) for e in flow_log.of("dns_query")}
    assert asked == {("www.example.net", "udp", "dig"), ("v4.example.net", "tcp", "dig"),
                     ("www.example.net", "udp", "getent")}
    assert all(e["comm"] for e in flow_log.of("dns_answer"))


def test_refusal(sandbox, flow_log):
    script = f"curl -s http://{WEB[4]}/; curl -s http://www.blocked.test/; :"
    options = [*flow_log.options, f"--deny-cidr={WEB[4]}", "--deny-domain=blocked.test", "-q"]
    assert sandbox("sh", "-c", script, options=options).status == 0
    violations = flow_log.of("policy_violation")
    assert {event["protocol"] for event in violations} == {"tcp", "dns"}
    assert {event["comm"] for event in violations} == {"curl"}


@pytest.mark.parametrize("port", [UDP_TWICE, 53])
def test_refused_datagram(guest, flow_log, family, port):
    options = [f"--deny-cidr={WEB[family]}", "-q"]
    seen = guest("refused", WEB[family], port, options=options)
    assert list(seen.values()) == ["refused"]
    (violation,) = flow_log.of("policy_violation")
    assert (violation["protocol"], violation["remote_port"]) == ("udp", port)
    assert owners(flow_log, "policy_violation") == seen


def test_refused_echo(sandbox, flow_log, family):
    seen = sandbox("ping", "-n", "-c1", WEB[family], options=["--offline", "-q", *flow_log.options])
    assert seen.status == 1 and ("filtered" in seen.out or "prohibited" in seen.out), seen
    (violation,) = flow_log.of("policy_violation")
    assert violation["protocol"] == {4: "icmpv4", 6: "icmpv6"}[family]
    assert violation["comm"] == "ping"


def test_refused_server(sandbox, flow_log):
    """A connection to a server that may not be asked."""
    script = f"curl -s http://{WEB[4]}:53/; test $? = 7"
    options = [f"--deny-cidr={WEB[4]}", "-q", *flow_log.options]
    seen = sandbox("sh", "-c", script, options=options)
    assert seen.status == 0, seen
    (violation,) = flow_log.of("policy_violation")
    assert (violation["remote_port"], violation["comm"]) == (53, "curl")


def test_audited(guest, flow_log, family):
    """What the rules would refuse, and what becomes of it."""
    options = [f"--deny-cidr={WEB[family]}", "--audit", "-q"]
    seen = guest("datagram", WEB[family], UDP_TWICE, options=options)
    assert [e["event"] for e in flow_log.events()[1:-1]] == ["policy_violation", "flow_start",
                                                            "flow_end"]
    assert owners(flow_log, "policy_violation") == seen
    assert owners(flow_log, "flow_start") == seen


def test_as_root_inside(sandbox, flow_log):
    seen = sandbox("curl", "-sS", f"http://{WEB[4]}/hello", options=["--as-root", *flow_log.options])
    assert seen.status == 0
    assert flow_log.of("connect_attempt")[0]["comm"] == "curl"


def test_refused_connection(sandbox, flow_log):
    sandbox("curl", "-sS", f"http://{url_host(NOBODY[6])}:9/", options=flow_log.options)
    assert [e["comm"] for e in flow_log.of("connect_attempt", "connect_result")] == ["curl"] * 2


@pytest.mark.parametrize("who", ["user"])  # it takes a while
def test_a_thousand_processes(lab, sandbox, flow_log):
    """Each is found, sooner or later: they stay."""
    process = sandbox.start(PYTHON, lab.top / "bin/attribution.py", "crowd", WEB[4], UDP_TWICE,
                            1000, options=flow_log.options, stdin=subprocess.PIPE)
    seen = named("".join(process.stdout.readline() for _ in range(1000)))
    # What is found out late is told when the flow ends. The search has a share of a CPU's time
    # and ends when all are found, as then there is nothing left to be asked.
    schedstat = pathlib.Path(f"/proc/{process.pid}/schedstat")
    poll(Rest(schedstat), "the end of the search", 60)
    process.communicate("", timeout=60)
    assert process.returncode == 0
    assert len(seen) == 1000
    assert owners(flow_log, "flow_end") == seen


class Rest:
    """Has a process not run for some seconds?"""

    SECONDS = 5

    def __init__(self, schedstat):
        self.schedstat, self.seen, self.since = schedstat, None, 0

    def __call__(self):
        seen = self.schedstat.read_text()
        if seen != self.seen:
            self.seen, self.since = seen, time.monotonic()
        return time.monotonic() - self.since > self.SECONDS


def test_costs_nothing_when_nobody_asks(lab, sandbox):
    """Without a log there is no question: the supervisor never looks into /proc."""
    trace = lab.homes[sandbox.who] / "trace"
    argv = ["strace", "-o", trace, "-e", "trace=openat,open,readlinkat", *sandbox.program(),
            "curl", "-sS", f"http://{WEB[4]}/hello"]
    if lab.run(argv, sandbox.who).status != 0:
        pytest.skip("strace can't trace here")
    assert "/fd\"" not in trace.read_text()
