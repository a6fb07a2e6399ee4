"""The lab's datagram services: udp_server.py ADDRESS..., each on every address.

Prints one line once all ports are open.
"""

import selectors
import socket
import struct
import sys

import rcvbuf

ECHO, BURST, STRANGER, NTP, TRAIN = range(7021, 7026)
SOL_UDP, UDP_SEGMENT = 17, 103  # linux/udp.h


def bound(address, port):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    rcvbuf.widen(sock, 1 << 24)
    sock.bind((address, port))
    return sock


def answer_echo(sock, data, peer):
    """The datagram, behind the port that it came from."""
    sock.sendto(data if len(data) > 60000 else b"%d " % peer[1] + data, peer)


def answer_burst(sock, data, peer):
    """As many datagrams as it says, numbered, of lengths that differ."""
    for number in range(int(data)):
        sock.sendto(b"%d" % number + b"." * (number % 7), peer)


def answer_stranger(sock, data, peer):
    """From another port of this address, and from this one after that."""
    with bound(sock.getsockname()[0], 0) as other:
        other.sendto(b"a stranger's answer", peer)
    sock.sendto(b"the answer", peer)


def answer_ntp(sock, data, peer):
    """RFC 5905 7.3: mode 4, and the transmit timestamp of the request as the origin."""
    if len(data) == 48 and data[0] & 7 == 3:
        fields = struct.pack("!BBbb", 4 << 3 | 4, 1, 6, -20), bytes(20), data[40:48], bytes(16)
        sock.sendto(b"".join(fields), peer)


def answer_train(sock, data, peer):
    """As many datagrams of 1000 bytes as it says and one of 1, handed to the kernel as one."""
    train = b"".join(b"%1000d" % number for number in range(int(data))) + b"."
    size = SOL_UDP, UDP_SEGMENT, struct.pack("=H", 1000)
    sock.sendmsg([train], [size], 0, peer)


ANSWERS = {ECHO: answer_echo, BURST: answer_burst, STRANGER: answer_stranger, NTP: answer_ntp,
           TRAIN: answer_train}  # fmt: skip


def main(*addresses):
    ready = selectors.DefaultSelector()
    for address in addresses:
        for port, answer in ANSWERS.items():
            ready.register(bound(address, port), selectors.EVENT_READ, answer)
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            try:
                key.data(key.fileobj, *key.fileobj.recvfrom(65536))
            except OSError:
                pass  # an ICMP error about an answer: of no concern to the others


if __name__ == "__main__":
    main(*sys.argv[1:])
