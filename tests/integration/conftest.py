"""Fixtures: the lab, and ways to run a command inside childflow and outside it.

CHILDFLOW names the program. CHILDFLOW=plain runs every command without childflow and skips the
tests about the sandbox: so the lab shows that what the other tests expect is what a program
meets outside. Each test runs as root and as an ordinary user.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import zlib

import pytest

from flowlog import FlowLog
from lab import PATH, Lab, finish
from polling import poll
from proxies import EvilProxies, Proxies, missing
from rules import rules, rules_lab, wire  # noqa: F401: fixtures
from trail import Trail

PLAIN = os.environ.get("CHILDFLOW") == "plain"
QUIC_PORT = 443
TOOLS = """busybox bwrap curl dig dnsmasq gcc git go ip nginx nsenter openssl ping setpriv
    unshare""".split()

# Started under nohup or in a script's background, we ignore signals, and so would every command
# of ours: a shell can't trap what it was born to ignore.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


def lack_of_means():
    """Why the lab can't be made here, or None."""
    missing = [tool for tool in TOOLS if not shutil.which(tool, path=PATH)]
    if missing:
        return f"not installed: {' '.join(missing)}"
    users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    made = subprocess.run(["unshare", *users, "--net", "--mount", "true"], capture_output=True)
    if made.returncode:
        return f"no namespaces here: {made.stderr.decode().strip()}"
    if users and not os.access("/dev/net/tun", os.R_OK | os.W_OK) and not PLAIN:
        return "/dev/net/tun is closed to this user"
    return None


@pytest.fixture(scope="session")
def lab():
    if reason := lack_of_means():
        pytest.skip(reason)
    # Whoever ends the tests early, wants the lab to end, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lab = Lab()
    yield lab
    strangers = lab.strangers_on_the_wire()
    lab.close()
    assert not strangers, f"sources on the link that are none of its addresses: {strangers}"


# Who runs the command is what these are about. Elsewhere it changes nothing of the engine's work,
# so each test runs as one of the two, chosen by its name; WHO=both runs all as both.
ABOUT_WHO = """attribution capture confine etc faults host hostile icmp isolation leftovers limits
    memory nested policy_host run setup_faults terminal""".split()


@pytest.fixture(params=["root", "user"])
def who(request):
    return request.param


