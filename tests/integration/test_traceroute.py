"""What counts hops and tells ports: inside as outside, behind one hop more.

A command inside has no privileges, so it is compared with one outside that gets none, either;
under --as-root with root's.
"""

import re
import shutil

import pytest

from lab import HOLE, PATH
from trail import CLOSED, END, END_MTU, FILTERED, HOPS, OPEN, PROHIBITED

ADDRESS = r"[0-9a-f]+[.:][0-9a-f.:]+"


def need(tool):
    return shutil.which(tool, path=PATH) or pytest.skip(f"{tool} is not installed")


class Pair:
    """Runs a command inside and outside, with root's rights or without any."""

    def __init__(self, lab, program, trail):
        self.lab, self.program, self.trail = lab, program, trail

    def run(self, who, privileged, argv):
        argv = [need(argv[0]), *argv[1:]]
        options = ["--as-root"] if privileged else []
        if argv[0].endswith("nmap") and not privileged:
            argv.append("--unprivileged")  # whoever's uid is 0 must be told
        self.trail.forget_paths()
        outside = self.lab.run(["setpriv", "--no-new-privs", *argv],
                               "root" if privileged else who)
        self.trail.forget_paths()
        inside = self.lab.run([*self.program(*options), *argv], who)
        return inside, outside


@pytest.fixture
def pair(lab, sandbox, program, trail):
    return Pair(lab, program, trail)


def hops(out):
    """Per line that begins with a hop's number: what stands behind it but for times."""
    found = {}
    for line in out.splitlines():
        if match := re.match(rf" *(\d+)[:.|?-]* +({ADDRESS}|\*|\?\?\?)(.*)", line):
            found[int(match[1])] = match[2]
    return [found[n] for n in sorted(found)]


def gateway_first(inside, outside, family):
    """The hops inside are those outside behind the gateway."""
    first, *others = hops(inside.out)
    assert first.startswith({4: "10.240.", 6: "fd42:"}[family]), inside
    assert others == hops(outside.out) == HOPS[family], (inside, outside)


# --- traceroute and its like ------------------------------------------------------------------

TRACE = ["traceroute", "-n", "-q", "2", "-w", "3"]


# One probe at a time: the error of one makes traceroute lose the next, outside no less.
ONE_BY_ONE = ["-I", "-N", "1"]


@pytest.mark.parametrize("argv", [TRACE, [*TRACE, *ONE_BY_ONE], ["tracepath", "-n"],
                                  [*TRACE, "-U", "-p", str(OPEN)]],
                         ids=["udp", "icmp", "tracepath", "udp-port"])  # fmt: skip
def test_without_privileges(pair, who, family, with_ping_sockets, argv):
    inside, outside = pair.run(who, False, [*argv, END[family]])
    gateway_first(inside, outside, family)
    assert "*" not in inside.out and "asymm" not in inside.out, inside


@pytest.mark.parametrize("how", [["-T", "-p", str(OPEN)], ["-T", "-p", str(CLOSED)], ["-I"], []],
                         ids=["tcp", "tcp-closed", "icmp", "udp"])  # fmt: skip
def test_as_root(pair, who, family, with_ping_sockets, how):
    inside, outside = pair.run(who, True, [*TRACE, *how, END[family]])
    gateway_first(inside, outside, family)
    assert "*" not in inside.out


def test_root_needs_no_ping_sockets(pair, ping_sockets, family):
    inside, outside = pair.run("root", True, [*TRACE, "-I", END[family]])
    gateway_first(inside, outside, family)


def test_datagrams_need_no_rights(pair, ping_sockets, family):
    inside, outside = pair.run("user", False, [*TRACE, END[family]])
    gateway_first(inside, outside, family)


def path(out):
    """The path's MTU as tracepath tells it, hop by hop, and its summary."""
    return re.findall(rf"^ *(\d+): +({ADDRESS}) .*pmtu (\d+)", out, re.M), re.search(
        r"Resume: pmtu (\d+) hops (\d+) back (\d+)", out).groups()


def test_tracepath_finds_the_narrow_link(pair, who, family):
    inside, outside = pair.run(who, False, ["tracepath", "-n", END[family]])
    at, (mtu, there, back) = path(inside.out)
    assert at == [("5", HOPS[family][2], str(END_MTU))], inside
    assert (mtu, there, back) == (str(END_MTU), "5", "5"), inside
    assert path(outside.out) == ([("4", at[0][1], mtu)], (mtu, "4", "4")), outside


MTR = ["mtr", "--report", "--no-dns", "--report-cycles", "2", "--gracetime", "1"]


@pytest.mark.parametrize("how", [[], ["--udp"], ["--tcp", "--port", str(OPEN)]],
                         ids=["icmp", "udp", "tcp"])  # fmt: skip
