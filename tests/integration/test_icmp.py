"""Ping and the other ICMP queries: what leaves, what comes back, and who may."""

import os
import re

import pytest

from lab import (
    HOLE, HOST4, HOST_UNREACHABLE, ROUTER_NO_ROUTE, ROUTER_PROHIBITED, ROUTER_UNREACHABLE, WEB,
)  # fmt: skip
from polling import poll
from test_faults import Family
from test_setup_faults import sanitized
from trail import END, END_MTU, HOPS, TWICE

PING = ["ping", "-n", "-c", "2", "-i", "0.2", "-W", "5"]
ECHO = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}
ICMP = {4: 1, 6: 58}
SYSCTL = "net.ipv4.ping_group_range"


def seen(out):
    """What ping has told, but for times."""
    out = re.sub(r" time[= ][\d.]+ ?ms|rtt .*|---.*|PING .*", "", out)
    return [line for line in out.splitlines() if line]


def lower_ttl(lines):
    """As they are behind one hop more."""
    return [re.sub(r"ttl=(\d+)", lambda m: f"ttl={int(m[1]) - 1}", line) for line in lines]


def echoes(packets, family, address):
    return [p for p in packets
            if p.target == address and p.protocol == ICMP[family] and p.data[0] == ECHO[family]]


# All who may.
PINGERS = pytest.mark.parametrize(
    "who, ping_sockets", [("root", True), ("root", False), ("user", True)],
    ids=["root", "root-by-raw-sockets", "user"], indirect=["ping_sockets"])  # fmt: skip


# --- with and without rights ------------------------------------------------------------------


def test_ping(sandbox, outside, who, ping_sockets, family):
    expected = outside(*PING, WEB[family])
    got = sandbox(*PING, WEB[family])
    if who == "root" or ping_sockets:
        assert got.status == 0 and seen(got.out) == lower_ttl(seen(expected.out)), got
        assert "0% packet loss" in got.out and got.err == ""
        return
    word = {4: "Packet filtered", 6: "Administratively prohibited"}[family]
    assert got.status == 1 and got.out.count(word) == 2, got
    assert got.err.count("childflow: warning:") == 1 and SYSCTL in got.err, got


@pytest.mark.parametrize("size", [0, 1, 1472, 1473, 9000, 65507])
def test_sizes(sandbox, outside, with_ping_sockets, family, size):
    argv = ["ping", "-n", "-c", "1", "-W", "5", "-s", size, WEB[family]]
    got = sandbox(*argv)
    assert got.status == 0 and seen(got.out) == lower_ttl(seen(outside(*argv).out)), got


@PINGERS
@pytest.mark.parametrize("target", [ROUTER_UNREACHABLE, ROUTER_PROHIBITED, ROUTER_NO_ROUTE],
                         ids=["unreachable", "prohibited", "no-route"])  # fmt: skip
def test_errors(inside, outside, ping_sockets, family, target):
    """Each code, from the router that said so. (It says so once a second: kernels are sparing
    with that, whatever their settings.)"""
    once = f"ping -n -c 1 -W 0.3 {target[family]} | grep ^From"
    script = f"for i in $(seq 30); do {once} && exit; done; exit 1"
    expected, got = outside("sh", "-c", script), inside("sh", "-c", script)
    assert got == expected and got.status == 0, (got, expected)


def test_unreachable_by_the_hosts_own_routes(sandbox, with_ping_sockets, family):
    got = sandbox("ping", "-n", "-c", "1", "-W", "5", HOST_UNREACHABLE[family])
    assert "nreachable" in got.out and "+1 errors" in got.out, got


NEIGHBOUR = "192.168.66.77"


@pytest.fixture
def impatient_host(lab):
    """One that looks for a neighbour for a tenth of a second, not for three."""
    settings = "/proc/sys/net/ipv4/neigh/eth0"
    lab.host.sh(f"cd {settings}; echo 50 >retrans_time_ms; echo 2 >mcast_solicit")
    yield
    lab.host.sh(f"cd {settings}; echo 1000 >retrans_time_ms; echo 3 >mcast_solicit")


def test_what_the_host_says_the_gateway_says(lab, sandbox, with_ping_sockets, impatient_host):
    """Nobody has that address: the host gives up looking for it."""
    got = sandbox("ping", "-n", "-c", "1", "-W", "5", NEIGHBOUR)
    assert re.search("From 10.240.[0-9.]+ icmp_seq=1 Destination Host Unreachable", got.out), got
    assert HOST4 not in got.out
    got = sandbox("traceroute", "-n", "-q", "1", "-f", "2", "-m", "2", NEIGHBOUR)
    assert re.search(r"2 +10\.240\.[0-9.]+ .*!H", got.out) and HOST4 not in got.out, got


