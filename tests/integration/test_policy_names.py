"""What rests on a name must show it: TLS client hellos and HTTP requests, good, bad and broken.

Many names share an address, and only what a connection shows tells them apart. The judge is the
server at that address (guest/sinks.py), which tells how many bytes have come to it.
"""

import pytest

from conftest import PLAIN
from lab import NOBODY, PYTHON, WEB
from rules import HTTP, HTTPS, OTHER, SHARED, TCP_BLOCKED, UDP_BLOCKED, attempt, lines, targets

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

HELLO = "hello from the internet\n"
GOOD, BAD = "allowed.example.net", "denied.example.net"
ALLOW = ["--default-policy", "deny", "--allow-domain-exact", GOOD]
DENY = ["--deny-domain", BAD]


def show(sandbox, rules, address, port, *cases, options):
    """({case: how it ended}, whether bytes of each connection, in any order, have arrived)"""
    argv = [PYTHON, sandbox.lab.top / "bin/shows.py", address, port, *cases]
    mark = rules.mark()
    seen = sandbox(*argv, options=[*options, "--quiet"])
    assert (seen.status, seen.err) == (0, ""), seen
    ends = dict(line.rsplit(" ", 1) for line in seen.out.splitlines())
    return ends, [n > 0 for _, _, n in rules.sunk(mark, len(ends))]


# Each is a connection of its own; by port, what gets through under ALLOW.
SHOWN = {
    HTTP: [f"http:{GOOD}", f"http:{GOOD}:80", f"http:{GOOD.upper()}.", f"http-bytewise:{GOOD}",
           f"http-1.0:{GOOD}", f"http-late:{GOOD}", f"http-absolute:{GOOD},{GOOD}", f"tls:{GOOD}"],
    HTTPS: [f"tls:{GOOD}", f"tls:{GOOD.upper()}", f"tls-bytewise:{GOOD}", f"tls-pieces:{GOOD}",
            f"tls-long:{GOOD}", f"http:{GOOD}"],
    # "hello" may yet become a method: it waits its time. "(" can't.
    OTHER: [f"tls:{GOOD}", f"http:{GOOD}", "tls", "http-1.0", "raw:hello", "raw:(hello"],
}  # fmt: skip
WRONG = [BAD, "notallowed.example.net", "api." + GOOD, GOOD + ".example.com", "x", WEB[4]]
NOT_SHOWN = {
    HTTP: [*(f"http:{name}" for name in WRONG), "http", "http-1.0", "http: ", "http-1.0:,",
           f"http:{GOOD},{BAD}", f"http:{BAD},{GOOD}", f"http-bytewise:{BAD}",
           f"http-absolute:{BAD},{GOOD}", f"http-absolute:{GOOD},{BAD}",
           f"http-connect:{BAD},{GOOD}", f"http-folded:{GOOD}", f"http-folded:{GOOD},{BAD}",
           f"http-spaced:{GOOD}", f"http-late:{BAD}", f"http-too-late:{GOOD}",
           f"http:{GOOD}\\.{BAD}", f"http:{GOOD}@{BAD}", f"http:{GOOD} {BAD}", f"http:{GOOD}/{BAD}",
           f"tls:{BAD}", "tls", "raw:hello", "raw-bytewise:hello", "raw:\x16\x03", "raw:G"],
    HTTPS: [*(f"tls:{name}" for name in WRONG[:-1]), "tls", f"tls-bytewise:{BAD}",
            f"tls-pieces:{BAD}", f"tls-long:{BAD}", "tls-bytewise", f"http:{BAD}", "raw:(hello",
            "raw:\x16\x03\x01"],
    OTHER: [f"tls:{BAD}", f"tls-bytewise:{BAD}", f"http:{BAD}", f"http-bytewise:{BAD}",
            f"http:{GOOD},{BAD}"],
}  # fmt: skip


@pytest.mark.parametrize("port", SHOWN)
def test_a_name_that_is_shown(sandbox, rules, family, port):
    cases = SHOWN[port]
    seen, arrived = show(sandbox, rules, SHARED[family], port, f"resolve:{GOOD}", *cases, options=ALLOW)
    assert seen == dict.fromkeys(cases, "shown")
    assert arrived == [True] * len(cases)


