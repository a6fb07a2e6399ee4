"""What the tests of the rules share: a part of the internet made for them, and its judges.

Its fixtures come into being by conftest.py, once for all modules.
"""

import json
import socket
import struct

import pytest

from capture import SYN
from lab import PYTHON, WEB
from polling import poll

# How a refusal looks to a program. "Administratively prohibited", as Linux tells it: IPv4 has
# no message that becomes EACCES.
TCP_BLOCKED = "ECONNREFUSED"
UDP_BLOCKED = {4: "EHOSTUNREACH", 6: "EACCES"}

# One address that several names share; guest/sinks.py tells what comes there.
SHARED = {4: "93.184.216.60", 6: "2606:4700:10::60"}
SINK_PORTS = HTTP, HTTPS, OTHER = 80, 443, 8443
BANNER = 7001  # guest/server.py: on every address of the internet

METADATA = ["169.254.169.254", "169.254.170.2", "169.254.170.23", "168.63.129.16",
            "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23",
            "fd20:ce::254"]  # fmt: skip
PRIVATE = ["10.1.2.3", "172.16.5.5", "172.31.255.254", "192.168.200.1", "100.64.1.1",
           "169.254.7.7", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1",
           "fc00::1", "fd12:3456::1", "2001:db8::1", "fec0::1", "64:ff9b:1::1",
           "100::1"]  # fmt: skip
# The IPv4 addresses inside are 10.1.2.3 and, for the last of each kind, 169.254.169.254.
EMBEDDED_PRIVATE = ["64:ff9b::a01:203", "2002:a01:203::1", "2001:0:a01:203::5db8:d822",
                    "2001:0:5db8:d822::f5fe:fdfc", "2606:4700:10::5efe:a01:203"]  # fmt: skip
EMBEDDED_METADATA = ["64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::5db8:d822",
                     "2606:4700:10::5efe:a9fe:a9fe"]  # fmt: skip

# The names' own server: every name in it is under example.net, but for those of others.
NAMES = {4: "93.184.216.55", 6: "2606:4700:10::55"}
INNER = "10.1.2.3", "10.1.2.4"
RECORDS = {
    "www.example.net": WEB.values(), "v4.example.net": [WEB[4]],
    "allowed.example.net": SHARED.values(), "api.allowed.example.net": SHARED.values(),
    "denied.example.net": SHARED.values(), "notallowed.example.net": SHARED.values(),
    "evil.example.com": SHARED.values(),
    "to-metadata.example.net": ["169.254.169.254"], "to-metadata6.example.net": ["fd00:ec2::254"],
    "to-loopback.example.net": ["127.0.0.1", "::1"], "to-nothing.example.net": ["0.0.0.0", "::"],
    "to-mapped.example.net": ["::ffff:127.0.0.1"], "to-nat64.example.net": ["64:ff9b::7f00:1"],
    "to-multicast.example.net": ["224.0.0.251", "ff02::fb"],
    "to-link.example.net": ["169.254.7.7", "fe80::1"],
    "to-private.example.net": [INNER[0]], "inner.example.com": [INNER[1]],
    "to-ula.example.net": ["fd12:3456::1"],
    "to-both.example.net": [WEB[4], "169.254.169.254"],
}  # fmt: skip
ALIASES = {
    "alias.example.net": "www.example.net", "chain.example.net": "alias.example.net",
    "cloaked.example.net": "evil.example.com", "inward.example.net": "inner.example.com",
}  # fmt: skip


def https_record(*parameters):
    """RFC 9460: priority 1, the name itself, parameters as (key, value)."""
    wire = b"".join(struct.pack("!HH", key, len(v)) + v for key, v in parameters)
    return (b"\0\1\0" + wire).hex(":")


ALPN, HINT4, ECH, HINT6 = (1, b"\x02h2"), 4, (5, b"\0\x08lab-keys"), 6
HTTPS_RECORDS = {
    "svc.example.net": https_record(
        ALPN, (HINT4, socket.inet_aton(SHARED[4])), ECH,
        (HINT6, socket.inet_pton(socket.AF_INET6, SHARED[6]))),
    "to-loopback.example.net": https_record(ALPN, (HINT4, socket.inet_aton("127.0.0.1"))),
    "to-private.example.net": https_record(ALPN, (HINT4, socket.inet_aton(INNER[0]))),
}  # fmt: skip


