"""childflow where others are at home: in another one, a container, a chroot, bubblewrap.

It works there, or says why not in one sentence.
"""

import pytest

from conftest import PLAIN
from lab import PYTHON
from test_confine import AS_ROOT
from test_faults import CHROOT, assert_one_sentence

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")


@pytest.fixture
def as_root(sandbox):
    return lambda *argv, **how: sandbox(*argv, options=AS_ROOT, **how)


def hello(*prefix):
    return [*prefix, "curl", "-sS", "http://v4.example.net/hello"]


def assert_hello(seen):
    assert (seen.status, seen.out, seen.err) == (0, "hello from the internet\n", ""), seen


def test_childflow_in_childflow(sandbox):
    assert_one_sentence(sandbox(*hello(*sandbox.program())), "another childflow", "--as-root")


def test_childflow_in_childflow_as_root(sandbox, as_root):
    if sandbox.who == "root":
        # Real root's /proc/sys is read-only inside, and the kernel allows no other one then.
        assert_one_sentence(as_root(*sandbox.program(), "true"), "another childflow", "root")
        return
    assert_hello(as_root(*hello(*sandbox.program())))
    assert_hello(as_root(*hello(*sandbox.program(*AS_ROOT))))


UNSHARES = ["-Ur", "-U --map-current-user", "-Urpf --mount-proc"]


@pytest.mark.parametrize("how", UNSHARES)
def test_in_namespaces_of_other_tools(lab, sandbox, how):
    assert_hello(lab.run(["unshare", *how.split(), *hello(*sandbox.program())], sandbox.who))
    argv = ["unshare", *how.split(), *sandbox.program(*AS_ROOT), "id", "-u"]
    seen = lab.run(argv, sandbox.who)
    assert (seen.status, seen.out) == (0, "0\n"), seen


def test_without_any_mapped_id(lab, sandbox):
    """`unshare -U` alone: nobody is anybody there."""
    argv = ["unshare", "-U", *sandbox.program(), "true"]
    assert_one_sentence(lab.run(argv, sandbox.who), "namespaces", "uid_map")


def test_in_a_chroot_of_ones_own_namespace(lab, sandbox):
    with lab.host_mounts(CHROOT) as space:
        argv = ["unshare", "-Ur", "chroot", "/tmp/root", *sandbox.program(), "true"]
        assert_one_sentence(lab.run(argv, sandbox.who, space=space), "chroot", "pivot_root")


@pytest.mark.parametrize("kind", ["user", "net", "pid", "mnt"])
def test_no_more_namespaces(lab, sandbox, kind):
    # The limit is set in a user namespace of the test's own: the machine's stays as it is.
    script = f'echo 0 >/proc/sys/user/max_{kind}_namespaces; exec "$@"'
    argv = ["unshare", "-Ur", "sh", "-c", script, "sh", *sandbox.program(), "echo", "ran"]
    assert_one_sentence(lab.run(argv, sandbox.who), "namespaces", f"max_{kind}_namespaces")


# --- as container engines set things up ---------------------------------------------------------


def in_container(sandbox, script, *argv, **how):
    """In user, mount, PID and network namespaces that a script has had a hand in."""
    command = [*sandbox.program(), *argv]
    inside = ["unshare", "-Urmpf", "--mount-proc", "sh", "-ec", f'{script}; exec "$@"', "sh"]
    return sandbox.lab.run([*inside, *command], sandbox.who, **how)


def test_in_a_container_with_a_read_only_sys(sandbox):
    script = "mount -o bind,remount,ro /sys"
    assert_hello(in_container(sandbox, f"mount --rbind /sys /sys; {script}", *hello()))


MASKS = {
    "file": "mount --bind /dev/null /proc/timer_list",
    "directory": "mount -t tmpfs -o ro mask /proc/fs",
    "read-only": "mount --bind /proc/sys /proc/sys; mount -o bind,remount,ro /proc/sys",
}


