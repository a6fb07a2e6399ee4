"""Ordinary programs fetch inside childflow exactly what they fetch outside."""

import pytest

from lab import WEB, url_host


def without_date(text):
    return "".join(line for line in text.splitlines(True) if not line.startswith("Date: "))


def assert_same(inside, outside, *argv):
    """Runs a command on both sides; it must succeed and be told the same."""
    expected = outside(*argv)
    assert expected.status == 0, expected
    seen = inside(*argv)
    assert (seen.status, without_date(seen.out), seen.err) == (
        0, without_date(expected.out), expected.err
    )
    return seen


def server_name(how, family):
    return f"v{family}.example.net" if how == "name" else url_host(WEB[family])


@pytest.mark.parametrize("how", ["name", "address"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_curl(lab, inside, outside, family, scheme, how):
    mark = lab.wire.mark()
    seen = assert_same(
        inside, outside, "curl", "-sSi", "--cacert", lab.top / "www/ca.pem",
        f"{scheme}://{server_name(how, family)}/hello",
    )
    assert seen.out.endswith("hello from the internet\n")
    syns = [p for p in lab.wire.since(mark) if p.is_syn_to(WEB[family])]
    assert len(syns) == 2  # once outside, once inside: nothing was answered by a stand-in


def test_curl_by_a_name_with_both_families(inside, outside):
    assert_same(inside, outside, "curl", "-sSiL", "http://www.example.net/moved")


def test_curl_of_a_longer_page(inside, outside):
    assert_same(inside, outside, "curl", "-sS", "http://www.example.net/page")


def test_curl_of_an_unknown_name(inside, outside):
    expected = outside("curl", "-sS", "http://no-such-name.example.net/")
    seen = inside("curl", "-sS", "http://no-such-name.example.net/")
    assert expected.status == 6
    assert seen == expected


def test_static_busybox(inside, outside, family):
    url = f"http://{server_name('address', family)}/hello"
    assert_same(inside, outside, "busybox", "wget", "-q", "-O", "-", url)


def test_static_program(lab, inside, outside, family, static_program):
    assert_same(inside, outside, static_program, WEB[family], 80, "/hello")


@pytest.mark.parametrize("how", ["name", "address"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_go(lab, inside, outside, family, scheme, how, go_program):
    url = f"{scheme}://{server_name(how, family)}/hello"
    seen = assert_same(inside, outside, go_program, "get", url, lab.top / "www/ca.pem")
    assert seen.out == "200 OK\nhello from the internet\n"


def test_resolver_of_go(inside, outside, go_program):
    seen = assert_same(inside, outside, go_program, "look", "www.example.net")
    assert WEB[4] in seen.out and WEB[6] in seen.out and "mail.example.net" in seen.out


@pytest.mark.parametrize("port", [80, 8080], ids=["dumb", "smart"])
def test_git_clone(inside, outside, family, port):
    script = """
        trap 'rm -rf clone' EXIT
        git clone -q "$1" clone && git -C clone log --format=%H%s && sha256sum clone/page
    """
    url = f"http://v{family}.example.net:{port}/project.git"
    seen = assert_same(inside, outside, "sh", "-c", script, "sh", url)
    assert "first" in seen.out and "second" in seen.out


@pytest.mark.parametrize("how", ["name", "address"])
def test_server_that_speaks_first(inside, family, how):
    host = f"v{family}.example.net" if how == "name" else WEB[family]
    seen = inside("busybox", "nc", host, 7001, input="helo\n")
    assert seen.out == "220 the lab speaks first\nHELO\n", seen


def test_name_of_getaddrinfo(inside, outside):
    for name in ("www.example.net", "chain.example.net", "many.example.net"):
        expected = outside("getent", "ahosts", name)
        seen = inside("getent", "ahosts", name)
        # The order of a name's addresses changes, and the name stands on the first line.
        assert (seen.status, sorted(seen.out.split())) == (0, sorted(expected.out.split()))


def test_name_of_an_address(inside, outside, family):
    assert_same(inside, outside, "getent", "hosts", WEB[family])
