"""Asks HOST whenever it is told to: asker.py HOST. Prints how it went.

Each line of the input names what to ask by: "datagram", always the same socket, or "connection",
always a new one.
"""

import errno
import socket
import sys

import server
import udp_server


def ask_datagram(sock, number):
    sock.send(b"%d" % number)
    while True:
        answer = sock.recv(100).split()[1]
        if answer == b"%d" % number:
            return
        assert int(answer) < number, answer


def ask_connection(host, number):
    with socket.create_connection((host, server.BANNER), 2) as conn:
        lines = conn.makefile("rwb", buffering=0)
        lines.readline()
        lines.write(b"question %d\n" % number)
        assert lines.readline() == b"QUESTION %d\n" % number


def outcome(ask, *arguments):
    try:
        ask(*arguments)
        return "ok"
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return errno.errorcode[error.errno]


def main(host):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(2)
    sock.connect((host, udp_server.ECHO))
    asks = {
        "datagram": lambda number: ask_datagram(sock, number),
        "connection": lambda number: ask_connection(host, number),
    }
    for number, line in enumerate(sys.stdin):
        print(*(outcome(asks[kind], number) for kind in line.split()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
