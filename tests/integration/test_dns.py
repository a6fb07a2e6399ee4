"""dig sees inside childflow what it sees outside, over UDP and TCP, from the same servers."""

import re

import pytest

from capture import SYN
from conftest import PLAIN
from lab import DNS, HOLE, NOBODY, OTHER_DNS, WEB

QUESTIONS = [
    "www.example.net A", "www.example.net AAAA", "v4.example.net AAAA", "alias.example.net CNAME",
    "chain.example.net A", "many.example.net A", "example.net MX", "example.net TXT",
    "_http._tcp.example.net SRV", "example.net NAPTR", "example.net CAA",
    "www.example.net TYPE65", "odd.example.net TYPE65280", "example.net NS", "example.net SOA",
    "www.example.net ANY", "no-such-name.example.net A", "WwW.ExAmPlE.nEt A",
    "www.not-served.example.org A",
]

needs_childflow = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")


def normal(output):
    """dig's words without what differs from one query to the next: ID, time, server, order."""
    text = re.sub(r"id: \d+", "id", output)
    text = re.sub(r"; (COOKIE|EDE): .*\n", "", text)  # options are of one hop, RFC 6891 6.1.1
    text = re.sub(r"(?m)^;; (Query time|SERVER|WHEN|MSG SIZE|communications).*\n", "", text)
    text = re.sub(r"(?m)^; <<>> DiG .*\n", "", text)
    text = re.sub(r"\budp: \d+", "udp", text)
    return sorted(text.splitlines())


def assert_same_dig(inside, outside, *arguments):
    argv = ["dig", "+tries=1", "+nocookie", *arguments]
    expected = outside(*argv)
    assert expected.status == 0, expected
    seen = inside(*argv)
    assert (seen.status, normal(seen.out), seen.err) == (0, normal(expected.out), "")
    return seen


def queries(packets):
    """Whom DNS was asked of, over UDP or TCP."""
    return {
        p.target
        for p in packets
        if p.target_port == 53 and (p.protocol == 17 or p.flags & SYN)
    }


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_dig(inside, outside, question, transport):
    by_tcp = ["+tcp"] if transport == "tcp" else []
    assert_same_dig(inside, outside, *question.split(), *by_tcp)


def test_dig_for_an_address(inside, outside, family):
    seen = assert_same_dig(inside, outside, "-x", WEB[family])
    assert "www.example.net." in seen.out


@pytest.mark.parametrize("option", ["+dnssec", "+noedns", "+bufsize=512", "+norecurse", "+cd"])
def test_dig_options(inside, outside, option):
    assert_same_dig(inside, outside, "www.example.net", option)


def test_truncated_answer_is_fetched_over_tcp(inside, outside):
    seen = assert_same_dig(inside, outside, "long.example.net", "TXT")
    assert seen.out.count("x" * 197) == 20
    cut = inside("dig", "+ignore", "+short", "long.example.net", "TXT")
    assert cut.out.count("x" * 197) < 20  # it had to be TCP


def test_dig_of_another_server(lab, inside, outside, family):
    expected = outside("dig", "+short", f"@{OTHER_DNS[family]}", "www.example.net").out
    mark = lab.wire.mark()
    seen = inside("dig", "+short", f"@{OTHER_DNS[family]}", "www.example.net")
    assert seen.out == expected == f"{NOBODY[4]}\n"
    assert queries(lab.wire.since(mark)) == {OTHER_DNS[family]}


def test_dig_of_another_server_over_tcp(lab, inside, outside, family):
    mark = lab.wire.mark()
    seen = inside("dig", "+short", "+tcp", f"@{OTHER_DNS[family]}", "www.example.net")
    assert seen.out == f"{NOBODY[4]}\n"
    assert queries(lab.wire.since(mark)) == {OTHER_DNS[family]}


def test_first_resolver_is_down(lab, inside, resolv_conf, family):
    resolv_conf(f"nameserver {NOBODY[family]}", f"nameserver {DNS[family]}")
    mark = lab.wire.mark()
    seen = inside("curl", "-sS", "http://www.example.net/hello")
    assert (seen.status, seen.out) == (0, "hello from the internet\n"), seen
    assert queries(lab.wire.since(mark)) == {NOBODY[family], DNS[family]}


