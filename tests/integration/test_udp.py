"""Datagrams: one socket of the child is one socket outside, and every answer comes back."""

from lab import WEB

UDP_TWICE = 7020


def test_answers_to_one_socket(inside, family):
    seen = inside.client("datagrams", WEB[family], UDP_TWICE)
    expected = "".join(f"{n} {i}\n" for i in range(3) for n in ("first", "second"))
    assert (seen.status, seen.out) == (0, "1 source port\n" + expected), seen
