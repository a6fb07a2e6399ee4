"""--mtu: what the command sees; the bytes are the same with each."""

import pytest

from guest import pattern
from lab import WEB

SINK, SOURCE, STALL, RELEASE = 7002, 7003, 7006, 7007
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


@pytest.mark.parametrize("mtu", [1280, 65520])
def test_a_server_that_stalls(lab, sandbox, mtu):
    """Behind a window that has been closed the rest follows without delay."""
    mark = lab.event_mark()
    process = sandbox.start("/usr/bin/python3", lab.top / "bin/client.py", "upload_what_fits",
                            WEB[4], STALL, options=["--mtu", mtu])
    taken = process.stdout.readline()
    release = lab.start(["busybox", "nc", WEB[4], RELEASE], stdin=-1)
    try:
        assert process.wait(60) == 0
        assert process.communicate() == ("", "")
        got = lab.wait_event("stall", mark)
        assert f"{got['bytes']} {got['sha256']}\n" == taken
    finally:
        release.communicate("x")
