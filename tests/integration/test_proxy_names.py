"""The name travels: with a proxy nobody here is asked about it, and nothing leaves but to the
proxy."""

import re
import shutil

import pytest

from conftest import QUIC_PORT
from lab import DNS, HOST4, HOST6, NOBODY, OTHER_DNS, PATH, PROXY, WEB, url_host
from proxies import BY_NAME

HELLO = "hello from the internet\n"
REMOTE = [name for name in ("squid", "microsocks", "ssh-4a") if name in BY_NAME]

pytestmark = pytest.mark.usefixtures("proxies")


def trust(lab):
    return {"SSL_CERT_FILE": str(lab.top / "www/ca.pem")}


def options(name, *more, family=4):
    return ["-p", BY_NAME[name].url(PROXY[family]), *more]


def from_host(lab, mark):
    """What the host has sent, but for its kernel's neighbour discovery and reports."""
    return [p for p in lab.wire.since(mark)
            if p.source in (HOST4, HOST6) and p.protocol not in (0, 58)]


def strays(lab, mark, name, family=4):
    """What the host has sent to anything but the proxy's own port."""
    to = (PROXY[family], BY_NAME[name].port, 6)
    return [p for p in from_host(lab, mark) if (p.target, p.target_port, p.protocol) != to]


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*REMOTE, "squid-tls", "microsocks-auth"])
@pytest.mark.parametrize("host", ["www.example.net", "v4.example.net", "v6.example.net"])
def test_fetch_by_name(lab, sandbox, name, host):
    mark = lab.wire.mark()
    seen = sandbox("curl", "-sS", "-m", "20", f"http://{host}/hello", options=options(name),
                   env=trust(lab))
    assert (seen.out, seen.err) == (HELLO, "")
    assert not strays(lab, mark, name)


def test_fetch_by_name_over_ipv6(lab, sandbox):
    mark = lab.wire.mark()
    seen = sandbox("curl", "-6", "-sS", "-m", "20", "http://www.example.net/hello",
                   options=options("microsocks", family=6))
    assert (seen.out, seen.err) == (HELLO, "")
    assert not strays(lab, mark, "microsocks", 6)


def test_a_name_that_does_not_exist(lab, sandbox):
    seen = sandbox("curl", "-sS", "-m", "20", "http://no.example.net/hello",
                   options=options("microsocks"))
    assert seen.status == 7 and not seen.out, seen


def test_addresses_stand_for_names(lab, sandbox):
    script = """
        import socket
        def look(name, family):
            return socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)[0][4][0]
        a, b = look("a.example", socket.AF_INET), look("b.example", socket.AF_INET)
        six = look("A.example", socket.AF_INET6)
        print(a, b, six, a == look("a.example", socket.AF_INET))
        print(socket.gethostbyaddr(a)[0], socket.gethostbyaddr(six)[0])
        print(look("localhost.localhost", socket.AF_INET))
    """
    mark = lab.wire.mark()
    seen = sandbox("/usr/bin/python3", "-c", inspect_clean(script), options=options("squid"))
    assert seen.out == (
        "198.18.0.1 198.18.0.2 fdcf:1918::1 True\na.example a.example\n127.0.0.1\n"
    ), seen
    assert not from_host(lab, mark)


def inspect_clean(script):
    lines = script.strip("\n").splitlines()
    return "\n".join(line[8:] for line in lines)


def test_range(lab, sandbox):
    seen = sandbox("sh", "-c", "dig +short a.example; dig +short aaaa a.example",
                   options=options("squid", "--proxy-dns-range", "10.99.0.0/24,fd99::/64"))
    assert seen.out == "10.99.0.1\nfd99::1\n", seen


def test_an_address_without_a_name(lab, sandbox):
    mark = lab.wire.mark()
    seen = sandbox("curl", "-sS", "-m", "5", "http://198.18.0.9/hello", options=options("squid"))
    assert seen.status == 7, seen
    assert "blocked tcp 198.18.0.9:80 (unknown-name)" in seen.err
    assert not from_host(lab, mark)


@pytest.mark.parametrize("server", ["", f"@{OTHER_DNS[4]}", f"@{NOBODY[6]}"])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_every_question_is_answered_by_us(lab, sandbox, server, transport):
    """Whichever server the child asks."""
    script = f"dig {server} {transport} +short $*"
    mark = lab.wire.mark()
    seen = sandbox("sh", "-c", f"""
        for type in a aaaa; do dig {server} {transport} +short $type a.example; done
        for type in https svcb mx txt srv ns soa cname; do
            dig {server} {transport} $type www.example.net | grep -E 'status|ANSWER:'
        done
    """, options=options("squid"))
    lines = seen.out.splitlines()
    assert lines[:2] == ["198.18.0.1", "fdcf:1918::1"], (seen, script)
    for status, flags in zip(lines[2::2], lines[3::2], strict=True):
        assert "NOERROR" in status and "ANSWER: 0" in flags, seen
    assert not from_host(lab, mark)


