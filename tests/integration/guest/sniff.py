"""Writes what crosses an interface into a pcap file: sniff.py INTERFACE FILE

Of TCP only the segments that begin or reset a connection, of everything else all. (tcpdump
would do, but can't give up root in a user namespace that knows no other user.)
"""

import os
import socket
import struct
import sys
import time

import rcvbuf

ETH_P_ALL = 3
SNAPLEN = 1600
SYN_OR_RST = 2 | 4


def is_bulk(frame):
    kind = frame[12:14]
    if kind == b"\x08\x00" and frame[23] == socket.IPPROTO_TCP:
        flags = frame[14 + (frame[14] & 15) * 4 + 13]
    elif kind == b"\x86\xdd" and frame[20] == socket.IPPROTO_TCP:
        flags = frame[14 + 40 + 13]
    else:
        return False
    return not flags & SYN_OR_RST


def main(interface, path):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    # Room for what comes faster than it is written: a frame that is lost here judges nobody.
    rcvbuf.widen(sock, 1 << 26)
    sock.bind((interface, ETH_P_ALL))
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    # pcap-savefile(5): a header with the link type 1, Ethernet; then records.
    os.write(out, struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, 1))
    print("ready", flush=True)
    while True:
        frame = sock.recv(SNAPLEN)
        if not is_bulk(frame):
            seconds, fraction = divmod(time.time_ns(), 10**9)
            head = struct.pack("=IIII", seconds, fraction // 1000, len(frame), len(frame))
            os.write(out, head + frame)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