@pytest.mark.parametrize("port", NOT_SHOWN)
def test_a_name_that_is_not(sandbox, rules, family, port):
    """Not a byte reaches the server, and the connection is reset at once."""
    cases = NOT_SHOWN[port]
    seen, arrived = show(sandbox, rules, SHARED[family], port, f"resolve:{GOOD}", *cases, options=ALLOW)
    assert {case: how for case, how in seen.items() if how == "shown"} == {}
    assert arrived == [False] * len(cases)
    assert set(seen.values()) <= {"ECONNRESET", "EPIPE"}, seen
    assert [*seen] == cases


def test_who_says_nothing(sandbox, rules, family):
    """A connection that only opens is given some seconds, and no byte."""
    cases = [f"resolve:{GOOD}", "silent:0.1", "silent:3.5"]
    _, arrived = show(sandbox, rules, SHARED[family], HTTPS, *cases, options=ALLOW)
    assert arrived == [False] * 2


DENIED = {
    HTTP: [f"http:{BAD}", f"http:www.{BAD}", f"http:{BAD.upper()}.:80", f"http-bytewise:{BAD}",
           f"http-1.0:{BAD}", f"http-late:{BAD}", f"http-absolute:{BAD},{GOOD}", f"tls:{BAD}",
           f"http:{GOOD},{BAD}", f"http:{BAD},{GOOD}"],
    HTTPS: [f"tls:{BAD}", f"tls:api.{BAD}", f"tls-bytewise:{BAD}", f"tls-pieces:{BAD}",
            f"tls-long:{BAD}", f"http:{BAD}"],
    OTHER: [f"tls:{BAD}", f"tls-bytewise:{BAD}", f"http:{BAD}"],
}  # fmt: skip
LET_BE = {
    HTTP: [f"http:{GOOD}", f"http:not{BAD}", "http", "http-1.0", f"tls:{GOOD}", "tls"],
    HTTPS: [f"tls:{GOOD}", f"tls:not{BAD}", "tls", f"tls-bytewise:{GOOD}", "raw:(hello"],
    OTHER: [f"tls:{GOOD}", f"http:{GOOD}", "tls", "raw:(hello"],
}


@pytest.mark.parametrize("port", DENIED)
@pytest.mark.parametrize("options", [DENY, [*DENY, "--allow-cidr", "0.0.0.0/0", "--allow-cidr",
                                            "::/0"]], ids=["alone", "allow-cidr"])
def test_a_name_that_is_denied(sandbox, rules, family, port, options):
    """A9, A11: by a hard-coded address, which was never asked for."""
    cases = DENIED[port]
    seen, arrived = show(sandbox, rules, SHARED[family], port, *cases, options=options)
    assert arrived == [False] * len(cases), seen
    assert set(seen.values()) <= {"ECONNRESET", "EPIPE"}, seen
    cases = LET_BE[port]
    seen, _ = show(sandbox, rules, SHARED[family], port, *cases, options=options)
    assert seen == dict.fromkeys(cases, "shown")


def test_a_range_that_is_allowed_shows_what_it_likes(sandbox, rules, family):
    """Flows that rest on allow-cidr are not looked into."""
    prefix = {4: 32, 6: 128}[family]
    options = [*ALLOW, "--allow-cidr", f"{SHARED[family]}/{prefix}"]
    cases = [f"http:{BAD}", "http", "tls", f"tls:{BAD}", "raw:(hello"]
    seen, _ = show(sandbox, rules, SHARED[family], HTTP, f"resolve:{GOOD}", *cases,
                   options=options)
    assert seen == dict.fromkeys(cases, "shown")


# --- names and addresses -------------------------------------------------------------------------


def test_an_address_counts_once_it_is_asked_for(sandbox, rules, wire, family):
    """A9: a hard-coded address is nobody's until our resolver has said whose it is."""
    mark = rules.mark()
    script = f'{PYTHON} $0 tcp {SHARED[family]} {OTHER}; getent ahosts {GOOD} >/dev/null; ' \
             f'{PYTHON} $0 tcp {SHARED[family]} {OTHER}'
    seen = sandbox("sh", "-c", script, sandbox.lab.top / "bin/attempts.py",
                   options=[*ALLOW, "--quiet"])
    assert lines(seen) == [TCP_BLOCKED, "ok"]
    assert len(rules.sunk(mark, 1)) == 1


