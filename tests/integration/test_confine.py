"""What the command may not do to the machine, what the engine gives up, --as-root, nesting."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

from conftest import PLAIN
from lab import DNS, NOBODY, OTHER_DNS, WEB
from polling import poll
from test_faults import Family, assert_one_sentence

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK = 1, 2, 10, 16, 17, 40
AS_ROOT = ["--as-root"]

# What the probe tries for each family, and what it meets when the family may be used.
FAMILY_CALLS = {
    "socket": "EINVAL", "socketpair": "EFAULT", "x32-socket": "ENOSYS",
    "i386-socket": "EINVAL", "i386-socketpair": "EFAULT",
    "socketcall-socket": "EAFNOSUPPORT", "socketcall-socketpair": "EAFNOSUPPORT",
}  # fmt: skip
# What it tries once, maybe by other numbers as well; and how much at a process.
ONCE = {
    "io_uring_setup": "ENOSYS", "io_uring_enter": "ENOSYS", "io_uring_register": "ENOSYS",
    "clone3": "ENOSYS", "TIOCSTI": "EPERM", "TIOCLINUX": "EPERM", "TIOCSTI-high": "EPERM",
    "TIOCLINUX-high": "EPERM", "setpriority-group": "EPERM", "setpriority-user": "EPERM",
    "ioprio_set-group": "EPERM", "ioprio_set-user": "EPERM",
}  # fmt: skip
AT_A_PROCESS = 21


def fields(pid):
    """/proc/PID/status as a dictionary."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@pytest.fixture(scope="session")
def probe(lab):
    source = pathlib.Path(__file__).parent / "guest" / "probe.c"
    built = lab.top / "bin" / "probe"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-o", built, source], check=True)
    return built


@pytest.fixture
def running(sandbox):
    """Starts a command that runs until it reads a line, and waits for its "ready"."""
    started = []

    def start(script="read line", options=()):
        process = sandbox.start("sh", "-c", f"echo ready; {script}", options=options, stdin=-1)
        assert process.stdout.readline() == "ready\n", process.communicate()
        started.append(process)
        return process

    yield start
    for process in started:
        if not process.stdin.closed:
            process.communicate("\n", timeout=30)


def outcomes(text):
    """{(name, number): outcome} of the probe's lines."""
    words = [line.split() for line in text.splitlines()]
    return {(name, int(number)): outcome for name, number, outcome in words}


# --- the command ------------------------------------------------------------------------------


@pytest.fixture
def probed(lab, sandbox, running, probe):
    """What the probe could do to its own init, and to supervisor and engine of its own run."""

    def run(options=()):
        process = running(f'read pids; exec {probe} all $pids', options=options)
        family = Family(process)
        pids = (family.supervisor, family.engine)
        out, err = process.communicate("%d %d\n" % pids, timeout=30)
        assert process.returncode == 0, err
        return outcomes(out), pids

    return run


@pytest.mark.parametrize("options", [[], AS_ROOT], ids=["plain", "as-root"])
def test_probes(probed, options):
    seen, outside = probed(options)
    usable = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET}
    for name, usual in FAMILY_CALLS.items():
        families = {number: seen[name, number] for number in range(64) if (name, number) in seen}
        if name in ("socket", "socketpair") or families:
            refusal = "ENOSYS" if name == "x32-socket" else "EAFNOSUPPORT"
            assert families == {n: usual if n in usable else refusal for n in range(64)}, name
    once = {name: result for (name, n), result in seen.items()
            if n == 0 and name not in FAMILY_CALLS}  # fmt: skip
    assert set(ONCE) <= set(once) <= {*ONCE, *(p + n for p in ("i386-", "x32-") for n in ONCE)}
    for name, result in once.items():
        native = name.removeprefix("i386-").removeprefix("x32-")
        assert result == ("ENOSYS" if name.startswith("x32-") else ONCE[native]), name
    init = {name: result for (name, n), result in seen.items() if n == 1}
    init = {name: result for name, result in init.items() if name not in FAMILY_CALLS}
    assert len(init) - sum(name.startswith("i386-") for name in init) == AT_A_PROCESS
    assert set(init.values()) <= {"EPERM", "EACCES"}, init
    for pid in outside:
        there = {name: result for (name, number), result in seen.items() if number == pid}
        assert len(there) == AT_A_PROCESS + 2  # signals, which do process 1 no harm
        assert set(there.values()) <= {"ESRCH", "ENOENT"}, there


def rank(pid):
    """Its nice value, and its class and priority for input and output."""
    after_name = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    io = subprocess.run(["ionice", "-p", str(pid)], check=True, capture_output=True, text=True)
    return after_name.split()[16], io.stdout


