"""What the engine holds, it gives back."""

import pathlib
import subprocess

import pytest

from lab import WEB
from polling import poll
from test_faults import Family

SOURCE = 7003
MUCH = 1 << 30
MIB = 1024  # in KiB


def heap_kib(pid):
    """The memory that the allocator of a process has from the system."""
    total, counted = 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if words[0] == "Rss:":
            total += int(words[1]) if counted else 0
        elif not words[0].endswith(":"):
            counted = words[-1] == "[heap]"
    return total


@pytest.mark.parametrize("who", ["user"])
def test_memory_of_ended_connections_is_given_back(lab, sandbox):
    process = sandbox.start("/usr/bin/python3", lab.top / "bin/client.py",
                            "stall_then_keep_the_last", WEB[4], SOURCE, 100, MUCH,
                            stdin=subprocess.PIPE)
    assert process.stdout.readline() == "stalled\n"
    engine = Family(process).engine
    poll(lambda: heap_kib(engine) > 10 * MIB, "the stalled connections' buffers")
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ended\n"
    # The one that stays has the heap's end, or some of it.
    poll(lambda: heap_kib(engine) < 4 * MIB, "the end of those buffers")
    process.communicate("\n", timeout=30)
    assert process.returncode == 0
