"""--route and --no-proxy: which way each flow leaves."""

import pytest

from lab import DNS, FAR, HOST4, HOST6, NOBODY, PROXY, WEB
from proxies import BY_NAME

HELLO = "hello from the internet\n"
ECHO = 7021

pytestmark = pytest.mark.usefixtures("proxies")


def url(name):
    return BY_NAME[name].url(PROXY[4])


def port(name):
    return BY_NAME[name].port


def reached(lab, mark):
    """Where the host has opened TCP connections to, and sent datagrams."""
    return {(p.target, p.target_port) for p in lab.wire.since(mark)
            if p.source in (HOST4, HOST6) and (p.protocol == 17 or p.is_syn_to(p.target))}


@pytest.fixture
def fetch(lab, sandbox):
    """Fetches; returns the output, what was said, and whom the host has reached."""
    def run(target, *options, env=None):
        mark = lab.wire.mark()
        seen = sandbox("curl", "-sS", "-m", "10", f"http://{target}/hello", options=options,
                       env=env)
        return seen.out, seen.err, reached(lab, mark)
    return run


def test_past_the_proxy_by_address(fetch):
    out, err, to = fetch(WEB[4], "-p", url("squid"), "--route", "93.184.216.0/24=direct")
    assert (out, err, to) == (HELLO, "", {(WEB[4], 80)})
    out, err, to = fetch(WEB[4], "-p", url("squid"), "--no-proxy", "93.184.216.0/24:80")
    assert (out, err, to) == (HELLO, "", {(WEB[4], 80)})
    out, err, to = fetch(WEB[4], "-p", url("squid"), "--no-proxy", "93.184.216.0/24:81")
    assert (out, err, to) == (HELLO, "", {(PROXY[4], port("squid"))})


@pytest.mark.parametrize("how", [
    ["--route", "example.net=direct"], ["--no-proxy", "example.net"],
    ["--no-proxy", "other.example,v4.example.net:80"], ["--route", "tcp://*.example.net=direct"],
])  # fmt: skip
def test_past_the_proxy_by_name(fetch, how):
    """Such a name is resolved here, others still are not."""
    out, err, to = fetch("v4.example.net", "-p", url("squid"), *how)
    assert (out, err, to) == (HELLO, "", {(DNS[4], 53), (WEB[4], 80)})


def test_other_names_stay_with_the_proxy(fetch):
    out, err, to = fetch("v4.example.net", "-p", url("squid"), "--no-proxy", "www.example.net")
    assert (out, err, to) == (HELLO, "", {(PROXY[4], port("squid"))})


def test_a_port_past_the_proxy(lab, fetch):
    """Resolved here for its port 8080's sake; port 80 goes through the proxy by address."""
    out, err, to = fetch("v4.example.net", "-p", url("squid"),
                         "--route", "v4.example.net:8080=direct")
    assert (out, err, to) == (HELLO, "", {(DNS[4], 53), (PROXY[4], port("squid"))})


def test_another_proxy(lab, fetch):
    routes = ["--route", f"v4.example.net={url('microsocks-auth')}",
              "--route", f"93.184.216.0/24={url('tinyproxy')}"]
    expected = {"v4.example.net": "microsocks-auth", "www.example.net": "squid",
                WEB[4]: "tinyproxy"}
    for target, name in expected.items():
        out, err, to = fetch(target, "-p", url("squid"), *routes)
        assert (out, err, to) == (HELLO, "", {(PROXY[4], port(name))})


def test_only_some_names_by_a_proxy(lab, fetch):
    """As for Tor's onions: no -p, everything else is direct."""
    route = ["--route", f"www.example.net={url('microsocks')}"]
    out, err, to = fetch("www.example.net", *route)
    assert (out, err, to) == (HELLO, "", {(PROXY[4], port("microsocks"))})
    out, err, to = fetch("v4.example.net", *route)
    assert (out, err, to) == (HELLO, "", {(DNS[4], 53), (WEB[4], 80)})


