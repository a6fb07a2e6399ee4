"""ICMP queries of a raw socket (under --as-root), made to the last bit."""

import os
import select
import socket
import struct
import sys
import time


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def message(kind, code, ident, seq, data):
    """As IPv4 wants it; IPv6's checksum is the kernel's matter."""
    head = struct.pack("!BBHHH", kind, code, 0, ident, seq)
    return head[:2] + struct.pack("!H", checksum(head + data)) + head[4:] + data


def raw(address):
    if ":" in address:
        return socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def gateway(s):
    six = "-6" if s.family == socket.AF_INET6 else "-4"
    return os.popen(f"ip {six} route show default").read().split()[2]


def read(s, address, seconds=10):
    """The next ICMP message from there or the gateway that is no request; None if none comes."""
    senders = (address, gateway(s))
    end = time.monotonic() + seconds
    while select.select([s], [], [], max(0, end - time.monotonic()))[0]:
        data, who = s.recvfrom(65536)
        if s.family == socket.AF_INET:
            data = data[(data[0] & 15) * 4 :]
        if who[0] in senders and data[0] not in (8, 128):
            return data
    return None


def marked(address):
    """One request with everything chosen: what comes back must be the same."""
    s, v6 = raw(address), ":" in address
    if v6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 33)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0x28)
    else:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 33)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x28)
        s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    s.sendto(message(128 if v6 else 8, 0, 0x1234, 0x5678, b"marked payload"), (address, 0))
    reply = read(s, address)
    print(reply[0], reply[4:].hex() == (b"\x12\x34\x56\x78marked payload").hex())


def query(address, kind):
    """Another query: the type and code of the answer, and its identifier and number."""
    s = raw(address)
    s.sendto(message(int(kind), 0, 0x1234, 0x5678, b"\0" * 12), (address, 0))
    reply = read(s, address)
    print(reply[0], reply[1], reply[4:8].hex())


def flood(address, per_second, seconds, idents):
    """Requests at a rate; their identifiers change when there is more than one."""
    s, per_second, idents = raw(address), int(per_second), int(idents)
    s.setblocking(False)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    kind, count, sent, replies = 128 if ":" in address else 8, 0, 0, 0
    begin = time.monotonic()
    total = per_second * int(seconds)
    while sent < total:
        due = min(total, int((time.monotonic() - begin) * per_second))
        while sent < due:
            data = message(kind, 0, sent % idents, sent & 0xFFFF, b"x" * 56)
            try:
                s.sendto(data, (address, 0))
            except BlockingIOError:
                pass
            sent += 1
        select.select([s], [], [], 0.001)
        try:
            while True:
                data = s.recv(2048)
                kind_of = data[0] if kind == 128 else data[20]
                replies += kind_of in (0, 129)
        except BlockingIOError:
            count += 1
    took = time.monotonic() - begin
    print(f"{sent} sent, {replies} replies, {took:.1f} s", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