@pytest.mark.parametrize("options", [[], AS_ROOT], ids=["plain", "as-root"])
def test_the_ranks_of_others(sandbox, options):
    """Supervisor and init are in the command's own process group, whose number is 0 inside."""
    script = """
        echo ready; read line
        renice -n 15 -g 0; renice -n 15 -u $(id -u); ionice -c 3 -P 0; ionice -c 3 -u $(id -u)
        echo done; read line
    """
    process = sandbox.start("sh", "-c", script, options=options, stdin=-1, start_new_session=True)
    try:
        assert process.stdout.readline() == "ready\n"
        run = Family(process)
        before = [rank(pid) for pid in (run.supervisor, run.init, run.engine)]
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        assert [rank(pid) for pid in (run.supervisor, run.init, run.engine)] == before
    finally:
        process.communicate("end\n", timeout=30)


def test_the_same_is_possible_outside(lab, outside, probe):
    """Without childflow the probe gets through: its refusals above are childflow's."""
    victim = outside.start("sleep", "1000")
    name = pathlib.Path(f"/proc/{victim.pid}/comm")
    poll(lambda: name.read_text() == "sleep\n", "the victim, as the user it is to be")
    try:
        seen = outcomes(outside(probe, victim.pid).out)
        names = """prlimit sched_setaffinity sched_setattr sched_setparam setpriority ioprio_set
            process_vm_readv pidfd_send_signal kill""".split()
        for name in names:
            assert seen[name, victim.pid] in ("ok", "EFAULT"), name
        assert seen["TIOCSTI", 0] == seen["TIOCLINUX", 0] == "EBADF"
        assert seen["socket", AF_VSOCK] == "EINVAL"
        for name in ("io_uring_setup", "io_uring_enter", "io_uring_register", "clone3"):
            assert seen[name, 0] in ("EFAULT", "EBADF", "EINVAL"), name
    finally:
        victim.kill()
        victim.communicate()


@pytest.mark.parametrize("options", [[], AS_ROOT], ids=["plain", "as-root"])
def test_other_network_namespaces(lab, sandbox, outside, options):
    """Not by a name in /run/netns, a process's entry in /proc, or a mount made inside."""
    mounts = "mount -t tmpfs -o mode=755 lab /run; ip netns add other"
    script = """
        for file in /run/netns/other /proc/1/ns/net /proc/$PPID/ns/net; do
            nsenter --net=$file true && echo "entered $file"
            unshare -Ur nsenter --net=$file true && echo "entered $file as another's root"
        done
        nsenter -t $PPID -n true && echo "entered the parent's"
        ip netns exec other true && echo "executed in other"
        test -e /run/netns/other && echo end
    """
    with lab.host_mounts(mounts) as space:
        seen = sandbox("sh", "-c", script, options=options, space=space)
        assert seen.out == "end\n", seen
        if sandbox.who == "root":
            assert outside("nsenter", "--net=/run/netns/other", "true", space=space).status == 0