def test_the_first_counts(fetch):
    routes = ["--route", "v4.example.net=block", "--route", "example.net=direct"]
    out, err, to = fetch("v4.example.net", "-p", url("squid"), *routes)
    assert out == "" and to == set()
    assert "blocked dns v4.example.net (route): --route v4.example.net=block forbids it" in err
    out, err, to = fetch("v4.example.net", "-p", url("squid"), *reversed_pairs(routes))
    assert (out, to) == (HELLO, {(DNS[4], 53), (WEB[4], 80)})


def reversed_pairs(words):
    return [w for i in range(len(words) - 2, -1, -2) for w in words[i : i + 2]]


def test_a_block_by_address_and_by_port(fetch):
    out, err, to = fetch(WEB[4], "--route", "93.184.216.34:80=block")
    assert out == "" and to == set()
    assert f"blocked tcp {WEB[4]}:80 (route): --route {WEB[4]}/32:80=block forbids it" in err
    out, err, to = fetch("www.example.net", "-p", url("squid"),
                         "--route", "www.example.net:80=block")
    assert out == "" and to == set() and "blocked tcp www.example.net:80 (route)" in err


def test_a_shown_name_is_blocked(sandbox):
    """The child asks for no name, but shows one."""
    for host, passes in (("bad.example", False), ("good.example", True)):
        seen = sandbox("curl", "-sS", "-m", "10", "-H", f"Host: {host}", f"http://{WEB[4]}/hello",
                       options=["-p", url("squid"), "--route", "bad.example=block"])
        assert (seen.out == HELLO) == passes, seen
        assert ("(route)" in seen.err) != passes, seen


def test_deny_beats_a_route(fetch):
    out, err, to = fetch(WEB[4], "--route", "0.0.0.0/0=direct", "--deny-cidr", WEB[4])
    assert out == "" and to == set() and "(deny-cidr)" in err


def test_no_permission(fetch):
    out, err, to = fetch(WEB[4], "-p", url("squid"), "--route", f"{WEB[4]}=direct",
                         "--default-policy", "deny")
    assert out == "" and to == set() and "(default-deny)" in err


def test_credentials_are_hidden(lab, sandbox):
    """Of a URL in a route: in the command line, and in a dump."""
    route = f"a.example={url('microsocks-auth')}"
    password = route.partition(":")[2].split(":")[1].split("@")[0]
    seen = sandbox("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
                   options=["--route", route])
    assert password not in seen.out
    dumped = sandbox(options=["--route", route, "--dump-profile"])
    assert "routes" in dumped.out and password not in dumped.out


def test_datagrams_have_routes_too(lab, sandbox):
    script = f"""
import socket
for to in ("{WEB[4]}", "{FAR[4]}"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
    s.sendto(b"x", (to, {ECHO})); print(s.recv(100).split()[-1].decode())
"""
    mark = lab.wire.mark()
    seen = sandbox("/usr/bin/python3", "-c", script,
                   options=["-p", url("squid"), "--route", f"{WEB[4]}={url('dante')}",
                            "--no-proxy", f"udp://{FAR[4]}"])
    assert (seen.out, seen.err) == ("x\nx\n", "")
    to = reached(lab, mark)
    assert (FAR[4], ECHO) in to and (PROXY[4], port("dante")) in to
    assert {address for address, _ in to} == {FAR[4], PROXY[4]}


@pytest.fixture
def ping_sockets(lab):
    """Everybody on the host may ping."""
    setting = "/proc/sys/net/ipv4/ping_group_range"
    before = lab.run(["cat", setting]).out.strip()
    lab.host.sh(f"echo 0 2147483647 >{setting}")
    yield
    lab.host.sh(f"echo {before} >{setting}")


def test_pings_have_routes_too(lab, sandbox, ping_sockets):
    """None by a proxy; directly, if a route says so."""
    def ping(*options):
        seen = sandbox("ping", "-c", "1", "-W", "1", NOBODY[4],
                       options=["-p", url("squid"), *options])
        return " 0% packet loss" in seen.out, seen.err
    mark = lab.wire.mark()
    done, err = ping()
    assert not done and f"blocked icmp {NOBODY[4]} (not-proxied)" in err
    assert not [p for p in lab.wire.since(mark) if p.protocol == 1]
    done, err = ping("--route", f"icmp://{NOBODY[4]}=direct")
    assert done and not err, err
