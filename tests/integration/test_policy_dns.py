"""DNS is egress: what may be asked, of whom, and what of the answers counts.

The judge is the wire: which questions crossed it, and to whom.
"""

import pytest

from conftest import PLAIN
from lab import DNS, NOBODY, OTHER_DNS, PYTHON, WEB
from rules import (
    BANNER, INNER, NAMES, SHARED, TCP_BLOCKED, UDP_BLOCKED, attempt, lines, targets,
)  # fmt: skip
from test_dns_gate import FENCE, ODD, asked_on_the_wire, header, name, question

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

DENY = ["--default-policy", "deny"]
BLOCKED, PROHIBITED = 15, 18  # extended errors, RFC 8914
OURS = {*NAMES.values()}


def dig(run, *words, options=(), quiet=True):
    """What dig says: (status, extended error or None, the answers)."""
    options = [*options, "--quiet"] if quiet else options
    seen = run("dig", "+tries=1", "+time=10", "+nostats", *words, options=options)
    assert seen.status == 0, seen
    status = seen.out.partition("status: ")[2].partition(",")[0]
    code = seen.out.partition("; EDE: ")[2].partition(" ")[0]
    answers = seen.out.partition(";; ANSWER SECTION:\n")[2].partition("\n\n")[0]
    return status, int(code) if code else None, [" ".join(a.split()[3:]) for a in
                                                 answers.splitlines()]  # fmt: skip


def empty(ede):
    return "NOERROR", ede, []


def dig_nothing(run, *words, options):
    """dig's output on questions that must all have empty answers."""
    seen = run("dig", "+tries=1", "+time=10", *words, options=[*options, "--quiet"])
    assert seen.status == 0 and "ANSWER SECTION" not in seen.out, seen
    assert seen.out.count("status: NOERROR") == seen.out.count("Got answer:"), seen
    return seen.out


@pytest.fixture(params=["+notcp", "+tcp"], ids=["udp", "tcp"])
def transport(request):
    return request.param


# --- what may be asked -------------------------------------------------------------------------

NOT_ASKED = {
    "offline": (["--offline"], PROHIBITED),
    "default deny": (DENY, PROHIBITED),
    "default deny with addresses": ([*DENY, "--allow-cidr", "0.0.0.0/0"], PROHIBITED),
    "another is allowed": ([*DENY, "--allow-domain", "v4.example.net"], PROHIBITED),
    "only itself is allowed": ([*DENY, "--allow-domain-exact", "example.net"], PROHIBITED),
    "only what is below is allowed": ([*DENY, "--allow-domain", "*.www.example.net"], PROHIBITED),
    "denied": (["--deny-domain", "example.net"], BLOCKED),
    "denied itself": (["--deny-domain-exact", "www.example.net"], BLOCKED),
    "denied and allowed": ([*DENY, "--allow-domain", "www.example.net", "--deny-domain",
                            "example.net"], BLOCKED),
    "denied, questions allowed": ([*DENY, "--allow-dns", "--deny-domain", "example.net"], BLOCKED),
}  # fmt: skip
SERVERS = {"ours": [], "another": [f"@{OTHER_DNS[4]}"], "another by IPv6": [f"@{OTHER_DNS[6]}"]}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("case", NOT_ASKED)
def test_not_asked(sandbox, rules, wire, transport, case, server):
    """A6, A12: whomever the child wants to ask, and however."""
    options, ede = NOT_ASKED[case]
    words = [w for kind in ("A", "AAAA", "TXT", "TYPE65") for w in ("WwW.example.net", kind)]
    out = dig_nothing(sandbox, *SERVERS[server], transport, *words, options=options)
    assert (out.count("Got answer:"), out.count(f"EDE: {ede} ")) == (4, 4), out
    assert wire.asked() == set()


