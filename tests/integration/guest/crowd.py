"""Many at once: crowd.py serve ADDRESS..., or in childflow crowd.py NAME ARGUMENT..."""

import array
import collections
import errno
import fcntl
import resource
import select
import socket
import sys
import termios
import threading
import time

import pattern
from client import connected, outcome, read_all

ECHO = 7031
MESSAGE = 200


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def serve(*addresses):
    """Echoes on ECHO; one process, any number of connections."""
    poller, conns = select.epoll(), {}
    for address in addresses:
        listener = socket.create_server((address, ECHO), family=family(address), backlog=4096)
        conns[listener.fileno()] = listener
        poller.register(listener, select.EPOLLIN)
    listeners = set(conns)
    print("ready", flush=True)
    while True:
        for fd, _ in poller.poll():
            if fd in listeners:
                conn = conns[fd].accept()[0]
                conns[conn.fileno()] = conn
                poller.register(conn, select.EPOLLIN)
                continue
            try:
                data = conns[fd].recv(65536)
                conns[fd].sendall(data)
            except OSError:
                data = b""
            if not data:
                conns.pop(fd).close()


def open_all(host, port, count):
    """Connects that many sockets at once: the sockets, and how often what came instead."""
    poller, waiting, ready, failed = select.epoll(), {}, [], collections.Counter()
    left = int(count)
    while waiting or left:
        while left and len(waiting) < 256:
            sock = socket.socket(family(host))
            sock.setblocking(False)
            code = sock.connect_ex((host, int(port)))
            assert code in (0, errno.EINPROGRESS), errno.errorcode[code]
            poller.register(sock, select.EPOLLOUT)
            waiting[sock.fileno()] = sock
            left -= 1
        events = poller.poll(20)
        if not events:
            failed["SILENCE"] += len(waiting)
            break
        for fd, _ in events:
            sock = waiting.pop(fd)
            poller.unregister(fd)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                failed[errno.errorcode[code]] += 1
                sock.close()
            else:
                ready.append(sock)
    return ready, failed


def echo_all(socks):
    """Each says something else; how many heard just that back."""
    poller, heard = select.epoll(), {}
    said = {}
    for number, sock in enumerate(socks):
        said[sock.fileno()] = (b"%d " % number * MESSAGE)[:MESSAGE]
        heard[sock.fileno()] = b""
        sock.send(said[sock.fileno()])
        poller.register(sock, select.EPOLLIN)
    by_fd = {sock.fileno(): sock for sock in socks}
    left = set(said)
    while left and (events := poller.poll(20)):
        for fd, _ in events:
            data = by_fd[fd].recv(MESSAGE)
            heard[fd] += data
            if not data or len(heard[fd]) >= MESSAGE:
                poller.unregister(fd)
                left.discard(fd)
    return sum(said[fd] == heard[fd] for fd in said)


def told(**facts):
    print(*(f"{name}={value}" for name, value in facts.items()), flush=True)


def crowd(host, count):
    """Opens all, then each is echoed; says so and holds them open until told to go on."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    started = time.monotonic()
    socks, failed = open_all(host, ECHO, count)
    opened = time.monotonic()
    echoed = echo_all(socks)
    print(f"opened in {opened - started:.1f} s, echoed in {time.monotonic() - opened:.1f} s",
          file=sys.stderr)
    told(opened=len(socks), failed=sum(failed.values()), echoed=echoed)
    input()


def beyond(host, count):
    """More connections than fit; when all are closed again, one more."""
    if int(count) > 100:
        print("begin", flush=True)
        input()
    socks, failed = open_all(host, ECHO, count)
    told(opened=len(socks), echoed=echo_all(socks), failed=",".join(failed))
    input()
    for sock in socks:
        sock.close()
    deadline = time.monotonic() + 20
    while outcome(lambda: connected(host, ECHO).close()) != "ok" and time.monotonic() < deadline:
        time.sleep(0.01)
    socks, failed = open_all(host, ECHO, 1)
    told(opened=len(socks), echoed=echo_all(socks))
    input()


def come_and_go(host, closed_port, count):
    """Connections that are opened, used and closed, and others that are refused."""
    print("begin", flush=True)
    input()
    good = bad = 0
    for _ in range(int(count)):
        with connected(host, ECHO) as sock:
            good += echo_all([sock])
        bad += outcome(connected, host, closed_port) == "ECONNREFUSED"
    told(good=good, bad=bad)
    input()


def destinations(host, count, udp_port):
    """One datagram each to many ports from one socket; then an answer from one of them."""
    sock = socket.socket(family(host), socket.SOCK_DGRAM)
    sock.settimeout(0.2)
    for number in range(int(count)):
        outcome(sock.sendto, b"x", (host, 10000 + number))
    deadline, answer = time.monotonic() + 20, ""
    while not answer and time.monotonic() < deadline:
        sock.sendto(b"hello", (host, int(udp_port)))
        try:
            answer = sock.recvfrom(100)[0].decode().split(" ", 1)[1]
        except OSError:
            pass
    told(answer=answer.replace(" ", "-"), tcp=outcome(connected, host, ECHO))
    input()


def queued(sock, request):
    number = array.array("i", [0])
    fcntl.ioctl(sock, request, number)
    return number[0]


def upload(sock, count):
    for piece in pattern.blocks(count):
        sock.sendall(piece)
    sock.shutdown(socket.SHUT_WR)
    sock.recv(1)


def stalled(host, source_port, stall_port, each, count):
    """As many readers that don't read as writers whose peer doesn't; all go on when told."""
    readers = [connected(host, source_port, 65536) for _ in range(int(each))]
    writers = [connected(host, stall_port) for _ in range(int(each))]
    for sock in readers:
        sock.sendall(f"{count}\n".encode())
    threads = [threading.Thread(target=upload, args=(sock, int(count))) for sock in writers]
    for thread in threads:
        thread.start()
    last, same = None, 0
    while same < 10:
        time.sleep(0.05)
        now = [queued(s, termios.FIONREAD) for s in readers]
        now += [queued(s, termios.TIOCOUTQ) for s in writers]
        last, same = now, same + 1 if now == last else 0
    told(stalled=len(readers) + len(writers))
    input()
    for line in sorted({read_all(sock) for sock in readers}):
        print(line, flush=True)
    for thread in threads:
        thread.join()


def each_errno(kind, host):
    """Is in connect(), in recv(), or at rest, until the network breaks; says what it saw then."""
    print("ready", flush=True)
    if kind == "connect":
        print(outcome(connected, host, 80), flush=True)
    if kind == "recv":
        print(outcome(connected(host, ECHO).recv, 1), flush=True)
    while True:
        print(outcome(connected, host, ECHO), flush=True)


PROGRAMS = [serve, crowd, beyond, come_and_go, destinations, stalled, each_errno]

if __name__ == "__main__":
    {program.__name__: program for program in PROGRAMS}[sys.argv[1]](*sys.argv[2:])
