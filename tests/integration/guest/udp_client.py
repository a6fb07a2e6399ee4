"""Datagram programs to run in childflow: udp_client.py NAME HOST ARGUMENT...

Each prints what it saw; errors of the network are results here, told by their errno's name.
"""

import hashlib
import os
import random
import resource
import socket
import struct
import sys

import udp_server
from client import outcome

IP_MTU_DISCOVER, IP_RECVERR, IP_MTU, PMTUDISC_DO = 10, 11, 14, 2  # linux/in.h
IPV6_MTU_DISCOVER, IPV6_MTU, IPV6_RECVERR = 23, 24, 25  # linux/in6.h
DEADLINE = 10


def socket_for(host):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(DEADLINE)
    return sock


def connected(host, port):
    sock = socket_for(host)
    sock.connect((host, int(port)))
    return sock


def ask(sock, data):
    """Through the echo: the port it saw, and whether the data came back."""
    sock.send(data)
    port, _, back = sock.recv(65536).partition(b" ")
    return int(port), back == data


def echo(host, size):
    """A datagram of that many bytes there and back; again if the network finds it too big."""
    data = random.Random(int(size)).randbytes(int(size))
    sock = connected(host, udp_server.ECHO)
    sock.send(data)
    if outcome(sock.recv, 1, socket.MSG_PEEK) == "EMSGSIZE":
        print("EMSGSIZE")
        sock.send(data)
    back = sock.recv(65536)
    if len(data) <= 60000:
        back = back.partition(b" ")[2]
    same = hashlib.sha256(back).digest() == hashlib.sha256(data).digest()
    print(len(back), "the same" if same else "different")


def burst(host, count):
    """One question, many answers."""
    sock = connected(host, udp_server.BURST)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.send(count.encode())
    seen = [sock.recv(100) for _ in range(int(count))]
    exact = all(data == b"%d" % n + b"." * (n % 7) for n, data in enumerate(seen))
    print(len(seen), "in order" if exact else "different")


def train(host, count):
    """Answers that the server's kernel, and maybe ours, carries as one packet."""
    sock = connected(host, udp_server.TRAIN)
    sock.send(count.encode())
    seen = [sock.recv(2000) for _ in range(int(count) + 1)]
    exact = seen == [b"%1000d" % n for n in range(int(count))] + [b"."]
    print(len(seen), "in order" if exact else "different")


def stranger(host):
    """An unconnected socket takes from anybody: only the peer it wrote to gets through."""
    sock = socket_for(host)
    sock.sendto(b"hello", (host, udp_server.STRANGER))
    data, peer = sock.recvfrom(100)
    print(data.decode(), "from", peer[1])


def two_peers(host, other):
    """One socket writes to two peers and is answered by both; each sees the same port."""
    sock = socket_for(host)
    for peer in (host, other, host):
        sock.sendto(b"hello", (peer, udp_server.ECHO))
    seen = [sock.recvfrom(100) for _ in range(3)]
    print(len({data for data, _ in seen}), "source port")
    print(*sorted(peer[0] for _, peer in seen))


def refused(host, port):
    """A connected socket hears of the closed port, once, and goes on."""
    sock = connected(host, port)
    for _ in range(2):
        sock.send(b"x")
        print(outcome(sock.recv, 1))


def unreachable(*hosts):
    """How a datagram to each fares, on a socket that wants to know of every error."""
    for host in hosts:
        sock = socket_for(host)
        if ":" in host:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)

        def exchange():
            sock.connect((host, 5000))
            sock.send(b"x")
            sock.recv(1)

        # A router says it only so often: who hears nothing asks again.
        sock.settimeout(1)
        tries = (outcome(exchange) for _ in range(DEADLINE))
        print(next((result for result in tries if result != "silence"), "silence"))


def path_mtu(host):
    """Sends what fits the first link but not the next, told not to fragment it."""
    sock = connected(host, udp_server.ECHO)
    level, discover, mtu, headers = (
        (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_MTU, 48) if ":" in host
        else (socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU, 28)
    )  # fmt: skip
    sock.setsockopt(level, discover, PMTUDISC_DO)

    def too_big():
        """What is told later is told by the next call, whichever it is."""
        sock.send(bytes(1500 - headers))
        sock.recv(65536)

    print(outcome(too_big))
    print("path", sock.getsockopt(level, mtu))
    print(outcome(too_big))
    print(ask(sock, bytes(1390 - headers))[1])


def ntp(host):
    """Eight requests at once, as chrony's iburst and ntpd's burst do; prints what matches."""
    sock = connected(host, udp_server.NTP)
    stamps = [struct.pack("!Q", 1 << 60 | n) for n in range(8)]
    for stamp in stamps:
        sock.send(bytes([4 << 3 | 3]) + bytes(39) + stamp)
    answers = [sock.recv(100) for _ in stamps]
    print([a[24:32] for a in answers] == stamps, {len(a) for a in answers})


def empty(host):
    """A datagram without a byte arrives, and its answer does."""
    print(ask(connected(host, udp_server.ECHO), b"")[1])
    # And one from there: an answer of no bytes is not an end.
    sock = connected(host, udp_server.BURST)
    sock.send(b"0")
    sock.send(b"1")
    print(sock.recv(100).decode())


def stable_port(host, count):
    sock = connected(host, udp_server.ECHO)
    seen = [ask(sock, b"%d" % n) for n in range(int(count))]
    print(len({port for port, _ in seen}), "source port", all(same for _, same in seen))


def many_ports(host, count):
    """That many sockets at once, each with its own port outside and its own answer."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    socks = [connected(host, udp_server.ECHO) for _ in range(int(count))]
    results = []
    # A few at a time: what is tested is the table, not the buffers on the way.
    for start in range(0, len(socks), 50):
        for number, sock in enumerate(socks[start : start + 50], start):
            sock.send(b"%d" % number)
        for number, sock in enumerate(socks[start : start + 50], start):
            port, _, data = sock.recv(100).partition(b" ")
            results.append((port, data == b"%d" % number))
    # All are still there.
    again = [ask(sock, b"again")[0] for sock in socks[::100]]
    same = again == [int(port) for port, _ in results[::100]]
    exact = all(own for _, own in results)
    print(len({port for port, _ in results}), "source ports", exact, same)


def more_than_fit(host, count):
    """Each socket beyond what the engine has room for is refused at once, not left waiting."""
    socks = [connected(host, udp_server.ECHO) for _ in range(int(count))]
    results = [outcome(ask, sock, b"x") for sock in socks]
    print(*(f"{name} {results.count(name)}" for name in sorted(set(results))))


def many_peers(host, hole, count):
    """One socket writes to more peers than the table holds; then one of them still answers."""
    sock = socket_for(host)

    def port_seen():
        sock.sendto(b"x", (host, udp_server.ECHO))
        return sock.recv(100)

    first = port_seen()
    for number in range(int(count)):
        # No more than the queue to the engine holds: what is lost there fills no table.
        sock.sendto(b"", (hole, 1024 + number))
        if number % 256 == 0:
            port_seen()
    print("the same port" if port_seen() == first else "another port")
    # The port of a session whose flows have all gone would be another one.
    print(ask(connected(host, udp_server.ECHO), b"fresh")[1])


PROGRAMS = [
    echo, burst, train, stranger, two_peers, refused, path_mtu, ntp, empty, stable_port,
    many_ports, more_than_fit, many_peers, unreachable,
]  # fmt: skip

if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    {program.__name__: program for program in PROGRAMS}[sys.argv[1]](*sys.argv[2:])
    os._exit(0)