ASKED = {
    "allowed": [*DENY, "--allow-domain-exact", "www.example.net"],
    "below": [*DENY, "--allow-domain", "example.net"],
    "by a port": [*DENY, "--allow-domain", "www.example.net:443"],
    "allow-dns": [*DENY, "--allow-dns"],
    "another is denied": ["--deny-domain", "v4.example.net", "--deny-domain-exact", "example.net"],
    "a port of it is denied": ["--deny-domain", "www.example.net:443"],
}


@pytest.mark.parametrize("case", ASKED)
def test_asked_of_ours_only(sandbox, rules, wire, transport, case):
    """While names are controlled, a server of the child's choice hears nothing."""
    for server in ([], [f"@{OTHER_DNS[4]}"]):
        words = [*server, transport, "www.example.net"]
        assert dig(sandbox, *words, options=ASKED[case]) == ("NOERROR", None, [f"A {WEB[4]}"])
    assert wire.asked() <= OURS
    assert wire.questions() == {"www.example.net"}


def test_offline_asks_nothing_even_of_the_hosts_file(lab, sandbox, wire):
    file = lab.top / "run" / "offline-hosts"
    file.write_text(f"{WEB[4]} pinned.example.net\n")
    seen = dig(sandbox, "pinned.example.net", options=["--offline", "--hosts-file", file])
    assert seen == empty(PROHIBITED)
    assert wire.packets() == []


SERVER_RULES = {
    "block-private": ["--block-private"], "deny-cidr": ["--deny-cidr", "10.0.0.0/8"],
    "a denied port": ["--deny-cidr", "10.0.0.0/8:53"],
}  # fmt: skip


@pytest.mark.parametrize("case", SERVER_RULES)
def test_a_server_that_may_not_be_reached(sandbox, rules, wire, case):
    """Where no name matters the child's choice of a server holds, within the rules."""
    dig_it = ["dig", "+tries=1", "+time=5", "+short", f"@{INNER[0]}", "www.example.net"]
    for transport in ("+notcp", "+tcp"):
        seen = sandbox(*dig_it, transport, options=[*SERVER_RULES[case], "--quiet"])
        assert seen.status != 0 and WEB[4] not in seen.out, seen
    assert wire.packets() == []
    sandbox(*dig_it, options=["--deny-cidr", NOBODY[4]])
    assert wire.asked() == {INNER[0]}


def test_the_hosts_resolver_may_be_private(sandbox, rules, wire, resolv_conf):
    """It is ours to ask, not the child's."""
    resolv_conf(f"nameserver {INNER[0]}")
    seen = sandbox("curl", "-sS", "http://www.example.net/hello", options=["--block-private"])
    assert (seen.status, seen.out, seen.err) == (0, "hello from the internet\n", ""), seen
    assert wire.asked() == {INNER[0]}


def test_getaddrinfo_fails_at_once(sandbox, rules, wire):
    """Programs take the answer for "no such address"; there is nothing to wait for."""
    for options in (["--offline"], DENY, ["--deny-domain", "example.net"]):
        seen = sandbox("curl", "-sS", "http://www.example.net/hello",
                       options=[*options, "--quiet"])  # fmt: skip
        assert (seen.status, seen.out) == (6, ""), seen
    assert wire.packets() == []


# --- odd questions -----------------------------------------------------------------------------

# Plain questions, all for names that the rule doesn't allow, however they look.
LOOKALIKES = {
    "a dot in a label": name(b"www.example", b"net"),
    "labels joined": name(b"www.example.net"),
    "a NUL behind": name(b"www\0", b"example", b"net"),
    "a NUL and more": name(b"www", b"example", b"net\0"),
    "a label in front": name(b"x", b"www", b"example", b"net"),
    "a label behind": name(b"www", b"example", b"net", b"x"),
    "letters in front": name(b"xwww", b"example", b"net"),
    "bytes beyond ASCII": name(b"\xf7\xf7\xf7", b"example", b"net"),
    "a full stop of another script": name(b"www\xe3\x80\x82example", b"net"),
    "data in a name": name(b"x" * 63, b"y" * 63, b"example", b"net"),
    "a backslash": name(b"www\\", b"example", b"net"),
    "an underscore": name(b"_www", b"example", b"net"),
    "a blank": name(b"www ", b"example", b"net"),
    "the root": name(),
    "the parent": name(b"example", b"net"),
    "a wildcard": name(b"*", b"example", b"net"),
    "reversed": name(b"34", b"216", b"184", b"93", b"in-addr", b"arpa"),
}


