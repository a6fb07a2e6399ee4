"""What a command finds itself in: prints it as one line of JSON, then waits for a line."""

import json
import os
import resource
import socket

SYSCTLS = """net/ipv4/ping_group_range net/ipv4/ip_unprivileged_port_start
    net/ipv4/tcp_congestion_control net/ipv4/conf/tap0/ignore_routes_with_linkdown
    net/ipv6/conf/tap0/ignore_routes_with_linkdown user/max_user_namespaces""".split()
STATUS = "Uid Gid Groups SigBlk SigIgn CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp"


def text(path):
    with open(path) as file:
        return file.read()


def mounts():
    """Where what is mounted, how; without the numbers, which differ from run to run."""
    for line in text("/proc/self/mountinfo").splitlines():
        words = line.split()
        yield [*words[4:6], *words[words.index("-") + 1 :][:2]]


def table(name, *columns):
    """Columns of a table of the kernel's, without the addresses, which differ as well."""
    rows = [line.split() for line in text(f"/proc/net/{name}").splitlines()]
    return [[row[column] for column in columns] for row in rows if len(row) > max(columns)]


def found():
    status = dict(line.split(":\t", 1) for line in text("/proc/self/status").splitlines()
                  if ":\t" in line)
    return {
        "status": {name: status[name].split() for name in STATUS.split()},
        "ids": [text(f"/proc/self/{name}") for name in ("uid_map", "gid_map", "setgroups")],
        "mounts": list(mounts()),
        "sysctls": [text(f"/proc/sys/{name}") for name in SYSCTLS],
        "interfaces": socket.if_nameindex(),
        "routes": sorted(table("route", 0, 3, 7)),
        # Those of the addresses themselves come a little later.
        "routes6": sorted(r for r in table("ipv6_route", 1, 3, 5, 9) if r[0] != "80"),
        "neighbours": table("arp", 1, 2, 5),
        "mtu": text("/sys/class/net/tap0/mtu"),
        "resolvers": [line.split()[0] for line in text("/etc/resolv.conf").splitlines()],
        "nsswitch": text("/etc/nsswitch.conf"),
        "hidden": os.listdir("/run/dbus") if os.path.isdir("/run/dbus") else [],
        "processes": sorted(name for name in os.listdir("/proc") if name.isdigit()),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
    }


print(json.dumps(found()), flush=True)
input()
