"""A command that is root inside and wants the host's loopback, the LAN, or the engine's end.

Judges: a capture on the host's loopback, listeners there (guest/ears.py), the one on the wire.
"""

import os

import pytest

from conftest import PLAIN
from lab import (DNS, EARS_LOOPBACK, EARS_WILDCARD, HOST4, HOST6, NOBODY, PYTHON,
                 WEB)  # fmt: skip

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

EARS = [EARS_LOOPBACK, EARS_WILDCARD]
HOP_BY_HOP, ICMP, TCP, UDP, ICMPV6 = 0, 1, 6, 17, 58
FETCH = "curl -sS http://www.example.net/hello"
HELLO = "hello from the internet\n"
STORM = os.environ.get("STORM", "20000")  # frames
LIVE = os.environ.get("LIVE", "20")  # connections, and as many datagram sockets


@pytest.fixture
def frames(lab, sandbox):
    """Runs guest/frames.py as root inside, once for each list of arguments, then fetches."""

    def run(*lists, then=FETCH):
        program = f'/usr/bin/python3 {lab.top}/bin/frames.py "$@"'
        sets = "".join(f"set -- {' '.join(map(str, words))}; {program}; " for words in lists)
        return sandbox("sh", "-ec", sets + then, options=["--as-root"])

    return run


class Judges:
    def __init__(self, lab):
        self.lab = lab
        self.before = lab.loopback.mark(), lab.wire.mark(), lab.heard.stat().st_size

    def heard(self):
        """What came to the host's loopback: its packets, and the lines of the listeners."""
        packets = self.lab.loopback.since(self.before[0])
        lines = self.lab.heard.read_text()[self.before[2] :].splitlines()
        return packets, [line for line in lines if not line.startswith("udp 127.0.0.1 9 ")]

    def sent(self):
        """{(protocol, target, port)} of what left the host by the wire, without its ND and MLD."""
        packets = self.lab.wire.since(self.before[1])
        return {
            (p.protocol, p.target, p.target_port) for p in packets
            if p.source not in {*WEB.values(), *NOBODY.values(), *DNS.values()}
            and not (p.protocol == ICMPV6 and 130 <= p.data[0] <= 143)
            and (p.protocol, p.target) != (HOP_BY_HOP, "ff02::16")
        }  # fmt: skip


@pytest.fixture
def judges(lab):
    return Judges(lab)


def fetching():
    """What a fetch may put on the wire."""
    return {(TCP, a, 80) for a in WEB.values()} | {(UDP, a, 53) for a in DNS.values()}


def knocks(port):
    """What `frames.py good` with NOBODY's addresses puts there."""
    return {(p, a, port) for p in (TCP, UDP) for a in NOBODY.values()}


def pings():
    """And this, where the host lets us ping; else a line on stderr says that it doesn't."""
    return {(ICMP, NOBODY[4], 0), (ICMPV6, NOBODY[6], 0)}


def said(seen):
    return [line for line in seen.err.splitlines() if "ping can't leave" not in line]


KNOCK = ["good", NOBODY[4], NOBODY[6], 90]


def test_the_ears_hear(lab, outside, judges):
    """What the other tests want not to see can be seen."""
    script = """
import socket, sys
for port, *addresses in ((int(sys.argv[1]), "127.0.0.1", "::1"),
                         (int(sys.argv[2]), "127.0.0.1", "127.255.1.2", "0.0.0.0", "::1", "::")):
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        socket.socket(family).connect((address, port))
        socket.socket(family, socket.SOCK_DGRAM).sendto(b"x", (address, port))
"""
    seen = outside("/usr/bin/python3", "-c", script, *EARS)
    assert seen.status == 0, seen
    packets, lines = judges.heard()
    assert len(lines) == 14 and len({(p.protocol, p.target) for p in packets}) >= 6, lines


def test_raw_frames_to_the_hosts_own_address(lab, frames, judges):
    """They arrive, by design: so frames of this make do reach a listener, if let."""
    assert frames(["good", HOST4, HOST6, EARS_WILDCARD]).out == "sent\n" + HELLO
    assert len(judges.heard()[1]) == 4


def test_raw_frames_to_loopback_and_to_many(lab, frames, judges):
    seen = frames(*(["martians", port] for port in EARS), KNOCK)
    assert (seen.status, seen.out, said(seen)) == (0, "sent\n" * 3 + HELLO, []), seen
    assert judges.heard() == ([], [])
    sent = judges.sent()
    assert sent >= knocks(90) and sent <= knocks(90) | pings() | fetching()


