"""The judge: what crossed the link between the lab's host and its internet.

guest/sniff.py writes the file, in the order in which the frames crossed; this module reads it.
Of TCP it has the segments that begin, refuse and reset connections.
"""

import dataclasses
import functools
import ipaddress
import struct
import uuid

from polling import poll

FILE_HEADER_SIZE = 24  # pcap-savefile(5)
SYN, RST, ACK = 2, 4, 16


@dataclasses.dataclass
class Packet:
    source: str
    target: str
    protocol: int
    source_port: int = 0
    target_port: int = 0
    flags: int = 0  # TCP
    header: bytes = b""  # of IP
    data: bytes = b""  # behind the UDP header; of other protocols, behind the IP header

    def is_syn_to(self, address):
        return self.target == address and self.flags & (SYN | ACK) == SYN


@functools.cache
def address(raw):
    return str(ipaddress.ip_address(raw))


def parse_frame(frame):
    """An Ethernet frame as a Packet, or None if it carries no IP."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == 0x0800:
        header = (frame[14] & 15) * 4
        source, target, protocol = frame[26:30], frame[30:34], frame[23]
        later_fragment = int.from_bytes(frame[20:22], "big") & 0x1FFF
    elif kind == 0x86DD:
        header = 40
        source, target, protocol = frame[22:38], frame[38:54], frame[20]
        later_fragment = False  # a fragment is a protocol of its own, 44
    else:
        return None
    packet = Packet(address(source), address(target), protocol)
    packet.header, packet.data = frame[14 : 14 + header], frame[14 + header :]
    if later_fragment:
        return packet
    if protocol in (6, 17):
        packet.source_port, packet.target_port = struct.unpack("!HH", packet.data[:4])
    if protocol == 6:
        packet.flags = packet.data[13]
    if protocol == 17:
        packet.data = packet.data[8:]
    return packet


class Wire:
    def __init__(self, path, send_marker):
        """send_marker(bytes): sends a datagram with just these bytes over the link."""
        self.path, self.send_marker = path, send_marker
        self.last_mark = FILE_HEADER_SIZE

    def _read(self, begin, end=None):
        with open(self.path, "rb") as file:
            file.seek(begin)
            return file.read(None if end is None else end - begin)

    def mark(self):
        """A place in the capture: everything sent so far is before it."""
        token = uuid.uuid4().bytes
        self.send_marker(token)
        # The token ends its record. What stands behind it may be written only in part.
        at = poll(lambda: self._read(self.last_mark).find(token) + 1, "the marker in the capture")
        self.last_mark += at - 1 + len(token)
        return self.last_mark

    def since(self, mark):
        """The packets that crossed the link from the mark to now, the oldest first."""
        raw = self._read(mark, self.mark())
        packets, at = [], 0
        # A record is seconds, fraction, length kept, length on the wire.
        while at < len(raw):
            kept = struct.unpack_from("I", raw, at + 8)[0]
            packets.append(parse_frame(raw[at + 16 : at + 16 + kept]))
            at += 16 + kept
        return [p for p in packets if p and not (p.protocol == 17 and p.target_port == 9)]
