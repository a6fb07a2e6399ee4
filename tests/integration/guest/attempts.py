"""Tries what the rules may forbid: attempts.py NAME ARGUMENT...

Each prints a line per try: the target, and "ok" or the errno's name.
"""

import socket
import sys

from client import connected, outcome

DEADLINE = 10


def tcp(*targets):
    """HOST PORT HOST PORT...: how connect() went."""
    for host, port in zip(targets[::2], targets[1::2]):
        print(host, port, outcome(connected, host, port), flush=True)


def udp(*targets):
    """HOST PORT...: a datagram to each, and what its socket says of it: "silence" if nothing."""
    for host, port in zip(targets[::2], targets[1::2]):
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(DEADLINE)

        def exchange():
            sock.connect((host, int(port)))
            sock.send(b"hello")
            sock.recv(100)

        print(host, port, outcome(exchange), flush=True)


def shout(*groups):
    """A datagram to each group on the ports of those who answer names there; an error is fine."""
    for group in groups:
        family = socket.AF_INET6 if ":" in group else socket.AF_INET
        for port in (137, 138, 1900, 5353, 5355):
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                outcome(sock.sendto, b"who is there?", (group, port))
    print("sent")


def one_socket(*targets):
    """HOST PORT...: a datagram to each from one socket, and a second round."""
    sock = socket.socket(socket.AF_INET6 if ":" in targets[0] else socket.AF_INET,
                         socket.SOCK_DGRAM)
    for _ in range(2):
        for host, port in zip(targets[::2], targets[1::2]):
            outcome(sock.sendto, b"hello", (host, int(port)))
    sock.settimeout(DEADLINE)
    print(sock.recvfrom(100)[1][0])


def told():
    """Lines of "tcp HOST PORT" and "udp HOST PORT", each tried when it comes."""
    for line in sys.stdin:
        name, *words = line.split()
        PROGRAMS[name](*words)


PROGRAMS = {program.__name__: program for program in (tcp, udp, shout, one_socket, told)}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