@pytest.mark.parametrize("mask", MASKS)
def test_in_a_container_with_a_masked_proc(sandbox, mask):
    seen = in_container(sandbox, MASKS[mask], "echo", "ran")
    assert_one_sentence(seen, "mount a new /proc", "hidden", "systempaths=unconfined")


def test_behind_a_filter_that_refuses_user_namespaces(lab, sandbox):
    argv = [PYTHON, lab.top / "bin/filter.py", "userns", *sandbox.program(), "echo", "ran"]
    assert_one_sentence(lab.run(argv, sandbox.who), "namespaces", "seccomp filter")


def test_behind_a_filter_that_knows_no_clone3(lab, sandbox):
    argv = [PYTHON, lab.top / "bin/filter.py", "clone3", *sandbox.program(), *hello()]
    assert_hello(lab.run(argv, sandbox.who))


RIGHTS_OF_DOCKER = "-all,+chown,+setuid,+setgid,+setfcap,+kill,+net_bind_service,+net_raw"


@pytest.mark.parametrize("who", ["root"])
def test_root_with_few_capabilities(lab, sandbox):
    def run(kept, *argv):
        drop = ["setpriv", f"--bounding-set={kept}", "--inh-caps=-all"]
        return lab.run([*drop, *sandbox.program(), *argv])

    assert_hello(run(RIGHTS_OF_DOCKER, *hello()))
    # Who has not that capability can't map its own id, 0, into any namespace.
    assert_one_sentence(run("-all", "echo", "ran"), "uid_map", "CAP_SETFCAP",
                        "user_namespace_mapping_failed")


def test_without_helpers_for_ids(lab, sandbox):
    """newuidmap, newgidmap and their tables are not needed."""
    mounts = """
        for name in /usr/bin/newuidmap /usr/bin/newgidmap /etc/subuid /etc/subgid; do
            test ! -e $name || mount --bind /dev/null $name
        done
    """
    with lab.host_mounts(mounts) as space:
        assert_hello(sandbox(*hello(), space=space))


# --- bubblewrap ---------------------------------------------------------------------------------

BWRAPS = {
    "all-of-it": "--dev-bind / /",
    "own-processes": "--dev-bind / / --unshare-user --unshare-pid --unshare-ipc --proc /proc",
    "read-only": "--ro-bind / / --dev-bind /dev /dev --unshare-pid --proc /proc",
}


@pytest.mark.parametrize("how", BWRAPS)
def test_in_bubblewrap(lab, sandbox, how):
    argv = ["bwrap", *BWRAPS[how].split(), *sandbox.program(), *hello()]
    seen = lab.run(argv, sandbox.who)
    if sandbox.who == "root" and "--proc" in argv:  # root's bwrap masks parts of it
        return assert_one_sentence(seen, "mount a new /proc", "hidden")
    assert_hello(seen)


def test_in_bubblewrap_without_more_namespaces(lab, sandbox):
    argv = ["bwrap", *"--dev-bind / / --unshare-user --disable-userns".split()]
    seen = lab.run([*argv, *sandbox.program(), "echo", "ran"], sandbox.who)
    assert_one_sentence(seen, "namespaces", "limit is reached")


def test_in_bubblewrap_with_a_read_only_proc(lab, sandbox):
    argv = ["bwrap", *"--ro-bind / / --dev-bind /dev /dev".split(), *sandbox.program(), "true"]
    assert_one_sentence(lab.run(argv, sandbox.who), "Read-only", "bwrap --proc /proc")


def test_bubblewrap_inside(sandbox, as_root):
    """With --as-root it works; without, the command may make no user namespace."""
    bwrap = ["bwrap", "--unshare-user", "--dev-bind", "/", "/"]
    assert_hello(as_root(*hello(*bwrap)))
    seen = sandbox(*bwrap, "echo", "ran")
    assert seen.status not in (0, 125) and seen.out == "" and "bwrap" in seen.err, seen
