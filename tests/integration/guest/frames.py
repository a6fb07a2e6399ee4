"""Root's games with the network: raw frames of every kind on tap0.

frames.py martians PORT        to every form of the host's own loopback, and to many hosts
frames.py spoofed TARGET4 TARGET6 PORT    from sources that are not the child's
frames.py good TARGET4 TARGET6 PORT       a well-formed SYN, datagram and echo request
frames.py disguised TARGET4 TARGET6 PORT  the same with options and headers in front, and in pieces
frames.py moved SCRIPT UNDO PORT...       ordinary sockets, between these two shell scripts
frames.py storm SEED COUNT TARGET4 TARGET6    malformed ones

Each ends when childflow has read all of them.
"""

import errno
import ipaddress
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
LOOPBACKS = ["127.0.0.1", "127.255.1.2", "0.0.0.0", "0.1.2.3", "::1", "::", "::ffff:127.0.0.1",
             "::ffff:0.0.0.0", "::127.0.0.1"]  # fmt: skip
# IPv4 in IPv6's clothes is no address of a wire, whoever is meant.
EMBEDDED = ["::ffff:93.184.216.54", "::93.184.216.54"]
MANY = ["224.0.0.251", "239.255.255.250", "255.255.255.255", "192.168.66.255",
        "ff02::fb", "ff05::c", "ff0e::1"]  # fmt: skip
SPOOFED = ["127.0.0.1", "0.0.0.0", "192.168.66.2", "93.184.216.54", "255.255.255.255",
           "224.0.0.1", "::1", "::", "2606:4700:66::2", "::ffff:192.168.66.2", "fe80::1:2",
           "ff02::1"]  # fmt: skip
VIA, VIA6 = "93.184.216.34", "2606:4700:10::34"
PORTS = [80, 53, 9, 0]  # of the frames that the storm's are made of


def ip_json(*arguments):
    return json.loads(subprocess.check_output(["ip", "-json", *arguments]))


class Link:
    """tap0, the child's addresses and the gateway behind it."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.bind(("tap0", 0))
        infos = ip_json("address", "show", "tap0")[0]["addr_info"]
        self.own = {a["family"]: a["local"] for a in infos if a["scope"] == "global"}
        self.gateway = ip_json("-4", "route", "show", "default")[0]["gateway"]
        mac = ip_json("neighbour", "show", self.gateway, "dev", "tap0")[0]["lladdr"]
        self.macs = bytes.fromhex(mac.replace(":", "")) + self.sock.getsockname()[4]

    def source(self, target):
        return self.own["inet6" if ":" in target else "inet"]

    def frame(self, source, target, protocol, port):
        return self.macs + packet(source, target, protocol, port)

    def send(self, frame):
        """Waits for room where there is none: a frame that is not sent tests nothing."""
        while True:
            try:
                return self.sock.send(frame)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                select.select([], [], [], 0.001)

    def settle(self):
        """Asks the gateway for an echo: its answer comes after all that was sent before."""
        answers = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        answers.bind(("tap0", 0x0800))
        self.send(self.frame(self.own["inet"], self.gateway, ICMP, 0))
        answers.settimeout(60)
        reply = socket.inet_aton(self.gateway) + socket.inet_aton(self.own["inet"])
        while (frame := answers.recv(2000))[26:35] != reply + b"\0":
            pass


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def payload(protocol, port):
    """A SYN, a datagram or an echo request, and where its checksum belongs."""
    if protocol == TCP:
        return struct.pack("!HHIIBBHHH", 999, port, 1, 0, 5 << 4, 2, 64240, 0, 0), 16
    if protocol == UDP:
        return struct.pack("!HHHH", 999, port, 13, 0) + b"hello", 6
    return struct.pack("!BBHHH", 8 if protocol == ICMP else 128, 0, 0, 7, 1) + b"hello", 2


def packet(source, target, protocol, port):
    """An Ethernet type and an IP packet; a mapped source or target makes it IPv6."""
    v6 = ":" in source or ":" in target
    data, at = payload(protocol, port)
    ends = [address_bytes(a, v6) for a in (source, target)]
    pseudo = b"" if protocol == ICMP else b"".join(ends) + struct.pack("!II", len(data), protocol)
    data = data[:at] + struct.pack("!H", checksum(pseudo + data)) + data[at + 2 :]
    if v6:
        head = struct.pack("!IHBB", 6 << 28, len(data), protocol, 64)
        return b"\x86\xdd" + head + b"".join(ends) + data
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 7, 0, 64, protocol, 0)
    head += b"".join(ends)
    return b"\x08\x00" + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data


def address_bytes(text, v6):
    address = ipaddress.ip_address(text)
    if v6 and address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def protocols(address):
    return TCP, UDP, ICMPV6 if ":" in address else ICMP


def martians(port):
    link = Link()
    for target in LOOPBACKS + EMBEDDED + MANY:
        for protocol in protocols(target):
            link.send(link.frame(link.source(target), target, protocol, int(port)))
    link.settle()


def spoofed(target4, target6, port):
    link = Link()
    for source in SPOOFED:
        for protocol in protocols(source):
            target = target6 if ":" in source else target4
            link.send(link.frame(source, target, protocol, int(port)))
    link.settle()


def good(target4, target6, port):
    link = Link()
    for target in (target4, target6):
        for protocol in protocols(target):
            link.send(link.frame(link.source(target), target, protocol, int(port)))
    link.settle()


# --- the same, but not plainly -----------------------------------------------------------------


def ipv4_with_options(frame, options):
    """A frame with IP options in front of its transport's header."""
    options += bytes(-len(options) % 4)
    head = bytearray(frame[14:34] + options)
    head[0] = 0x40 | len(head) // 4
    head[2:4] = struct.pack("!H", len(frame) - 14 + len(options))
    head[10:12] = bytes(2)
    head[10:12] = struct.pack("!H", checksum(bytes(head)))
    return frame[:14] + bytes(head) + frame[34:]