def pytest_collection_modifyitems(config, items):
    def is_left_out(item):
        params = getattr(getattr(item, "callspec", None), "params", {})
        name = item.path.stem.removeprefix("test_")
        if params.get("who") is None or name in ABOUT_WHO or os.environ.get("WHO") == "both":
            return False
        rest = sorted((key, str(value)) for key, value in params.items() if key != "who")
        chosen = zlib.crc32(repr((item.originalname, rest)).encode()) % 2
        return params["who"] != ("root", "user")[chosen]

    others = [item for item in items if is_left_out(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


@pytest.fixture(params=[4, 6], ids=["v4", "v6"])
def family(request):
    return request.param


@pytest.fixture(autouse=True)
def nothing_left(lab):
    """No test leaves a process behind."""
    yield
    try:
        poll(lambda: not lab.leftovers(), "the end of all processes of the test")
    except AssertionError:
        left = lab.leftovers()
        lab.kill_leftovers()
        pytest.fail(f"processes left behind: {left}")


@pytest.fixture(scope="session")
def program(lab):
    """The argv prefix that runs a command inside; the program is copied to where all may read."""
    if PLAIN:
        return lambda *options: []
    if "CHILDFLOW" not in os.environ:
        pytest.fail("CHILDFLOW doesn't name the program to test")
    copy = shutil.copy(os.environ["CHILDFLOW"], lab.top / "bin" / "childflow")
    os.chmod(copy, 0o755)
    return lambda *options: [copy, *map(str, options), "--"]


class Runner:
    """Runs commands as `who`; options are childflow's, the rest goes to Lab.start()."""

    def __init__(self, lab, who, program):
        self.lab, self.who, self.program = lab, who, program

    def start(self, *argv, options=(), **how):
        return self.lab.start([*self.program(*options), *argv], self.who, **how)

    def __call__(self, *argv, input=None, timeout=60, **how):
        if input is not None:
            how["stdin"] = subprocess.PIPE
        return finish(self.start(*argv, **how), input, timeout)

    def client(self, name, *arguments, **how):
        """Runs one of guest/client.py's programs."""
        return self("/usr/bin/python3", self.lab.top / "bin/client.py", name, *arguments, **how)


@pytest.fixture
def inside(lab, who, program):
    return Runner(lab, who, program)


@pytest.fixture
def outside(lab, who):
    return Runner(lab, who, lambda *options: [])


@pytest.fixture
def sandbox(inside):
    """As inside, for tests of what only childflow does."""
    if PLAIN:
        pytest.skip("CHILDFLOW=plain")
    return inside


@pytest.fixture
def flow_log(lab, who):
    """Where a run writes its flow log; what is there at the end has been held to the schema."""
    log = FlowLog(lab.homes[who] / "flow.log")
    log.path.unlink(missing_ok=True)
    yield log
    if log.path.is_file() and not log.path.is_symlink():
        log.events()


@pytest.fixture
def resolv_conf(lab):
    """A way to write the host's /etc/resolv.conf line by line; undone at the end."""
    yield lab.reset_resolv_conf
    lab.reset_resolv_conf()


@pytest.fixture
def folder(lab, who):
    """An empty directory of the caller's."""
    path = lab.homes[who] / "settings"
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def trail(lab):
    """Three routers and a machine behind them."""
    if not shutil.which("iptables", path=PATH):
        pytest.skip("iptables is not installed")
    trail = Trail(lab)
    yield trail
    trail.close()


def grant_ping_sockets(lab):
    # In a user namespace no group is mapped but one, which is 0 inside.
    groups = "0 2147483647" if os.geteuid() == 0 else "0 0"
    lab.host.sh(f"echo {groups} >/proc/sys/net/ipv4/ping_group_range")


def take_ping_sockets(lab):
    """As in a new namespace: an empty range of groups. Group 1 must be mapped for that."""
    if os.geteuid() == 0:
        lab.host.sh("echo 1 0 >/proc/sys/net/ipv4/ping_group_range")


@pytest.fixture(params=[True, False], ids=["ping-sockets", "no-ping-sockets"])
def ping_sockets(lab, request):
    """Whether the host lets everybody open some."""
    if request.param:
        grant_ping_sockets(lab)
    elif os.geteuid() != 0:
        pytest.skip("in a user namespace they can't be taken away")
    yield request.param
    take_ping_sockets(lab)


@pytest.fixture
def with_ping_sockets(lab):
    grant_ping_sockets(lab)
    yield
    take_ping_sockets(lab)


@pytest.fixture(scope="session")
def static_program(lab):
    """A C program without any library of the machine."""
    source = pathlib.Path(__file__).parent / "guest" / "fetch.c"
    built = lab.top / "bin" / "static-fetch"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-o", built, source], check=True)
    return built


@pytest.fixture(scope="session")
def go_program(lab):
    """A Go program: system calls of its own, a resolver of its own, no libc."""
    source = pathlib.Path(__file__).parent / "guest" / "fetch.go"
    built = lab.top / "bin" / "go-fetch"
    environment = {
        "PATH": PATH, "HOME": str(lab.top / "run"), "GOCACHE": str(lab.top / "run/go"),
        "CGO_ENABLED": "0", "GO111MODULE": "off",
    }
    subprocess.run(["go", "build", "-o", built, source], env=environment, check=True)
    return built


def need(tool):
    found = shutil.which(tool, path=PATH)
    return found or pytest.skip(f"{tool} is not installed")


@pytest.fixture
def quic(lab, inside):
    """Has a real QUIC client fetch /page; returns its Result and what it has got, or None."""
    client, server = need("gtlsclient"), need("gtlsserver")
    site = ["--htdocs", lab.top / "www", "*", QUIC_PORT]
    keys = [lab.top / "run/web.key", lab.top / "run/web.pem"]
    process = lab.start([server, "--quiet", *site, *keys], space=lab.internet)
    poll(lambda: lab.internet.listens(QUIC_PORT, "udp"), "the QUIC server")
    to = lab.homes[inside.who] / "quic"
    to.mkdir()
    to.chmod(0o777)

    def fetch(host, *settings, **how):
        argv = [client, "--quiet", "--exit-on-all-streams-close", f"--download={to}", *settings]
        seen = inside(*argv, host, QUIC_PORT, "https://www.example.net/page", **how)
        page = to / "page"
        return seen, page.read_bytes() if page.exists() else None

    yield fetch
    process.kill()
    process.communicate()
    shutil.rmtree(to)


@pytest.fixture(scope="session")
def evil_proxies(lab):
    return EvilProxies(lab)


@pytest.fixture(scope="session")
def proxies(lab, evil_proxies):
    """Real proxies on the internet side."""
    if lacking := missing():
        pytest.skip(f"not installed: {lacking}")
    return Proxies(lab)