@PINGERS
def test_too_big(sandbox, trail, ping_sockets, family):
    argv = ["ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", "1440", END[family]]
    for _ in range(2):  # what the host has learned is not the child's router's knowledge
        got = sandbox(*argv).out
        assert f"From {HOPS[family][2]} icmp_seq=1" in got and f"mtu = {END_MTU}" in got.replace(
            "mtu=", "mtu = "), got


def test_nothing_but_silence(inside, with_ping_sockets, family):
    got = inside("ping", "-n", "-c", "1", "-W", "1", HOLE[family])
    assert got.status == 1 and "100% packet loss" in got.out and "errors" not in got.out


# --- what leaves ------------------------------------------------------------------------------


def guest(sandbox, lab, *argv, **how):
    return sandbox("/usr/bin/python3", lab.top / "bin/ping.py", *argv, options=["--as-root"],
                   **how)


def test_all_that_a_request_bears(lab, sandbox, who, ping_sockets, family):
    mark = lab.wire.mark()
    got = guest(sandbox, lab, "marked", WEB[family])
    if who == "user" and not ping_sockets:
        assert got.out.split()[0] in ("3", "1"), got
        assert not echoes(lab.wire.since(mark), family, WEB[family])
        return
    assert got.out == f"{ECHO_REPLY[family]} True\n", got
    (request,) = echoes(lab.wire.since(mark), family, WEB[family])
    head = request.header
    if family == 4:
        assert (head[1], head[8], head[6] & 0x40) == (0x28, 32, 0x40), head
    else:
        assert ((head[0] << 8 | head[1]) >> 4 & 0xFF, head[7]) == (0x28, 32), head
    assert request.data[6:] == b"\x56\x78marked payload"
    if ping_sockets:
        assert request.data[4:6] == b"\x12\x34"


@pytest.mark.parametrize("who", ["root"])
def test_each_answer_counts(sandbox, trail, ping_sockets):
    """A second one is told as a duplicate, and one to somebody else is nobody's."""
    with trail.echo_server(TWICE):
        got = sandbox(*PING, END[4])
    assert "2 received, +1 duplicates" in got.out or "+2 duplicates" in got.out, got


def test_other_queries(lab, sandbox, who, with_ping_sockets):
    """A time stamp needs a raw socket; what nobody knows is refused, whoever asks."""
    got = guest(sandbox, lab, "query", WEB[4], 13)
    if who == "root":
        assert (got.out, got.err) == ("14 0 12345678\n", ""), got
    else:
        assert got.out.startswith("3 13 ") and "type 13" in got.err, got
    got = guest(sandbox, lab, "query", WEB[4], 30)
    assert got.out.startswith("3 13 ") and got.err == "", got


# --- rules and limits -------------------------------------------------------------------------


def test_rules_hold(lab, sandbox, with_ping_sockets, family):
    mark = lab.wire.mark()
    length = {4: 32, 6: 128}[family]
    got = sandbox(*PING, WEB[family], options=["--deny-cidr", f"{WEB[family]}/{length}"])
    word = {4: "Packet filtered", 6: "Administratively prohibited"}[family]
    assert got.status == 1 and got.out.count(word) == 2, got
    assert "--deny-cidr" in got.err and f"{WEB[family]}" in got.err
    assert not echoes(lab.wire.since(mark), family, WEB[family])
    assert sandbox(*PING, WEB[family], options=["--offline"]).status == 1


def test_loopback_is_nobodys(sandbox, with_ping_sockets):
    """The command's own answers; the host's can't be asked, however it is spelt."""
    assert sandbox(*PING, "127.0.0.1").status == 0
    assert sandbox("ping", "-n", "-c", "1", "-W", "1", "255.255.255.255").status != 0


def memory_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


@pytest.mark.parametrize("idents", [1, 60000])
def test_a_flood_holds_little(lab, sandbox, with_ping_sockets, family, idents):
    """Ten thousand requests a second, under one identifier or under each there is."""
    process = sandbox.start("/usr/bin/python3", lab.top / "bin/ping.py", "flood", WEB[family],
                            10000, 3, idents, options=["--as-root"], stdin=-1)
    try:
        engine = poll(lambda: Family(process).engine, "the engine")
        line = process.stdout.readline()
        assert line.startswith("30000 sent"), line
        # A sanitizer keeps what was freed.
        assert sanitized() or memory_kib(engine) < 8 * 1024
        assert len(os.listdir(f"/proc/{engine}/fd")) < 3000
    finally:
        process.communicate("\n", timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("who", ["user"])
def test_engine_survives_without_descriptors(lab, sandbox, with_ping_sockets):
    argv = [*sandbox.program("--as-root"), "/usr/bin/python3", lab.top / "bin/ping.py", "flood",
            WEB[4], 5000, 1, 60000]
    got = lab.run(["sh", "-c", 'ulimit -n 100; exec "$@"', "sh", *argv], sandbox.who, input="\n")
    assert got.status == 0 and got.out.startswith("5000 sent"), got
