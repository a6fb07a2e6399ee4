"""A proxy that is down, slow, lying or hostile: the child is refused, in time, and told why; nobody
else is kept waiting, and nothing goes another way."""

import pytest

import proxies as p
from lab import CLOSED_PORT, HOLE, NOBODY, PROXY, WEB, url_host

BANNER, SINK, SOURCE = 7001, 7002, 7003

VICES = {
    "hang": ("http", p.HANG, "it doesn't answer within 0.5 s"),
    "slow header": ("http", p.SLOW_HEADER, "it doesn't answer within 0.5 s"),
    "long header": ("http", p.LONG_HEADER, "its headers are longer than 16 KiB"),
    "interim": ("http", p.MANY_INTERIM, "it never comes to its answer"),
    "garbage": ("http", p.GARBAGE, "what it answers isn't HTTP"),
    "close": ("http", p.CLOSE_AT_ONCE, "it closes the connection instead of answering"),
    "reset": ("http", p.RESET, "Connection reset by peer"),
    "refuse": ("http", p.REFUSE, 'it says "403 ?[2Jgo away"'),
    "no socks": ("socks5h", p.GARBAGE, "doesn't answer within"),
    "socks hang": ("socks5", p.HANG, "it doesn't answer within 0.5 s"),
    "socks4 hang": ("socks4a", p.HANG, "it doesn't answer within 0.5 s"),
    "socks name": ("socks5", p.SOCKS_SHORT_NAME, "it doesn't answer within 0.5 s"),
    "socks method": ("socks5", p.SOCKS_ODD_METHOD, "a method that we haven't offered"),
    "socks early": ("socks5", p.SOCKS_ALL_AT_ONCE, "it answers before it is asked"),
    "no tls": ("https", p.GARBAGE, "doesn't answer within"),
    "plain http": ("https", p.CLOSE_AFTER_200, "doesn't answer within"),
    "tls hang": ("https", p.HANG, "it doesn't answer within 0.5 s"),
    "tls close": ("https", p.TLS_CLOSED, "in the middle of the TLS handshake"),
    "tls alert": ("https", p.TLS_ALERT, "the TLS handshake fails: "),
    "expired": ("https", p.TLS_EXPIRED, "its certificate has expired"),
    "other host": ("https", p.TLS_STRANGER, "its certificate is for another host"),
    "stranger": ("https", p.TLS_SELFSIGNED, "nobody we trust has signed its certificate"),
    "both": ("https", p.TLS_SELFSIGNED_STRANGER, "nobody we trust has signed its certificate"),
    "old tls": ("https", p.TLS_OLD, "TLS"),
}


@pytest.fixture
def through(lab, sandbox, evil_proxies):
    """Runs one of client.py's programs through a proxy."""
    def run(url, name, *arguments, options=(), **how):
        how.setdefault("env", {"SSL_CERT_FILE": str(lab.top / "www/ca.pem")})
        return sandbox.client(name, *arguments, options=["-p", url, *options], **how)
    return run


@pytest.mark.parametrize("vice", VICES)
def test_refused_and_told(lab, through, family, vice):
    scheme, port, why = VICES[vice]
    url = f"{scheme}://{url_host(PROXY[family])}:{port}"
    mark = lab.wire.mark()
    seen = through(url, "connect", WEB[4], SOURCE, WEB[6], SOURCE,
                   options=["--connect-timeout=0.5"])
    assert seen.status == 0
    answers = {line.split()[1] for line in seen.out.splitlines()}
    # What the kernel makes of "prohibited" depends on the family.
    expected = {"EHOSTUNREACH", "EACCES"} if vice == "refuse" else {"ECONNREFUSED"}
    assert answers == expected, seen.out
    # Once, though it has happened twice.
    lines = seen.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"childflow: warning: proxy {url}: "), lines
    assert why in lines[0]
    assert not [q for q in lab.wire.since(mark) if q.target in WEB.values()]


@pytest.mark.parametrize("where, why", [
    (NOBODY[4], "Connection refused"), (NOBODY[6], "Connection refused"),
    (HOLE[4], "it doesn't answer within"), ("nowhere.example.net", "its name has no address"),
])
def test_proxy_that_is_not_there(lab, through, where, why):
    mark = lab.wire.mark()
    seen = through(f"http://{url_host(where)}:{CLOSED_PORT}", "connect", WEB[4], SOURCE,
                   options=["--connect-timeout=0.5"])
    assert "ECONNREFUSED" in seen.out and why in seen.err, seen
    assert not [q for q in lab.wire.since(mark) if q.target in WEB.values()]


def test_insecure_drops_the_chain_only(lab, through, family):
    host = url_host(PROXY[family])
    for port, works in ((p.TLS_SELFSIGNED, True), (p.TLS_EXPIRED, True),
                        (p.TLS_SELFSIGNED_STRANGER, False), (p.TLS_STRANGER, False)):
        seen = through(f"https://{host}:{port}", "greet", WEB[family], BANNER, "word",
                       options=["--proxy-insecure"], env={})
        if works:
            assert seen.out == "220 the lab speaks first\nWORD\n", seen
        else:
            assert "its certificate is for another host" in seen.err and not seen.out, seen


def test_unknown_signer_without_the_file(through):
    seen = through(f"https://{PROXY[4]}:{p.TLS_HONEST}", "connect", WEB[4], SOURCE, env={})
    assert "nobody we trust" in seen.err and "ECONNREFUSED" in seen.out


@pytest.mark.parametrize("scheme, port", [
    ("http", p.EARLY_DATA), ("https", p.TLS_EARLY_DATA), ("socks5", p.SOCKS_EARLY_DATA),
])
def test_early_data_is_kept(through, family, scheme, port):
    url = f"{scheme}://{url_host(PROXY[family])}:{port}"
    seen = through(url, "greet_once", WEB[family], SOURCE)
    assert (seen.out, seen.err) == ("220 early\n", "")


def test_single_bytes(through, family):
    url = f"http://{url_host(PROXY[family])}:{p.SINGLE_BYTES}"
    seen = through(url, "greet", WEB[family], BANNER, "word")
    assert (seen.out, seen.err) == ("220 the lab speaks first\nWORD\n", "")


def test_200_then_close(through, family):
    """It has said so: the connection is open, and then it ends."""
    url = f"http://{url_host(PROXY[family])}:{p.CLOSE_AFTER_200}"
    seen = through(url, "greet_once", WEB[family], SOURCE)
    assert (seen.status, seen.out, seen.err) == (0, "", "")


def test_tls_that_is_cut_is_no_end(through, family):
    """Without close_notify somebody else may have ended the stream."""
    url = f"https://{url_host(PROXY[family])}:{p.TLS_CUT}"
    seen = through(url, "read_to_the_end", WEB[family], SOURCE)
    assert seen.out == "220 early\nECONNRESET\n", seen


def test_others_are_not_kept_waiting(through, family):
    url = f"http://{url_host(PROXY[family])}:{p.HANG_FOR_PORT_9}"
    seen = through(url, "beside_a_hole", WEB[family], WEB[family], SOURCE, 20, CLOSED_PORT)
    assert seen.out.endswith("EINPROGRESS still waiting\n"), seen
    assert seen.out.count("\n") == 21


def test_child_that_gives_up(lab, through):
    """Its attempt goes with it, in the middle of a handshake, and the others live on."""
    url = f"http://{PROXY[4]}:{p.HANG_FOR_PORT_9}"
    seen = through(url, "give_up_then_fetch", WEB[4], CLOSED_PORT, SOURCE, 1000)
    assert seen.status == 0 and "\n1000 " in seen.out, seen
