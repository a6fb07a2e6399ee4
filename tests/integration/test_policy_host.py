"""--block-private: the host's own addresses, whatever their numbers, also those of later.

Judges: guest/ears.py, which listens on all addresses of the host and hears whoever gets through.
"""

import os
import signal

import pytest

from conftest import PLAIN
from lab import EARS_WILDCARD, HOST4, HOST6, PYTHON, WEB
from polling import poll
from rules import TCP_BLOCKED, UDP_BLOCKED, attempt, lines
from test_faults import Family

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

# Public addresses that a machine may have: nothing in their numbers tells that they are its own.
OWN = {4: "93.184.230.7", 6: "2606:4700:230::7"}
ANY = {4: "93.184.232.0/24", 6: "2606:4700:232::/64"}  # all of it, by a route of type local
OF_ANY = {4: "93.184.232.77", 6: "2606:4700:232::77"}
LATER = {4: "93.184.230.8", 6: "2606:4700:230::8"}


@pytest.fixture
def own_addresses(lab):
    with lab.more_addresses(lab.host, *OWN.values()):
        yield


class Heard:
    def __init__(self, lab):
        self.lab, self.begin = lab, lab.heard.stat().st_size

    def __call__(self):
        text = self.lab.heard.read_bytes()[self.begin :].decode()
        return [line for line in text.splitlines() if not line.startswith("udp 127.0.0.1 9 ")]


@pytest.fixture
def heard(lab):
    return Heard(lab)


def test_without_a_rule_they_are_reached(sandbox, own_addresses, heard):
    targets = [w for a in (HOST4, HOST6, *OWN.values()) for w in (a, EARS_WILDCARD)]
    seen = attempt(sandbox, "tcp", *targets)
    assert lines(seen) == ["ok"] * 4 and seen.err == ""
    assert len(heard()) == 4


@pytest.mark.parametrize("options", [["--block-private"], ["--block-private", "--allow-cidr",
                                     f"{OWN[4]}", "--allow-cidr", f"{OWN[6]}"]],
                         ids=["alone", "deny beats allow"])
def test_own_addresses_are_private(sandbox, own_addresses, heard, family, options):
    host = {4: HOST4, 6: HOST6}[family]
    targets = [w for a in (host, OWN[family]) for w in (a, EARS_WILDCARD)]
    assert lines(attempt(sandbox, "tcp", *targets, options=options)) == [TCP_BLOCKED] * 2
    seen = attempt(sandbox, "udp", *targets, options=options)
    assert lines(seen) == [UDP_BLOCKED[family]] * 2
    assert "(private): --block-private forbids it" in seen.err
    assert heard() == []
    # Others of the same kind are the internet's.
    assert lines(attempt(sandbox, "tcp", WEB[family], 80, options=options)) == ["ok"]


class Asker:
    """A command that tries what it is told, line by line."""

    def __init__(self, lab, sandbox):
        argv = [PYTHON, lab.top / "bin/attempts.py", "told"]
        self.process = sandbox.start(*argv, options=["--block-private", "--quiet"], stdin=-1)

    def __call__(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().split()[-1]


@pytest.fixture
def ask(lab, sandbox):
    asker = Asker(lab, sandbox)
    yield asker
    assert asker.process.communicate(timeout=30) == ("", "")
    assert asker.process.returncode == 0


def test_addresses_that_come_and_go(lab, ask, family, heard):
    """The engine, confined long since, hears of them."""
    target = LATER[family], EARS_WILDCARD
    before = ask("tcp", *target)  # the internet's business: nobody has it there
    assert before not in ("ok", TCP_BLOCKED)
    with lab.more_addresses(lab.host, LATER[family]):
        poll(lambda: ask("tcp", *target) == TCP_BLOCKED, "the new address to be refused")
        mark = len(heard())
        assert ask("udp", *target) == UDP_BLOCKED[family]
        assert ask("tcp", *target) == TCP_BLOCKED
        assert len(heard()) == mark
    poll(lambda: ask("tcp", *target) == before, "the address to be another's again")


@pytest.fixture
def local_network(lab, family):
    route = f"ip -{family} route {{}} local {ANY[family]} dev lo"
    lab.host.sh(route.format("add"))
    yield
    lab.host.sh(route.format("del"))


def test_networks_that_are_local_by_a_route_only(sandbox, local_network, family, heard):
    """No interface has an address of it, and yet the host answers."""
    target = OF_ANY[family], EARS_WILDCARD
    assert lines(attempt(sandbox, "tcp", *target)) == ["ok"]
    assert len(heard()) == 1
    seen = attempt(sandbox, "tcp", *target, options=["--block-private"])
    assert lines(seen) == [TCP_BLOCKED]
    assert "(private): --block-private forbids it" in seen.err
    assert len(heard()) == 1


def test_networks_that_become_local(lab, ask, family):
    target = OF_ANY[family], EARS_WILDCARD
    route = f"ip -{family} route {{}} local {ANY[family]} dev lo"
    before = ask("tcp", *target)
    assert before not in ("ok", TCP_BLOCKED)
    lab.host.sh(route.format("add"))
    poll(lambda: ask("tcp", *target) == TCP_BLOCKED, "the new network to be refused")
    lab.host.sh(route.format("del"))
    poll(lambda: ask("tcp", *target) == before, "the network to be another's again")


def test_more_events_than_the_socket_holds(lab, ask):
    """Some are lost, and that is an error of the socket's: the engine goes on all the same."""
    many = [f"2606:4700:231::{n:x}" for n in range(1, 1500)]
    assert ask("tcp", WEB[4], 80) == "ok"
    engine = Family(ask.process).engine
    os.kill(engine, signal.SIGSTOP)
    with lab.more_addresses(lab.host, *many):
        os.kill(engine, signal.SIGCONT)
        poll(lambda: ask("tcp", many[-1], EARS_WILDCARD) == TCP_BLOCKED, "the last to be refused")
        assert ask("tcp", many[0], EARS_WILDCARD) == TCP_BLOCKED
    poll(lambda: ask("tcp", many[-1], EARS_WILDCARD) != TCP_BLOCKED, "it to be another's again")
