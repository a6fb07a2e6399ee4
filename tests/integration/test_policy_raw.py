"""Root inside writes frames of its own: the rules hold for what they are, not what they look like.

Judge: the capture on the link, where nothing may be seen that goes to what is denied.
"""

import pytest

from conftest import PLAIN
from lab import NOBODY, OTHER_DNS, WEB
from rules import METADATA, SHARED, TCP, UDP

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

DENY = ["--default-policy", "deny", "--allow-cidr", WEB[4], "--allow-cidr", WEB[6]]
RULES = {
    "default deny": DENY,
    "offline": ["--offline"],
    "deny-cidr": ["--deny-cidr", NOBODY[4], "--deny-cidr", NOBODY[6]],
    "a port": ["--deny-cidr", f"{NOBODY[4]}:90", "--deny-cidr", f"[{NOBODY[6]}]:90",
               "--deny-cidr", f"icmp://{NOBODY[4]}", "--deny-cidr", f"icmp://{NOBODY[6]}"],
}  # fmt: skip
PORT = 90


@pytest.fixture
def frames(lab, sandbox):
    """Runs guest/frames.py as root inside."""

    def run(name, *words, options):
        argv = ["/usr/bin/python3", lab.top / "bin/frames.py", name, *words]
        seen = sandbox(*argv, options=["--as-root", "--quiet", *options])
        assert (seen.status, seen.out, seen.err) == (0, "sent\n", ""), seen

    return run


def sent_to(wire, *addresses):
    return [p for p in wire.packets() if p.target in addresses]


@pytest.mark.parametrize("how", ["good", "disguised"])
@pytest.mark.parametrize("rule", RULES)
def test_frames_to_what_is_denied(frames, wire, rule, how):
    """A40: options, source routes, extension headers, fragments of every cut, in either order."""
    frames(how, NOBODY[4], NOBODY[6], PORT, options=RULES[rule])
    assert sent_to(wire, *NOBODY.values()) == []
    if rule == "offline":
        assert wire.packets() == []


def test_frames_to_what_is_allowed(frames, wire):
    """The same frames arrive where they may, so it is the rule that stops the others."""
    frames("good", *NOBODY.values(), PORT, options=[])
    sent = {(p.protocol, p.target, p.target_port) for p in sent_to(wire, *NOBODY.values())}
    assert {(p, a, PORT) for p in (TCP, UDP) for a in NOBODY.values()} <= sent


def test_disguised_frames_where_they_are_allowed(frames, wire):
    """Datagrams in pieces are put together; nothing leaves in pieces, with options, or routed."""
    frames("disguised", *NOBODY.values(), PORT, options=[])
    sent = sent_to(wire, *NOBODY.values())
    assert {(p.protocol, p.target_port) for p in sent} >= {(UDP, PORT)}
    assert {p.protocol for p in sent} <= {TCP, UDP, 1, 58}
    # Several that follow each other are one packet on this link.
    assert {p.data.replace(b"hello", b"") for p in sent if p.protocol == UDP} == {b""}


@pytest.mark.parametrize("options", [["--block-metadata"], ["--block-private"], ["--offline"],
                                     DENY], ids=["metadata", "private", "offline", "deny"])
def test_frames_to_metadata(frames, wire, rules, options):
    """Among them the one that is on the child's own link, as OpenStack has it."""
    own_link = "fe80::a9fe:a9fe"
    frames("good", METADATA[0], own_link, 80, options=options)
    frames("disguised", METADATA[0], own_link, 80, options=options)
    assert sent_to(wire, METADATA[0], own_link) == []


def test_frames_to_other_resolvers(frames, wire):
    """Port 53 is the engine's, whoever writes the frame: what is no question goes nowhere."""
    frames("good", *OTHER_DNS.values(), 53, options=["--deny-domain", "example.net"])
    frames("disguised", *OTHER_DNS.values(), 53, options=["--deny-domain", "example.net"])
    assert [p for p in sent_to(wire, *OTHER_DNS.values()) if p.target_port == 53] == []


def test_quic_in_pieces(frames, wire, rules):
    """The port stands in the first piece only."""
    options = ["--default-policy", "deny", "--allow-domain", "allowed.example.net"]
    frames("disguised", *SHARED.values(), 443, options=options)
    assert sent_to(wire, *SHARED.values()) == []
