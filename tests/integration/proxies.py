"""Real proxies on the lab's internet side: squid, tinyproxy, stunnel and nginx before them, dante,
microsocks, and, where there is a server for it, an ssh client with dynamic forwarding.

All listen on both families. Which of them this machine lacks, `missing()` says.
"""

import contextlib
import dataclasses
import os
import pathlib
import resource
import shutil
import signal
import subprocess

from lab import DNS, PATH, PROXY, PYTHON, url_host
from polling import poll

USER, PASSWORD = "demo", "p@ss:w%rd!"
PLAIN_PASSWORD = "passw0rd"  # all that tinyproxy can read
PROGRAMS = "danted microsocks nginx socat squid stunnel4 tinyproxy".split()
# Nobody is made to install a server that would let others in.
HAS_SSH = all(shutil.which(program, path=PATH) for program in ("ssh", "sshd"))
# The ports of guest/evil_proxy.py.
(HANG, SLOW_HEADER, LONG_HEADER, MANY_INTERIM, SINGLE_BYTES, CLOSE_AFTER_200, GARBAGE, CLOSE_AT_ONCE,
 RESET, EARLY_DATA, REFUSE, HANG_FOR_PORT_9, HONEST, SOCKS_SHORT_NAME, SOCKS_ODD_METHOD,
 SOCKS_EARLY_DATA, SOCKS_ALL_AT_ONCE, TLS_EXPIRED, TLS_STRANGER, TLS_SELFSIGNED,
 TLS_SELFSIGNED_STRANGER, TLS_OLD, TLS_CLOSED, TLS_ALERT, TLS_CUT, TLS_EARLY_DATA,
 TLS_HONEST) = range(6600, 6627)
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


@dataclasses.dataclass(frozen=True)
class Proxy:
    name: str
    scheme: str
    port: int
    password: str = ""

    def url(self, host, password=None):
        def quoted(text):
            return "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in text)
        word = self.password if password is None else password
        login = f"{USER}:{quoted(word)}@" if word else ""
        return f"{self.scheme}://{login}{url_host(host)}:{self.port}"


PROXIES = [
    Proxy("squid", "http", 3128),
    Proxy("squid-auth", "http", 3129, PASSWORD),
    Proxy("squid-tls", "https", 3130),
    Proxy("squid-tls-auth", "https", 3131, PASSWORD),
    Proxy("tinyproxy", "http", 8888),
    Proxy("tinyproxy-auth", "http", 8889, PLAIN_PASSWORD),
    Proxy("stunnel", "https", 8643),
    Proxy("stunnel-auth", "https", 8644, PLAIN_PASSWORD),
    Proxy("nginx", "https", 9443),
    Proxy("dante", "socks5", 1080),
    Proxy("dante-auth", "socks5", 1081, PASSWORD),
    Proxy("microsocks", "socks5h", 1082),
    Proxy("microsocks-auth", "socks5h", 1083, PASSWORD),
    *([Proxy("ssh", "socks5h", 1084), Proxy("ssh-4a", "socks4a", 1084)] if HAS_SSH else []),
]
BY_NAME = {proxy.name: proxy for proxy in PROXIES}


def missing():
    lacking = [p for p in PROGRAMS if not shutil.which(p, path=PATH)]
    if not pathlib.Path(NGINX_STREAM).exists():
        lacking.append("libnginx-mod-stream")
    return " ".join(lacking)


