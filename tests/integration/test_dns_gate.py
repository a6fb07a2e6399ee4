"""What is not one plain question gets an error at once, and nobody outside hears of it.

The judge is the wire: of all that was sent, only the fence's question may have crossed it.
"""

import struct

import pytest

from capture import SYN
from lab import DNS, PYTHON

RD = 0x0100
A, CNAME, SOA, TXT, AAAA, OPT = 1, 5, 6, 16, 28, 41
IN, CH, HS, NONE, ANY = 1, 3, 4, 254, 255


def name(*labels):
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def header(questions=1, answers=0, authority=0, extra=0, flags=RD):
    return struct.pack("!5H", flags, questions, answers, authority, extra)


def question(owner=None, kind=A, klass=IN):
    return (owner or name(b"odd", b"example", b"net")) + struct.pack("!2H", kind, klass)


def opt(version=0, data=b"", length=None):
    length = len(data) if length is None else length
    return b"\0" + struct.pack("!HHBBHH", OPT, 1232, 0, version, 0, length) + data


def record(owner=b"\xc0\x0c", kind=A, data=b"\1\2\3\4"):
    return owner + struct.pack("!HHIH", kind, IN, 60, len(data)) + data


def opcode(number):
    return number << 11 | RD


LABEL63 = b"a" * 63
FORMERR, NOTIMP, REFUSED, BADVERS = "1", "4", "5", "0"  # 16: its lower four bits
NOTHING = "nothing"

ODD = {
    "no question": (header(0), FORMERR),
    "two questions": (header(2) + question() * 2, FORMERR),
    "a second question that isn't there": (header(2) + question(), FORMERR),
    "65535 questions": (header(65535) + question(), FORMERR),
    "an answer": (header(answers=1) + question() + record(), FORMERR),
    "an authority record": (header(authority=1) + question() + record(), FORMERR),
    "an additional record": (header(extra=1) + question() + record(b"\0"), FORMERR),
    "the name is a pointer": (header() + question(b"\xc0\x0c"), FORMERR),
    "the name ends in a pointer": (header() + question(b"\3odd\xc0\x0c"), FORMERR),
    "a pointer forwards": (header() + question(b"\xc0\x12") + name(b"odd"), FORMERR),
    "a label of 64": (header() + question(b"\x40" + b"a" * 64 + b"\0"), FORMERR),
    "a label of an unknown type": (header() + question(b"\x81a\0"), FORMERR),
    "a name of 257": (header() + question(name(*[LABEL63] * 4)), FORMERR),
    "a name without an end": (header() + b"\3odd", FORMERR),
    "a label past the end": (header() + b"\x3fodd", FORMERR),
    "no class": (header() + question()[:-2], FORMERR),
    "half a class": (header() + question()[:-1], FORMERR),
    "a byte behind": (header() + question() + b"x", FORMERR),
    "a question behind": (header() + question() * 2, FORMERR),
    "type 0": (header() + question(kind=0), FORMERR),
    "type OPT": (header() + question(kind=OPT), FORMERR),
    "OPT twice": (header(extra=2) + question() + opt() * 2, FORMERR),
    "OPT not announced": (header() + question() + opt(), FORMERR),
    "OPT announced, not there": (header(extra=1) + question(), FORMERR),
    "OPT cut": (header(extra=1) + question() + opt()[:-1], FORMERR),
    "OPT longer than the message": (header(extra=1) + question() + opt(length=9), FORMERR),
    "an option longer than OPT": (header(extra=1) + question() + opt(data=b"\0\1\0\7x"), FORMERR),
    "OPT with a name": (header(extra=1) + question() + b"\1x" + opt(), FORMERR),
    "a byte behind OPT": (header(extra=1) + question() + opt() + b"x", FORMERR),
    "EDNS 1": (header(extra=1) + question() + opt(version=1), BADVERS),
    "a dot in a label": (header() + question(name(b"odd.example", b"net")), REFUSED),
    "a dot for a label": (header() + question(name(b".", b"net")), REFUSED),
    "a NUL in a label": (header() + question(name(b"odd\0", b"example", b"net")), REFUSED),
    "IQUERY": (header(flags=opcode(1)) + question(), NOTIMP),
    "STATUS": (header(flags=opcode(2)) + question(), NOTIMP),
    "NOTIFY": (header(flags=opcode(4)) + question(kind=SOA), NOTIMP),
    "UPDATE": (header(flags=opcode(5)) + question(kind=SOA), NOTIMP),
    "opcode 15": (header(flags=opcode(15)) + question(), NOTIMP),
    "TKEY": (header() + question(kind=249), NOTIMP),
    "TSIG": (header() + question(kind=250), NOTIMP),
    "IXFR": (header() + question(kind=251), NOTIMP),
    "AXFR": (header() + question(kind=252), NOTIMP),
    "class CH": (header() + question(name(b"version", b"bind"), TXT, CH), NOTIMP),
    "class HS": (header() + question(klass=HS), NOTIMP),
    "class NONE": (header() + question(klass=NONE), NOTIMP),
    "class ANY": (header() + question(klass=ANY), NOTIMP),
    "class 0": (header() + question(klass=0), NOTIMP),
    "an answer, not a query": (header(flags=0x8000 | RD) + question(), NOTHING),
    "half a header": (header()[:6], NOTHING),
    "an ID only": (b"", NOTHING),
}

FENCE = header() + question(name(b"www", b"example", b"net"))


def asked_on_the_wire(packets):
    """The questions in datagrams to port 53, cut to the length of FENCE's, in lower case.

    Without those for addresses: the lab's web servers look up their own when they start.
    """
    asked = [p.data.lower() for p in packets if p.protocol == 17 and p.target_port == 53]
    return {data[12 : 2 + len(FENCE)] for data in asked if b"\4arpa\0" not in data}


@pytest.mark.parametrize("server", ["gateway", "another"])
def test_odd_queries_stay_inside(lab, sandbox, server, family):
    assert len(ODD) >= 30
    lines = "".join(f"{message.hex()}\n" for message, _ in ODD.values())
    gateway = "$(awk '/^nameserver/ && /[" + {4: ".", 6: ":"}[family] + "]/ { print $2 }' " \
        "/etc/resolv.conf)"
    host = gateway if server == "gateway" else DNS[family]
    script = f'exec {PYTHON} {lab.top}/bin/odd_dns.py "{host}" {FENCE.hex()}'
    mark = lab.wire.mark()
    seen = sandbox("sh", "-c", script, input=lines)
    packets = lab.wire.since(mark)
    assert (seen.status, seen.err) == (0, ""), seen
    assert asked_on_the_wire(packets) == {FENCE[10:]}
    assert not [p for p in packets if p.target_port == 53 and p.flags & SYN]
    got = dict(zip(ODD, seen.out.splitlines(), strict=True))
    assert got == {what: f"{wanted} {wanted}" for what, (_, wanted) in ODD.items()}
