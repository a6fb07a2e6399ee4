"""Listens on the host, TCP and UDP, and writes a line about each connection and datagram.

ears.py FILE LOOPBACK_PORT WILDCARD_PORT: the first on 127.0.0.1 and ::1, the second on every
address. Prints one line once all ports are open.
"""

import os
import selectors
import socket
import sys

DISCARD = 9


def bound(kind, address, port):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ":" in address:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen(100)
    return sock


def hear(sock):
    """What has come: the protocol and the address and port that it was sent to."""
    where = "%s %d" % sock.getsockname()[:2]
    if sock.type == socket.SOCK_DGRAM:
        data = sock.recv(65536)
        return f"udp {where} {data.hex()}\n"
    conn, _ = sock.accept()
    where = "%s %d" % conn.getsockname()[:2]
    conn.close()
    return f"tcp {where}\n"


def main(path, *ports):
    loopback, wildcard = map(int, ports)
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    places = ("127.0.0.1", loopback), ("::1", loopback), ("0.0.0.0", wildcard), ("::", wildcard)
    ears = selectors.DefaultSelector()
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for place in places:
            ears.register(bound(kind, *place), selectors.EVENT_READ)
    ears.register(bound(socket.SOCK_DGRAM, "127.0.0.1", DISCARD), selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        # What came before another thing is ready no later: the discard port, last, is a mark.
        for key in sorted(ears.select(), key=lambda ready: ready[0].fd):
            os.write(out, hear(key[0].fileobj).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
