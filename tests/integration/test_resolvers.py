"""Sockets by which a program could have a daemon of the host resolve names for it."""

import contextlib

import pytest

from conftest import PLAIN
from lab import PYTHON, WEB
from polling import poll

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

NSCD = "/run/nscd/socket"
SOCKETS = [
    NSCD, "/run/systemd/resolve/io.systemd.Resolve", "/run/systemd/machine/io.systemd.Machine",
    "/run/dbus/system_bus_socket", "/run/avahi-daemon/socket", "/run/mdnsd",
    "/var/lib/sss/pipes/nss", "/var/lib/sss/pipes/private/pam", "/run/nslcd/socket",
    "/run/samba/winbindd/pipe", "/var/lib/samba/winbindd_privileged/pipe", "/run/unbound.ctl",
]  # fmt: skip
RUN = "mount -t tmpfs -o mode=755 lab /run; "
MOUNTS = RUN + "mount -t tmpfs -o mode=755 lab /var/lib"
# A /var/run that is not /run.
MOUNTS_APART = RUN + "mount -t tmpfs -o mode=755 lab /var; mkdir /var/run /var/lib"
REFUSALS = {"ENOENT", "ECONNREFUSED", "EROFS"}


class Told:
    """A program that answers each line with a line."""

    def __init__(self, process):
        self.process = process

    def __call__(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def end(self):
        return self.process.communicate(timeout=30)


@contextlib.contextmanager
def host_with(lab, mounts, sockets):
    """A mount namespace of the host with somebody on the sockets, and that somebody."""
    with lab.host_mounts(mounts) as space:
        argv = [PYTHON, lab.top / "bin/unix_ears.py"]
        ears = Told(lab.start(argv, space=space, stdin=-1))
        try:
            for path in sockets:
                assert ears(f"listen {path}") == "listening"
            yield space, ears
        finally:
            ears.end()


@pytest.fixture
def host(lab):
    with host_with(lab, MOUNTS, SOCKETS) as (space, ears):
        yield space, ears


@contextlib.contextmanager
def shell(run, host, **how):
    """A shell that runs the lines it is told. Whoever starts it may have asked nscd who it is."""
    space, ears = host
    script = "while read -r line; do echo $($line); done"
    told = Told(run.start("sh", "-c", script, space=space, stdin=-1, **how))
    try:
        assert told("echo ready") == "ready"
        ears("heard")
        yield told
    finally:
        said = told.end()
    assert said == ("", "")


def knock_all(told, lab, sockets):
    return told(f"{PYTHON} {lab.top}/bin/knock.py {' '.join(sockets)}").split()


@pytest.mark.parametrize("options", [[], ["--as-root"]], ids=["plain", "as-root"])
def test_nobody_is_asked(lab, sandbox, host, options):
    with shell(sandbox, host, options=options) as told:
        for database in ("hosts", "ahosts", "ahostsv4"):
            assert told(f"getent {database} v4.example.net").startswith(WEB[4])
        assert set(knock_all(told, lab, SOCKETS)) <= REFUSALS
        assert host[1]("heard") == ""


def test_outside_they_are(lab, outside, host):
    """What is hidden would be found: glibc asks nscd, and all of them can be connected to."""
    with shell(outside, host) as told:
        told("getent hosts v4.example.net")
        assert set(host[1]("heard").split()) == {NSCD}
        assert knock_all(told, lab, SOCKETS) == ["ok"] * len(SOCKETS)
        assert host[1]("heard").split() == SOCKETS


def test_another_var_run(lab, sandbox, outside):
    sockets = [s.replace("/run/", "/var/run/") for s in SOCKETS if s.startswith("/run/")]
    with host_with(lab, MOUNTS_APART, sockets) as host:
        with shell(sandbox, host) as told:
            assert set(knock_all(told, lab, sockets)) <= REFUSALS
            assert told("getent hosts v4.example.net").startswith(WEB[4])
            assert host[1]("heard") == ""
        with shell(outside, host) as told:
            assert knock_all(told, lab, sockets) == ["ok"] * len(sockets)


def test_a_place_that_cant_be_looked_at(lab, sandbox):
    """It is no reason to refuse a run: the command can't look at it either."""
    with lab.host_mounts(MOUNTS + "; mkdir -p /var/lib/sss/pipes; chmod 0 /var/lib/sss") as space:
        assert sandbox("true", space=space).status == 0


@pytest.mark.parametrize("options", [[], ["--as-root"]], ids=["plain", "as-root"])
def test_those_that_come_later(lab, sandbox, host, options):
    """One that is restarted takes our mount away with its directory; others weren't there yet."""
    space, ears = host
    late = "/var/run/systemd/resolve/io.systemd.Resolve"
    for path in (NSCD, "/run/mdnsd", "/run/systemd/resolve/io.systemd.Resolve"):
        assert ears(f"remove {path}") == "removed"
    with shell(sandbox, host, options=options) as told:
        for path in (NSCD, "/run/mdnsd", late):
            assert knock_all(told, lab, [path]) == ["ENOENT"]
            for _ in range(3):
                assert ears(f"listen {path}") == "listening"
                poll(lambda: knock_all(told, lab, [path])[0] in REFUSALS, f"{path} to be hidden")
                ears("heard")
                assert knock_all(told, lab, [path])[0] in REFUSALS and ears("heard") == ""
                assert ears(f"remove {path}") == "removed"