def test_raw_frames_from_other_sources(lab, frames, judges):
    seen = frames(["spoofed", WEB[4], WEB[6], 81], ["spoofed", DNS[4], DNS[6], 53], KNOCK)
    assert (seen.status, seen.out, said(seen)) == (0, "sent\n" * 3 + HELLO, []), seen
    assert judges.heard() == ([], [])
    sent = judges.sent()
    assert sent >= knocks(90) and sent <= knocks(90) | pings() | fetching()


# The local table comes last, so that what is another table's business leaves by the tap.
TO_THE_TAP = """
    for v in -4 -6; do ip $v rule add pref 9 lookup local; ip $v rule add pref 1 lookup main; done
    ip -4 rule del pref 0; ip -6 rule del pref 0
    sysctl -qw net.ipv4.conf.tap0.route_localnet=1 2>/dev/null || : # not as real root
    ip route add 127.0.0.0/8 dev tap0 via $via onlink src $own
    ip -6 route add ::1/128 dev tap0 via $via6
"""
DELETED = "ip address flush dev lo; ip link set lo down;" + TO_THE_TAP
NEIGHBOURS = """
    for a in $via $via6; do ip neighbour replace $a lladdr {0} dev tap0 nud permanent; done
"""
MOVES = {
    "loopback-deleted": (DELETED, ""),
    "loopback-on-tap": (
        f"{DELETED} ip address add 127.0.0.2/32 dev tap0; "
        "ip route change 127.0.0.0/8 dev tap0 via $via onlink src 127.0.0.2",
        "ip address del 127.0.0.2/32 dev tap0"),
    "own-address": (
        f"{DELETED} ip address add {HOST4}/32 dev tap0; "
        f"ip route change 127.0.0.0/8 dev tap0 via $via onlink src {HOST4}",
        f"ip address del {HOST4}/32 dev tap0"),
    "own-mac": (
        f"{DELETED} ip link set tap0 address 02:00:00:00:00:77; {NEIGHBOURS.format('$peer')}",
        f"ip link set tap0 address $mac; {NEIGHBOURS.format('$peer')}"),
    "gateway": (DELETED + NEIGHBOURS.format("ff:ff:ff:ff:ff:ff"), NEIGHBOURS.format("$peer")),
}  # fmt: skip
# Without it the child's kernel would not take answers to its own address for its own.
RULES_BACK = "ip -4 rule add pref 0 lookup local; ip -6 rule add pref 0 lookup local;"


@pytest.mark.parametrize("move", MOVES)
def test_moved_addresses(sandbox, frames, judges, move):
    """Ordinary sockets, once nothing holds their packets inside: they leave, and end there."""
    there, back = MOVES[move]
    seen = frames(["moved", f"'{there}'", f"'{RULES_BACK}{back}'", *EARS])
    left, *rest = seen.out.splitlines() or [""]
    assert (seen.status, rest, seen.err) == (0, ["sent", HELLO.strip()], ""), seen
    # Real root can't set route_localnet (/proc/sys is read-only), so has no such source.
    no_v4 = sandbox.who == "root" and move == "loopback-on-tap"
    expected = {"::1"} if no_v4 else {"127.0.0.1", "127.255.1.2", "::1"}
    assert expected <= {*left.split()}
    assert judges.heard() == ([], [])
    assert judges.sent() <= fetching()


def test_port_0(sandbox, family):
    """Nobody can listen on it. No capability is needed to try."""
    script = f"""
import socket
for _ in range(3):
    sock = socket.socket(socket.{"AF_INET6" if family == 6 else "AF_INET"})
    print(sock.connect_ex(({WEB[family]!r}, 0)) == 111, flush=True)
"""
    seen = sandbox("sh", "-c", f'{PYTHON} -c "$0" && {FETCH}', script)
    assert (seen.status, seen.out) == (0, "True\n" * 3 + HELLO), seen


def test_a_storm_of_malformed_frames(lab, sandbox):
    """Living conversations beside it stay exact."""
    storm = ["/usr/bin/python3", lab.top / "bin/frames.py", "storm", 1, STORM, NOBODY[4], NOBODY[6]]
    live = ["/usr/bin/python3", lab.top / "bin/live.py", WEB[4], WEB[6], LIVE, "--"]
    seen = sandbox(*live, *storm, options=["--as-root"], timeout=600)
    assert (seen.status, seen.out, said(seen)) == (0, "sent\nexact\n", []), seen