@pytest.mark.parametrize("server", ["gateway", "another"])
def test_odd_questions_stay_inside(lab, sandbox, rules, wire, server, family):
    """A7: nothing but the one name that is allowed reaches the resolver, under any spelling."""
    messages = [m for m, _ in ODD.values()]
    messages += [header() + question(n, kind) for n in LOOKALIKES.values() for kind in (1, 16)]
    assert len(messages) >= 80
    gateway = "$(awk '/^nameserver/ && /[" + {4: ".", 6: ":"}[family] + "]/ { print $2 }' " \
        "/etc/resolv.conf)"
    host = gateway if server == "gateway" else DNS[family]
    script = f'exec {PYTHON} {lab.top}/bin/odd_dns.py "{host}" {FENCE.hex()}'
    seen = sandbox("sh", "-c", script, input="".join(f"{m.hex()}\n" for m in messages),
                   options=[*DENY, "--allow-domain-exact", "www.example.net", "--quiet"])
    assert (seen.status, seen.err) == (0, ""), seen
    assert asked_on_the_wire(wire.packets()) == {FENCE[10:]}
    assert wire.asked() <= OURS
    answers = seen.out.splitlines()
    assert len(answers) == len(messages)
    # None is left without an answer but those that deserve none.
    assert answers.count("nothing nothing") == sum(r == "nothing" for _, r in ODD.values())


def test_spellings_of_an_allowed_name(sandbox, rules, wire):
    options = [*DENY, "--allow-domain-exact", "WWW.Example.NET."]
    for spelling in ("www.example.net.", "WwW.eXaMpLe.NeT"):
        assert dig(sandbox, spelling, options=options) == ("NOERROR", None, [f"A {WEB[4]}"])
    assert wire.questions() == {"www.example.net"}


# --- other ways to have names resolved -------------------------------------------------------------

SERVICES = [853, 5353, 5355, 137, 138]
CONTROLS = {
    "allow": [*DENY, "--allow-domain", "example.net", "--allow-cidr", "0.0.0.0/0"],
    "deny": ["--deny-domain", "example.com"],
    "deny-exact": ["--deny-domain-exact", "example.com"],
}


@pytest.mark.parametrize("case", CONTROLS)
def test_other_name_services(sandbox, wire, case):
    options = [*CONTROLS[case], "--quiet"]
    words = targets([WEB[4]], 853) + [w for port in SERVICES for w in (NOBODY[4], port)]
    assert lines(attempt(sandbox, "tcp", *words, options=options)) == [TCP_BLOCKED] * 6
    assert lines(attempt(sandbox, "udp", *words, options=options)) == [UDP_BLOCKED[4]] * 6
    assert wire.packets() == []
    assert lines(attempt(sandbox, "tcp", WEB[4], 80, options=options)) == ["ok"]


def test_other_name_services_without_domain_rules(sandbox, wire):
    words = [w for port in SERVICES for w in (NOBODY[4], port)]
    attempt(sandbox, "udp", *words, options=["--deny-cidr", WEB[4]])
    assert {p.target_port for p in wire.packets() if p.target == NOBODY[4]} == {*SERVICES}


MULTICAST = {4: ("224.0.0.251", "224.0.0.252", "239.255.255.250", "255.255.255.255"),
             6: ("ff02::fb", "ff02::1:3", "ff05::c", "ff0e::1")}  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--allow-cidr", "224.0.0.0/4"], ["--audit"],
                                     ["--deny-domain", "example.net"]], ids=lambda o: " ".join(o))
