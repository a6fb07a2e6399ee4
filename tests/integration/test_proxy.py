"""Everything goes through the proxy, by each kind of them, and it is as good as without."""

import json
import os
import re

import pytest

from guest import pattern
from lab import HOST_PROHIBITED, PROXY, WEB, url_host
from polling import poll
from proxies import BY_NAME, PASSWORD, PROXIES, SINGLE_BYTES, TLS_HONEST, USER

BANNER, SINK, SOURCE, RESET, FIN_FIRST = range(7001, 7006)
# PROXY_BYTES=1073741824 is for a quiet hour.
BYTES = int(os.environ.get("PROXY_BYTES", 16 << 20))

HELLO = "hello from the internet\n"
PROXY_HOSTS = {"v4": PROXY[4], "v6": PROXY[6], "name": "proxy.example.net"}
# One that forwards bytes, one that understands them, one that encrypts them; each with auth.
SOME = [BY_NAME[name] for name in ("microsocks-auth", "tinyproxy-auth", "squid-tls-auth", "ssh-4a")
        if name in BY_NAME]


def trust(lab):
    return {"SSL_CERT_FILE": str(lab.top / "www/ca.pem")}


@pytest.fixture(params=PROXIES, ids=lambda proxy: proxy.name)
def proxy(request, proxies):
    return request.param


@pytest.fixture(params=SOME, ids=lambda proxy: proxy.name)
def some_proxy(request, proxies):
    return request.param


@pytest.fixture
def fetch(lab, sandbox):
    def run(*options, family=4, **how):
        how.setdefault("env", trust(lab))
        return sandbox("curl", "-sS", "-m", "20", f"http://{url_host(WEB[family])}/hello",
                       options=options, **how)
    return run


@pytest.fixture
def client(lab, sandbox):
    def run(proxy, name, *arguments, family=4, **how):
        return sandbox.client(name, WEB[family], *arguments, env=trust(lab),
                              options=["-p", proxy.url(PROXY[family])], **how)
    return run


def only_to_proxies(lab, mark):
    """Nothing has crossed the wire but what the proxies were told, and DNS."""
    return not [p for p in lab.wire.since(mark) if set(WEB.values()) & {p.source, p.target}]


# --- each proxy ---

@pytest.mark.parametrize("proxy_host", PROXY_HOSTS)
def test_fetch(lab, fetch, proxy, proxy_host, family):
    mark = lab.wire.mark()
    seen = fetch("-p", proxy.url(PROXY_HOSTS[proxy_host]), family=family)
    assert (seen.out, seen.err) == (HELLO, "")
    assert only_to_proxies(lab, mark)


def test_server_that_speaks_first(client, proxy, family):
    seen = client(proxy, "greet", BANNER, "word", family=family)
    assert (seen.out, seen.err) == ("220 the lab speaks first\nWORD\n", "")


@pytest.mark.parametrize("who", ["user"])
def test_download(client, proxy, family):
    seen = client(proxy, "download", SOURCE, BYTES, family=family, timeout=600)
    assert (seen.out, seen.err) == (f"{BYTES} {pattern.digest(BYTES)}\n", "")


@pytest.mark.parametrize("who", ["user"])
def test_upload(lab, client, proxy, family):
    """Most proxies end both sides when one has ended: so nobody waits for the server's word, and
    what arrives is what was delivered after the command's end."""
    mark = lab.event_mark()
    seen = client(proxy, "upload_and_exit", SINK, BYTES, family=family, timeout=600)
    assert (seen.status, seen.err) == (0, "")
    got = lab.wait_event("sink", mark)
    assert (got["bytes"], got["sha256"], got["end"]) == (BYTES, pattern.digest(BYTES), "eof")


@pytest.mark.parametrize("who", ["user"])
def test_500_connections(client, proxy, family):
    seen = client(proxy, "many", SOURCE, 500, 20_000, family=family, timeout=120)
    assert (seen.out, seen.err) == (f"20000 {pattern.digest(20_000)}\n", "")


@pytest.mark.parametrize("who", ["user"])
def test_https_through_it(lab, sandbox, proxy, family):
    """TLS inside, as curl would with a proxy of its own; with https it is TLS in TLS."""
    seen = sandbox("curl", "-sS", "-m", "20", "--cacert", lab.top / "www/ca.pem",
                   f"https://{url_host(WEB[family])}/hello",
                   options=["-p", proxy.url(PROXY[family])], env=trust(lab))
    assert (seen.out, seen.err) == (HELLO, "")


# --- what connections mean ---

@pytest.mark.parametrize("who", ["user"])
@pytest.mark.parametrize("name", [name for name in ("dante", "ssh") if name in BY_NAME])
def test_half_a_connection_still_works(lab, client, proxies, name):
    """The server has shut its side; the other way round the client. The others of our proxies
    end both sides then."""
    seen = client(BY_NAME[name], "upload", SINK, 3_000_000)
    assert seen.out == f"3000000 {pattern.digest(3_000_000)}\n"
    mark = lab.event_mark()
    seen = client(BY_NAME[name], "after_peers_fin", FIN_FIRST, 3_000_000)
    assert seen.out == "that was all from here\n"
    assert lab.wait_event("fin_first", mark)["bytes"] == 3_000_000


