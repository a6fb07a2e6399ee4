"""Connects, shows a name or none, and prints what became of it: shows.py HOST PORT HOW...

HOW is a kind, ":" and names. Each prints "shown" when the server has answered, or how it ended.
They run beside each other, since some must wait. "resolve:NAME" asks for a name's addresses,
before all else, and prints nothing.
"""

import concurrent.futures
import socket
import ssl
import sys
import time

from client import connected, outcome

DEADLINE = 20


def hello(name, long=0):
    """A TLS ClientHello, with that many bytes more than it needs."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if long:
        context.set_alpn_protocols(["x" * 250] * (long // 250))
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


def request(*lines):
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def host(*names, target="/", version="1.1"):
    return request(f"GET {target} HTTP/{version}", *(f"Host: {n}" for n in names))


def whole(data):
    return [data]


def bytewise(data):
    return [data[i : i + 1] for i in range(len(data))]


def in_pieces(data):
    return [data[i : i + 97] for i in range(0, len(data), 97)]


KINDS = {
    "http": lambda *names: whole(host(*names)),
    "http-bytewise": lambda *names: bytewise(host(*names)),
    "http-1.0": lambda *names: whole(host(*names, version="1.0")),
    "http-absolute": lambda target, name: whole(host(name, target=f"http://{target}/")),
    "http-connect": lambda target, name: whole(
        request(f"CONNECT {target}:443 HTTP/1.1", f"Host: {name}")),
    "http-folded": lambda *names: whole(request("GET / HTTP/1.1", "Host:", *(f" {n}" for n in names))),
    "http-spaced": lambda name: whole(request("GET / HTTP/1.1", f"Host : {name}")),
    "http-bare-lf": lambda name: whole(host(name).replace(b"\r", b"")),
    "http-late": lambda name: whole(
        request("GET / HTTP/1.1", *(f"X-{n}: {'x' * 990}" for n in range(8)), f"Host: {name}")),
    "http-too-late": lambda name: whole(
        request("GET / HTTP/1.1", *(f"X-{n}: {'x' * 990}" for n in range(20)), f"Host: {name}")),
    "tls": lambda name=None: whole(hello(name)),
    "tls-bytewise": lambda name=None: bytewise(hello(name)),
    "tls-pieces": lambda name=None: in_pieces(hello(name)),
    "tls-long": lambda name=None: in_pieces(hello(name, 9000)),
    "raw": lambda text: whole(text.encode("latin-1")),
    "raw-bytewise": lambda text: bytewise(text.encode("latin-1")),
}  # fmt: skip


def converse(sock, pieces):
    sock.settimeout(DEADLINE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        sock.sendall(piece)
    data = b""
    while more := sock.recv(1000):
        data += more
    return data


def show(address, port, case):
    kind, _, names = case.partition(":")
    words = names.split(",") if names else []
    with connected(address, port) as sock:
        if kind == "silent":
            time.sleep(float(words[0]))
            return "silent"
        seen = []
        how = outcome(lambda: seen.append(converse(sock, KINDS[kind](*words))))
    return "shown" if seen and b"shown" in seen[0] else "eof" if seen else how


def main(address, port, *cases):
    for case in cases:
        if case.startswith("resolve:"):
            outcome(socket.getaddrinfo, case.partition(":")[2], 80)
    shown = [case for case in cases if not case.startswith("resolve:")]
    with concurrent.futures.ThreadPoolExecutor(len(shown)) as pool:
        for case, how in zip(shown, pool.map(lambda c: show(address, port, c), shown)):
            print(case, how)


if __name__ == "__main__":
    main(*sys.argv[1:])