@pytest.mark.parametrize("name", ["squid", "microsocks", "dante"])
def test_other_questions_go_to_dns_through_the_proxy(lab, sandbox, name):
    """squid passes on to port 443 alone unless it is told otherwise, as the lab's is."""
    mark = lab.wire.mark()
    seen = sandbox("sh", "-c", """
        dig +short mx example.net | sort; dig +short txt long.example.net | wc -c
        dig +short naptr example.net; dig +short a www.example.net
        dig txt no.example.net | grep -o NXDOMAIN
    """, options=options(name, "--dns", DNS[4], "--proxy-dns", "remote"))
    assert re.fullmatch(
        r"10 mail.example.net.\n20 www.example.net.\n4\d{3}\n100 10 \"S\" .*\n198.18.0.1\n"
        r"NXDOMAIN\n", seen.out), seen  # fmt: skip
    assert not strays(lab, mark, name)


def test_hosts_file_comes_first(lab, sandbox):
    hosts = lab.homes[sandbox.who] / "hosts"
    hosts.write_text(f"{WEB[4]} www.example.net\n")
    mark = lab.wire.mark()
    seen = sandbox("sh", "-c", "dig +short www.example.net; curl -sS http://www.example.net/hello",
                   options=options("microsocks", "--hosts-file", hosts))
    assert (seen.out, seen.err) == (f"{WEB[4]}\n{HELLO}", "")
    assert not strays(lab, mark, "microsocks")


def test_local_names(lab, sandbox):
    """socks5 means addresses that we have asked for, and so does --proxy-dns local."""
    for where in (options("dante"), options("microsocks", "--proxy-dns", "local")):
        mark = lab.wire.mark()
        seen = sandbox("sh", "-c", "dig +short v4.example.net; curl -sS v4.example.net/hello",
                       options=where)
        assert (seen.out, seen.err) == (f"{WEB[4]}\n{HELLO}", "")
        asked = {p.target for p in from_host(lab, mark) if p.target_port == 53}
        assert asked == {DNS[4]}


def test_socks5_with_names(lab, sandbox):
    mark = lab.wire.mark()
    seen = sandbox("curl", "-sS", "-m", "20", "http://www.example.net/hello",
                   options=options("dante", "--proxy-dns", "remote"))
    assert (seen.out, seen.err) == (HELLO, "")
    assert not strays(lab, mark, "dante")


# --- rules ------------------------------------------------------------------------------------


def test_domain_rules_see_the_name(lab, sandbox):
    rules = ["--default-policy", "deny", "--allow-domain", "www.example.net:80"]
    seen = sandbox("sh", "-c", """
        curl -sS -m 5 http://www.example.net/hello
        curl -sS -m 5 http://v4.example.net/hello; echo $?
        curl -sS -m 5 -H 'Host: v4.example.net' http://www.example.net/hello; echo $?
        curl -sS -m 5 http://www.example.net:8080/hello; echo $?
    """, options=options("squid", *rules))
    status = seen.out.removeprefix(HELLO).split()
    assert status[0] == "6" and status[1] in ("52", "56") and status[2] == "7", seen
    assert "blocked dns v4.example.net (default-deny)" in seen.err
    assert "blocked tcp www.example.net:80 (name-mismatch)" in seen.err
    assert "blocked tcp www.example.net:8080 (default-deny)" in seen.err


def test_block_private_with_a_proxy(lab, sandbox):
    """A private target is refused; an address that stands for a name is none."""
    hosts = lab.homes[sandbox.who] / "private"
    hosts.write_text("10.1.2.3 inner.example\n")
    seen = sandbox("sh", "-c", """
        curl -sS -m 10 http://www.example.net/hello
        for to in 10.1.2.3 inner.example 192.168.66.1 169.254.169.254; do
            curl -sS -m 5 http://$to/; echo $?
        done
    """, options=options("squid", "--block-private", "--hosts-file", hosts))
    assert seen.out == HELLO + "7\n7\n7\n7\n", seen
    assert "blocked tcp 10.1.2.3:80 (private)" in seen.err
    assert "blocked tcp 192.168.66.1:80 (private)" in seen.err


# --- nothing but the proxy --------------------------------------------------------------------

EVERY_KIND = [*REMOTE, "dante", "squid-tls-auth"]
HAS_RELAY = ["dante"]  # the others carry no datagrams


