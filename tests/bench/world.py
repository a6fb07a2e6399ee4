"""The world the benchmarks run in, and what can be seen of it from outside.

A "host" and an "origin", two private network namespaces joined by one veth pair, and a second
origin behind a long wire (delay.c). Nothing has a name on the machine, and there is no way out:
the machine's own network is not touched.

    host HOST --veth-- ORIGIN origin: load serve, iperf3, nginx, dnsmasq
      `------- delay -- FAR far: iperf3

The host has mounts of its own: a /dev/net/tun that everybody may open, as on an ordinary system.
"""

import atexit
import contextlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from lab import DIES_WITH_US, USER_ID, Space  # noqa: E402
from polling import poll  # noqa: E402

HOST, ORIGIN = "192.168.66.1", "192.168.66.2"
FAR_HOST, FAR = "192.168.67.1", "192.168.67.2"
PORT = 7000  # the first of the load generator's
HTTP_PORT, IPERF_PORTS = 8080, range(5300, 5800)
ROUND_TRIP_MS, LONG_WIRE_MBITS = 100, 1000
LONG_WIRE_WINDOW = "4096 131072 33554432"
QUIET_CPUS, QUIET_SECONDS = 0.25, 5  # how idle the machine must be, and how long we wait for it
TICKS = os.sysconf("SC_CLK_TCK")


# --- looking at processes --------------------------------------------------------------------

def read(path):
    """A file of /proc, or an empty string: processes may end at any time."""
    try:
        return pathlib.Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def process_tree(pid):
    """A process and all that descend from it."""
    children = read(f"/proc/{pid}/task/{pid}/children").split()
    return [pid] + [p for child in children for p in process_tree(int(child))]


def cpu_seconds(pids):
    """What they have used up to now: to the nanosecond where the kernel tells."""
    total = 0.0
    for pid in pids:
        tasks = [read(path / "schedstat") for path in pathlib.Path(f"/proc/{pid}/task").glob("*")]
        if any(tasks):
            total += sum(int(task.split()[0]) for task in tasks if task) / 1e9
        elif stat := read(f"/proc/{pid}/stat"):
            user, system = stat.rpartition(")")[2].split()[11:13]
            total += (int(user) + int(system)) / TICKS
    return total


