"""Sends DNS messages as they are: odd_dns.py HOST FENCE <HEX-LINES.

Each line is a message in hexadecimal, without its ID. It is sent over UDP, and over a TCP
connection of its own; a line of the output has what came back by either: the rcode, or
"nothing". FENCE is a question that will be answered: what has had no answer when FENCE's comes
gets none.
"""

import socket
import struct
import sys


def rcode(answer):
    return str(answer[3] & 15)


def by_datagram(family, host, messages, fence):
    """The answers, by the number of their message."""
    answers = {}
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((host, 53))
        sock.settimeout(20)
        for number, message in enumerate([*messages, fence]):
            sock.send(struct.pack("!H", number) + message)
        while len(messages) not in answers:
            answer = sock.recv(65535)
            answers[int.from_bytes(answer[:2], "big")] = rcode(answer)
    return answers


def by_connection(host, number, message):
    with socket.create_connection((host, 53), 20) as sock, sock.makefile("rwb") as stream:
        query = struct.pack("!H", number) + message
        stream.write(struct.pack("!H", len(query)) + query)
        stream.flush()
        try:
            prefix = stream.read(2)
        except ConnectionResetError:
            return "nothing"
        answer = stream.read(int.from_bytes(prefix, "big")) if prefix else b""
        assert not answer or answer[:2] == query[:2]
        return rcode(answer) if answer else "nothing"


def main():
    host, fence = sys.argv[1], bytes.fromhex(sys.argv[2])
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    messages = [bytes.fromhex(line) for line in sys.stdin]
    answers = by_datagram(family, host, messages, fence)
    for number, message in enumerate(messages):
        print(answers.get(number, "nothing"), by_connection(host, number, message))


main()