def test_mtr_as_root(pair, who, family, with_ping_sockets, how):
    inside, outside = pair.run(who, True, [*MTR, *how, END[family]])
    gateway_first(inside, outside, family)
    assert re.findall(r"(\S+)% +2 ", inside.out) == ["0.0"] * 5, inside


def test_mtr(pair, who, family, with_ping_sockets):
    inside, outside = pair.run(who, False, [*MTR, END[family]])
    gateway_first(inside, outside, family)
    assert re.findall(r"(\S+)% +2 ", inside.out) == ["0.0"] * 5, inside


@pytest.mark.parametrize(("who", "privileged"), [("user", False), ("user", True), ("root", True)])
def test_fping(pair, who, family, privileged, with_ping_sockets):
    """(Without privileges this one hears no answer of a ping socket, outside either.)"""
    argv = ["fping", "-q", "-c", "2", "-p", "100", END[family], HOPS[family][0], HOLE[family]]
    inside, outside = pair.run(who, privileged, argv)
    losses = [re.findall(r"= (\d+/\d+/\d+%)", seen.err) for seen in (inside, outside)]
    assert losses[0] == losses[1] and len(losses[0]) == 3, (inside, outside)
    if privileged:
        assert losses[0] == ["2/2/0%", "2/2/0%", "2/0/100%"], inside


# --- ports ------------------------------------------------------------------------------------

NMAP = ["nmap", "-n", "-Pn", "--max-retries", "1"]
PORTS = ",".join(map(str, (OPEN, CLOSED, FILTERED, PROHIBITED)))


def ports(out):
    return {(int(n), p): state for n, p, state in re.findall(r"^(\d+)/(\w+) +(\S+)", out, re.M)}


def nmap(pair, who, privileged, family, *argv):
    six = ["-6"] if family == 6 else []
    inside, outside = pair.run(who, privileged, [*NMAP, *six, *argv, "-p", PORTS, END[family]])
    assert ports(inside.out) == ports(outside.out), (inside, outside)
    return ports(inside.out)


def test_port_states(pair, who, family):
    assert nmap(pair, who, False, family, "-sT") == {
        (OPEN, "tcp"): "open", (CLOSED, "tcp"): "closed",
        (FILTERED, "tcp"): "filtered", (PROHIBITED, "tcp"): "filtered",
    }  # fmt: skip


def test_port_states_of_bare_syns(pair, who, family):
    assert nmap(pair, who, True, family, "-sS")[OPEN, "tcp"] == "open"


def test_port_states_of_datagrams(pair, who, family):
    assert nmap(pair, who, True, family, "-sU") == {
        (OPEN, "udp"): "open", (CLOSED, "udp"): "closed",
        (FILTERED, "udp"): "open|filtered", (PROHIBITED, "udp"): "filtered",
    }  # fmt: skip


def up(out):
    return re.findall(rf"report for ({ADDRESS})\nHost is up", out)


@pytest.mark.parametrize("privileged", [False, True], ids=["", "as-root"])
def test_who_is_up(pair, who, family, privileged, with_ping_sockets):
    six = ["-6"] if family == 6 else []
    inside, outside = pair.run(who, privileged,
                               ["nmap", "-n", "-sn", *six, END[family], HOLE[family]])
    assert up(inside.out) == up(outside.out) == [END[family]], (inside, outside)


# --- a probe is nothing but a probe -----------------------------------------------------------


def test_a_probing_connection_lives_on(lab, sandbox, trail, family):
    """Connected with few hops to go, it has the usual number of them ever after."""
    mark = lab.wire.mark()
    seen = sandbox("/usr/bin/python3", "-c", PROBE, END[family], OPEN)
    assert (seen.status, seen.out) == (0, "end\n"), seen
    ttls = [p.header[8 if family == 4 else 7]
            for p in lab.wire.since(mark) if p.target == END[family] and p.protocol == 6]
    assert ttls == [5 - 1, 64], "a SYN and a reset"


PROBE = """
import socket, struct, sys
host, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
if ":" in host:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 5)
else:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 5)
s.connect((host, port))
assert s.recv(1) == b""
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
print("end")
"""


def test_no_packet_has_a_hop_too_many(lab, sandbox, trail, family, with_ping_sockets):
    """The gateway is the first hop: with one to go nothing leaves, with two it has one left."""
    mark = lab.wire.mark()
    for kind in ([], ["-I"]):
        sandbox("traceroute", "-n", "-q", "1", "-w", "1", "-m", "2", *kind, END[family])
    ttls = {p.header[8 if family == 4 else 7]
            for p in lab.wire.since(mark) if p.target == END[family]}
    assert ttls == {1}, ttls
