"""When a part fails or is missing: one sentence, status 125, and nothing is left behind."""

import os
import pathlib
import signal

import pytest

from conftest import PLAIN
from lab import WEB
from polling import poll

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

CHROOT = """
    for folder in bin dev etc lib lib64 proc tmp usr; do
        mkdir -p /tmp/root/$folder
        test ! -e /$folder || mount --rbind /$folder /tmp/root/$folder
    done
"""


REASON_CODE = "childflow: reason_code: "
# The command may say that it is ready before init says that it has begun.
FATAL = ("runtime_shutdown_failed", "rootless_bootstrap_sync_failed")


def reason_code(err):
    """What programs are told, or None."""
    codes = [line for line in err.splitlines() if line.startswith(REASON_CODE)]
    assert len(codes) <= 1 and codes == err.splitlines()[-1:][: len(codes)], err
    return codes[0].removeprefix(REASON_CODE) if codes else None


def assert_one_sentence(seen, *words):
    """Status 125, a sentence and at most one more line, the cure; the words are in it."""
    assert seen.status == 125, seen
    reason_code(seen.err)
    lines = [line for line in seen.err.splitlines() if not line.startswith(REASON_CODE)]
    assert 1 <= len(lines) <= 2 and all(line.startswith("childflow: ") for line in lines), seen
    for word in words:
        assert word in seen.err, seen
    assert seen.out == ""


def test_no_tun_device(lab, sandbox):
    with lab.host_mounts("mount -t tmpfs -o mode=755 lab /dev/net") as space:
        assert_one_sentence(sandbox("echo", "ran", space=space), "/dev/net/tun", "modprobe",
                            "tap_create_blocked")


@pytest.mark.parametrize("who", ["user"])  # nothing is closed to root
def test_closed_tun_device(lab, sandbox):
    if os.geteuid() != 0:
        pytest.skip("only root can make device nodes")
    mounts = "mount -t tmpfs -o mode=755 lab /dev/net; mknod -m 600 /dev/net/tun c 10 200"
    with lab.host_mounts(mounts) as space:
        assert_one_sentence(sandbox("echo", "ran", space=space), "/dev/net/tun", "0666",
                            "tap_create_blocked")


def test_no_more_user_namespaces(lab, sandbox):
    # The limit is set in a user namespace of the test's own: the machine's stays as it is.
    script = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
    argv = ["unshare", "-Ur", "sh", "-c", script, "sh", *sandbox.program(), "echo", "ran"]
    assert_one_sentence(lab.run(argv, sandbox.who), "namespaces", "max_user_namespaces",
                        "namespace_unshare_failed")


@pytest.mark.parametrize("who", ["root"])  # only root can chroot
def test_in_a_chroot(lab, sandbox):
    with lab.host_mounts(CHROOT) as space:
        argv = ["chroot", "/tmp/root", *sandbox.program(), "echo", "ran"]
        assert_one_sentence(lab.run(argv, space=space), "chroot")


class Family:
    """The processes of one run: the supervisor, its engine and its init."""

    def __init__(self, process):
        self.supervisor = pid = getattr(process, "pid", process)
        task = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
        poll(lambda: len(task.read_text().split()) == 2, "engine and init")
        depth = self.namespaces(self.supervisor)
        for pid in map(int, task.read_text().split()):
            if self.namespaces(pid) > depth:
                self.init = pid
            else:
                self.engine = pid

    @staticmethod
    def namespaces(pid):
        """In how many PID namespaces a process has a number."""
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        return next(len(line.split()) for line in text.splitlines() if line.startswith("NSpid:"))


@pytest.fixture
def long_run(lab, sandbox):
    """A run with a command that does not end by itself, and a background process beside it."""
    script = "setsid sleep 1000 & trap '' TERM; echo ready; while :; do sleep 1; done"
    process = sandbox.start("sh", "-c", script, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    return process


def test_engine_is_killed(long_run):
    os.kill(Family(long_run).engine, signal.SIGKILL)
    out, err = long_run.communicate(timeout=30)
    assert long_run.returncode == 125
    assert err.startswith("childflow: ") and "engine" in err and err.count("\n") <= 2, err
    assert reason_code(err) in FATAL


def test_init_is_killed(long_run):
    os.kill(Family(long_run).init, signal.SIGKILL)
    out, err = long_run.communicate(timeout=30)
    assert long_run.returncode == 125
    assert err.startswith("childflow: ") and err.count("\n") <= 2, err
    assert reason_code(err) in FATAL


def test_supervisor_is_killed(lab, long_run):
    Family(long_run)
    os.kill(long_run.pid, signal.SIGKILL)
    long_run.communicate(timeout=30)
    poll(lambda: not lab.leftovers(), "the end of the whole run")


def test_all_are_stopped_and_killed(lab, long_run):
    run = Family(long_run)
    for pid in (run.supervisor, run.engine, run.init):
        os.kill(pid, signal.SIGSTOP)
    os.kill(run.supervisor, signal.SIGKILL)
    long_run.communicate(timeout=30)
    poll(lambda: not lab.leftovers(), "the end of the whole run")


def test_engine_dies_during_a_transfer(lab, sandbox):
    process = sandbox.start("/usr/bin/python3", lab.top / "bin/client.py", "download",
                            WEB[4], 7003, 1 << 40)
    mark, received = lab.event_mark(), lab.received()
    run = Family(process)
    poll(lambda: lab.received() - received > 1 << 20, "the transfer")
    os.kill(run.engine, signal.SIGKILL)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (125, "")
    assert lab.wait_event("source", mark)["bytes"] < 1 << 40


def test_killed_at_any_moment(lab, sandbox):
    # At each stage of the start-up: what was begun ends, whoever is killed when.
    for number in range(30):
        process = sandbox.start("true")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            poll(lambda: len(children.read_text().split()) > number % 3 or
                 process.poll() is not None, "a process to kill")
            victims = [process.pid, *map(int, children.read_text().split())]
            os.kill(victims[number % len(victims)], signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass
        process.communicate(timeout=30)
        assert process.returncode in (0, 125, -9)
    poll(lambda: not lab.leftovers(), "the end of all runs")
