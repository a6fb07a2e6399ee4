"""Root's games with the network: sends raw frames from every kind of source, then says so."""

import socket
import struct
import sys


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(source, target, port):
    source, target = socket.inet_aton(source), socket.inet_aton(target)
    tcp = struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 5 << 4, 2, 64240, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + source + target
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


def main(gateway_mac, port, *pairs):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind(("tap0", 0))
    mac = bytes.fromhex(gateway_mac.replace(":", ""))
    for source, target in zip(pairs[::2], pairs[1::2]):
        frame = mac + link.getsockname()[4] + b"\x08\x00" + syn(source, target, int(port))
        # Behind the header of the tap's offloads, which AF_PACKET does not ask for.
        assert link.send(frame) == len(frame)
    print("sent")


main(*sys.argv[1:])
