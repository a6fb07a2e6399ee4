"""All or nothing: whatever fails while the run is made, the command runs as it is to, or not.

A preloaded library counts the calls of each process (guest/faults.c), and then each call fails
once. Either the run ends with 125 and one sentence before the command has begun; or the failure
is one of those listed here, that have a second way, and then the command and the engine find
themselves exactly as in an undisturbed run.
"""

import collections
import contextlib
import errno
import json
import os
import pathlib
import select
import struct
import subprocess

import pytest

from conftest import PLAIN
from lab import PYTHON, finish
from test_faults import Family

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

ROLES = "supervisor engine init command".split()
MEMORY = "malloc calloc realloc fork clone socket poll".split()
ROW = struct.Struct("28sI")
COUNTS_SIZE = 16384

# What may fail and yet leave the run as it is to be: how often at most, and why.
HARMLESS = {
    "command:stat": (9, "a place in PATH is passed over"),
    "engine:epoll_ctl": (9, "libuv takes out what may not be in"),
    "engine:getrlimit": (1, "room for fewer connections"),
    "engine:malloc": (1, "lwIP's announcement of a gateway that the child knows already"),
    "engine:socket": (2, "pings leave by ping sockets instead of raw ones"),
    "engine:setrlimit": (1, "room for fewer connections; no core dumps is not optional"),
    "init:ioctl": (1, "offloads without ECN"),
    "init:malloc": (9, "asprintf() gives away what it has"),
    "init:mount": (2, "/etc is covered file by file instead; /sys is read-only instead"),
    "supervisor:malloc": (1, "stdio reads without a buffer"),
    "supervisor:realloc": (1, "asprintf() gives away what it has"),
}
# The second way makes other mounts, and needs other sockets.
SECOND_WAY = {"init:mount": {"mounts"}, "engine:socket": {"descriptors"}}


def sanitized():
    return b"__asan_init" in pathlib.Path(os.environ["CHILDFLOW"]).read_bytes()


@pytest.fixture(scope="session")
def library(lab):
    source = pathlib.Path(__file__).parent / "guest" / "faults.c"
    built = lab.top / "bin" / "faults.so"
    memory = [] if sanitized() else ["-DWITH_MEMORY"]  # a sanitizer has an allocator of its own
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", *memory, "-o", built,
                    source, "-ldl"], check=True)
    return built


class Runs:
    """Runs that fail at one place, or at none."""

    def __init__(self, lab, sandbox, library):
        self.sandbox, self.library = sandbox, library
        home = lab.homes[sandbox.who]
        self.marker, self.counts = home / "command-ran", home / "counts"
        self.script = f"touch {self.marker}; exec {PYTHON} -ISs {lab.top}/bin/self.py"

    def start(self, fault=None):
        self.marker.unlink(missing_ok=True)
        self.counts.write_bytes(bytes(COUNTS_SIZE))
        self.counts.chmod(0o666)
        environment = {"LD_PRELOAD": str(self.library), "FAULT_CALLS": str(self.counts)}
        if fault:
            environment["FAULT"] = fault
        if sanitized():
            environment["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0"
        # env: what stands before it shall not be counted.
        words = [f"{name}={value}" for name, value in environment.items()]
        argv = ["env", *words, *self.sandbox.program(), "sh", "-c", self.script]
        return self.sandbox.lab.start(argv, self.sandbox.who, stdin=subprocess.PIPE)

    def __call__(self, fault=None):
        """A run's result, and what command and engine look like, if there was a command."""
        process = self.start(fault)
        looks = None
        # Something to read, or the end.
        assert select.select([process.stdout], [], [], 15)[0], f"{fault}: neither here nor there"
        if line := process.stdout.readline():
            looks = {"command": json.loads(line), "engine": engine_looks(Family(process).engine)}
        return finish(process, "\n", 30), looks

    def calls(self):
        """{"init:mount": 24, ...} of the last run."""
        rows = self.counts.read_bytes()[: COUNTS_SIZE // ROW.size * ROW.size]
        names = ((name.rstrip(b"\0").decode(), made) for name, made in ROW.iter_unpack(rows))
        return {name: made for name, made in names if ":" in name and made}


def engine_looks(pid):
    proc = pathlib.Path(f"/proc/{pid}")
    lines = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines()
                 if ":\t" in line)
    names = "Name NoNewPrivs Seccomp CapInh CapPrm CapEff CapAmb SigBlk".split()
    looks = {name: lines[name] for name in names}
    looks["limits"] = [line for line in (proc / "limits").read_text().splitlines()
                       if line.startswith("Max core")]
    looks["own group"] = os.getpgid(pid) == pid
    looks["dumpable"] = proc.stat().st_uid != 0
    looks["root"] = os.listdir(proc / "root")
    with contextlib.suppress(PermissionError):
        looks["descriptors"] = sorted(os.readlink(fd).split(":")[0] for fd in
                                      (proc / "fd").iterdir())
    return looks


@pytest.fixture
def runs(lab, sandbox, library):
    return Runs(lab, sandbox, library)


def complaint(call, seen, looks, ran, undisturbed):
    """What is wrong with a run in which this call failed, or None."""
    if looks is None:
        lines = seen.err.splitlines()
        # An engine that fails in its first round may have been ready before: it is dead then.
        begun = ran and not (call.startswith("engine:") and "the engine ended" in seen.err)
        if seen.status != 125 or begun:
            return f"status {seen.status}, the command {'ran' if ran else 'did not run'}"
        if not 1 <= len(lines) <= 3 or not all(l.startswith("childflow: ") for l in lines):
            return "no sentence"
        return None
    other = {key: (looks[part][key], undisturbed[part][key]) for part in looks
             for key in looks[part] if looks[part][key] != undisturbed[part][key]}
    if other.keys() - SECOND_WAY.get(call, set()):
        return other
    if call not in HARMLESS:
        return "the command ran"
    if (seen.status, seen.err) != (0, ""):
        return "the run did not end well"
    return None


@pytest.mark.parametrize("role", ROLES)
def test_every_call_fails_once(runs, role):
    seen, undisturbed = runs()
    assert (seen.status, seen.err) == (0, ""), seen
    calls = runs.calls()
    complaints, faults = [], 0
    survived = collections.Counter()
    for call, made in calls.items():
        who, name = call.split(":")
        code = errno.ENOMEM if name in MEMORY else errno.EPERM
        for number in range(1, made + 1) if who == role else ():
            fault = f"{call}:{number}:{code}"
            seen, looks = runs(fault)
            faults += 1
            # How many pieces an answer comes in differs: this one may have had fewer.
            if runs.calls().get(call, 0) < number:
                continue
            survived[call] += looks is not None
            wrong = complaint(call, seen, looks, runs.marker.exists(), undisturbed)
            if wrong:
                complaints.append(f"{fault}: {wrong} {seen}")
    assert not complaints, "\n".join(complaints)
    assert all(survived[call] <= HARMLESS[call][0] for call in +survived), survived
    assert faults >= 7
