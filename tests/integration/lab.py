"""The lab: a "host" and an "internet", two private network namespaces joined by one veth pair.

There is no way out: neither namespace has another interface, so a test can't touch the machine
or its network, and public-looking addresses stand for the real ones. Nothing has a name on the
machine: a namespace lives as long as a process that reads from our pipe, so everything is gone
when this process is, however it ends. Run by an ordinary user, all of it stands in a user
namespace.

The host side has mounts of its own: a copy of /etc that tests may change, an empty /tmp, and a
/dev/net/tun that everybody may open. On the internet side run nginx, dnsmasq, git and the
services of guest/server.py; a capture on the link between the two says what really crossed it.
"""

import atexit
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid

import capture
from polling import poll

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"

HOST4, HOST6 = "192.168.66.2", "2606:4700:66::2"
OTHER_HOST = {4: "192.168.66.3", 6: "2606:4700:66::3"}  # what it may have later
ROUTER4, ROUTER6 = "192.168.66.1", "2606:4700:66::1"

# The internet's addresses by family: what stands behind each is in _start_servers().
WEB = {4: "93.184.216.34", 6: "2606:4700:10::34"}
DNS = {4: "93.184.216.53", 6: "2606:4700:10::53"}
OTHER_DNS = {4: "93.184.216.54", 6: "2606:4700:10::54"}
PROXY = {4: "93.184.216.80", 6: "2606:4700:10::80"}  # proxies.py
NOBODY = {4: "93.184.216.99", 6: "2606:4700:10::99"}  # a machine without any server
HOLE = {4: "93.184.217.1", 6: "2606:4700:99::1"}  # swallows what is sent to it
FAR = {4: "93.184.220.1", 6: "2606:4700:97::1"}  # a datagram server behind a narrow link
FAR_MTU = 1400

# Addresses that can't be reached, by what the internet's router answers ...
ROUTER_UNREACHABLE = {4: "93.184.217.2", 6: "2606:4700:98::2"}  # no such neighbour
ROUTER_PROHIBITED = {4: "93.184.217.3", 6: "2606:4700:99::3"}
ROUTER_NO_ROUTE = {4: "93.184.218.4", 6: "2606:4700:9a::4"}
# ... and by what the host's own routing table says.
HOST_UNREACHABLE = {4: "93.184.219.2", 6: "2606:4700:9b::2"}
HOST_PROHIBITED = {4: "93.184.219.3", 6: "2606:4700:9b::3"}

CLOSED_PORT = 9  # nothing listens on it anywhere
HOST_LOOPBACK_PORT = 8055  # a server on the host's own 127.0.0.1 and ::1
EARS_LOOPBACK, EARS_WILDCARD = 8061, 8062  # guest/ears.py: on those, and on all of its addresses

# Without: a router can't look for a neighbour while its link-local address is tentative, which
# takes up to 2 s; after 3 s the address behind it is called unreachable.
NO_DAD = "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad"
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER_ID = 54321  # an ordinary user; needs no entry in passwd


def address_list():
    """The addresses that the internet side owns."""
    return [a for where in (WEB, DNS, OTHER_DNS, NOBODY, PROXY) for a in where.values()]


def url_host(address):
    return f"[{address}]" if ":" in address else address


def sh(script):
    subprocess.run(["sh", "-ec", script], check=True, stdin=subprocess.DEVNULL)


@dataclasses.dataclass
class Result:
    status: int  # as a shell shows it: 128 + n for signal n
    out: str
    err: str