def test_multicast_is_never_relayed(lab, sandbox, wire, family, options):
    """A5: mDNS, LLMNR, SSDP, NetBIOS: the neighbours' names are none of the command's business."""
    argv = [PYTHON, lab.top / "bin/attempts.py", "shout", *MULTICAST[family]]
    seen = sandbox(*argv, options=options)
    assert (seen.status, seen.out) == (0, "sent\n"), seen
    assert wire.targets() & {*MULTICAST[family]} == set()


# --- answers -----------------------------------------------------------------------------------

NEVER = ["to-metadata", "to-metadata6", "to-loopback", "to-nothing", "to-mapped", "to-nat64",
         "to-multicast", "to-link"]  # fmt: skip
ALLOW_ALL = [*DENY, "--allow-domain", "example.net"]


@pytest.mark.parametrize("options", [[], ["--block-private"], ["--deny-domain", "example.com"],
                                     ALLOW_ALL, [*ALLOW_ALL, "--allow-cidr", "0.0.0.0/0"]],
                         ids=lambda o: " ".join(o) or "no rules")  # fmt: skip
def test_answers_that_lead_inside(sandbox, rules, transport, options):
    """A13: whoever runs a name doesn't get to the machine's own services by it."""
    words = [w for n in NEVER for kind in ("A", "AAAA") for w in (f"{n}.example.net", kind)]
    out = dig_nothing(sandbox, transport, *words, options=options)
    assert out.count("Got answer:") == 2 * len(NEVER), out
    # What is good in an answer stays.
    for kind, good in (("A", [f"A {WEB[4]}"]), ("AAAA", [])):
        words = [transport, "to-both.example.net", kind]
        assert dig(sandbox, *words, options=options)[2] == good


def test_an_answer_kept_back_is_told(sandbox, rules):
    seen = sandbox("dig", "+short", "to-metadata.example.net", options=["--block-metadata"])
    assert seen.out == ""
    assert seen.err == "childflow: warning: blocked dns to-metadata.example.net (metadata): " \
        "its answer 169.254.169.254 was kept back\n"


PRIVATE_NAMES = ["to-private", "to-ula", "inward"]


def addresses_of(run, label, options):
    found = [dig(run, f"{label}.example.net", kind, options=options)[2] for kind in ("A", "AAAA")]
    return [a.split()[1] for a in found[0] + found[1] if not a.startswith("CNAME")]


def test_private_answers(sandbox, rules):
    """They are ordinary ones, unless private networks are blocked."""
    found = [[INNER[0]], ["fd12:3456::1"], [INNER[1]]]
    for options in ([], ["--block-metadata"], ALLOW_ALL):
        assert [addresses_of(sandbox, n, options) for n in PRIVATE_NAMES] == found, options
    for options in (["--block-private"], [*ALLOW_ALL, "--block-private"]):
        assert [addresses_of(sandbox, n, options) for n in PRIVATE_NAMES] == [[]] * 3, options


def test_an_alias_does_not_open_a_private_network(sandbox, rules, wire):
    """Under default-deny a name that is named leads there, but not by way of a stranger's."""
    for label, address, outcome in (("to-private", INNER[0], "ok"),
                                    ("inward", INNER[1], TCP_BLOCKED)):
        script = f"dig +short {label}.example.net A >/dev/null; " \
                 f'exec {PYTHON} "$0" tcp {address} {BANNER}'
        seen = sandbox("sh", "-c", script, sandbox.lab.top / "bin/attempts.py",
                       options=[*ALLOW_ALL, "--quiet"])
        assert lines(seen) == [outcome], label
    assert INNER[1] not in wire.targets()


