"""Rules about addresses, judged by what the program sees and by what crossed the link."""

import pytest

from conftest import PLAIN
from lab import CLOSED_PORT, HOST4, HOST6, NOBODY, WEB
from rules import (
    BANNER, EMBEDDED_METADATA, EMBEDDED_PRIVATE, METADATA, PRIVATE, SHARED, TCP_BLOCKED,
    UDP_BLOCKED, attempt, family_of, lines, targets,
)  # fmt: skip

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

PUBLIC = [*WEB.values(), *NOBODY.values()]
# A program may write an IPv4 address as an IPv6 one: its kernel sends IPv4.
SPELLED = ["::ffff:10.1.2.3", "::ffff:169.254.169.254"]

# options, what they forbid, what they let be
ADDRESS_RULES = {
    "metadata": (["--block-metadata"], [*METADATA, *EMBEDDED_METADATA, SPELLED[1]],
                 [*PUBLIC, "10.1.2.3", "169.254.7.7", "fd12:3456::1", "64:ff9b::a01:203"]),
    "private": (["--block-private"],
                [*PRIVATE, *METADATA, *EMBEDDED_PRIVATE, *EMBEDDED_METADATA, *SPELLED], PUBLIC),
    "private before allow": (["--block-private", "--allow-cidr", "0.0.0.0/0", "--allow-cidr",
                              "::/0"], ["10.1.2.3", "fd12:3456::1"], PUBLIC),
    "deny": (["--deny-cidr", "10.0.0.0/8", "--deny-cidr", "fd00:ec2::/32"],
             ["10.1.2.3", *EMBEDDED_PRIVATE, SPELLED[0], "fd00:ec2::254"],
             [*PUBLIC, "172.16.5.5", "64:ff9b::a9fe:a9fe"]),
    "deny before allow": (["--deny-cidr", WEB[4], "--allow-cidr", "93.184.0.0/16"],
                          [WEB[4]], [NOBODY[4], WEB[6]]),
    "default": (["--default-policy", "deny"], [*PUBLIC, *PRIVATE, *METADATA], []),
    "default with allow": (["--default-policy", "deny", "--allow-cidr", f"{WEB[4]}/31",
                            "--allow-cidr", "2606:4700:10::34"],
                           [*NOBODY.values(), "64:ff9b::5db8:d822", "10.1.2.3"], WEB.values()),
    "offline": (["--offline", "--allow-cidr", "0.0.0.0/0"], [*PUBLIC, *PRIVATE, *METADATA], []),
}  # fmt: skip


def unwrapped(address):
    return address.removeprefix("::ffff:")


def udp_blocked(addresses):
    return [UDP_BLOCKED[family_of(unwrapped(a))] for a in addresses]


@pytest.mark.parametrize("rule", ADDRESS_RULES)
def test_rule(sandbox, rules, wire, rule):
    options, forbidden, allowed = ADDRESS_RULES[rule]
    options = [*options, "--quiet"]
    seen = attempt(sandbox, "tcp", *targets(forbidden, BANNER), options=options)
    assert lines(seen) == [TCP_BLOCKED] * len(forbidden), seen
    seen = attempt(sandbox, "udp", *targets(forbidden, 5000), options=options)
    assert (lines(seen), seen.err) == (udp_blocked(forbidden), ""), seen
    assert wire.targets() & {unwrapped(a) for a in forbidden} == set()
    # The others are still reached: by datagrams, whose port is closed there.
    seen = attempt(sandbox, "tcp", *targets(allowed, BANNER), options=options)
    assert lines(seen) == ["ok"] * len(allowed), seen
    attempt(sandbox, "udp", *targets(allowed, CLOSED_PORT + 1), options=options)
    assert {*allowed} <= wire.targets()


def test_without_rules_all_are_reached(sandbox, rules, wire):
    """What the others want refused is there, and is reached if it may be."""
    everything = [*PUBLIC, *PRIVATE, *METADATA, *EMBEDDED_PRIVATE, *EMBEDDED_METADATA, *SPELLED]
    seen = attempt(sandbox, "tcp", *targets(everything, BANNER))
    assert (lines(seen), seen.err) == (["ok"] * len(everything), ""), seen
    attempt(sandbox, "udp", *targets(everything, CLOSED_PORT + 1))
    assert {unwrapped(a) for a in everything} <= wire.targets()