def test_closed_port_is_told(client, some_proxy):
    seen = client(some_proxy, "connect", 9)
    assert "ECONNREFUSED" in seen.out or "EHOSTUNREACH" in seen.out, seen


def test_reader_that_sleeps(client, some_proxy):
    seen = client(some_proxy, "download_late", SOURCE, 3_000_000)
    assert seen.out == f"3000000 {pattern.digest(3_000_000)}\n"


def test_reader_that_leaves(lab, client, some_proxy):
    mark = lab.event_mark()
    assert client(some_proxy, "download_and_leave", SOURCE, 100_000_000).out == "1000\n"
    assert lab.wait_event("source", mark)["end"] != "eof"


# --- chains ---

CHAINS = [
    ("squid", "microsocks-auth"),
    ("microsocks", "squid-auth"),
    ("ssh-4a", "squid-tls-auth"),
    ("stunnel-auth", "nginx"),  # TLS in TLS
    ("dante-auth", "tinyproxy-auth", "microsocks-auth"),
    ("squid-tls", "stunnel", "nginx"),  # three times TLS
]
CHAINS = [chain for chain in CHAINS if set(chain) <= set(BY_NAME)]


@pytest.mark.parametrize("chain", CHAINS, ids="+".join)
@pytest.mark.parametrize("proxy_host", PROXY_HOSTS)
def test_chain(lab, fetch, proxies, chain, proxy_host, family):
    mark = lab.wire.mark()
    words = [word for name in chain for word in ("-p", BY_NAME[name].url(PROXY_HOSTS[proxy_host]))]
    seen = fetch(*words, family=family)
    assert (seen.out, seen.err) == (HELLO, "")
    assert only_to_proxies(lab, mark)
    # The host has met the first one alone.
    ports = {p.target_port for p in lab.wire.since(mark) if p.flags == 2}
    assert ports == {BY_NAME[chain[0]].port}


@pytest.mark.parametrize("who", ["user"])
@pytest.mark.parametrize("chain", CHAINS, ids="+".join)
def test_chain_bears_bytes(lab, sandbox, proxies, chain):
    words = [word for name in chain for word in ("-p", BY_NAME[name].url(PROXY[4]))]
    seen = sandbox.client("download", WEB[4], SOURCE, 8 << 20, options=words, env=trust(lab))
    assert (seen.out, seen.err) == (f"{8 << 20} {pattern.digest(8 << 20)}\n", "")
    mark = lab.event_mark()
    sandbox.client("upload_and_exit", WEB[4], SINK, 8 << 20, options=words, env=trust(lab))
    assert lab.wait_event("sink", mark)["sha256"] == pattern.digest(8 << 20)
    seen = sandbox.client("greet", WEB[4], BANNER, "word", options=words, env=trust(lab))
    assert seen.out == "220 the lab speaks first\nWORD\n"


@pytest.mark.parametrize("who", ["user"])
def test_broken_link_is_named(fetch, proxies):
    last = BY_NAME["microsocks-auth"].url(PROXY[4], password="wrong")
    seen = fetch("-p", BY_NAME["squid"].url(PROXY[4]), "-p", last)
    assert seen.status == 7
    assert f"proxy socks5h://{PROXY[4]}:1083: it refuses our user and password" in seen.err
    seen = fetch("-p", f"http://{PROXY[4]}:9", "-p", last)
    assert f"proxy http://{PROXY[4]}:9: Connection refused" in seen.err


# --- credentials ---

AUTH = [proxy for proxy in PROXIES if proxy.password]


@pytest.mark.parametrize("who", ["user"])
@pytest.mark.parametrize("proxy", AUTH, ids=lambda proxy: proxy.name)
def test_wrong_and_missing_credentials(lab, fetch, proxies, proxy):
    mark = lab.wire.mark()
    wrong = fetch("-p", proxy.url(PROXY[4], password="no"))
    assert wrong.status == 7 and "it refuses our user and password" in wrong.err, wrong
    none = fetch("-p", proxy.url(PROXY[4], password=""))
    assert none.status == 7 and "it wants a user and a password" in none.err, none
    assert only_to_proxies(lab, mark)


def test_credentials_by_other_ways(fetch, proxies, folder):
    url = BY_NAME["squid-auth"].url(PROXY[4], password="")
    assert fetch("-p", url, "-U", USER, "-P", PASSWORD).out == HELLO
    assert fetch("-p", url, "-U", USER, env={"CHILDFLOW_PROXY_PASSWORD": PASSWORD}).out == HELLO
    file = folder / "word"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o644)
    assert fetch("-p", url, "-U", USER, "--proxy-password-file", file).out == HELLO


@pytest.mark.parametrize("url, why", [
    ("http://a%3ab:w@h:1", "has no colon"),
    (f"socks5://u:{'w' * 256}@h:1", "up to 255 bytes"),
    ("socks4a://u:w@h:1", "SOCKS4 knows no password"),
])
def test_credentials_that_cannot_be_said(fetch, url, why):
    seen = fetch("-p", url)
    assert seen.status == 125 and why in seen.err and "www" not in seen.err, seen