HOP_BY_HOP, TCP, UDP, ICMPV6 = 0, 6, 17, 58


def family_of(address):
    return 6 if ":" in address else 4


class RulesLab:
    def __init__(self, lab):
        self.lab, self.events = lab, lab.top / "run" / "sink-events"
        ports = ",".join(map(str, SINK_PORTS))
        sinks = [PYTHON, lab.top / "bin/sinks.py", self.events, ports]
        lab._serve_ready(lab.internet, [*sinks, *SHARED.values()])
        records = [f"--host-record={name},{a}" for name, all in RECORDS.items() for a in all]
        aliases = [f"--cname={name},{target}" for name, target in ALIASES.items()]
        https = [f"--dns-rr={name},65,{value}" for name, value in HTTPS_RECORDS.items()]
        lab._serve(lab.internet, [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=", "--group=", "--pid-file=", "--log-facility=/dev/null", "--bind-interfaces",
            *(f"--listen-address={a}" for a in (*NAMES.values(), INNER[0])), "--local=/net/", "--local=/com/",
            "--local-ttl=1", *records, *aliases, *https,
        ])
        poll(lambda: lab.internet.listens(53, "udp", NAMES[4]), "the rules' name server")

    def mark(self):
        return self.events.stat().st_size

    def sunk(self, mark, count):
        """[(address, port, bytes)] of the connections ended since the mark, once so many have."""
        def read():
            lines = self.events.read_bytes()[mark:].split(b"\n")[:-1]
            return lines if len(lines) >= count else None
        events = map(json.loads, poll(read, f"{count} connections to the sinks"))
        return [(e["address"], e["port"], e["bytes"]) for e in events]


@pytest.fixture(scope="session")
def rules_lab(lab):
    addresses = {*SHARED.values(), *NAMES.values(), *METADATA, *PRIVATE, *EMBEDDED_PRIVATE,
                 *EMBEDDED_METADATA, *INNER}  # fmt: skip
    with lab.more_addresses(lab.internet, *addresses):
        yield RulesLab(lab)


@pytest.fixture
def rules(rules_lab, resolv_conf):
    """The rules' part of the internet, whose name server is the host's resolver."""
    resolv_conf(*(f"nameserver {a}" for a in NAMES.values()))
    return rules_lab


def attempt(run, name, *words, **how):
    """Runs one of guest/attempts.py's programs."""
    return run(PYTHON, run.lab.top / "bin/attempts.py", name, *words, **how)


def targets(addresses, port):
    return [word for a in addresses for word in (a, port)]


def lines(seen):
    """The last word of each line, the outcome."""
    assert seen.status == 0, seen
    return [line.split()[-1] for line in seen.out.splitlines()]


class Wire:
    """What has crossed the link since this was made."""

    def __init__(self, lab):
        self.lab, self.mark = lab, lab.wire.mark()

    def packets(self):
        """Without what the kernels at both ends tell each other as neighbours."""
        return [p for p in self.lab.wire.since(self.mark) if not is_of_neighbours(p)]

    def targets(self):
        return {p.target for p in self.packets()}

    def asked(self):
        """Whom DNS was asked of, over UDP or TCP."""
        return {p.target for p in self.packets()
                if p.target_port == 53 and (p.protocol == UDP or p.flags & SYN)}

    def questions(self):
        """The names asked by datagrams."""
        return {question_name(p.data) for p in self.packets()
                if p.target_port == 53 and p.protocol == UDP}


def is_of_neighbours(packet):
    """Neighbour discovery and MLD; the latter stands behind a hop-by-hop header."""
    return packet.protocol == HOP_BY_HOP or (
        packet.protocol == ICMPV6 and 130 <= packet.data[0] <= 143)  # fmt: skip


def question_name(message):
    labels, at = [], 12
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels)


@pytest.fixture
def wire(lab):
    return Wire(lab)
