"""--mtu: what the command sees; the bytes are the same with each."""

import pytest

from guest import pattern
from lab import WEB

SINK, SOURCE = 7002, 7003
COUNT = 30_000_000
EXPECTED = f"{COUNT} {pattern.digest(COUNT)}\n"


@pytest.mark.parametrize("mtu", [None, 1280, 9000, 65520])
def test_mtu(sandbox, family, mtu):
    options = ["--mtu", mtu] if mtu else []
    seen = sandbox("cat", "/sys/class/net/tap0/mtu", options=options)
    assert (seen.status, seen.out) == (0, f"{mtu or 1500}\n"), seen
    for name, port in (("upload", SINK), ("download", SOURCE)):
        seen = sandbox.client(name, WEB[family], port, COUNT, options=options)
        assert (seen.status, seen.out, seen.err) == (0, EXPECTED, "")