def machine_cpu_seconds():
    """All that ran on this machine, without what its own host took from it."""
    user, nice, system, _, _, irq, softirq = map(int, read("/proc/stat").split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def memory_kib(pids, kind="Pss"):
    """Pss: every page is counted once, in parts among those that share it."""
    lines = [line.split() for pid in pids
             for line in read(f"/proc/{pid}/smaps_rollup").splitlines()]
    return sum(int(line[1]) for line in lines if line[0] == f"{kind}:")


def descriptor_count(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/fd"))
    return total


def wait_quiet():
    """Waits until the machine is nearly idle, or no longer; returns (seconds, CPUs in use)."""
    start = time.monotonic()
    while True:
        before = machine_cpu_seconds()
        time.sleep(0.25)
        busy = (machine_cpu_seconds() - before) / 0.25
        waited = time.monotonic() - start
        if busy <= QUIET_CPUS or waited > QUIET_SECONDS:
            return round(waited, 2), round(busy, 2)


# --- the namespaces and their servers ----------------------------------------------------------

class World:
    def __init__(self, tools, log, congestion_control=None):
        """tools: the directory of the compiled helpers; log: where the servers' words go."""
        self.congestion_control = congestion_control
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="childflow-bench-"))
        self.top.chmod(0o755)
        self.log = log
        self.servers, self.spaces = [], []
        atexit.register(self.close)
        self.iperf_port = IPERF_PORTS.start
        # An ordinary user can't reach the build directory of everyone.
        for tool in ("load", "delay"):
            shutil.copy(tools / tool, self.top)
        self.load = str(self.top / "load")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

        self.host = self._space("--mount", "--propagation", "private")
        self.origin = self._space()
        self.far = self._space()
        self.host.sh(f"""
            mount -t tmpfs -o mode=755 bench /dev/net; mknod -m 666 /dev/net/tun c 10 200
            ip link add eth0 type veth peer name eth0 netns {self.origin.pid}
            ip link set lo up; ip link set eth0 up
            ip address add {HOST}/24 dev eth0; ip route add default via {ORIGIN}
        """)
        self.origin.sh("ip link set lo up; ip link set eth0 up; "
                       f"ip address add {ORIGIN}/24 dev eth0")
        for space in self.spaces:
            self.tune(space.pid)
        self._start_long_wire()
        self._start_servers()

    def _space(self, *options):
        self.spaces.append(Space([], "--net", *options))
        return self.spaces[-1]

    def close(self):
        atexit.unregister(self.close)
        for server in self.servers:
            server.kill()
            server.wait()
        for space in reversed(self.spaces):
            space.close()
        shutil.rmtree(self.top)

    def tune(self, pid):
        """What every namespace gets alike: enough ports and queues for ten thousand connections."""
        enter = ["nsenter", f"--target={pid}", "--net", "--"]
        reserved = f"{IPERF_PORTS.start}-{IPERF_PORTS.stop},{PORT}-{PORT + 99},{HTTP_PORT}"
        settings = [
            "ipv4.ip_local_port_range=1024 65535", f"ipv4.ip_local_reserved_ports={reserved}",
            "ipv4.tcp_tw_reuse=1", "core.somaxconn=16384", "ipv4.tcp_max_syn_backlog=16384",
        ]
        if self.congestion_control:
            settings.append(f"ipv4.tcp_congestion_control={self.congestion_control}")
        for setting in settings:
            subprocess.run([*enter, "sysctl", "-qw", "net." + setting], check=True)

    @contextlib.contextmanager
    def wide_windows(self, *pids):
        """For the time of a measurement over the long wire."""
        names = ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")
        spaces = [self.host.pid, self.far.pid, *pids]
        before = [[self.sysctl(pid, name) for name in names] for pid in spaces]
        for pid in spaces:
            for name in names:
                self.sysctl(pid, name, LONG_WIRE_WINDOW)
        try:
            yield
        finally:
            for pid, values in zip(spaces, before):
                for name, value in zip(names, values):
                    self.sysctl(pid, name, value)

    @staticmethod
    def sysctl(pid, name, value=None):
        setting = [name] if value is None else ["-w", f"{name}={value}"]
        command = ["nsenter", f"--target={pid}", "--net", "--", "sysctl", "-n", *setting]
        done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
        return done.stdout.strip().replace("\t", " ")

    def serve(self, space, argv, **files):
        files.setdefault("stdin", subprocess.DEVNULL)
        files.setdefault("stdout", subprocess.DEVNULL)
        command = [*space.enter(), *DIES_WITH_US, *map(str, argv)]
        server = subprocess.Popen(command, stderr=self.log, **files)
        self.servers.append(server)
        return server

    def serve_ready(self, space, argv, **files):
        server = self.serve(space, argv, stdout=subprocess.PIPE, **files)
        assert server.stdout.readline() == b"ready\n", f"{argv} failed"
        return server

    def _start_long_wire(self):
        spaces = [self.host.pid, self.far.pid]
        delay = [self.top / "delay", *spaces, ROUND_TRIP_MS / 2, LONG_WIRE_MBITS]
        self.serve_ready(self.host, delay, stdin=subprocess.PIPE)
        for space, device, mine, peer in ((self.host, "long0", FAR_HOST, FAR),
                                          (self.far, "long1", FAR, FAR_HOST)):
            space.sh(f"ip link set lo up; ip link set {device} txqueuelen 10000 up; "
                     f"ip address add {mine} peer {peer}/32 dev {device}")

    def _start_servers(self):
        (self.top / "nginx.conf").write_text(f"""
            user root root; daemon off; worker_processes 1; pid {self.top}/nginx.pid;
            error_log stderr; events {{ worker_connections 4096; }}
            http {{
                access_log off; keepalive_requests 100000000; client_body_temp_path {self.top}/b;
                proxy_temp_path {self.top}/p; fastcgi_temp_path {self.top}/f;
                uwsgi_temp_path {self.top}/u; scgi_temp_path {self.top}/s;
                server {{
                    listen {ORIGIN}:{HTTP_PORT} backlog=4096;
                    location / {{ return 200 "thirty-two bytes for one answer\\n"; }}
                }}
            }}
        """)
        self.serve_ready(self.origin, [self.load, "serve", ORIGIN, PORT])
        self.serve(self.origin, ["nginx", "-c", self.top / "nginx.conf", "-e", "stderr"])
        self.serve(self.origin, [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=", "--group=", "--pid-file=", "--log-facility=/dev/null", "--bind-interfaces",
            f"--listen-address={ORIGIN}", "--address=/example.net/93.184.216.34",
            "--dns-forward-max=10000",
        ])
        poll(lambda: self.origin.listens(HTTP_PORT), "nginx")
        poll(lambda: self.origin.listens(53, "udp"), "dnsmasq")

    def as_user(self):
        """The argv prefix that leads an ordinary user into the host."""
        ids = [f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups"]
        return [*self.host.enter(), "setpriv", *ids, "--"]

    @contextlib.contextmanager
    def iperf_server(self, space):
        """A server for one measurement, on a port of its own; yields the port."""
        port = self.iperf_port
        self.iperf_port = port + 1 if port + 1 < IPERF_PORTS.stop else IPERF_PORTS.start
        server = self.serve(space, ["iperf3", "-s", "-1", "-p", port])
        try:
            poll(lambda: space.listens(port), "iperf3's server")
            yield port
        finally:
            server.kill()
            server.wait()
            self.servers.remove(server)


class Failure(Exception):
    """Something that could not be measured, and why."""


def run_json(argv, seconds, log=subprocess.DEVNULL):
    """The JSON a program prints; it is killed when it takes longer than it may."""
    try:
        done = subprocess.run(argv, timeout=seconds, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=log)
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise Failure(f"still running after {seconds:.0f} s") from None
    except ValueError:
        raise Failure(f"exit status {done.returncode}, no figures") from None
    if "error" in found:
        raise Failure(str(found["error"])[:160])
    return found
