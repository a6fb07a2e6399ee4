"""Bytes arrive whole, and the ends of connections mean inside what they mean outside."""

import pytest

from guest import pattern
from lab import CLOSED_PORT, HOLE, WEB

BANNER, SINK, SOURCE, RESET, FIN_FIRST, STALL, RELEASE = range(7001, 7008)
GIB = 1 << 30


@pytest.fixture(scope="session")
def digest():
    known = {}
    return lambda count: known.setdefault(count, f"{count} {pattern.digest(count)}\n")


def test_upload_of_one_gib(inside, family, digest):
    seen = inside.client("upload", WEB[family], SINK, GIB)
    assert (seen.status, seen.out, seen.err) == (0, digest(GIB), "")


def test_download_of_one_gib(inside, family, digest):
    seen = inside.client("download", WEB[family], SOURCE, GIB)
    assert (seen.status, seen.out, seen.err) == (0, digest(GIB), "")


@pytest.mark.parametrize("count", [1, 204_800, 30_000_000])
def test_upload_then_exit_arrives_whole(lab, inside, family, digest, count):
    mark = lab.event_mark()
    assert inside.client("upload_and_exit", WEB[family], SINK, count).status == 0
    got = lab.wait_event("sink", mark)
    assert f"{got['bytes']} {got['sha256']}\n" == digest(count)
    assert got["end"] == "eof"


@pytest.fixture
def stalled_server(lab):
    """The stall service reads nothing until this is called."""
    made = []

    def release():
        made.append(lab.start(["busybox", "nc", WEB[4], RELEASE], stdin=-1))

    yield release
    for process in made:
        process.communicate("x")


def test_accepted_bytes_are_delivered_after_the_command_has_ended(lab, inside, stalled_server):
    mark = lab.event_mark()
    process = inside.start("/usr/bin/python3", lab.top / "bin/client.py", "upload_what_fits",
                           WEB[4], STALL)
    taken = process.stdout.readline()  # the command is over, the server has not read a byte
    stalled_server()
    assert process.wait(60) == 0
    process.communicate()
    got = lab.wait_event("stall", mark)
    assert f"{got['bytes']} {got['sha256']}\n" == taken
    assert got["end"] == "eof"


def test_drain_timeout_is_told(lab, sandbox, stalled_server):
    mark = lab.event_mark()
    seen = sandbox.client("upload_what_fits", WEB[4], STALL, options=["--drain-timeout", "0.2"])
    assert seen.status == 0
    assert seen.err.startswith("childflow: ") and seen.err.count("\n") == 1, seen.err
    assert "byte" in seen.err
    stalled_server()
    lab.wait_event("stall", mark)


def test_reader_that_sleeps(inside, family, digest):
    seen = inside.client("download_late", WEB[family], SOURCE, 3_000_000)
    assert (seen.status, seen.out) == (0, digest(3_000_000))


def test_exit_with_unread_data(lab, inside, family):
    mark = lab.event_mark()
    seen = inside.client("download_and_leave", WEB[family], SOURCE, 100_000_000)
    assert (seen.status, seen.out, seen.err) == (0, "1000\n", "")
    got = lab.wait_event("source", mark)
    assert got["bytes"] < 100_000_000
    assert got["end"] in ("ECONNRESET", "EPIPE")


def test_refused_then_healthy(inside, family, digest):
    seen = inside.client("refused_then_fetch", WEB[family], CLOSED_PORT, SOURCE, 1000)
    assert (seen.status, seen.out) == (0, "ECONNREFUSED\n" + digest(1000))


def test_writing_after_a_reset_harms_nobody(inside, family, digest):
    arguments = [WEB[family], RESET, SOURCE, 1000]
    seen = inside.client("write_after_reset_then_fetch", *arguments)
    assert (seen.status, seen.out) == (0, "EPIPE\n" + digest(1000))


def test_black_hole_delays_nobody(lab, inside, family, digest):
    mark = lab.wire.mark()
    seen = inside.client("beside_a_hole", HOLE[family], WEB[family], SOURCE, 20)
    assert (seen.status, seen.out) == (0, digest(1000) * 20 + "EINPROGRESS still waiting\n")
    assert any(p.is_syn_to(HOLE[family]) for p in lab.wire.since(mark))


def test_server_speaks_first(inside, family):
    seen = inside.client("greet", WEB[family], BANNER, "helo")
    assert (seen.status, seen.out) == (0, "220 the lab speaks first\nHELO\n")


def test_half_close_by_the_server(lab, inside, family, digest):
    mark = lab.event_mark()
    seen = inside.client("after_peers_fin", WEB[family], FIN_FIRST, 3_000_000)
    assert (seen.status, seen.out) == (0, "that was all from here\n")
    got = lab.wait_event("fin_first", mark)
    assert f"{got['bytes']} {got['sha256']}\n" == digest(3_000_000)
    assert got["end"] == "eof"


def test_server_that_ends_at_once(inside, family):
    # Its FIN may come before the child's last word of the handshake has been read.
    seen = inside.client("short_answers", WEB[family], FIN_FIRST, 300)
    assert (seen.status, seen.out) == (0, "that was all from here\n"), seen


def test_half_close_by_the_child(inside, family, digest):
    # The answer is written only after the server has read our end.
    seen = inside.client("upload", WEB[family], SINK, 3_000_000)
    assert (seen.status, seen.out) == (0, digest(3_000_000))


def test_reset_by_the_server(inside, family):
    seen = inside.client("provoke_reset", WEB[family], RESET)
    assert (seen.status, seen.out) == (0, "ECONNRESET\n")


def test_reset_by_the_child(lab, inside, family):
    mark = lab.event_mark()
    assert inside.client("send_reset", WEB[family], SINK).status == 0
    assert lab.wait_event("sink", mark)["end"] == "ECONNRESET"


def test_many_connections_at_once(inside, family, digest):
    seen = inside.client("many", WEB[family], SOURCE, 100, 50_000)
    assert (seen.status, seen.out) == (0, digest(50_000))


def test_background_process_ends_with_the_command(lab, sandbox, family):
    mark = lab.event_mark()
    seen = sandbox.client("leave_holder_behind", WEB[family], SINK)
    assert (seen.status, seen.out) == (0, "held\n")
    assert lab.wait_event("sink", mark)["bytes"] == 1
