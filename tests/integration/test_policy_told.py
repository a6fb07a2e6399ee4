"""What a user is told of refusals, --audit, and --fail-on-leak."""

import pytest

from conftest import PLAIN
from lab import CLOSED_PORT, DNS, NOBODY, PYTHON, WEB
from rules import SHARED, TCP_BLOCKED, UDP_BLOCKED, attempt, lines, targets

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

DENY = ["--default-policy", "deny"]
HELLO = "hello from the internet\n"
FETCH = ["curl", "-sS", "http://www.example.net/hello"]
LEAK = "childflow: --fail-on-leak: "


def warning(text):
    return f"childflow: warning: {text}\n"


def quoted(family, port):
    return f"[{WEB[6]}]:{port}" if family == 6 else f"{WEB[4]}:{port}"


# --- one line per rule and target ---------------------------------------------------------------

TOLD = {
    "default-deny": (DENY, "--allow-cidr {} would allow it"),
    "offline": (["--offline"], "--offline forbids it"),
    "deny-cidr": (["--deny-cidr", "93.184.0.0/16", "--deny-cidr", "2606:4700::/32"],
                  "--deny-cidr {rule} forbids it"),
}


@pytest.mark.parametrize("reason", TOLD)
def test_a_refusal_is_told_once(sandbox, wire, family, reason):
    options, cure = TOLD[reason]
    where = quoted(family, 80)
    rule = {4: "93.184.0.0/16", 6: "2606:4700::/32"}[family]
    seen = attempt(sandbox, "tcp", *[WEB[family], 80] * 5, options=options)
    assert lines(seen) == [TCP_BLOCKED] * 5
    assert seen.err == warning(f"blocked tcp {where} ({reason}): {cure.format(where, rule=rule)}")
    seen = attempt(sandbox, "udp", *[WEB[family], 80] * 3, options=options)
    assert lines(seen) == [UDP_BLOCKED[family]] * 3
    cure = cure.format(f"udp://{where}", rule=rule)
    assert seen.err == warning(f"blocked udp {where} ({reason}): {cure}")
    assert wire.packets() == []


def option_of(line):
    """The option that would allow it, as the line names it."""
    return line.split("): ")[1].removesuffix(" would allow it").split()


@pytest.mark.parametrize("what", ["tcp", "udp", "name"])
def test_the_flag_that_would_allow_it_does(sandbox, rules, family, what):
    options = DENY
    for _ in range(3):
        if what == "name":
            seen = sandbox("curl", "-sS", f"-{family}", "http://www.example.net/hello",
                           options=options)
            done = seen.out == HELLO
        else:
            port = {"tcp": 80, "udp": 7021}[what]
            seen = attempt(sandbox, what, WEB[family], port, options=options)
            done = lines(seen) == ["ok"]
        if done:
            break
        options = [*options, *option_of(seen.err.splitlines()[0])]
    assert done and len(options) == 4, options


def test_at_most_twenty_lines(sandbox, wire):
    seen = attempt(sandbox, "tcp", *targets([WEB[4]] * 2, 80), *targets([WEB[4]], 81),
                   *[w for port in range(1000, 1050) for w in (NOBODY[4], port)], options=DENY)
    assert lines(seen) == [TCP_BLOCKED] * 53
    told = seen.err.splitlines()
    assert len(told) == len({*told}) == 21
    assert "--summary" in told[-1] and all("would allow it" in line for line in told[:-1])
    assert wire.packets() == []


@pytest.mark.parametrize("quiet", ["--quiet", "-q"])
def test_quiet_says_nothing(sandbox, quiet):
    seen = attempt(sandbox, "tcp", WEB[4], 80, options=[*DENY, quiet])
    assert (lines(seen), seen.err) == ([TCP_BLOCKED], "")


def test_without_rules_nothing_is_said(lab, sandbox, wire):
    """What is refused always is no news for those who asked for nothing."""
    argv = [PYTHON, lab.top / "bin/attempts.py", "shout", "224.0.0.251", "ff02::fb"]
    seen = sandbox(*argv)
    assert (seen.out, seen.err) == ("sent\n", "")
    assert wire.packets() == []


def test_a_name_with_control_characters(lab, sandbox):
    """Nothing of it reaches the terminal as it is."""
    name = b"\x05\x1b[2Jx\x07example\x03net\x00"
    query = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + name + b"\0\1\0\1"
    fence = query.replace(b"\x1b[2Jx", b"aaaaa")
    script = f"exec {PYTHON} {lab.top}/bin/odd_dns.py {DNS[4]} {fence.hex()}"
    seen = sandbox("sh", "-c", script, input=query.hex() + "\n", options=DENY)
    assert seen.status == 0 and "blocked dns" in seen.err
    assert all(" " <= c <= "~" or c == "\n" for c in seen.err), seen


# --- --audit ------------------------------------------------------------------------------------

AUDITED = {
    "default deny": DENY, "offline": ["--offline"], "block-private": ["--block-private"],
    "deny-cidr": ["--deny-cidr", "0.0.0.0/0", "--deny-cidr", "::/0"],
    "deny-domain": ["--deny-domain", "example.net"],
    "a name": [*DENY, "--allow-domain", "v4.example.net"],
}


