"""Datagrams through SOCKS5 proxies, and what becomes of them where a proxy carries none."""

import os
import signal
import subprocess

import pytest

from lab import CLOSED_PORT, HOST4, HOST6, PROXY, WEB
from proxies import BY_NAME, PASSWORD

ECHO, BURST, STRANGER = 7021, 7022, 7023

pytestmark = pytest.mark.usefixtures("proxies")

HEAD = """
import socket, sys, time
def ask(sock, to, data=b"x", tries=3):
    sock.settimeout(5)
    try:
        sock.sendto(data, to)
        return sock.recvfrom(70000)
    except OSError as error:
        return (error.strerror or str(error)).encode(), None
def udp(family=socket.AF_INET):
    return socket.socket(family, socket.SOCK_DGRAM)
"""


@pytest.fixture
def python(sandbox):
    def run(script, **how):
        seen = sandbox("/usr/bin/python3", "-c", HEAD + script, **how)
        assert seen.status == 0, seen
        return seen
    return run


def options(name, *more, family=4):
    return ["-p", BY_NAME[name].url(PROXY[family]), *more]


def from_host(lab, mark):
    return [p for p in lab.wire.since(mark)
            if p.source in (HOST4, HOST6) and p.protocol not in (0, 58)]


def strays(lab, mark, family=4):
    """Packets to anything but the proxy's address."""
    return [p for p in from_host(lab, mark) if p.target != PROXY[family]]


@pytest.mark.parametrize("name", ["dante", "dante-auth"])
def test_echo(lab, python, name):
    """One socket of the child is one source at the far end, whatever it sends."""
    mark = lab.wire.mark()
    seen = python(f"""
s = udp()
ports = set()
for size in (0, 1, 1200, 8000):
    data, peer = ask(s, ("{WEB[4]}", {ECHO}), b"d" * size)
    port, _, rest = data.partition(b" ")
    ports.add(port)
    print(len(rest), peer == ("{WEB[4]}", {ECHO}))
print(len(ports))
""", options=options(name, "--proxy-only"))
    assert seen.out == "0 True\n1 True\n1200 True\n8000 True\n1\n", seen
    assert seen.err == ""
    assert not strays(lab, mark)
    # What is relayed bears its target in front of it, the last one eight times as long.
    heads = {p.data[:10] for p in from_host(lab, mark) if p.protocol == 17 and p.data}
    address = bytes(map(int, WEB[4].split(".")))
    assert b"\0\0\0\1" + address + ECHO.to_bytes(2, "big") in heads


def test_echo_over_ipv6(lab, python):
    mark = lab.wire.mark()
    seen = python(f"""
data, peer = ask(udp(socket.AF_INET6), ("{WEB[6]}", {ECHO}))
print(data.split()[1], peer[:2] == ("{WEB[6]}", {ECHO}))
""", options=options("dante", "--proxy-only", family=6))
    assert seen.out == "b'x' True\n", seen
    assert not strays(lab, mark, 6)


def test_names(lab, python):
    """To two names with one port, each of which answers as itself."""
    mark = lab.wire.mark()
    seen = python(f"""
s = udp()
addresses = [socket.gethostbyname(n) for n in ("v4.example.net", "www.example.net")]
print(*addresses)
for n in range(3):
    for address in addresses:
        data, peer = ask(s, (address, {ECHO}), b"%d" % n)
        print(data.split()[1].decode(), peer == (address, {ECHO}), end=" ")
""", options=options("dante", "--proxy-only"))
    assert seen.out == "198.18.0.1 198.18.0.2\n" + "".join(
        f"{n} True " * 2 for n in range(3)), seen  # fmt: skip
    assert not strays(lab, mark)


def test_only_peers_written_to_get_through(python):
    seen = python(f"""
print(ask(udp(), ("{WEB[4]}", {STRANGER}))[0])
""", options=options("dante", "--proxy-only"))
    assert seen.out == "b'the answer'\n", seen


def test_many_at_once(python):
    """Those that wait for the relay, and a burst that comes back by it."""
    seen = python(f"""
s = udp()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.settimeout(5)
for n in range(20):
    s.sendto(b"%d" % n, ("{WEB[4]}", {ECHO}))
print(sorted(int(s.recv(100).split()[1]) for n in range(20)) == list(range(20)))
s.sendto(b"100", ("{WEB[4]}", {BURST}))
got = [s.recv(100).rstrip(b".") for n in range(100)]
print(got == [b"%d" % n for n in range(100)])
sockets = [udp() for n in range(30)]
print(sum(ask(t, ("{WEB[4]}", {ECHO}))[1] is not None for t in sockets))
""", options=options("dante", "--proxy-only"))
    assert seen.out == "True\nTrue\n30\n", seen