FETCHED = {
    "the name": (["--allow-domain", "www.example.net"], "www", True),
    "exactly": (["--allow-domain-exact", "www.example.net"], "www", True),
    "below": (["--allow-domain", "example.net"], "www", True),
    "only below": (["--allow-domain", "*.example.net"], "www", True),
    "an alias": (["--allow-domain-exact", "alias.example.net"], "alias", True),
    "an alias of an alias": (["--allow-domain-exact", "chain.example.net"], "chain", True),
    "its target": (["--allow-domain-exact", "www.example.net"], "alias", False),
    "a part": (["--allow-domain", "w.example.net"], "www", False),
    "below, exactly": (["--allow-domain-exact", "example.net"], "www", False),
    "the ports": (["--allow-domain", "www.example.net:80,443"], "www", True),
    "another port": (["--allow-domain", "www.example.net:22"], "www", False),
    "datagrams": (["--allow-domain", "udp://www.example.net"], "www", False),
}


@pytest.mark.parametrize("case", FETCHED)
def test_fetch(lab, sandbox, rules, wire, case):
    """policy/domains/allow.rs and default_deny.rs, by HTTP and HTTPS, with real clients."""
    options, label, may = FETCHED[case]
    url = f"//{label}.example.net/hello"
    script = f"curl -sS http:{url}; curl -sS --cacert {lab.top}/www/ca.pem https:{url}"
    seen = sandbox("sh", "-c", script, options=["--default-policy", "deny", *options])
    assert (seen.out == HELLO * 2) == may and (HELLO in seen.out) == may, seen
    assert ("childflow: warning: blocked " in seen.err) != may
    assert may or wire.targets() & {*WEB.values()} == set()


DENIED_FETCHES = {
    "below": (["--deny-domain", "example.net"], "(deny-domain): --deny-domain example.net"),
    "itself": (["--deny-domain", "www.example.net"],
               "(deny-domain): --deny-domain www.example.net"),
    "exactly": (["--deny-domain-exact", "www.example.net"],
                "(deny-domain-exact): --deny-domain-exact www.example.net"),
}


@pytest.mark.parametrize("case", DENIED_FETCHES)
def test_denied_fetch(sandbox, rules, wire, resolv_conf, case):
    """policy/domains/deny.rs: no server of names need be there."""
    resolv_conf(f"nameserver {NOBODY[4]}")
    options, told = DENIED_FETCHES[case]
    seen = sandbox("curl", "-sS", "http://www.example.net/hello", options=options)
    assert seen.status == 6
    assert f"blocked dns www.example.net {told} forbids it\n" in seen.err, seen
    assert wire.packets() == []


def test_the_server_may_speak_first(sandbox, rules, family):
    """Its bytes pass while ours are waited for."""
    options = ["--default-policy", "deny", "--allow-domain", "www.example.net", "--quiet"]
    script = f'getent ahosts www.example.net >/dev/null; {PYTHON} $0 greet {WEB[family]} 7001 hi'
    seen = sandbox("sh", "-c", script, sandbox.lab.top / "bin/client.py", options=options)
    assert seen.out == "220 the lab speaks first\nHI\n", seen


# --- QUIC ---------------------------------------------------------------------------------------


def quic(sandbox, family, options):
    script = f"getent ahosts {GOOD} >/dev/null; " \
             f"{PYTHON} $0 udp {SHARED[family]} 443 {SHARED[family]} 444"
    return sandbox("sh", "-c", script, sandbox.lab.top / "bin/attempts.py", options=options)


def test_quic_hides_the_name(sandbox, rules, wire, family):
    seen = quic(sandbox, family, ALLOW)
    assert lines(seen) == [UDP_BLOCKED[family], "ECONNREFUSED"]
    assert "(quic): --allow-quic would allow it" in seen.err, seen
    sent = {p.target_port for p in wire.packets() if p.target == SHARED[family]}
    assert sent == {444}


def test_allow_quic(sandbox, rules, wire, family):
    seen = quic(sandbox, family, [*ALLOW, "--allow-quic"])
    assert (lines(seen), seen.err) == (["ECONNREFUSED"] * 2, "")
    sent = {p.target_port for p in wire.packets() if p.target == SHARED[family]}
    assert sent == {443, 444}


def test_quic_by_address(sandbox, rules, wire, family):
    """Where no name matters, nothing is hidden by it."""
    for options in ([], ["--default-policy", "deny", "--allow-cidr", SHARED[family]]):
        attempt(sandbox, "udp", *targets([SHARED[family]], 443), options=options)
    sent = [p for p in wire.packets() if (p.target, p.target_port) == (SHARED[family], 443)]
    assert len(sent) == 2
