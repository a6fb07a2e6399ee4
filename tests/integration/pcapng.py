"""Reads pcapng strictly: what is not as draft-ietf-opsawg-pcapng says is an AssertionError.

check() also has tshark and capinfos read the file, as users will.
"""

import dataclasses
import subprocess

import capture

SECTION, INTERFACE, NAMES, STATISTICS, PACKET, SECRETS = 0x0A0D0D0A, 1, 4, 5, 6, 10
CUSTOM = 0xBAD
COMMENT = 1
# The fixed part of each block's body.
FIXED = {SECTION: 16, INTERFACE: 8, STATISTICS: 12}
OUT, IN = 2, 1


@dataclasses.dataclass
class Block:
    kind: int
    body: bytes
    options: list  # of (code, bytes)

    def option(self, code):
        values = [v for c, v in self.options if c == code]
        assert len(values) <= 1 or code == COMMENT, "an option that may stand once, twice"
        return values[0] if values else None

    def number(self, code):
        return int.from_bytes(self.option(code), "little")

    def comments(self):
        return [v.decode() for c, v in self.options if c == COMMENT]


@dataclasses.dataclass
class Packet(Block):
    time_ns: int
    frame: bytes
    original: int

    @property
    def outbound(self):
        return self.number(2) == OUT

    @property
    def pid(self):
        return int.from_bytes(self.option(8)[:4], "little") if self.option(8) else None

    def parsed(self):
        return capture.parse_frame(self.frame)


def padded(n):
    return n + -n % 4


def read_options(raw):
    options, at = [], 0
    while at < len(raw):
        code, length = (int.from_bytes(raw[at + i : at + i + 2], "little") for i in (0, 2))
        value = raw[at + 4 : at + 4 + length]
        assert len(value) == length and not any(raw[at + 4 + length : at + 4 + padded(length)])
        at += 4 + padded(length)
        if code == 0:
            assert length == 0 and at == len(raw), "something behind the end of options"
            return options
        options.append((code, value))
    assert not raw, "options without an end"
    return options


def read_packet(body):
    assert int.from_bytes(body[:4], "little") == 0, "an interface that isn't there"
    high, low, kept, original = (
        int.from_bytes(body[4 + i : 8 + i], "little") for i in (0, 4, 8, 12)
    )
    assert kept <= original and not any(body[20 + kept : 20 + padded(kept)])
    options = read_options(body[20 + padded(kept) :])
    return Packet(PACKET, body, options, high << 32 | low, body[20 : 20 + kept], original)


def read_block(kind, body):
    if kind == PACKET:
        return read_packet(body)
    if kind in FIXED:
        return Block(kind, body, read_options(body[FIXED[kind] :]))
    assert kind in (NAMES, SECRETS, CUSTOM), f"block type {kind:#x}"
    return Block(kind, body, [])


def parse(raw):
    """All blocks of a file."""
    blocks, at = [], 0
    while at < len(raw):
        kind, length = (int.from_bytes(raw[at + i : at + i + 4], "little") for i in (0, 4))
        assert length >= 12 and length % 4 == 0 and at + length <= len(raw), "a block's length"
        assert raw[at + length - 4 : at + length] == raw[at + 4 : at + 8], "its copy at the end"
        blocks.append(read_block(kind, raw[at + 8 : at + length - 4]))
        at += length
    assert [b.kind for b in blocks[:2]] == [SECTION, INTERFACE], "what a file begins with"
    assert blocks[0].body[:4] == (0x1A2B3C4D).to_bytes(4, "little")
    assert not any(b.kind in (SECTION, INTERFACE) for b in blocks[2:])
    return blocks


def whole(raw):
    """Without the part of a block at its end."""
    at = 0
    while at + 8 <= len(raw):
        length = int.from_bytes(raw[at + 4 : at + 8], "little")
        if at + length > len(raw):
            break
        at += length
    return raw[:at]


def run_quietly(*argv):
    """What a program says of a file, which must be no warning."""
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=300)
    words = [line for line in done.stderr.splitlines() if "could be dangerous" not in line]
    assert done.returncode == 0 and not words, (argv, words)
    return done.stdout


def tshark(path, *arguments):
    """tshark's lines about a file, with all checksums looked at."""
    checks = [f"-o{p}.check_checksum:TRUE" for p in ("ip", "tcp", "udp")]
    return run_quietly("tshark", "-n", "-r", path, *checks, *arguments).splitlines()


BAD = ("tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment || ip.checksum.status==0 || "
       "tcp.checksum.status==0 || udp.checksum.status==0 || icmp.checksum.status==0 || "
       "icmpv6.checksum.status==0 || _ws.malformed")


def check(path, complete=True):
    """The blocks of a file that everybody can read, whose packets are all right."""
    blocks = parse(path.read_bytes())
    packets = [b for b in blocks if b.kind == PACKET]
    run_quietly("capinfos", path)
    if complete:
        assert blocks[-1].kind == STATISTICS, "the file has no end"
        assert blocks[-1].number(4) == len(packets) + blocks[-1].number(5)
    assert tshark(path, "-Y", BAD) == []
    others = sum(b.kind == CUSTOM for b in blocks)  # tshark counts them, LIBRARIES.md
    assert len(tshark(path, "-T", "fields", "-e", "frame.number")) == len(packets) + others
    return blocks


def packets(blocks):
    return [b for b in blocks if b.kind == PACKET]


def stream(blocks, port, outbound):
    """The bytes that one side of the TCP connections to `port` has sent, in sequence order."""
    pieces, begin = {}, None
    for packet in packets(blocks):
        if packet.outbound != outbound:
            continue
        seen = packet.parsed()
        if not seen or seen.protocol != 6 or port not in (seen.source_port, seen.target_port):
            continue
        ip = packet.frame[14:]
        size = int.from_bytes(ip[2:4], "big") if ip[0] >> 4 == 4 else (
            40 + int.from_bytes(ip[4:6], "big"))
        header = (ip[0] & 15) * 4 if ip[0] >> 4 == 4 else 40
        tcp = ip[header:size]
        sequence = int.from_bytes(tcp[4:8], "big")
        if seen.flags & capture.SYN:
            assert begin in (None, sequence), "more than one connection"
            begin = sequence
        data = tcp[(tcp[12] >> 4) * 4 :]
        if data:
            pieces[(sequence - begin - 1) % (1 << 32)] = data
    out = bytearray()
    for at in sorted(pieces):
        assert at <= len(out), "a gap"
        out[at:] = pieces[at]
    return bytes(out)