# --- the environment ---

def test_proxy_variables_are_unset(lab, sandbox, proxies):
    names = "http_proxy HTTPS_PROXY All_Proxy NO_PROXY npm_config_https_proxy".split()
    env = {name: "http://127.0.0.1:1" for name in names} | {"proxy": "x", "http_proxy_x": "y"}
    options = ["-p", BY_NAME["squid"].url(PROXY[4])]
    seen = sandbox("env", options=options, env=env)
    assert not [line for line in seen.out.splitlines() if line.split("=")[0] in names]
    assert "proxy=x\n" in seen.out and "http_proxy_x=y\n" in seen.out
    for more in (["--keep-proxy-env", *options], []):
        seen = sandbox("env", options=more, env=env)
        assert all(f"{name}=http://127.0.0.1:1\n" in seen.out for name in names), more


# --- what is told ---

def test_flow_log(lab, sandbox, who, proxies):
    log = lab.homes[who] / "proxy.log"
    url = BY_NAME["squid-auth"].url(PROXY[4])
    url_wrong = BY_NAME["squid-auth"].url(PROXY[4], password="no")
    for u in (url, url_wrong):
        sandbox("curl", "-sS", f"http://{WEB[4]}/hello",
                options=["-p", u, "--flow-log", log, "-vv"])
        text = log.read_text()
        events = [json.loads(line) for line in text.splitlines()]
        result, = [e for e in events if e["event"] == "connect_result"]
        assert result["via_proxy"] is True
        assert result["remote_ip"] == WEB[4] and result["remote_port"] == 80
        if u == url:
            assert result["status"] == "ok" and result["error"] is None
        else:
            assert result["status"] == "error"
            assert result["error"].endswith("it refuses our user and password (407)")
        for secret in (PASSWORD, re.search("demo:(.*)@", url)[1], "ZGVtbz"):
            assert secret not in text


# --- names and addresses of proxies ---

def test_proxy_in_the_hosts_file(lab, fetch, proxies):
    hosts = lab.host.path("/etc/hosts")
    old = hosts.read_text()
    try:
        hosts.write_text(f"{old}\n{PROXY[6]} only-here.test\n{PROXY[4]} only-here.test\n")
        mark = lab.wire.mark()
        assert fetch("-p", "http://only-here.test:3128").out == HELLO
        assert not [p for p in lab.wire.since(mark) if p.target_port == 53]
    finally:
        hosts.write_text(old)


def test_target_that_only_the_proxy_reaches(lab, sandbox, proxies):
    """The host's own routing table refuses it."""
    lab.internet.sh(f"ip address add {HOST_PROHIBITED[4]} dev lo")
    try:
        target = ("greet", HOST_PROHIBITED[4], BANNER, "word")
        assert "word" not in sandbox.client(*target).out.lower()
        seen = sandbox.client(*target, options=["-p", BY_NAME["squid-auth"].url(PROXY[4])])
        assert (seen.out, seen.err) == ("220 the lab speaks first\nWORD\n", "")
    finally:
        lab.internet.sh(f"ip address del {HOST_PROHIBITED[4]} dev lo")


def test_all_addresses_are_tried(lab, fetch, proxies):
    """The first is a hole, the second refuses, the third is it."""
    hosts = lab.host.path("/etc/hosts")
    old = hosts.read_text()
    try:
        lines = [f"{a} many.test" for a in ("2606:4700:99::1", "93.184.216.99", PROXY[4])]
        hosts.write_text("\n".join([old, *lines, ""]))
        seen = fetch("-p", "http://many.test:3128", "--connect-timeout=3")
        assert (seen.out, seen.err) == (HELLO, "")
    finally:
        hosts.write_text(old)


def test_loopback_proxy_of_the_host(lab, fetch, sandbox, evil_proxies):
    """The proxy may be where the command itself may not go."""
    relay = lab.start(["socat", "TCP-LISTEN:3999,bind=127.0.0.1,fork,reuseaddr",
                       f"TCP:{PROXY[4]}:{SINGLE_BYTES}"])
    try:
        poll(lambda: lab.host.listens(3999), "the relay")
        assert fetch("-p", "http://127.0.0.1:3999", "--block-private").out == HELLO
        seen = sandbox("curl", "-sS", "http://127.0.0.1:3999/", options=["--block-private"])
        assert seen.status != 0
    finally:
        lab.kill_leftovers()
        relay.communicate()


def test_names_are_verified(fetch, proxies, lab):
    """SNI and the certificate's name, in any case."""
    seen = fetch("-p", f"https://PROXY.example.net:{TLS_HONEST}")
    assert seen.out == HELLO
    lab_env = {"SSL_CERT_FILE": str(lab.top / "www/no-such.pem")}
    seen = fetch("-p", f"https://proxy.example.net:{TLS_HONEST}", env=lab_env)
    assert seen.status == 125 and "SSL_CERT_FILE" in seen.err