# --- ports and protocols ----------------------------------------------------------------------

# options, then (protocol, address, port): allowed?
PORT_RULES = {
    "a port": (["--allow-cidr", f"{WEB[4]}:{BANNER}", "--allow-cidr", f"[{WEB[6]}]:{BANNER}"], {
        ("tcp", WEB[4], BANNER): True, ("tcp", WEB[6], BANNER): True,
        ("tcp", WEB[4], 80): False, ("tcp", WEB[6], 80): False,
        ("tcp", NOBODY[4], BANNER): False, ("udp", WEB[4], 7021): False}),
    "datagrams": (["--allow-cidr", f"udp://{WEB[4]}:7021", "--allow-cidr", f"udp://{WEB[6]}"], {
        ("udp", WEB[4], 7021): True, ("udp", WEB[6], 7021): True, ("udp", WEB[4], 7022): False,
        ("tcp", WEB[4], 7021): False, ("tcp", WEB[6], 80): False}),
    "a network": (["--allow-cidr", "93.184.216.0/24:80,7000-7002"], {
        ("tcp", WEB[4], 80): True, ("tcp", WEB[4], 7001): True, ("tcp", WEB[4], 7003): False,
        ("tcp", WEB[6], 80): False}),
    "a denied port": (["--default-policy", "allow", "--deny-cidr", f"{WEB[4]}:80"], {
        ("tcp", WEB[4], 80): False, ("tcp", WEB[4], BANNER): True, ("udp", WEB[4], 80): False,
        ("udp", WEB[4], 7021): True}),
    "denied datagrams": (["--default-policy", "allow", "--deny-cidr", "udp://0.0.0.0/0"], {
        ("udp", WEB[4], 7021): False, ("udp", WEB[6], 7021): True, ("tcp", WEB[4], 80): True}),
    "icmp only": (["--allow-cidr", "icmp://0.0.0.0/0"], {
        ("tcp", WEB[4], 80): False, ("udp", WEB[4], 7021): False}),
}  # fmt: skip


@pytest.mark.parametrize("rule", PORT_RULES)
def test_ports_and_protocols(sandbox, wire, rule):
    options, cases = PORT_RULES[rule]
    if "--default-policy" not in options:
        options = ["--default-policy", "deny", *options]
    for protocol in ("tcp", "udp"):
        words = [w for p, *where in cases for w in where if p == protocol]
        outcomes = lines(attempt(sandbox, protocol, *words, options=[*options, "--quiet"]))
        wanted = [may for (p, *_), may in cases.items() if p == protocol]
        assert [o == "ok" for o in outcomes] == wanted, (words, outcomes)
    numbers = {"tcp": 6, "udp": 17}
    crossed = {(p.protocol, p.target, p.target_port) for p in wire.packets()}
    wanted = {(numbers[protocol], *where): may for (protocol, *where), may in cases.items()}
    assert {where: where in crossed for where in wanted} == wanted


def test_one_socket_and_many_peers(sandbox, wire, family):
    """Each peer of a socket is judged by itself, however often it is written to."""
    prefix = {4: 32, 6: 128}[family]
    words = [NOBODY[family], 7021, WEB[family], 7021, NOBODY[family], 7022]
    for rule in (["--default-policy", "deny", "--allow-cidr", f"{WEB[family]}/{prefix}"],
                 ["--deny-cidr", f"{NOBODY[family]}/{prefix}"]):
        seen = attempt(sandbox, "one_socket", *words, options=[*rule, "--quiet"])
        assert seen.out == f"{WEB[family]}\n", seen
    assert WEB[family] in wire.targets() and NOBODY[family] not in wire.targets()


PING_RULES = {
    "default deny": (["--default-policy", "deny"], False),
    "offline": (["--offline"], False),
    "deny-cidr": (["--deny-cidr", WEB[4], "--deny-cidr", WEB[6]], False),
    "another protocol is allowed": (["--default-policy", "deny", "--allow-cidr",
                                     "udp://0.0.0.0/0", "--allow-cidr", f"[{WEB[6]}]:80"], False),
    "a port is denied": (["--deny-cidr", f"{WEB[4]}:80", "--deny-cidr", f"[{WEB[6]}]:80"], True),
    "allowed": (["--default-policy", "deny", "--allow-cidr", "icmp://0.0.0.0/0",
                 "--allow-cidr", "icmp://::/0"], True),
}  # fmt: skip


