"""What the command sees of the machine, and what it may not do."""

import ipaddress
import json
import pathlib
import re

import pytest

from lab import DNS, HOST4, HOST6, USER_ID, WEB


SYS_ADMIN = 1 << 21


@pytest.fixture(params=[[], ["--as-root"]], ids=["plain", "as-root"])
def designed(request, sandbox):
    """Runs a command with each set of options that changes what it is."""
    return lambda *argv, **how: sandbox(*argv, options=request.param, **how)


def status(seen):
    return dict(re.findall(r"(?m)^(\w+):\t(.*)$", seen.out))


def test_status_of_the_command(designed, outside, request):
    fields = status(designed("cat", "/proc/self/status"))
    last = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())
    # The bounding set is kept: without it ping, which has a capability, could not be executed.
    bounds = (2 << last) - 1
    own = 0
    if "as-root" in request.node.callspec.id:
        bounds &= ~SYS_ADMIN
        own = bounds
    expected = {"CapInh": 0, "CapPrm": own, "CapEff": own, "CapBnd": bounds, "CapAmb": 0}
    assert {name: int(fields[name], 16) for name in expected} == expected
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    there = status(outside("cat", "/proc/self/status"))
    for name in ("SigIgn", "SigBlk", "SigCgt"):
        assert fields[name] == there[name], name


def test_descriptors_of_the_command(lab, designed):
    with open("/dev/null") as inherited:
        program = ["/usr/bin/python3", lab.top / "bin/client.py", "descriptors"]
        seen = designed(*program, pass_fds=[inherited.fileno()])
    assert seen.out == "0 1 2\n"


def test_network_of_the_command(designed):
    links = {link["ifname"]: link for link in json.loads(designed("ip", "-json", "address").out)}
    assert sorted(links) == ["lo", "tap0"] == designed("ls", "/sys/class/net").out.split()
    assert {"LOOPBACK", "UP"} <= {*links["lo"]["flags"]} and "UP" in links["tap0"]["flags"]
    assert links["tap0"]["mtu"] == 1500
    addresses = {name: [(a["local"], a["prefixlen"]) for a in link["addr_info"]]
                 for name, link in links.items()}  # fmt: skip
    assert addresses["lo"] == [("127.0.0.1", 8), ("::1", 128)]
    (own4, length4), (own6, length6) = addresses["tap0"]
    assert own4.startswith("10.240.") and own6.startswith("fd42:")
    assert (length4, length6) == (30, 64)


def test_processes_of_the_command(designed):
    assert designed("ps", "-eo", "pid=,comm=").out.split() == ["1", "childflow-init", "2", "ps"]


def test_own_identity(sandbox, outside):
    assert sandbox("id", "-u").out == outside("id", "-u").out
    assert sandbox("id", "-g").out == outside("id", "-g").out
    if sandbox.who == "user":
        assert sandbox("id", "-u").out == f"{USER_ID}\n"


def test_owner_of_own_files(sandbox, outside):
    file = sandbox.lab.homes[sandbox.who] / "mine"
    assert sandbox("touch", file).status == 0
    assert sandbox("stat", "-c", "%u %g", file).out == outside("stat", "-c", "%u %g", file).out


def test_no_user_namespace_of_its_own(sandbox):
    assert sandbox("unshare", "-Ur", "true").status != 0


@pytest.mark.parametrize("argv", [
    ["ip", "link", "set", "tap0", "down"], ["ip", "address", "add", "127.0.0.2/8", "dev", "tap0"],
    ["ip", "route", "del", "default"], ["umount", "/etc"], ["mount", "-t", "tmpfs", "x", "/mnt"],
    ["python3", "-c", "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"],
    ["sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet"],
    ["sh", "-c", "echo nameserver 1.1.1.1 >>/etc/resolv.conf"],
], ids=lambda argv: " ".join(argv)[:40])
def test_refused(sandbox, argv):
    seen = sandbox(*argv)
    assert seen.status != 0 and seen.err


def test_kernel_settings_are_read_only(sandbox):
    # Written is what stands there already: a hole must not harm the machine.
    script = """
        for file in kernel/core_pattern kernel/domainname fs/suid_dumpable; do
            value=$(cat /proc/sys/$file)
            (echo "$value" >/proc/sys/$file) 2>/dev/null && echo "$file was written"
        done
        true
    """
    for _ in range(20):  # root has the right to write: no run may be too early for the guard
        seen = sandbox("sh", "-c", script)
        assert (seen.status, seen.out) == (0, "")