def test_first_resolver_is_silent(inside, resolv_conf):
    resolv_conf(f"nameserver {HOLE[4]}", f"nameserver {DNS[4]}", "options timeout:1")
    seen = inside("curl", "-sS", "http://www.example.net/hello")
    assert (seen.status, seen.out) == (0, "hello from the internet\n"), seen


def test_unanswered_question_harms_nobody(inside):
    script = f"dig +tries=1 +timeout=1 @{HOLE[4]} www.example.net >/dev/null; " \
             "curl -sS http://www.example.net/hello"
    seen = inside("sh", "-c", script)
    assert (seen.status, seen.out) == (0, "hello from the internet\n"), seen


@needs_childflow
def test_all_resolvers_are_down(inside, resolv_conf):
    resolv_conf(f"nameserver {NOBODY[4]}", f"nameserver {NOBODY[6]}")
    seen = inside("dig", "+tries=1", "+timeout=15", "www.example.net")
    assert "status: SERVFAIL" in seen.out, seen


def test_resolver_by_ipv6_only(inside, resolv_conf):
    resolv_conf(f"nameserver {DNS[6]}")
    seen = inside("curl", "-sS", "http://www.example.net/hello")
    assert (seen.status, seen.out) == (0, "hello from the internet\n"), seen


@needs_childflow
@pytest.mark.parametrize("form", ["--dns ADDR", "--dns=ADDR", "-d ADDR", "-dADDR"])
def test_dns_option(lab, inside, form, family):
    options = form.replace("ADDR", OTHER_DNS[family]).split()
    mark = lab.wire.mark()
    seen = inside("dig", "+short", "www.example.net", options=options)
    assert seen.out == f"{NOBODY[4]}\n", seen
    assert queries(lab.wire.since(mark)) == {OTHER_DNS[family]}


@needs_childflow
def test_dns_option_holds_for_every_address(lab, inside):
    # With --dns, a query is asked of that server whatever address it was sent to.
    mark = lab.wire.mark()
    for transport in ("+notcp", "+tcp"):
        seen = inside("dig", "+short", transport, f"@{HOLE[4]}", "www.example.net",
                      options=["--dns", OTHER_DNS[4]])
        assert seen.out == f"{NOBODY[4]}\n", seen
    assert queries(lab.wire.since(mark)) == {OTHER_DNS[4]}


@pytest.fixture
def hosts_file(lab):
    file = lab.top / "run" / "hosts"
    file.write_text(f"""
        # names of our own
        {WEB[4]} pinned.example.com pinned  # one machine
        {WEB[6]} pinned.example.com
        {NOBODY[4]} www.example.net
    """)
    return ["--hosts-file", file]


@needs_childflow
def test_hosts_file_in_getaddrinfo(inside, hosts_file, family):
    seen = inside("curl", "-sS", f"-{family}", "http://PINNED.example.com/hello",
                  options=hosts_file)
    assert (seen.status, seen.out) == (0, "hello from the internet\n"), seen
    # An entry hides what DNS says of the name.
    assert inside("curl", "-sS", "-4", "http://www.example.net/", options=hosts_file).status == 7


@needs_childflow
def test_hosts_file_in_dns(lab, inside, hosts_file):
    mark = lab.wire.mark()
    for transport in ("+notcp", "+tcp"):
        ask = ["dig", "+short", transport]
        assert inside(*ask, "pinned.example.com", "A", options=hosts_file).out == f"{WEB[4]}\n"
        assert inside(*ask, "pinned.example.com", "AAAA", options=hosts_file).out == f"{WEB[6]}\n"
        assert inside(*ask, "www.example.net", options=hosts_file).out == f"{NOBODY[4]}\n"
    assert queries(lab.wire.since(mark)) == set()
    assert inside("dig", "+short", "v4.example.net", options=hosts_file).out == f"{WEB[4]}\n"


@needs_childflow
def test_hosts_file_that_is_not_there(inside):
    seen = inside("true", options=["--hosts-file", "/no/such/file"])
    assert seen.status == 125
    assert "/no/such/file" in seen.err


def test_search_domain(inside, resolv_conf):
    resolv_conf("search example.net", f"nameserver {DNS[4]}", "options ndots:1")
    seen = inside("curl", "-sS", "http://www/hello")
    assert (seen.status, seen.out) == (0, "hello from the internet\n"), seen


def test_many_questions_in_a_row(inside):
    seen = inside("dig", "+short", *["www.example.net"] * 200)
    assert seen.out == f"{WEB[4]}\n" * 200, seen