@pytest.mark.parametrize("name", ["microsocks", "squid"])
def test_a_proxy_without_datagrams(lab, python, name):
    mark = lab.wire.mark()
    seen = python(f"""
s = udp()
s.connect(("{WEB[4]}", {ECHO}))
s.settimeout(5)
for n in range(3):
    try:
        s.send(b"x"); print(s.recv(10))
    except OSError as error:
        print(error.strerror)
""", options=options(name))
    assert set(seen.out.splitlines()) <= {"Connection refused", "No route to host"}, seen
    assert not strays(lab, mark)
    assert f"blocked udp {WEB[4]}:{ECHO} (not-proxied): the proxy can't carry it" in seen.err
    assert seen.err.count("carries no datagrams") == (1 if name == "microsocks" else 0)


@pytest.mark.parametrize("name", ["microsocks", "squid"])
def test_past_the_proxy(lab, python, name):
    """Only when asked for, and never a name's datagrams."""
    mark = lab.wire.mark()
    seen = python(f"""
s = udp()
for n in range(3):
    data, peer = ask(s, ("{WEB[4]}", {ECHO}))
    if peer:
        break
print(data.split()[-1], peer)
print(ask(s, (socket.gethostbyname("v4.example.net"), {ECHO}))[1])
""", options=options(name, "--proxy-udp", "direct"))
    assert seen.out == f"b'x' ('{WEB[4]}', {ECHO})\nNone\n", seen
    assert {(p.target, p.protocol) for p in strays(lab, mark)} == {(WEB[4], 17)}
    assert f"blocked udp v4.example.net:{ECHO} (not-proxied)" in seen.err
    assert "past" in seen.err.splitlines()[0], seen


def test_wrong_password(lab, python):
    mark = lab.wire.mark()
    url = BY_NAME["dante-auth"].url(PROXY[4], PASSWORD + "x")
    seen = python(f"""
s = udp()
s.connect(("{WEB[4]}", {ECHO}))
try:
    s.send(b"x"); s.settimeout(5); print(s.recv(10))
except OSError as error:
    print(type(error).__name__)
""", options=["-p", url, "--proxy-only"])
    assert seen.out == "ConnectionRefusedError\n", seen
    assert not strays(lab, mark)


def test_a_chain_has_no_relay(lab, python):
    mark = lab.wire.mark()
    seen = python(f"""
print(ask(udp(), ("{WEB[4]}", {ECHO}))[1])
""", options=[*options("microsocks"), *options("dante")])
    assert seen.out == "None\n" and "not-proxied" in seen.err, seen
    assert not strays(lab, mark)


def test_unreachable_targets_and_closed_ports(python):
    """The proxy can't tell; the child waits in vain, as with a firewall."""
    seen = python(f"""
s = udp(); s.settimeout(1)
s.sendto(b"x", ("{WEB[4]}", {CLOSED_PORT}))
try:
    print(s.recv(10))
except OSError as error:
    print(type(error).__name__)
print(ask(s, ("{WEB[4]}", {ECHO}))[1] is not None)
""", options=options("dante", "--proxy-only"))
    assert seen.out == "TimeoutError\nTrue\n", seen


def test_the_relay_is_lost(lab, sandbox, proxies):
    """The child is told, and its next datagram goes by another relay."""
    script = HEAD + f"""
s = udp()
s.connect(("{WEB[4]}", {ECHO})); s.settimeout(10)
s.send(b"one"); first = s.recv(100).split()
print(first[1].decode(), flush=True)
try:
    s.recv(100)
except OSError as error:
    print(type(error).__name__, flush=True)
input()
s.send(b"two"); second = s.recv(100).split()
print(second[1].decode(), flush=True)
"""
    with proxies.another_dante() as (port, server):
        child = sandbox.start("/usr/bin/python3", "-c", script, stdin=subprocess.PIPE,
                              options=["-p", f"socks5://{PROXY[4]}:{port}", "--proxy-only"])
        assert child.stdout.readline() == "one\n"
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        assert child.stdout.readline() == "ConnectionRefusedError\n"
    with proxies.another_dante(port) as (port, server):
        out, err = child.communicate("\n", timeout=20)
    assert (out, err) == ("two\n", "")


def test_events(lab, python):
    """The flow log has the name, and that a proxy was on the way."""
    log = lab.top / "run" / "udp-events"
    log.unlink(missing_ok=True)
    log.touch()
    log.chmod(0o666)
    python(f"""
print(ask(udp(), (socket.gethostbyname("v4.example.net"), {ECHO}))[0])
""", options=options("dante", "--proxy-only", "--flow-log", log))
    text = log.read_text()
    starts = [line for line in text.splitlines() if '"event":"flow_start"' in line]
    assert len(starts) == 1 and "v4.example.net" in starts[0], text
    assert '"via_proxy":true' in starts[0].replace(" ", ""), starts
