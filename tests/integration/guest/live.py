"""Conversations beside what another program does: live.py HOST4 HOST6 COUNT -- COMMAND...

COUNT connections and as many datagram sockets are asked in turn until the command has ended,
at least once after that; each answer must be exact. Prints what the command said, then how it
went.
"""

import select
import socket
import subprocess
import sys

import server
import udp_server


def talk(stream, number):
    """A line to the connection, back in capitals."""
    line = b"round %d of one that lives\n" % number
    stream.write(line)
    stream.flush()
    answer = stream.readline()
    assert answer == line.upper(), answer


def ask(sock, number):
    """The echo; a datagram may be lost where queues are full, a wrong one may not come."""
    data = b"round %d" % number
    for _ in range(10):
        sock.send(data)
        while select.select([sock], [], [], 2)[0]:
            answer = sock.recv(100).partition(b" ")[2]
            if answer == data:
                return
            assert int(answer.split()[1]) < number, answer
    raise AssertionError("no answer")


def main(host4, host6, count, _, *command):
    streams, socks = [], []
    for number in range(int(count)):
        host = (host4, host6)[number % 2]
        streams.append(socket.create_connection((host, server.BANNER), 20).makefile("rwb"))
        assert streams[-1].readline().startswith(b"220 ")
        socks.append(socket.socket((socket.AF_INET, socket.AF_INET6)[number % 2],
                                   socket.SOCK_DGRAM))  # fmt: skip
        socks[-1].connect((host, udp_server.ECHO))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    rounds, last = 0, False
    while not last:
        last = process.poll() is not None
        for stream, sock in zip(streams, socks):
            talk(stream, rounds)
            ask(sock, rounds)
        rounds += 1
    print(process.stdout.read(), end="")
    print("exact" if process.returncode == 0 and rounds > 1 else f"{rounds} rounds")


if __name__ == "__main__":
    main(*sys.argv[1:])