@pytest.mark.parametrize("case", AUDITED)
def test_audit_blocks_nothing_but_tells(sandbox, rules, case):
    options = [*AUDITED[case], "--audit"]
    seen = sandbox(*FETCH, options=options)
    assert (seen.status, seen.out) == (0, HELLO), seen
    assert ("audit: would have blocked " in seen.err) == (case != "block-private"), seen
    seen = attempt(sandbox, "tcp", *targets(["10.1.2.3", "169.254.169.254", SHARED[6]], 7001),
                   options=options)
    assert lines(seen) == ["ok"] * 3, seen
    # One asked for by nobody is refused, audit or not.
    assert lines(attempt(sandbox, "udp", WEB[4], 7021, options=options)) == ["ok"]


def test_audit_of_names_that_are_shown(sandbox, rules):
    options = [*DENY, "--allow-domain", "allowed.example.net", "--audit"]
    mark = rules.mark()
    argv = [PYTHON, sandbox.lab.top / "bin/shows.py", SHARED[4], 80, "resolve:allowed.example.net",
            "http:denied.example.net"]  # fmt: skip
    seen = sandbox(*argv, options=options)
    assert seen.out == "http:denied.example.net shown\n"
    assert "audit: would have blocked tcp " in seen.err and "(name-mismatch)" in seen.err, seen
    assert rules.sunk(mark, 1)[0][2] > 0


def test_audit_and_loopback(sandbox):
    """Nothing makes the host's own loopback reachable."""
    targets_ = targets(["127.0.0.1", "::1"], 8061)
    assert lines(attempt(sandbox, "tcp", *targets_, options=["--audit"])) == [TCP_BLOCKED] * 2


# --- --fail-on-leak -------------------------------------------------------------------------------

ON_LEAK = "--fail-on-leak"
LEAKS = {
    "tcp": (DENY, f"attempts.py tcp {WEB[4]} 80"),
    "tcp by IPv6": (DENY, f"attempts.py tcp {WEB[6]} 80"),
    "udp": (["--offline"], f"attempts.py udp {WEB[4]} 5000"),
    "a name": (["--deny-domain", "example.net"], "dig:www.example.net"),
    "a name, offline": (["--offline"], "dig:www.example.net"),
    "a name, default deny": (DENY, "dig:www.example.net"),
    "an answer": (["--block-private"], "dig:to-private.example.net"),
    "an alias": (["--deny-domain", "evil.example.com"], "dig:cloaked.example.net"),
    "multicast": (["--offline"], "attempts.py shout 224.0.0.251"),
    "multicast, no other rule": ([], "attempts.py shout ff02::fb"),
    "a shown name": (["--deny-domain", "denied.example.net"],
                     f"shows.py {SHARED[4]} 80 http:denied.example.net"),
    "private": (["--block-private"], "attempts.py tcp 10.1.2.3 7001"),
    "audited": ([*DENY, "--audit"], f"attempts.py tcp {WEB[4]} 80"),
}


def leak(run, what, options):
    name, _, words = what.partition(":")
    if name == "dig":
        return run("dig", "+short", words, options=options)
    program, *words = what.split()
    return run(PYTHON, run.lab.top / "bin" / program, *words, options=options)


@pytest.mark.parametrize("case", LEAKS)
def test_a_leak_fails_the_run(sandbox, rules, case):
    options, what = LEAKS[case]
    mark = rules.mark()
    assert leak(sandbox, what, [*options, "--quiet"]).status == 0
    seen = leak(sandbox, what, [*options, ON_LEAK])
    assert seen.status == 120 and seen.err.splitlines()[-1].startswith(LEAK), seen
    if "shows.py" in what:
        rules.sunk(mark, 2)  # leaves none to the next test


def test_the_commands_own_failure_comes_first(sandbox):
    script = f"curl -sS http://{WEB[4]}/; exit 3"
    seen = sandbox("sh", "-c", script, options=[*DENY, ON_LEAK])
    assert seen.status == 3 and LEAK not in seen.err, seen
    seen = sandbox("sh", "-c", f"curl -sS http://{WEB[4]}/; kill -9 $$", options=[*DENY, ON_LEAK])
    assert seen.status == 137 and LEAK not in seen.err, seen


NO_LEAKS = {
    "nothing": (DENY, ["true"]),
    "what is allowed": ([*DENY, "--allow-cidr", "0.0.0.0/0"], ["curl", "-sS", "-o", "/dev/null",
                                                               f"http://{WEB[4]}/hello"]),
    "what is allowed by name": ([*DENY, "--allow-domain", "www.example.net"], FETCH),
    "a refusal by the network": ([], ["sh", "-c", f"curl -sS http://{NOBODY[4]}:{CLOSED_PORT}; :"]),
    "a name that isn't there": ([], ["sh", "-c", "dig no-such-name.example.net"]),
}


@pytest.mark.parametrize("case", NO_LEAKS)
def test_no_leak(sandbox, rules, case):
    options, argv = NO_LEAKS[case]
    seen = sandbox(*argv, options=[*options, ON_LEAK])
    assert seen.status == 0 and "childflow: " not in seen.err, seen


@pytest.mark.parametrize("options", [["--offline"], DENY, ["--block-private"],
                                     [*DENY, "--audit"], ["--offline", "--as-root"]],
                         ids=lambda o: " ".join(o))  # fmt: skip
def test_the_kernels_own_noise_is_no_leak(sandbox, options):
    """O17: it asks for routers and joins groups in the first two seconds, and no program did."""
    seen = sandbox("sleep", "2", options=[*options, ON_LEAK])
    assert (seen.status, seen.out, seen.err) == (0, "", ""), seen
