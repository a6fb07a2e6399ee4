"""Datagrams: one socket of the child is one socket outside, as an application expects it."""

import re
import resource

import pytest

from conftest import QUIC_PORT, need
from lab import (
    CLOSED_PORT, DNS, FAR, FAR_MTU, HOLE, HOST_PROHIBITED, HOST_UNREACHABLE, NOBODY,
    ROUTER_NO_ROUTE, ROUTER_PROHIBITED, ROUTER_UNREACHABLE, WEB,
)  # fmt: skip

UDP_TWICE = 7020


@pytest.fixture
def udp(lab):
    """Runs one of guest/udp_client.py's programs by a Runner; returns what it printed."""

    def run(runner, name, *arguments, **how):
        seen = runner("/usr/bin/python3", lab.top / "bin/udp_client.py", name, *arguments, **how)
        assert (seen.status, seen.err) == (0, ""), seen
        return seen.out

    return run


# --- sessions ---------------------------------------------------------------------------------


def test_answers_to_one_socket(inside, family):
    seen = inside.client("datagrams", WEB[family], UDP_TWICE)
    expected = "".join(f"{n} {i}\n" for i in range(3) for n in ("first", "second"))
    assert (seen.status, seen.out) == (0, "1 source port\n" + expected), seen


def test_source_port_stays(inside, udp, family):
    assert udp(inside, "stable_port", WEB[family], 60) == "1 source port True\n"


def test_two_peers_of_one_socket(inside, udp, family):
    peers = " ".join(sorted([WEB[family], WEB[family], FAR[family]]))
    assert udp(inside, "two_peers", WEB[family], FAR[family]) == f"1 source port\n{peers}\n"


def test_only_peers_written_to_get_through(sandbox, outside, udp, family):
    answers = udp(outside, "stranger", WEB[family])
    assert answers == "a stranger's answer from " + answers.split()[-1] + "\n"
    assert udp(sandbox, "stranger", WEB[family]) == "the answer from 7023\n"


def test_many_answers_to_one_question(inside, udp, family):
    assert udp(inside, "burst", WEB[family], 200) == "200 in order\n"


@pytest.mark.parametrize("count", [1, 2, 31, 32, 60])
def test_trains_of_datagrams(inside, udp, family, count):
    assert udp(inside, "train", WEB[family], count) == f"{count + 1} in order\n"


def test_ntp_burst(inside, udp, family):
    assert udp(inside, "ntp", WEB[family]) == "True {48}\n"


def test_empty_datagrams(inside, udp, family):
    assert udp(inside, "empty", WEB[family]) == "True\n0\n"


# --- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 1472, 1473, 9000, 65507, "largest"])
def test_echo(inside, udp, family, size):
    # What a length of 16 bits leaves, which counts the IP header in IPv4 but not in IPv6.
    size = {4: 65507, 6: 65527}[family] if size == "largest" else size
    assert udp(inside, "echo", WEB[family], size) == f"{size} the same\n"


def forget_paths(lab):
    lab.host.sh("ip route flush cache; ip -6 route flush cache")


def test_fragments_on_a_narrow_way(lab, inside, udp, family):
    """IPv6 has no router make them: the first datagram is answered with the way's size."""
    forget_paths(lab)
    told = {4: "", 6: "EMSGSIZE\n"}[family]
    assert udp(inside, "echo", FAR[family], 20000) == told + "20000 the same\n"
    assert udp(inside, "echo", FAR[family], 20000).endswith("20000 the same\n")


@pytest.mark.parametrize("host_knows", [False, True], ids=["first", "again"])
def test_too_big_for_the_path(lab, inside, outside, udp, family, host_knows):
    forget_paths(lab)
    expected = udp(outside, "path_mtu", FAR[family])
    assert expected == f"EMSGSIZE\npath {FAR_MTU}\nEMSGSIZE\nTrue\n"
    if not host_knows:
        forget_paths(lab)
    assert udp(inside, "path_mtu", FAR[family]) == expected
    forget_paths(lab)


# --- errors -----------------------------------------------------------------------------------


def test_closed_port(inside, udp, family):
    assert udp(inside, "refused", NOBODY[family], CLOSED_PORT) == "ECONNREFUSED\n" * 2


# What a kernel makes of "administratively prohibited": icmp_err_convert, icmpv6_err_convert.
PROHIBITED = {4: "EHOSTUNREACH", 6: "EACCES"}


def test_unreachable(inside, udp, family):
    by_router = ROUTER_UNREACHABLE[family], ROUTER_PROHIBITED[family], ROUTER_NO_ROUTE[family]
    expected = f"EHOSTUNREACH\n{PROHIBITED[family]}\nENETUNREACH\n"
    assert udp(inside, "unreachable", *by_router) == expected


def test_unreachable_by_the_hosts_own_routes(sandbox, udp, family):
    by_host = HOST_UNREACHABLE[family], HOST_PROHIBITED[family]
    assert udp(sandbox, "unreachable", *by_host) == f"EHOSTUNREACH\n{PROHIBITED[family]}\n"


# --- many -------------------------------------------------------------------------------------


def limit_is_at_least(count):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < count:
        pytest.skip(f"at most {hard} descriptors here")


def test_many_ports(inside, udp):
    limit_is_at_least(10000)  # a quarter is for datagrams
    assert udp(inside, "many_ports", WEB[4], 2000) == "2000 source ports True True\n"


def test_more_ports_than_fit(lab, sandbox):
    """With 400 descriptors; who has none left is told so, and the others go on."""
    argv = [*sandbox.program(), "/usr/bin/python3", lab.top / "bin/udp_client.py"]
    script = 'ulimit -n 400; exec "$@"'
    seen = lab.run(["sh", "-c", script, "sh", *argv, "more_than_fit", WEB[4], 200], sandbox.who)
    counts = dict(re.findall(r"(\w+) (\d+)", seen.out))
    assert seen.status == 0 and set(counts) == {"ok", "EHOSTUNREACH"}, seen
    assert int(counts["ok"]) >= 80 and sum(map(int, counts.values())) == 200


def test_more_peers_than_fit(sandbox, udp):
    seen = udp(sandbox, "many_peers", WEB[4], HOLE[4], 17000)
    assert seen == "the same port\nTrue\n"


# --- real programs ----------------------------------------------------------------------------


def test_dnsperf_loses_nothing(lab, inside, family):
    """20,000 questions a second; a machine that is too slow makes it take longer."""
    questions = lab.top / "www" / "questions"
    questions.write_text("www.example.net A\nv6.example.net AAAA\nexample.net MX\n")
    limits = ["-n", 10000, "-Q", 20000, "-t", 10]
    seen = inside(need("dnsperf"), "-s", DNS[family], "-d", questions, *limits)
    sent, completed, lost = (
        int(re.search(rf"Queries {what}: +(\d+)", seen.out).group(1))
        for what in ("sent", "completed", "lost")
    )
    assert (seen.status, sent, completed, lost) == (0, 30000, 30000, 0), seen


def test_quic(lab, quic, family):
    """A handshake and a transfer of a file, over one port."""
    mark = lab.wire.mark()
    seen, page = quic(WEB[family])
    assert (seen.status, page) == (0, (lab.top / "www/page").read_bytes()), seen
    ports = {p.source_port for p in lab.wire.since(mark) if p.target_port == QUIC_PORT}
    assert len(ports) == 1