class Space:
    """A set of namespaces that lives until close() or the end of this process."""

    def __init__(self, inside, *unshare):
        """unshare: the namespaces to make; inside: the argv prefix that leads to the old ones."""
        self.keeper = subprocess.Popen(
            [*inside, "unshare", *unshare, "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        assert self.keeper.stdout.read(1), f"unshare {' '.join(unshare)} failed"
        self.pid = self.keeper.pid

    def enter(self, cwd="/"):
        users = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", *users, f"--wdns={cwd}"]

    def path(self, absolute):
        """A path as this space sees it, from outside."""
        return pathlib.Path(f"/proc/{self.pid}/root{absolute}")

    def sh(self, script):
        subprocess.run([*self.enter(), "sh", "-ec", script], check=True, stdin=subprocess.DEVNULL)

    def listens(self, port, protocol="tcp", address=None):
        """Is there a socket bound to that port (and IPv4 address)?"""
        wanted = "%08X" % int.from_bytes(socket.inet_aton(address), "little") if address else ""
        for table in (protocol, protocol + "6"):
            with open(f"/proc/{self.pid}/net/{table}") as lines:
                for line in list(lines)[1:]:
                    local, state = line.split()[1], line.split()[3]
                    bound = local.endswith(f":{port:04X}") and local.startswith(wanted)
                    if bound and state in ("0A", "07"):
                        return True
        return False

    def close(self):
        self.keeper.stdin.close()
        self.keeper.wait()


class Lab:
    def __init__(self):
        self.id = uuid.uuid4().hex
        self.servers = []
        self.spaces = []
        self.lent = set()  # what more_addresses() has given out
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="childflow-lab-"))
        atexit.register(self.close)
        self._make_files()
        self._make_host()
        self._make_internet()
        self._start_servers()

    def close(self):
        atexit.unregister(self.close)
        self.kill_leftovers()
        for server in self.servers:
            server.kill()
            server.wait()
        for space in reversed(self.spaces):
            space.close()
        shutil.rmtree(self.top)

    # --- making it ---------------------------------------------------------------------------

    def _make_files(self):
        self.top.chmod(0o755)
        for name in ("bin", "www", "run", "etc"):
            (self.top / name).mkdir()
        for file in (HERE / "guest").glob("*.py"):
            shutil.copy(file, self.top / "bin")
        self.homes = {who: self.top / "home" / who for who in ("root", "user")}
        for who, home in self.homes.items():
            home.mkdir(parents=True)
            if who == "user" and os.geteuid() == 0:
                os.chown(home, USER_ID, USER_ID)
        self._make_site()
        self._make_certificates()

    def _make_site(self):
        www = self.top / "www"
        (www / "hello").write_text("hello from the internet\n")
        (www / "page").write_text("".join(f"line {n}\n" for n in range(20000)))
        sh(f"""
            export HOME={self.homes["root"]} GIT_CONFIG_NOSYSTEM=1
            git init -q -b main {self.top}/run/work; cd {self.top}/run/work
            git config user.name Lab; git config user.email lab@example.net
            cp ../../www/page .; git add page; git commit -q -m first
            echo more >>page; git commit -qam second
            git clone -q --bare . {www}/project.git
            git --git-dir={www}/project.git update-server-info
        """)

    def _make_certificates(self):
        sh(f"""
            cd {self.top}/run
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \\
                -subj "/CN=Lab CA" -keyout ca.key -out ../www/ca.pem 2>/dev/null
        """)
        self.make_certificate("web", ["DNS:example.net", "DNS:*.example.net",
                                      *(f"IP:{a}" for a in WEB.values())])

    def make_certificate(self, name, hosts, *how):
        """Makes run/NAME.pem and .key for these hosts, signed by the lab's CA."""
        how = how or ["-CA", "../www/ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        sh(f"""
            cd {self.top}/run
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\
                -subj "/CN={name}" -keyout {name}.key -out {name}.csr 2>/dev/null
            echo "subjectAltName={",".join(hosts)}" >{name}.ext
            openssl x509 -req -in {name}.csr {" ".join(map(str, how))} \\
                -extfile {name}.ext -out {name}.pem 2>/dev/null
        """)

    def _make_host(self):
        users = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        self.host = Space([], *users, "--net", "--mount", "--propagation", "private")
        self.spaces.append(self.host)
        tun = "mount -t tmpfs -o mode=755 lab /dev/net; mknod -m 666 /dev/net/tun c 10 200"
        self.host.sh(f"""
            exec 3<{self.top}
            mount -t tmpfs -o mode=1777 lab /tmp
            mkdir -p {self.top}; mount -c --bind /proc/self/fd/3 {self.top}
            mount -t tmpfs -o mode=755 lab {self.top}/etc
            cp -a /etc/. {self.top}/etc 2>/dev/null || :
            mount --bind {self.top}/etc /etc
            grep -v ^hosts: /etc/nsswitch.conf >{self.top}/run/nsswitch.conf || :
            echo "hosts: files resolve [!UNAVAIL=return] dns" >>{self.top}/run/nsswitch.conf
            cp {self.top}/run/nsswitch.conf /etc
            {":" if users else tun}
            ip link set lo up
        """)
        self.reset_resolv_conf()

    def reset_resolv_conf(self, *lines):
        """Writes the host's resolv.conf, as an ordinary file."""
        lines = lines or (f"nameserver {DNS[4]}", f"nameserver {DNS[6]}")
        file = self.host.path("/etc/resolv.conf")
        file.unlink(missing_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))

    def _make_internet(self):
        users = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        enter = ["nsenter", f"--target={self.host.pid}", "--mount", *users]
        self.internet = Space(enter, "--net", "--mount", "--propagation", "private")
        self.spaces.append(self.internet)
        self.internet.sh(NO_DAD)
        self.host.sh(f"ip link add eth0 type veth peer name wan netns {self.internet.pid}")
        addresses = "\n".join(
            f"ip address add {a} dev lo {'nodad' if ':' in a else ''}" for a in address_list()
        )
        self.internet.sh(f"""
            cd /proc/sys/net
            echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding
            echo 0 >ipv4/icmp_ratelimit; echo 0 >ipv6/icmp/ratelimit
            ip link set lo up; ip link set wan up
            ip address add {ROUTER4}/24 dev wan
            ip -6 address add {ROUTER6}/64 dev wan nodad
            {addresses}
            ip route add blackhole {HOLE[4]}; ip -6 route add blackhole {HOLE[6]}
            ip route add unreachable {ROUTER_UNREACHABLE[4]}
            ip route add prohibit {ROUTER_PROHIBITED[4]}
            ip -6 route add prohibit {ROUTER_PROHIBITED[6]}
            # Linux answers an unreachable route with "no route" in IPv6: a neighbour that
            # isn't there gets the other code, here without the usual three seconds.
            ip link add void0 type veth peer name void1
            ip link set void0 up; ip link set void1 up
            ip -6 address add 2606:4700:98::1/64 dev void0 nodad
            echo 1 >ipv6/neigh/void0/mcast_solicit; echo 50 >ipv6/neigh/void0/retrans_time_ms
        """)
        self.host.sh(f"ip link set eth0 up; ip address add {HOST4}/24 dev eth0; "
                     f"ip route add default via {ROUTER4}; "
                     f"ip route add unreachable {HOST_UNREACHABLE[4]}; "
                     f"ip route add prohibit {HOST_PROHIBITED[4]}")
        self.add_host_ipv6()
        self._make_far(enter)

    def _make_far(self, enter):
        """A third namespace, behind the internet's router and a link of less than 1500."""
        self.far = Space(enter, "--net", "--mount", "--propagation", "private")
        self.spaces.append(self.far)
        self.far.sh(NO_DAD)
        self.internet.sh(f"""
            ip link add far mtu {FAR_MTU} type veth peer name near mtu {FAR_MTU} netns {self.far.pid}
            ip link set far up; ip address add 93.184.220.2/24 dev far
            ip -6 address add 2606:4700:97::2/64 dev far nodad
        """)
        self.far.sh(f"""
            ip link set lo up; ip link set near up
            ip address add {FAR[4]}/24 dev near; ip route add default via 93.184.220.2
            ip -6 address add {FAR[6]}/64 dev near nodad
            ip -6 route add default via 2606:4700:97::2
        """)

    def add_host_ipv6(self):
        self.host.sh(f"ip -6 address add {HOST6}/64 dev eth0 nodad; "
                     f"ip -6 route add default via {ROUTER6}; "
                     f"ip -6 route add unreachable {HOST_UNREACHABLE[6]}; "
                     f"ip -6 route add prohibit {HOST_PROHIBITED[6]}")

    def _serve(self, space, argv, **files):
        command = [*space.enter(), *DIES_WITH_US, *map(str, argv)]
        self.servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, **files))
        return self.servers[-1]

    def _serve_ready(self, space, argv):
        """Starts a server that says when it is ready."""
        assert self._serve(space, argv, stdout=subprocess.PIPE).stdout.readline() == b"ready\n"

    def _start_servers(self):
        run = self.top / "run"
        self.wire = self._start_capture(self.internet, "wan", HOLE[4])
        self.loopback = self._start_capture(self.host, "lo", "127.0.0.1")
        self.heard = run / "heard"
        ears = [self.top / "bin/ears.py", self.heard, EARS_LOOPBACK, EARS_WILDCARD]
        self._serve_ready(self.host, [PYTHON, *ears])
        self._start_nginx(run)
        for server, web in ((DNS, WEB), (OTHER_DNS, NOBODY)):
            self._start_dnsmasq(server, web)
        self.events = run / "events"
        self.events.touch()
        server = [PYTHON, self.top / "bin/server.py", self.events, self.top / "www"]
        self._serve_ready(self.internet, [*server, *WEB.values()])
        datagrams = [PYTHON, self.top / "bin/udp_server.py"]
        self._serve_ready(self.internet, [*datagrams, *WEB.values()])
        self._serve_ready(self.far, [*datagrams, *FAR.values()])
        for loopback in ("127.0.0.1", "::1"):
            command = ["-m", "http.server", "--bind", loopback, "--directory", self.top / "www"]
            self._serve(self.host, [PYTHON, *command, HOST_LOOPBACK_PORT],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        poll(lambda: self.internet.listens(443), "nginx")
        for server in (DNS, OTHER_DNS):
            poll(lambda: self.internet.listens(53, "udp", server[4]), "dnsmasq")
        poll(lambda: self.host.listens(HOST_LOOPBACK_PORT), "the host's loopback server")

    def _start_capture(self, space, interface, marked):
        """marked: an address that the host reaches by that interface."""
        path = self.top / "run" / f"{interface}.pcap"
        self._serve_ready(space, [PYTHON, self.top / "bin/sniff.py", interface, path])
        return capture.Wire(path, lambda token: self._send_marker(token, marked))

    def _start_nginx(self, run):
        listen = " ".join(f"listen {url_host(a)}:80; listen {url_host(a)}:443 ssl;"
                          for a in WEB.values())
        (run / "nginx.conf").write_text(f"""
            user root root; daemon off; master_process off; pid {run}/nginx.pid;
            error_log {run}/nginx.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; default_type text/plain; root {self.top}/www;
                client_body_temp_path {run}/body; proxy_temp_path {run}/proxy;
                fastcgi_temp_path {run}/fastcgi; uwsgi_temp_path {run}/uwsgi;
                scgi_temp_path {run}/scgi;
                server {{
                    {listen}
                    ssl_protocols TLSv1.2 TLSv1.3;
                    ssl_certificate {run}/web.pem; ssl_certificate_key {run}/web.key;
                    location /moved {{ return 301 /hello; }}
                }}
            }}
        """)
        self._serve(self.internet, ["nginx", "-c", run / "nginx.conf", "-e", run / "nginx.log"])

    def _start_dnsmasq(self, server, web):
        long_text = ",".join(f"{n:03}{'x' * 197}" for n in range(20))
        self._serve(self.internet, [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=", "--group=", "--pid-file=", "--log-facility=/dev/null",
            "--bind-interfaces", *(f"--listen-address={a}" for a in server.values()),
            "--local=/example.net/", "--local-ttl=60",
            f"--host-record=www.example.net,{web[4]},{web[6]}",
            f"--host-record=proxy.example.net,{PROXY[4]},{PROXY[6]}",
            f"--host-record=v4.example.net,{web[4]}", f"--host-record=v6.example.net,{web[6]}",
            *(f"--host-record=many.example.net,93.184.216.{n}" for n in range(100, 108)),
            "--cname=alias.example.net,www.example.net",
            "--cname=chain.example.net,alias.example.net",
            "--mx-host=example.net,mail.example.net,10", "--mx-host=example.net,www.example.net,20",
            "--txt-record=example.net,v=spf1 -all,a second string",
            f"--txt-record=long.example.net,{long_text}",
            "--srv-host=_http._tcp.example.net,www.example.net,80,1,2",
            "--naptr-record=example.net,100,10,S,SIP+D2U,,_sip._udp.example.net",
            "--caa-record=example.net,0,issue,ca.example.net",
            # HTTPS (RFC 9460): priority 1, the name itself, alpn h2; then a type nobody knows.
            "--dns-rr=www.example.net,65,0001000001000302:68:32",
            "--dns-rr=odd.example.net,65280,00ff10",
        ])

    # --- using it ----------------------------------------------------------------------------

    def command(self, argv, who="root", space=None, cwd=None):
        """The argv that runs argv on the host as root or as an ordinary user."""
        space = space or self.host
        if who == "root":
            as_user = []
        elif os.geteuid() == 0:
            ids = [f"--reuid={USER_ID}", f"--regid={USER_ID}"]
            as_user = ["setpriv", *ids, "--clear-groups", "--"]
        else:
            as_user = ["unshare", "--user", f"--map-user={USER_ID}", f"--map-group={USER_ID}"]
        return [*space.enter(cwd or self.homes[who]), *as_user, *map(str, argv)]

    def start(self, argv, who="root", space=None, cwd=None, env=None, **popen):
        """Starts argv on the host; text mode, everything piped but stdin."""
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                    "stderr": subprocess.PIPE, "text": True}
        environment = {
            "PATH": PATH,
            "HOME": str(self.homes[who]),
            "LC_ALL": "C.UTF-8",
            "CHILDFLOW_LAB": self.id,
            **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")},
            **(env or {}),
        }
        command = self.command(argv, who, space, cwd)
        return subprocess.Popen(command, env=environment, **{**settings, **popen})

    def run(self, argv, who="root", input=None, timeout=60, **how):
        """Runs argv on the host to its end."""
        if input is not None:
            how["stdin"] = subprocess.PIPE
        return finish(self.start(argv, who, **how), input, timeout)

    def _send_marker(self, token, address):
        send = f"import socket; socket.socket(2, 2).sendto({token!r}, ({address!r}, 9))"
        subprocess.run([*self.host.enter(), PYTHON, "-ISc", send], check=True)

    @contextlib.contextmanager
    def more_addresses(self, space, *addresses):
        """The space has these, too, on an interface of its own."""
        self.lent.update(addresses)
        batch = "\n".join(f"address add {a}/128 dev more0 nodad" if ":" in a else
                          f"address add {a}/32 dev more0" for a in addresses)
        space.sh(f"""
            ip link add more0 type veth peer name more1
            ip link set more0 up; ip link set more1 up
            ip -batch - <<END\n{batch}\nEND
        """)
        try:
            yield
        finally:
            space.sh("ip link del more0")

    def strangers_on_the_wire(self):
        """Sources of packets, since the lab began, that belong to neither of its sides."""
        hosts = {HOST4, HOST6, *OTHER_HOST.values(), *self.lent}
        known = {*hosts, ROUTER4, ROUTER6, *FAR.values(), *address_list()}
        sources = {p.source for p in self.wire.since(capture.FILE_HEADER_SIZE)}
        return {s for s in sources - known if not s.startswith(("fe80:", "::"))}

    @contextlib.contextmanager
    def host_mounts(self, script):
        """The host with other mounts, made by a shell script in a mount namespace of its own."""
        space = Space(self.host.enter(), "--mount", "--propagation", "private")
        try:
            space.sh(script)
            yield space
        finally:
            space.close()

    def received(self):
        """Bytes that have come to the host over the link, so far."""
        lines = pathlib.Path(f"/proc/{self.host.pid}/net/dev").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.strip().startswith("eth0:"))

    def event_mark(self):
        return self.events.stat().st_size

    def events_since(self, service, mark):
        """What a service told about its conversations that ended after the mark."""
        lines = self.events.read_bytes()[mark:].split(b"\n")
        return [e for e in map(json.loads, lines[:-1]) if e["service"] == service]

    def wait_event(self, service, mark):
        """The first of them."""
        return poll(lambda: self.events_since(service, mark), f"the {service} service")[0]

    def end_stalled(self, mark):
        """Ends the stall service's conversations, so that no later test hears of them."""
        release = self.start(["busybox", "nc", WEB[4], 7007], stdin=-1)
        self.wait_event("stall", mark)
        release.communicate("x")

    def leftovers(self):
        """Processes that a run of ours left behind: {pid: name}."""
        found = {}
        mark = f"CHILDFLOW_LAB={self.id}".encode()
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in pathlib.Path(entry.path, "environ").read_bytes().split(b"\0"):
                        found[int(entry.name)] = pathlib.Path(entry.path, "comm").read_text()[:-1]
        return found

    def kill_leftovers(self):
        for pid in self.leftovers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def finish(process, input=None, timeout=60):
    """Waits for a process of Lab.start(); one that takes too long is killed and is an error."""
    try:
        out, err = process.communicate(input, timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {timeout} s; stdout {out!r}, stderr {err!r}")
    status = process.returncode
    return Result(status if status >= 0 else 128 - status, out, err)