def test_a_stopped_terminal_job_cant_be_typed_at(lab, sandbox):
    """TIOCSTI on a terminal that is really there."""
    script = r"""
import fcntl, os, pty, termios
master, slave = os.openpty()
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    try:
        fcntl.ioctl(slave, termios.TIOCSTI, b"x")
        print("typed", flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    assert sandbox("/usr/bin/python3", "-c", script).out == "Operation not permitted\n"


def test_sockets_of_the_system_bus_are_hidden(lab, sandbox):
    mounts = "mount -t tmpfs -o mode=755 lab /run; mkdir /run/dbus; : >/run/dbus/system_bus_socket"
    with lab.host_mounts(mounts) as space:
        seen = sandbox("ls", "/run/dbus", "/var/run/dbus", space=space)
        assert "system_bus_socket" not in seen.out and seen.status == 0, seen


# --- the engine -------------------------------------------------------------------------------


def sanitized(program):
    return b"__asan_init" in pathlib.Path(program()[0]).read_bytes()


def test_engine_gives_up_everything(lab, sandbox, running, program):
    process = running()
    engine = Family(process).engine
    status = fields(engine)
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0
    assert status["NoNewPrivs"] == "1"
    limits = pathlib.Path(f"/proc/{engine}/limits").read_text()
    assert re.search(r"(?m)^Max core file size +0 +0 ", limits)
    if os.geteuid() == 0:  # what can't be dumped belongs to root
        assert pathlib.Path(f"/proc/{engine}/environ").stat().st_uid == 0
    if sanitized(program):
        pytest.skip("sanitizers need files and all system calls")
    assert status["Seccomp"] == "2"
    mine = os.readlink("/proc/self/ns/user")
    assert os.readlink(f"/proc/{engine}/ns/user") not in (
        mine, os.readlink(f"/proc/{process.pid}/ns/user"),
        os.readlink(f"/proc/{Family(process).init}/ns/user"),
    )  # fmt: skip
    for folder in ("root", "cwd"):
        assert os.readlink(f"/proc/{engine}/{folder}") not in ("/", os.getcwd())
        assert os.listdir(f"/proc/{engine}/{folder}/") == []


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def descriptors(pid, begin=3):
    """What a process holds, by default besides its standard streams."""
    kinds = []
    for file in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if int(file.name) >= begin:
                kinds.append(os.readlink(file))
    return kinds


def test_the_engine_alone_holds_the_tap(running):
    """Who held it, too, would keep it alive; so would who holds a socket or pipe of the engine."""
    process = running("sleep 1000 & read line; kill $!")
    family = Family(process)
    (command,) = children(family.init)
    (child,) = poll(lambda: children(command), "the command's child")
    poll(lambda: fields(child)["Name"] == "sleep", "its exec")
    # What the loader opens it closes; what was inherited would stay.
    for pid in (command, child):
        poll(lambda pid=pid: descriptors(pid) == [], "no descriptors but the standard streams")
    holders = {pid for pid in (family.engine, family.init, family.supervisor)
               if "/dev/net/tun" in descriptors(pid)}  # fmt: skip
    assert holders == {family.engine}


def test_descriptors_of_the_engine(running):
    engine = Family(running()).engine
    kinds = sorted(re.sub(r":?\[\d+\]$", "", kind) for kind in descriptors(engine, 0))
    for kind in ("/dev/net/tun", "socket"):
        assert kind in kinds
    # stderr is a pipe here.
    known = {"/dev/net/tun", "/dev/null", "socket", "pipe", "anon_inode:[eventfd]",
             "anon_inode:[eventpoll]", "anon_inode", "anon_inode:[timerfd]"}  # fmt: skip
    assert set(kinds) <= known, kinds
    assert len(kinds) <= 20


def test_a_system_call_that_kills_the_engine_is_named(running):
    process = running("read line")
    os.kill(Family(process).engine, signal.SIGSYS)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 125
    assert "signal 31" in err and "for a system call" in err and err.count("\n") <= 2, err


# --- the resolvers of the host ----------------------------------------------------------------


@pytest.fixture
def link_target(lab):
    folder = lab.top / "run" / "resolv"
    folder.mkdir(exist_ok=True)
    yield folder
    for file in folder.iterdir():
        file.unlink()


def write(file, server):
    file.write_text(f"nameserver {server[4]}\n")


def change_in_place(etc, folder):
    write(etc / "resolv.conf", OTHER_DNS)


def change_by_rename(etc, folder):
    write(etc / "resolv.conf.new", OTHER_DNS)
    (etc / "resolv.conf.new").rename(etc / "resolv.conf")


def change_by_unlink(etc, folder):
    (etc / "resolv.conf").unlink()
    write(etc / "resolv.conf", OTHER_DNS)


def change_to_symlink(etc, folder):
    write(folder / "late", OTHER_DNS)
    (etc / "resolv.conf").unlink()
    (etc / "resolv.conf").symlink_to(folder / "late")


def answers(process):
    """Asks once: the address of www.example.net, by which the two servers differ."""
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


ASK = "while read line; do dig +short +tries=1 www.example.net A; done"


@pytest.mark.parametrize("change", [
    change_in_place, change_by_rename, change_by_unlink, change_to_symlink,
], ids=lambda f: f.__name__)  # fmt: skip
def test_new_resolvers_are_followed(lab, running, resolv_conf, link_target, change):
    resolv_conf(f"nameserver {DNS[4]}")
    process = running(ASK)
    assert answers(process) == WEB[4]
    change(lab.host.path("/etc"), link_target)
    poll(lambda: answers(process) == NOBODY[4], "questions to the new server")
    # And back again, by what the last change has made of the file.
    resolv_conf(f"nameserver {DNS[4]}")
    poll(lambda: answers(process) == WEB[4], "questions to the old server")


def test_the_target_of_the_symlink_changes(lab, running, resolv_conf, link_target):
    """As systemd-resolved does it: /etc/resolv.conf stays, its target is renamed over."""
    etc = lab.host.path("/etc")
    write(link_target / "stub", DNS)
    (link_target / "middle").symlink_to("stub")
    (etc / "resolv.conf").unlink()
    (etc / "resolv.conf").symlink_to(link_target / "middle")
    process = running(ASK)
    assert answers(process) == WEB[4]
    for server, expected in ((OTHER_DNS, NOBODY[4]), (DNS, WEB[4])):
        write(link_target / "stub.new", server)
        (link_target / "stub.new").rename(link_target / "stub")
        poll(lambda: answers(process) == expected, "questions to the new server")
    # Then the link in the middle is pointed elsewhere.
    write(link_target / "other", OTHER_DNS)
    (link_target / "next").symlink_to("other")
    (link_target / "next").rename(link_target / "middle")
    poll(lambda: answers(process) == NOBODY[4], "questions to the new server")


def test_a_missing_file_changes_nothing(lab, running, resolv_conf):
    resolv_conf(f"nameserver {OTHER_DNS[4]}")
    process = running(ASK)
    resolv_conf(f"nameserver {DNS[4]}")
    poll(lambda: answers(process) == WEB[4], "questions to the new server")
    # So it is watched now.
    file = lab.host.path("/etc") / "resolv.conf"
    for change in (file.unlink, file.touch):
        change()
        for _ in range(20):
            assert answers(process) == WEB[4]


def test_a_server_of_ones_own_is_kept(lab, running, resolv_conf):
    """--dns: the host's changes are nobody's business. Read by the run without the option."""
    resolv_conf(f"nameserver {DNS[4]}")
    own, other = running(ASK, options=["--dns", DNS[4]]), running(ASK)
    resolv_conf(f"nameserver {OTHER_DNS[4]}")
    poll(lambda: answers(other) == NOBODY[4], "questions to the new server")
    assert answers(own) == WEB[4]


# --- as root ----------------------------------------------------------------------------------


@pytest.fixture
def as_root(sandbox):
    return lambda *argv, **how: sandbox(*argv, options=AS_ROOT, **how)


def test_as_root_is_root(as_root):
    seen = as_root("id", "-u")
    assert (seen.status, seen.out) == (0, "0\n"), seen
    assert as_root("id", "-g").out == "0\n"
    status = as_root("cat", "/proc/self/status").out
    field = {n: v for n, v in re.findall(r"(?m)^(\w+):\t(.*)$", status)}
    assert field["NoNewPrivs"] == "1" and field["Seccomp"] == "2"
    effective, sys_admin, net_admin = int(field["CapEff"], 16), 1 << 21, 1 << 12
    assert effective & net_admin and not effective & sys_admin
    assert not int(field["CapBnd"], 16) & sys_admin


def test_as_root_owns_the_users_files(as_root, sandbox, outside):
    file = sandbox.lab.homes[sandbox.who] / "by-root"
    assert as_root("touch", file).status == 0
    assert as_root("stat", "-c", "%u", file).out == "0\n"
    assert outside("stat", "-c", "%u", file).out == outside("id", "-u").out


def test_as_root_sets_up_its_network(as_root):
    script = """
        ip link add dummy0 type veth peer name dummy1
        ip address add 10.9.9.1/24 dev dummy0; ip link set dummy0 up
        ip -o address show dummy0; ip link set tap0 mtu 1400; ip -o link show tap0
    """
    seen = as_root("sh", "-ec", script)
    assert seen.status == 0 and "10.9.9.1/24" in seen.out and "mtu 1400" in seen.out, seen


def test_as_root_the_network_works(as_root, family):
    seen = as_root("curl", "-sS", f"http://v{family}.example.net/hello")
    assert (seen.status, seen.out) == (0, "hello from the internet\n"), seen


UNMOUNTS = ["/etc", "/run/nscd", "/run/dbus", "/sys", "/proc"]


@pytest.mark.parametrize("place", UNMOUNTS)
def test_as_root_cant_uncover_anything(lab, sandbox, as_root, place):
    mounts = """
        mount -t tmpfs -o mode=755 lab /run
        for d in nscd dbus; do mkdir /run/$d; : >/run/$d/socket; done
    """
    with lab.host_mounts(mounts) as space:
        script = f"umount {place} || umount -l {place} || mount -o remount,rw {place}"
        assert as_root("sh", "-c", script, space=space).status != 0
        # A mount namespace of its own gets all mounts as one.
        nested = f"unshare -Urm sh -c 'mount -t tmpfs x /mnt && {script}'"
        seen = as_root("sh", "-c", nested, space=space)
        assert seen.status != 0 and "unshare" not in seen.err and "/mnt" not in seen.err, seen
        assert as_root("ls", "/run/nscd", "/run/dbus", space=space).out.count("socket") == 0


def test_as_root_cant_take_the_tap(as_root):
    script = """
import fcntl, os, struct
fd = os.open("/dev/net/tun", os.O_RDWR)
try:
    fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"tap0", 0x5002))
    print("taken")
except OSError as error:
    print(error.strerror)
"""
    assert as_root("/usr/bin/python3", "-c", script).out == "Device or resource busy\n"