class EvilProxies:
    """Those of guest/evil_proxy.py; python is all they need."""

    def __init__(self, lab):
        here = ["DNS:proxy.example.net", *(f"IP:{a}" for a in PROXY.values())]
        other = ["DNS:other.example.net", "DNS:*.proxy.example.net", "DNS:proxy.example.net.evil",
                 "IP:192.0.2.1", f"DNS:{PROXY[4]}"]
        by_ca = ["-CA", "../www/ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        lab.make_certificate("proxy", here)
        lab.make_certificate("expired", here, *by_ca, "-days", "-1")
        lab.make_certificate("stranger", other)
        for name, hosts in (("selfsigned", here), ("selfsigned-stranger", other)):
            lab.make_certificate(name, hosts, "-key", f"{name}.key", "-days", "2")
        lab._serve_ready(lab.internet, [PYTHON, lab.top / "bin/evil_proxy.py", lab.top / "run"])


class Proxies:
    def __init__(self, lab):
        self.lab, self.run = lab, lab.top / "run"
        self._start_squid()
        self._start_tinyproxy()
        self._start_tls_fronts()
        self._start_dante()
        self._start_microsocks()
        if HAS_SSH:
            self._start_ssh()
        for proxy in PROXIES:
            poll(lambda: lab.internet.listens(proxy.port), proxy.name)

    def _write(self, name, text):
        file = self.run / name
        file.write_text(text)
        return file

    def _serve(self, *argv):
        log = open(self.run / f"{argv[0].rsplit('/', 1)[-1]}.log", "ab")
        # One connection through it takes two of them, four with a child of its own.
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limit = ["prlimit", f"--nofile={min(most, 16384)}", "--"]
        return self.lab._serve(self.lab.internet, [*limit, *argv], stdout=log, stderr=log)

    def _start_squid(self):
        run = self.run
        hashed = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True,
                                capture_output=True, text=True).stdout
        words = self._write("squid.users", f"{USER}:{hashed}")
        words.chmod(0o644)
        tls = f"tls-cert={run}/proxy.pem tls-key={run}/proxy.key"
        config = self._write("squid.conf", f"""
            http_port 3128
            http_port 3129
            https_port 3130 {tls}
            https_port 3131 {tls}
            auth_param basic program /usr/lib/squid/basic_ncsa_auth {words}
            auth_param basic realm lab
            acl closed localport 3129 3131
            acl known proxy_auth REQUIRED
            http_access deny closed !known
            http_access allow all
            dns_nameservers {DNS[4]}
            visible_hostname lab
            cache deny all
            cache_mem 8 MB
            access_log none
            cache_log /dev/null
            cache_store_log none
            pid_filename none
            netdb_filename none
            coredump_dir {run}
            pinger_enable off
            shutdown_lifetime 0 seconds
            max_filedescriptors 4096
            host_verify_strict off
        """)
        self._serve("squid", "-N", "-f", config)

    def _start_tinyproxy(self):
        listen = "\n".join(f"Listen {a}" for a in ("127.0.0.1", *PROXY.values()))
        for port, login in ((8888, ""), (8889, f"BasicAuth {USER} {PLAIN_PASSWORD}")):
            config = self._write(f"tinyproxy{port}.conf", f"""
Port {port}
{listen}
MaxClients 2000
Timeout 600
LogLevel Critical
LogFile "/dev/null"
DisableViaHeader Yes
{login}
""")
            self._serve("tinyproxy", "-d", "-c", config)

    def _start_tls_fronts(self):
        run = self.run
        services = "".join(f"""
[to{port}]
accept = :::{port}
connect = 127.0.0.1:{behind}
cert = {run}/proxy.pem
key = {run}/proxy.key
""" for port, behind in ((8643, 8888), (8644, 8889)))
        config = self._write("stunnel.conf", f"foreground = yes\npid =\ndebug = 3\n{services}")
        self._serve("stunnel4", config)
        config = self._write("front.conf", f"""
            load_module {NGINX_STREAM};
            user root root; daemon off; master_process off; pid {run}/front.pid;
            error_log {run}/front.log;
            worker_rlimit_nofile 8192;
            events {{ worker_connections 4096; }}
            stream {{
                server {{
                    listen [::]:9443 ssl ipv6only=off;
                    ssl_certificate {run}/proxy.pem; ssl_certificate_key {run}/proxy.key;
                    proxy_pass 127.0.0.1:3128;
                }}
            }}
        """)
        self._serve("nginx", "-c", config, "-e", run / "front.log")

    def _start_dante(self):
        listen = "".join(f"internal: {a} port = %d\n" for a in PROXY.values())
        rules = """
client pass { from: 0/0 to: 0/0 }
socks pass { from: 0/0 to: 0/0 }
"""
        etc = self.lab.host.path("/etc")
        if f"\n{USER}:" not in (etc / "passwd").read_text():
            hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True,
                                    capture_output=True, text=True).stdout.strip()
            with open(etc / "passwd", "a") as file:
                file.write(f"{USER}:x:12345:12345::/:/bin/false\n")
            with open(etc / "shadow", "a") as file:
                file.write(f"{USER}:{hashed}:19000:0:99999:7:::\n")
        for port, method in ((1080, "none"), (1081, "username")):
            config = self._write(f"danted{port}.conf", f"""
logoutput: {self.run}/danted{port}.log
errorlog: {self.run}/danted{port}.log
{listen.replace("%d", str(port))}
external: lo
external: wan
external.rotation: route
clientmethod: none
socksmethod: {method}
user.privileged: root
user.unprivileged: root
{rules}
""")
            self._serve("danted", "-f", config, "-p", self.run / f"danted{port}.pid")

    def _start_microsocks(self):
        for port, login in ((1082, []), (1083, ["-u", USER, "-P", PASSWORD])):
            self._serve("microsocks", "-i", "::", "-p", port, *login)

    def _start_ssh(self):
        run = self.run
        self.lab.internet.sh(f"""
            mkdir -p /run/sshd
            cd {run}; ssh-keygen -q -t ed25519 -N '' -f ssh.host; ssh-keygen -q -t ed25519 -N '' -f ssh.user
        """)
        config = self._write("sshd.conf", f"""
            Port 2222
            ListenAddress 127.0.0.1
            HostKey {run}/ssh.host
            AuthorizedKeysFile {run}/ssh.user.pub
            StrictModes no
            UsePAM no
            PidFile none
            PermitRootLogin yes
            MaxSessions 10
        """)
        self._serve("/usr/sbin/sshd", "-D", "-e", "-f", config)
        poll(lambda: self.lab.internet.listens(2222), "sshd")
        self._serve("ssh", "-N", "-D", "*:1084", "-p", "2222", "-i", run / "ssh.user",
                    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                    "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "root@127.0.0.1")

    @contextlib.contextmanager
    def another_dante(self, port=1090):
        """One of its own, a process group, until the end of the block; yields port and process."""
        config = self._write("danted-other.conf", f"""
logoutput: {self.run}/danted-other.log
internal: {PROXY[4]} port = {port}
external: lo
external: wan
external.rotation: route
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: root
client pass {{ from: 0/0 to: 0/0 }}
socks pass {{ from: 0/0 to: 0/0 }}
""")
        server = self._serve("setsid", "danted", "-f", config, "-p", self.run / "danted-other.pid")
        try:
            poll(lambda: self.lab.internet.listens(port), "another dante")
            yield port, server
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
            poll(lambda: not self.lab.internet.listens(port), "its end")
