"""A longer way: two more routers behind the lab's internet, and a machine at the end of it.

    host -- internet -- first -- second -- end

What is typical of such ways: the last link takes less than 1500 bytes, the end lets one port be
closed, one open, one filtered and one prohibited.
"""

import contextlib

from lab import NO_DAD, PYTHON, ROUTER4, ROUTER6, Space
from polling import poll

END = {4: "93.184.224.1", 6: "2606:4700:a3::1"}
END_MTU = 1300
# Of the machines that a packet to the end passes, the address that each shows.
HOPS = {
    4: [ROUTER4, "93.184.221.2", "93.184.222.2", END[4]],
    6: [ROUTER6, "2606:4700:a1::2", "2606:4700:a2::2", END[6]],
}
OPEN, CLOSED, FILTERED, PROHIBITED = 80, 9, 81, 82

# Router, next one, the network between them, and its MTU.
LINKS = [
    ("internet", "first", "93.184.221", "2606:4700:a1::", 1500),
    ("first", "second", "93.184.222", "2606:4700:a2::", 1500),
    ("second", "end", "93.184.224", "2606:4700:a3::", END_MTU),
]


class Trail:
    def __init__(self, lab):
        self.lab = lab
        self.spaces = {"internet": lab.internet}
        for name in ("first", "second", "end"):
            space = Space(lab.internet.enter(), "--net", "--mount", "--propagation", "private")
            space.sh(f"""
                cd /proc/sys/net; {NO_DAD}; ip link set lo up
                echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding
                echo 0 >ipv4/icmp_ratelimit; echo 0 >ipv6/icmp/ratelimit
            """)
            self.spaces[name] = space
        for link in LINKS:
            self._join(*link)
        for name, net in (("first", "93.184.222"), ("internet", "93.184.221")):
            v6 = {"93.184.222": "2606:4700:a2::2", "93.184.221": "2606:4700:a1::2"}[net]
            self.spaces[name].sh(f"ip route add 93.184.224.0/24 via {net}.2; "
                                 f"ip -6 route add 2606:4700:a3::/64 via {v6}")
        self.spaces["internet"].sh("ip route add 93.184.222.0/24 via 93.184.221.2; "
                                   "ip -6 route add 2606:4700:a2::/64 via 2606:4700:a1::2")
        lab.lent |= {a for family in HOPS.values() for a in family} | {"93.184.224.2"}
        self._serve()

    def _join(self, near, far, v4, v6, mtu):
        """The near side is .1, the far one .2; on the last link it is the other way round."""
        a, b = (2, 1) if far == "end" else (1, 2)
        there = self.spaces[far]
        self.spaces[near].sh(f"""
            ip link add to-{far} mtu {mtu} type veth peer name uplink mtu {mtu} netns {there.pid}
            ip link set to-{far} up; ip address add {v4}.{a}/24 dev to-{far}
            ip -6 address add {v6}{a}/64 dev to-{far} nodad
        """)
        there.sh(f"""
            ip link set uplink up; ip address add {v4}.{b}/24 dev uplink
            ip -6 address add {v6}{b}/64 dev uplink nodad
            ip route add default via {v4}.{a}; ip -6 route add default via {v6}{a}
        """)

    def _serve(self):
        end = self.spaces["end"]
        self.lab._serve_ready(end, [PYTHON, "-ISc", SERVER, OPEN])
        for tables in ("iptables", "ip6tables"):
            how = "adm-prohibited" if tables == "ip6tables" else "admin-prohibited"
            for protocol in ("tcp", "udp"):
                end.sh(f"""
                    {tables} -A INPUT -p {protocol} --dport {FILTERED} -j DROP
                    {tables} -A INPUT -p {protocol} --dport {PROHIBITED} -j REJECT \\
                        --reject-with icmp{6 if tables == "ip6tables" else ""}-{how}
                """)

    def forget_paths(self):
        """What the host has learned of MTUs."""
        self.lab.host.sh("ip route flush cache; ip -6 route flush cache")

    @contextlib.contextmanager
    def echo_server(self, script):
        """The end's own answers to pings are made by a program."""
        end = self.spaces["end"]
        server = self.lab._serve(end, [PYTHON, "-ISc", script], stdout=-1)
        assert server.stdout.readline() == b"ready\n"
        end.sh("echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all")
        try:
            yield
        finally:
            end.sh("echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_all")
            server.kill()
            server.communicate()

    def close(self):
        for name in ("end", "second", "first"):
            self.spaces[name].close()


# Accepts, of both families, and echoes datagrams.
SERVER = """
import socket, sys, threading
port = int(sys.argv[1])
tcp = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.bind(("::", port))
def echo():
    while True:
        data, who = udp.recvfrom(65536)
        udp.sendto(data, who)
threading.Thread(target=echo, daemon=True).start()
print("ready", flush=True)
while True:
    tcp.accept()[0].close()
"""

# Each request is answered twice, and once by an answer to somebody else.
TWICE = """
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
def checksum(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff
print("ready", flush=True)
while True:
    data, who = s.recvfrom(65536)
    icmp = data[(data[0] & 15) * 4:]
    if icmp[0] != 8:
        continue
    for ident in (icmp[4:6], icmp[4:6], bytes(255 - b for b in icmp[4:6])):
        reply = b"\\0\\0\\0\\0" + ident + icmp[6:]
        reply = reply[:2] + struct.pack("!H", checksum(reply)) + reply[4:]
        s.sendto(reply, who)
"""