def ipv4_fragments(frame, *cuts):
    """A frame's datagram in pieces that begin at these offsets, each a multiple of 8."""
    for begin, end in zip(cuts, [*cuts[1:], None]):
        piece = frame[34:][begin:end]
        head = bytearray(frame[14:34])
        head[2:4] = struct.pack("!H", 20 + len(piece))
        head[6:8] = struct.pack("!H", begin // 8 | (0x2000 if end else 0))
        head[10:12] = bytes(2)
        head[10:12] = struct.pack("!H", checksum(bytes(head)))
        yield frame[:14] + bytes(head) + piece


def ipv6_fragments(frame, *cuts):
    for begin, end in zip(cuts, [*cuts[1:], None]):
        piece = frame[54:][begin:end]
        header = bytes([frame[20], 0]) + struct.pack("!HI", begin | (1 if end else 0), 7)
        length = struct.pack("!H", 8 + len(piece))
        yield frame[:18] + length + bytes([44]) + frame[21:54] + header + piece


def route_options(via):
    """RFC 791: loose and strict source route and record route, each with one address."""
    return [bytes([kind, 7, 4]) + socket.inet_aton(via) for kind in (131, 137, 7)]


def with_ttl(frame, ttl):
    """A frame that ends its way after so many hops, if it is let go."""
    if frame[12:14] == b"\x86\xdd":
        return frame[:21] + bytes([ttl]) + frame[22:]
    head = bytearray(frame[14:34])
    head[8] = ttl
    head[10:12] = bytes(2)
    head[10:12] = struct.pack("!H", checksum(bytes(head)))
    return frame[:14] + bytes(head) + frame[34:]


# IPv4, IPv6, GRE, ESP, AH, L2TP, SCTP, UDP-Lite: what may carry anything, and the last of all.
OTHER_PROTOCOLS = [4, 41, 47, 50, 51, 115, 132, 136, 255]


def disguises(link, target, port):
    source = link.source(target)
    yield from (link.frame(source, target, protocol, port) for protocol in OTHER_PROTOCOLS)
    for protocol in protocols(target):
        frame = link.frame(source, target, protocol, port)
        yield from (with_ttl(frame, ttl) for ttl in (0, 1, 2, 255))
        if ":" not in target:
            via = link.frame(source, VIA, protocol, port)
            yield from (ipv4_with_options(via, option) for option in route_options(target))
            yield from (ipv4_with_options(frame, option) for option in route_options(VIA))
            yield ipv4_with_options(frame, bytes([1] * 40))
            for cuts in ((0, 8), (0, 8, 16), (0, 16)):
                yield from ipv4_fragments(frame, *cuts)
                yield from reversed([*ipv4_fragments(frame, *cuts)])
            continue
        routing = bytes([0, 2, 0, 1, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, target)
        yield with_extension(link.frame(source, VIA6, protocol, port), 43, routing)
        yield from (with_extension(frame, kind, bytes([0, 0, 1, 4, 0, 0, 0, 0])) for kind in (0, 60))
        yield with_extension(with_extension(frame, 60, bytes([0, 0, 1, 4, 0, 0, 0, 0])), 0,
                             bytes([0, 0, 1, 4, 0, 0, 0, 0]))
        for cuts in ((0,), (0, 8), (0, 8, 16)):
            yield from ipv6_fragments(frame, *cuts)
            yield from reversed([*ipv6_fragments(frame, *cuts)])


def disguised(target4, target6, port):
    """VIA and VIA6 may be reached, the targets may not."""
    link = Link()
    for target in (target4, target6):
        for frame in disguises(link, target, int(port)):
            link.send(frame)
    link.settle()


# --- with the child's own kernel ---------------------------------------------------------------


def try_sockets(target, port):
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        try:
            sock.connect((target, port))
            sock.send(b"hello")
        except OSError:
            pass  # a connection that is not made yet, or no route


def moved(script, undo, *ports):
    """Prints the targets of what the kernel has sent out by tap0."""
    link = Link()
    environment = {
        **os.environ, "via": link.gateway, "own": link.own["inet"],
        "via6": ip_json("-6", "route", "show", "default")[0]["gateway"],
        "peer": link.macs[:6].hex(":"), "mac": link.macs[6:].hex(":"),
    }  # fmt: skip
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    out.bind(("tap0", 3))
    subprocess.run(["sh", "-ec", script], env=environment, check=True)
    for target in LOOPBACKS:
        for port in ports:
            try_sockets(target, int(port))
    out.setblocking(False)
    seen = set()
    while select.select([out], [], [], 0)[0]:
        frame, (_, kind, direction, *_) = out.recvfrom(2000)
        if direction == socket.PACKET_OUTGOING and kind in (0x0800, 0x86DD):
            ends = frame[30:34] if kind == 0x0800 else frame[38:54]
            seen.add(str(ipaddress.ip_address(ends)))
    link.settle()
    subprocess.run(["sh", "-ec", undo], env=environment, check=True)
    print(*sorted(seen))


# --- malformed ---------------------------------------------------------------------------------


def fix_ip(frame):
    """IPv4's checksum and both kinds' length, so that a frame gets past the first checks."""
    if frame[12:14] == b"\x08\x00":
        frame[14] = 0x40 | max(frame[14] & 15, 5)
        frame[16:18] = struct.pack("!H", len(frame) - 14)
        frame[24:26] = bytes(2)
        frame[24:26] = struct.pack("!H", checksum(bytes(frame[14 : 14 + (frame[14] & 15) * 4])))
    elif len(frame) >= 54:
        frame[14] = 0x60 | frame[14] & 15
        frame[18:20] = struct.pack("!H", len(frame) - 54)


def fix_transport(frame):
    """The transport's checksum, so that a frame gets past the second ones."""
    v4 = frame[12:14] == b"\x08\x00"
    begin = 14 + (frame[14] & 15) * 4 if v4 else 54
    protocol, ends = (frame[23], frame[26:34]) if v4 else (frame[20], frame[22:54])
    at = begin + {TCP: 16, UDP: 6}.get(protocol, 2)
    if len(frame) >= at + 2:
        frame[at : at + 2] = bytes(2)
        pseudo = struct.pack("!II", len(frame) - begin, protocol)
        total = checksum((b"" if protocol == ICMP else bytes(ends) + pseudo) + bytes(frame[begin:]))
        frame[at : at + 2] = struct.pack("!H", total)


def malformed(choose, seeds):
    """A frame with some of its bytes changed, cut off, or grown."""
    frame = bytearray(choose.choice(seeds))
    for _ in range(choose.randrange(1, 6)):
        # Most of the trouble is in the headers.
        frame[choose.randrange(14, min(len(frame), 80))] = choose.randrange(256)
    kind = choose.randrange(8)
    if kind == 0:
        del frame[choose.randrange(14, len(frame)) :]
    elif kind == 1:
        frame += choose.randbytes(choose.randrange(1, 1400))
    elif kind == 2:
        frame[12:14] = choose.randbytes(2)
    del frame[1514:]
    # Whole headers lead deeper in.
    if len(frame) >= 54:
        depth = choose.randrange(4)
        if depth > 0:
            fix_ip(frame)
        if depth > 1:
            fix_transport(frame)
    return bytes(frame)


def with_extension(frame, kind, header):
    """An IPv6 frame with another header in front of its transport's."""
    length = struct.pack("!H", len(frame) - 54 + len(header))
    header = frame[20:21] + header[1:]
    return frame[:18] + length + bytes([kind]) + frame[21:54] + header + frame[54:]


def with_options(frame, options):
    """An IPv4 TCP frame with options."""
    head = frame[:46] + bytes([5 + len(options) // 4 << 4]) + frame[47:]
    return head[:16] + struct.pack("!H", len(frame) - 14 + len(options)) + head[18:] + options


def seed_frames(link, targets):
    frames = []
    for target in targets:
        for protocol in protocols(target):
            frames += [link.frame(link.source(target), target, protocol, p) for p in PORTS]
    v4 = [f for f in frames if f[12:14] == b"\x08\x00"]
    v6 = [f for f in frames if f[12:14] == b"\x86\xdd"]
    pieces = [bytes(8), b"\0\0\0\1\0\0\0\7", b"\0\0\0\x10\0\0\0\7"]
    for frame in v6[:: len(PORTS)]:
        frames += [with_extension(frame, kind, bytes(8)) for kind in (0, 43, 60)]
        frames += [with_extension(frame, 44, piece) for piece in pieces]
    for flags in (b"\x20\0", b"\0\2", b"\x20\2"):
        frames += [f[:20] + flags + f[22:] for f in v4[:: len(PORTS)]]
    frames.append(with_options(v4[0], bytes([2, 4, 5, 180, 3, 3, 7, 1])))
    frames.append(with_options(v4[0], bytes([2, 4, 0, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 4, 2])))
    frames += [v4[0][:47] + bytes([flags]) + v4[0][48:] for flags in (0, 4, 16, 17, 24, 63, 255)]
    arp = struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + link.macs[6:] + bytes(4) + bytes(10)
    return [*frames, b"\xff" * 6 + link.macs[6:] + b"\x08\x06" + arp]


def storm(seed, count, *targets):
    link, choose = Link(), random.Random(int(seed))
    seeds = [*map(fixed, seed_frames(link, targets))]
    for _ in range(int(count)):
        link.send(malformed(choose, seeds))
    link.settle()


def fixed(frame):
    frame = bytearray(frame)
    if frame[12:14] != b"\x08\x06":
        fix_ip(frame)
        fix_transport(frame)
    return frame


if __name__ == "__main__":
    {f.__name__: f for f in (martians, spoofed, good, disguised, moved, storm)}[sys.argv[1]](*sys.argv[2:])
    print("sent")