def test_an_alias_of_a_denied_name(sandbox, rules):
    """A8: the owner of the alias is not the only one who counts."""
    assert addresses_of(sandbox, "cloaked", []) == [*SHARED.values()]
    for options in (["--deny-domain", "evil.example.com"], ["--deny-domain-exact",
                    "evil.example.com"], [*ALLOW_ALL, "--deny-domain", "example.com"]):
        assert addresses_of(sandbox, "cloaked", options) == [], options
    seen = sandbox("dig", "+short", "cloaked.example.net", options=["--deny-domain", "example.com"])
    assert "(deny-domain)" in seen.err and "alias of evil.example.com" in seen.err, seen


def test_service_records(sandbox, rules):
    """A10: keys for encrypted hellos go while names matter; hints count as addresses."""
    def record(label, options):
        """As the program may read it, and its bytes if dig knows no better."""
        found = dig(sandbox, f"{label}.example.net", "TYPE65", options=options)
        assert found[0] == "NOERROR"
        return found[2][0] if found[2] else ""

    whole = f'HTTPS 1 . alpn="h2" ipv4hint={SHARED[4]} ech=AAhsYWIta2V5cw== ipv6hint={SHARED[6]}'
    assert record("svc", []) == whole
    for options in (["--deny-domain", "example.com"], ALLOW_ALL):
        assert record("svc", options) == whole.replace(" ech=AAhsYWIta2V5cw==", ""), options
    for options in ([], ALLOW_ALL, ["--block-private"]):
        assert "127.0.0.1" not in record("to-loopback", options), options
    assert INNER[0] in record("to-private", [])
    assert INNER[0] not in record("to-private", ["--block-private"])


# --- files of the child's -----------------------------------------------------------------------

TAMPERED = {
    "written": 'echo "nameserver $1" >/etc/resolv.conf',
    "mounted over": 'echo "nameserver $1" >/tmp/r; mount --bind /tmp/r /etc/resolv.conf',
    "renamed": "mv /etc/resolv.conf /etc/resolv.conf.old",
    "removed": "rm /etc/resolv.conf",
    "unmounted": "umount /etc/resolv.conf",
}


@pytest.mark.parametrize("way", TAMPERED)
@pytest.mark.parametrize("as_root", [False, True], ids=["plain", "as-root"])
def test_resolv_conf_is_cosmetic(sandbox, rules, wire, way, as_root):
    """A37: whatever the child's files say, our resolver is asked, if anybody."""
    options = [*DENY, "--allow-domain-exact", "v4.example.net", "--quiet"]
    options += ["--as-root"] if as_root else []
    script = f'({TAMPERED[way]}) 2>/dev/null; ' \
             'for n in www v4; do dig +tries=1 +time=5 +short @$1 $n.example.net; ' \
             "getent ahostsv4 $n.example.net | head -1; done; true"
    seen = sandbox("sh", "-c", script, "sh", OTHER_DNS[4], options=options)
    assert set(seen.out.split()) <= {WEB[4], "STREAM", "v4.example.net"}, seen
    assert WEB[4] in seen.out
    assert wire.questions() == {"v4.example.net"}
    assert wire.asked() <= OURS


def test_a_hosts_file_of_the_childs_allows_nothing(sandbox, rules, wire):
    """A9: what the child says of names doesn't count. curl's --resolve is the same by itself."""
    argv = ["curl", "-sS", "--max-time", "20", "--resolve", f"allowed.example.net:80:{WEB[4]}",
            "http://allowed.example.net/hello"]  # fmt: skip
    options = [*DENY, "--allow-domain", "allowed.example.net"]
    seen = sandbox(*argv, options=options)
    assert seen.status == 7 and f"--allow-cidr {WEB[4]}:80 would allow it" in seen.err, seen
    # Nor with what our resolver has said of it: another address.
    script = f"dig +short allowed.example.net; {' '.join(argv)}"
    seen = sandbox("sh", "-c", script, options=[*options, "--quiet"])
    assert (seen.status, seen.out) == (7, f"{SHARED[4]}\n"), seen
    assert WEB[4] not in wire.targets()
