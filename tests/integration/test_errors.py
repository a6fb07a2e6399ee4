"""What can't be reached fails inside with the error that the host's own connect() gives."""

import pytest

import lab as places
from conftest import PLAIN
from lab import CLOSED_PORT, HOST_LOOPBACK_PORT, NOBODY, WEB

TARGETS = {
    "closed port": (NOBODY, CLOSED_PORT),
    "router: no such host": (places.ROUTER_UNREACHABLE, 80),
    "router: prohibited": (places.ROUTER_PROHIBITED, 80),
    "router: no route": (places.ROUTER_NO_ROUTE, 80),
    "host: unreachable": (places.HOST_UNREACHABLE, 80),
    "host: prohibited": (places.HOST_PROHIBITED, 80),
}


@pytest.mark.parametrize("target", TARGETS)
def test_errno(inside, outside, family, target):
    addresses, port = TARGETS[target]
    expected = outside.client("connect", addresses[family], port).out
    assert expected.startswith(addresses[family]) and not expected.endswith(" ok\n")
    if family == 4 and not PLAIN:
        # ICMP of IPv4 has no message that Linux turns into EACCES.
        expected = expected.replace("EACCES", "EHOSTUNREACH")
    assert inside.client("connect", addresses[family], port).out == expected


def test_errors_harm_nobody_else(inside):
    targets = [word for addresses, port in TARGETS.values() for word in (addresses[4], port)]
    seen = inside.client("connect", *targets, WEB[4], 80)
    assert seen.out.endswith(f"{WEB[4]} ok\n"), seen


@pytest.fixture
def host_without_ipv6_route(lab):
    lab.host.sh("ip -6 route del default")
    yield
    lab.host.sh(f"ip -6 route add default via {places.ROUTER6}")


def test_host_without_ipv6_route(inside, host_without_ipv6_route):
    seen = inside.client("connect", WEB[6], 80, WEB[4], 80)
    assert seen.out == f"{WEB[6]} ENETUNREACH\n{WEB[4]} ok\n", seen
    assert inside("curl", "-sS", "http://www.example.net/hello").status == 0


@pytest.fixture
def host_without_ipv6(lab):
    lab.host.sh("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
    yield
    lab.host.sh("echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
    lab.add_host_ipv6()


def test_host_with_ipv6_switched_off(inside, host_without_ipv6):
    seen = inside.client("connect", WEB[6], 80, WEB[4], 80)
    assert seen.status == 0
    assert seen.out in (
        f"{WEB[6]} ENETUNREACH\n{WEB[4]} ok\n", f"{WEB[6]} EADDRNOTAVAIL\n{WEB[4]} ok\n"
    )
    assert inside("curl", "-sS", "http://www.example.net/hello").status == 0


def test_loopback_of_the_host_is_out_of_reach(lab, outside, sandbox):
    targets = ["127.0.0.1", HOST_LOOPBACK_PORT, "::1", HOST_LOOPBACK_PORT]
    assert outside.client("connect", *targets).out == "127.0.0.1 ok\n::1 ok\n"
    seen = sandbox.client("connect", *targets)
    assert seen.out == "127.0.0.1 ECONNREFUSED\n::1 ECONNREFUSED\n"


def test_loopback_of_the_host_through_other_spellings(sandbox):
    # Linux sends 0.0.0.0 and :: to its own loopback; a mapped address is an IPv4 address.
    for address in ("0.0.0.0", "::", "::ffff:127.0.0.1"):
        seen = sandbox.client("connect", address, HOST_LOOPBACK_PORT)
        assert seen.out == f"{address} ECONNREFUSED\n"