def clients(lab, go_program, static_program):
    ca = lab.top / "www/ca.pem"
    return {
        "curl": (["curl", "-sS", "-m", "20", "--cacert", ca, "https://www.example.net/hello"],
                 HELLO),
        "curl by address": (["curl", "-sS", "-m", "20", f"http://{url_host(WEB[6])}/hello"], HELLO),
        "go": ([go_program, "get", "https://www.example.net/hello", ca], "200 OK\n" + HELLO),
        "static": ([static_program, WEB[4], "80", "/hello"], HELLO),
        "dig": (["dig", "+short", f"@{OTHER_DNS[4]}", "www.example.net"], "198.18.0.1\n"),
        "ping": (["ping", "-c", "1", "-W", "2", WEB[4]], "100% packet loss"),
        "ping a name": (["ping", "-c", "1", "-W", "2", "www.example.net"], "100% packet loss"),
    }


def assert_nothing_but_the_proxy(lab, mark, name):
    """The datagrams of one socket to its relay, at most, are more than connections to its port."""
    relayed = [p for p in strays(lab, mark, name) if name in HAS_RELAY and p.protocol == 17]
    assert {p.target for p in relayed} <= {PROXY[4]}
    assert len({(p.source_port, p.target_port) for p in relayed}) <= 1
    assert [p for p in strays(lab, mark, name) if p not in relayed] == []
    # Nor did anything come to the host from elsewhere.
    assert {p.source for p in lab.wire.since(mark) if p.target in (HOST4, HOST6)
            and p.protocol in (6, 17)} <= {PROXY[4]}


@pytest.mark.parametrize("name", EVERY_KIND)
@pytest.mark.parametrize("client", [
    "curl", "curl by address", "go", "static", "dig", "ping", "ping a name",
])  # fmt: skip
def test_nothing_but_the_proxy(lab, sandbox, name, client, go_program, static_program):
    argv, says = clients(lab, go_program, static_program)[client]
    if not shutil.which(argv[0], path=PATH) and "/" not in str(argv[0]):
        pytest.skip(f"{argv[0]} is not installed")
    if name == "ssh-4a" and client == "curl by address":  # SOCKS4 has no IPv6 addresses
        argv = [*argv[:-1], f"http://{WEB[4]}/hello"]
    mark = lab.wire.mark()
    seen = sandbox(*argv, options=options(name, "--proxy-only"), env=trust(lab))
    assert says in seen.out, seen
    assert_nothing_but_the_proxy(lab, mark, name)


@pytest.mark.parametrize("name", EVERY_KIND)
@pytest.mark.parametrize("host", ["www.example.net", WEB[4]], ids=["by name", "by address"])
def test_quic_by_the_relay_or_not_at_all(lab, sandbox, quic, name, host):
    # Such clients don't listen to refusals: this one gives up when its time is over.
    patience = [] if name in HAS_RELAY else ["--handshake-timeout=1s"]
    mark = lab.wire.mark()
    seen, page = quic(host, *patience, options=options(name, "--proxy-only"), env=trust(lab))
    if name in HAS_RELAY:
        assert (page, seen.err) == ((lab.top / "www/page").read_bytes(), ""), seen
    else:
        assert page is None, seen
        assert f"blocked udp {host}:{QUIC_PORT} (proxy-only)" in seen.err, seen
    assert_nothing_but_the_proxy(lab, mark, name)


@pytest.mark.parametrize("name", [name for name in EVERY_KIND if name not in HAS_RELAY])
def test_a_datagram_is_refused_at_once(lab, sandbox, name):
    script = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
              f"s.connect(('{WEB[4]}', {QUIC_PORT})); s.send(bytes(1200))\n"
              "try: s.recv(1)\nexcept OSError as error: print(error.strerror)")
    mark = lab.wire.mark()
    seen = sandbox("/usr/bin/python3", "-c", script, options=options(name, "--proxy-only"),
                   env=trust(lab))
    assert seen.out in ("Connection refused\n", "No route to host\n"), seen
    assert_nothing_but_the_proxy(lab, mark, name)


@pytest.mark.parametrize("way", ["-p", "--route"])
def test_a_proxy_that_is_down_is_no_reason_to_go_directly(lab, sandbox, way):
    url = f"http://{PROXY[4]}:9"
    where = [way, f"0.0.0.0/0,example.net={url}" if way == "--route" else url]
    mark = lab.wire.mark()
    seen = sandbox("sh", "-c", f"""
        curl -sS -m 5 http://{WEB[4]}/hello; curl -sS -m 5 http://www.example.net/hello
        ping -c 1 -W 1 {WEB[4]}
    """, options=where)
    assert HELLO not in seen.out
    assert {(p.target, p.target_port) for p in from_host(lab, mark)} == {(PROXY[4], 9)}


def test_audit_finds_no_other_way(lab, sandbox):
    mark = lab.wire.mark()
    seen = sandbox("sh", "-c", f"ping -c 1 -W 1 {WEB[4]}; dig +short mx example.net",
                   options=options("squid", "--proxy-only", "--audit", "--deny-domain",
                                   "example.net"))
    assert "100% packet loss" in seen.out and "mail" not in seen.out
    assert not from_host(lab, mark)
