"""Captures of what goes through a proxy: the child's packets are the target's, those of the
egress view the proxy's, and on the wire is what was said to the proxy."""

import pytest

import pcapng
from conftest import PLAIN
from lab import HOST4, HOST6, PROXY, WEB, url_host
from proxies import BY_NAME

pytestmark = [pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain"),
              pytest.mark.usefixtures("proxies")]


@pytest.fixture
def file(lab, who):
    yield lab.homes[who] / "run.pcapng"
    for left in lab.homes[who].glob("*.pcapng"):
        left.unlink()


def ends(blocks, target):
    """Who sends to it from where, by TCP."""
    seen = [p.parsed() for p in pcapng.packets(blocks)]
    return {(p.source, p.target_port) for p in seen if p and p.protocol == 6 and p.target == target}


@pytest.mark.parametrize("name", ["squid", "squid-tls", "dante"])
def test_both_views(lab, sandbox, family, file, name):
    proxy = BY_NAME[name]
    seen = sandbox("curl", "-sS", f"http://{url_host(WEB[family])}/page",
                   env={"SSL_CERT_FILE": str(lab.top / "www/ca.pem")},
                   options=["-c", file, "-C", "both", "-p", proxy.url(PROXY[4])])
    assert seen.status == 0 and seen.out.count("\n") == 20000, seen
    child, egress = (pcapng.check(file.with_name(f"run.{view}.pcapng"))
                     for view in ("child", "egress"))
    assert len(pcapng.packets(child)) >= 4 and len(ends(child, WEB[family])) == 1
    # Whatever the family of the target, the socket's is that of the proxy.
    assert ends(egress, PROXY[4]) == {(HOST4, proxy.port)}
    assert not ends(egress, WEB[family])
    assert pcapng.stream(child, 80, False) == pcapng.stream(egress, proxy.port, False)


@pytest.mark.parametrize("who", ["root"], indirect=True)
def test_wire(lab, sandbox, file):
    proxy = BY_NAME["squid"]
    seen = sandbox("curl", "-sS", "http://v4.example.net/hello",
                   options=["-c", file, "-C", "wire-egress", "-p", proxy.url(PROXY[4])])
    assert seen.status == 0, seen
    blocks = pcapng.check(file)
    assert ends(blocks, PROXY[4]) == {(HOST4, proxy.port)}
    said = pcapng.stream(blocks, proxy.port, True)
    assert said.startswith(b"CONNECT v4.example.net:80 HTTP/1.1\r\n")
    assert HOST6 not in {p.parsed().source for p in pcapng.packets(blocks)}
