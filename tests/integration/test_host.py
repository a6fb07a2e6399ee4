"""The host's own network changes while a command runs: what is sent later goes the new way."""

import pytest

from conftest import PLAIN
from lab import HOST4, HOST6, OTHER_HOST, PYTHON, ROUTER4, ROUTER6, WEB
from polling import poll

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")


@pytest.fixture
def asker(lab, sandbox, family):
    """Asks once by each kind named; returns how it went."""
    process = sandbox.start(PYTHON, lab.top / "bin/asker.py", WEB[family], stdin=-1)

    def ask(*kinds):
        process.stdin.write(" ".join(kinds or ("datagram", "connection")) + "\n")
        process.stdin.flush()
        return process.stdout.readline().split()

    yield ask
    assert process.communicate(timeout=30) == ("", "") and process.returncode == 0


@pytest.fixture
def eth0(lab, family):
    """Changes the host's address and default route; put back at the end."""
    old, new = ((HOST4, HOST6)[family == 6], OTHER_HOST[family])
    router, length = ((ROUTER4, 24), (ROUTER6, 64))[family == 6]
    nodad = "nodad" if family == 6 else ""

    def down():
        lab.host.sh(f"""
            ip -{family} route flush default
            ip -{family} address flush dev eth0 scope global
        """)

    def up(address=new):
        lab.host.sh(f"""
            ip -{family} address add {address}/{length} dev eth0 {nodad}
            ip -{family} route add default via {router}
        """)

    yield down, up
    down()
    up(old)


def sources(lab, mark, family):
    packets = lab.wire.since(mark)
    return {p.source for p in packets if p.target == WEB[family] and p.protocol in (6, 17)}


def test_another_address(lab, asker, eth0, family):
    down, up = eth0
    mark = lab.wire.mark()
    assert asker() == ["ok", "ok"]
    assert sources(lab, mark, family) == {(HOST4, HOST6)[family == 6]}
    down()
    assert asker("connection") == ["ENETUNREACH"]
    up()
    mark = lab.wire.mark()
    poll(lambda: asker() == ["ok", "ok"], "answers by the new address")
    assert sources(lab, mark, family) == {OTHER_HOST[family]}


def test_a_second_address_takes_over(lab, asker, eth0, family):
    """The new one is there before the old one goes, as with a change of networks."""
    down, up = eth0
    assert asker() == ["ok", "ok"]
    length = (24, 64)[family == 6]
    nodad = "nodad" if family == 6 else ""
    lab.host.sh(f"""
        ip -{family} address add {OTHER_HOST[family]}/{length} dev eth0 {nodad}
        ip -{family} address del {(HOST4, HOST6)[family == 6]}/{length} dev eth0
        # IPv4's second address of a network goes with the first.
        ip -{family} address show to {OTHER_HOST[family]} | grep -q inet ||
            ip -{family} address add {OTHER_HOST[family]}/{length} dev eth0
        ip -{family} route replace default via {(ROUTER4, ROUTER6)[family == 6]}
    """)
    mark = lab.wire.mark()
    poll(lambda: asker() == ["ok", "ok"], "answers by the new address")
    assert sources(lab, mark, family) == {OTHER_HOST[family]}