@pytest.mark.parametrize("rule", PING_RULES)
def test_ping(sandbox, wire, with_ping_sockets, family, rule):
    options, may = PING_RULES[rule]
    seen = sandbox("ping", "-n", "-c", "1", "-W", "10", WEB[family], options=options)
    assert ("1 received" in seen.out) == (seen.status == 0) == may, seen
    assert (f"blocked icmp {WEB[family]} " in seen.err) != may, seen
    if not may:
        assert "filtered" in seen.out or "prohibited" in seen.out, seen
    assert (WEB[family] in wire.targets()) == may


# --- the reference's cases ---------------------------------------------------------------------

HTTP_CASES = {
    "offline": (["--offline"], False),
    "block-private": (["--block-private"], False),
    "default deny": (["--default-policy", "deny"], False),
    "allowed": (["--default-policy", "deny", "--allow-cidr", "HOST"], True),
    "denied": (["--deny-cidr", "HOST"], False),
    "nothing": ([], True),
}


@pytest.mark.parametrize("case", HTTP_CASES)
def test_fetch_from_a_private_network(lab, sandbox, case):
    """policy/http.rs: a server on a private address, here one that the internet's side has."""
    options, may = HTTP_CASES[case]
    server = "192.168.66.1"  # the router, whose services listen on all addresses
    options = [server if o == "HOST" else o for o in options]
    seen = sandbox.client("greet", server, BANNER, "hello", options=options)
    assert (seen.status == 0, "HELLO" in seen.out) == (may, may), seen
    assert bool(seen.err.count("childflow: ")) != may


def test_fetch_of_metadata(sandbox, rules, wire):
    """metadata.rs: reached without a rule, not with --block-metadata."""
    word = ["169.254.169.254", BANNER, "latest"]
    assert "LATEST" in sandbox.client("greet", *word).out
    crossed = len(wire.packets())
    seen = sandbox.client("greet", *word, options=["--block-metadata"])
    assert seen.status != 0 and "LATEST" not in seen.out
    assert "(metadata): --block-metadata forbids it" in seen.err
    assert [p for p in wire.packets()[crossed:] if p.target == word[0]] == []


@pytest.fixture
def profile(lab):
    path = lab.top / "run" / "rules.toml"
    base = lab.top / "run" / "rules-base.toml"
    base.write_text('default_policy = "deny"\n')
    path.write_text(f'extends = "{base}"\nallow_cidrs = ["{WEB[4]}:80"]\n')
    return path


def test_rules_from_a_profile(sandbox, profile):
    """profile/run.rs: from a profile that extends another; the command line's lists replace."""
    words = targets([WEB[4], WEB[6]], 80)
    seen = attempt(sandbox, "tcp", *words, options=["--profile", profile, "--quiet"])
    assert lines(seen) == ["ok", TCP_BLOCKED]
    seen = attempt(sandbox, "tcp", *words,
                   options=["--profile", profile, "--quiet", "--allow-cidr", WEB[6]])
    assert lines(seen) == [TCP_BLOCKED, "ok"]


@pytest.mark.parametrize("who", ["root"])
def test_the_gateway_serves_names_only(sandbox):
    """Whatever the rules say, its name service answers, and nothing else is there."""
    script = "dig +short +tries=1 +time=5 www.example.net; " \
             "curl -sS --max-time 10 http://$(awk '/^nameserver 10/{print $2}' /etc/resolv.conf)/"
    seen = sandbox("sh", "-c", script, options=["--allow-cidr", "10.240.0.0/12"])
    assert seen.out == f"{WEB[4]}\n" and seen.status == 7, seen


def test_the_hosts_address_is_reached_without_rules(sandbox):
    seen = attempt(sandbox, "tcp", *targets([HOST4, HOST6], 8062))
    assert lines(seen) == ["ok", "ok"]


def test_shared_ports_are_there(sandbox, rules):
    mark = rules.mark()
    assert lines(attempt(sandbox, "tcp", *targets(SHARED.values(), 443))) == ["ok", "ok"]
    assert sorted(rules.sunk(mark, 2)) == sorted((a, 443, 0) for a in SHARED.values())