def test_init_is_out_of_reach(sandbox):
    seen = sandbox("sh", "-c", "kill -STOP 1; kill -KILL 1; kill -TERM 1; echo alive")
    assert (seen.status, seen.out) == (0, "alive\n")


def test_interfaces_in_proc(sandbox):
    assert sorted(re.findall(r"(?m)^ *(\w+):", sandbox("cat", "/proc/net/dev").out)) == [
        "lo", "tap0"
    ]


@pytest.mark.parametrize("plan", ["10.240.0.0/16 30", "fd42::/16 64"], ids=["v4", "v6"])
def test_addresses(sandbox, plan):
    block, length = plan.split()
    family = 6 if ":" in block else 4
    seen = sandbox("sh", "-c", f"ip -{family} -o address show tap0 scope global; "
                               f"ip -{family} route show default").out
    own = ipaddress.ip_interface(re.search(r"inet6? (\S+)", seen).group(1))
    gateway = ipaddress.ip_address(re.search(r"via (\S+) dev tap0", seen).group(1))
    assert own.network.subnet_of(ipaddress.ip_network(block))
    assert own.network.prefixlen == int(length)
    assert (gateway, own.ip) == (own.network[1], own.network[2])


def test_two_runs_have_their_own_addresses(sandbox):
    show = ["ip", "-o", "-6", "address", "show", "tap0", "scope", "global"]
    assert len({sandbox(*show).out for _ in range(3)}) == 3


def test_gateway_answers_ping(sandbox, family):
    word = "ip -%d route show default | sed 's/.*via //; s/ .*//'" % family
    seen = sandbox("sh", "-c", f"ping -n -c 2 -i 0.2 -W 5 $({word})")
    assert seen.status == 0 and "2 received" in seen.out, seen


def test_low_ports(sandbox):
    assert sandbox.client("bind_low_port").out == "bound\n"


def test_own_loopback_works(sandbox):
    script = """
        python3 -m http.server --bind 127.0.0.1 8081 >/dev/null 2>&1 &
        until curl -s -o /dev/null http://127.0.0.1:8081/; do :; done
        echo reached
    """
    assert sandbox("timeout", "20", "sh", "-c", script).out == "reached\n"


def test_processes_of_a_script(sandbox):
    script = "for p in /proc/[0-9]*; do cat $p/comm; done"
    names = sandbox("sh", "-c", script).out.split()
    assert len(names) <= 4 and "dnsmasq" not in names and "pytest" not in names, names
    assert sandbox("readlink", "/proc/self").out.strip() != ""


def test_host_network_is_not_in_proc(sandbox, outside):
    assert HOST4 in outside("ip", "address").out
    seen = sandbox("sh", "-c", "ip address; cat /proc/net/fib_trie /proc/1/net/fib_trie").out
    assert HOST4 not in seen and HOST6 not in seen


def test_sources_on_the_wire_are_the_hosts(lab, sandbox, family):
    mark = lab.wire.mark()
    assert sandbox("curl", "-sS", f"http://v{family}.example.net/hello").status == 0
    sources = {p.source for p in lab.wire.since(mark) if p.protocol in (6, 17)}
    assert sources <= {HOST4, HOST6, *DNS.values(), *WEB.values()}, sources


def test_an_idle_run_sends_nothing(lab, sandbox):
    mark = lab.wire.mark()
    assert sandbox("sleep", "1.5").err == ""
    neighbour_discovery = 58
    assert [p for p in lab.wire.since(mark) if p.protocol != neighbour_discovery] == []


def test_abstract_sockets_of_the_host_are_out_of_reach(lab, sandbox, outside):
    name = "\0childflow-lab-" + lab.id
    listen = f"""
import socket
s = socket.socket(socket.AF_UNIX); s.bind({name!r}); s.listen(); print("ready", flush=True)
while True: s.accept()
"""
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})"
    server = lab.start(["/usr/bin/python3", "-c", listen])
    assert server.stdout.readline() == "ready\n"
    try:
        assert outside("/usr/bin/python3", "-c", connect).status == 0
        seen = sandbox("/usr/bin/python3", "-c", connect)
        assert "ConnectionRefusedError" in seen.err
    finally:
        server.kill()
        server.communicate()
