"""Small network programs to run in childflow: client.py NAME ARGUMENT...

Each prints what it saw; errors of the network are results here, told by their errno's name.
"""

import errno
import hashlib
import os
import select
import signal
import socket
import struct
import sys
import time

import pattern


def connected(host, port, receive_buffer=None):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect((host, int(port)))
    return sock


def outcome(action, *arguments):
    """How a call fared: "ok", or the errno's name; "silence" when the socket's time is up."""
    try:
        action(*arguments)
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno] if error.errno else "silence"


def read_all(sock):
    total, count = hashlib.sha256(), 0
    while data := sock.recv(1 << 18):
        total.update(data)
        count += len(data)
    return f"{count} {total.hexdigest()}"


def connect(*targets):
    """One line per target, given as HOST PORT HOST PORT...: how connect() went."""
    for host, port in zip(targets[::2], targets[1::2]):
        print(host, outcome(connected, host, port))


def upload(host, port, count):
    """Sends the pattern, shuts its side and prints what the server says it got."""
    sock = connected(host, port)
    for piece in pattern.blocks(int(count)):
        sock.sendall(piece)
    sock.shutdown(socket.SHUT_WR)
    print(sock.makefile().readline(), end="")


def upload_and_exit(host, port, count):
    """Sends the pattern and ends at once: close(), no wait for the peer."""
    sock = connected(host, port)
    for piece in pattern.blocks(int(count)):
        sock.sendall(piece)
    os._exit(0)


def upload_what_fits(host, port):
    """Sends until the socket's buffers are full and ends: prints the bytes taken and their sum."""
    sock = connected(host, port)
    sock.setblocking(False)
    total, count = hashlib.sha256(), 0
    for piece in pattern.blocks(1 << 30):
        sent = 0
        while sent < len(piece):
            try:
                taken = sock.send(piece[sent:])
            except BlockingIOError:
                if select.select([], [sock], [], 0.3)[1]:
                    continue
                print(count, total.hexdigest())
                return
            total.update(piece[sent : sent + taken])
            sent += taken
            count += taken


def download(host, port, count):
    sock = connected(host, port)
    sock.sendall(f"{count}\n".encode())
    print(read_all(sock))


def download_late(host, port, count):
    """A reader with a small buffer that does nothing for 3 s, then reads all."""
    sock = connected(host, port, receive_buffer=4096)
    sock.sendall(f"{count}\n".encode())
    time.sleep(3)
    print(read_all(sock))


def download_and_leave(host, port, count):
    """Asks for much, reads a little and ends."""
    sock = connected(host, port)
    sock.sendall(f"{count}\n".encode())
    print(len(sock.recv(1000, socket.MSG_WAITALL)))


def greet(host, port, word):
    """The server speaks first; then a word is sent and its echo read."""
    sock = connected(host, port)
    lines = sock.makefile("rw", newline="")
    print(lines.readline(), end="")
    print(word, file=lines, flush=True)
    print(lines.readline(), end="")


def after_peers_fin(host, port, count):
    """Reads to the peer's FIN, and only then sends the pattern: half a connection still works."""
    sock = connected(host, port)
    print(sock.makefile("rb").read().decode(), end="")
    for piece in pattern.blocks(int(count)):
        sock.sendall(piece)


def short_answers(host, port, rounds):
    """Connects again and again to a server that says a line and shuts its side at once."""
    lines = set()
    for _ in range(int(rounds)):
        with connected(host, port) as sock:
            sock.settimeout(10)
            lines.add(sock.makefile().read())
    print(*lines, end="")


def provoke_reset(host, port):
    """Makes the peer reset the connection: prints how recv() ends."""
    sock = connected(host, port)
    sock.sendall(b"x")
    print(outcome(sock.recv, 1))


def send_reset(host, port):
    """Sends a byte and resets the connection."""
    sock = connected(host, port)
    sock.sendall(b"x")
    while struct.unpack("I", _ioctl_unsent(sock))[0]:
        select.select([], [], [], 0.01)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _ioctl_unsent(sock):
    import fcntl
    import termios

    return fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0")


def write_after_reset_then_fetch(host, reset_port, port, count):
    """Goes on writing to a connection that the peer has reset."""
    sock = connected(host, reset_port)
    results = set()
    while "EPIPE" not in results:
        results.add(outcome(sock.sendall, b"x" * 1000))
    print("EPIPE")
    download(host, port, count)


def datagrams(host, port):
    """Three datagrams from one socket, two answers to each."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(10)
    sock.connect((host, int(port)))
    answers = []
    for number in range(3):
        sock.send(b"%d" % number)
        answers += [sock.recv(100).decode().split(maxsplit=1) for _ in range(2)]
    print(len({port for port, _ in answers}), "source port")
    for _, answer in answers:
        print(answer)


def refused_then_fetch(host, closed_port, port, count):
    print(outcome(connected, host, closed_port))
    download(host, port, count)


def beside_a_hole(hole, host, port, rounds, dead=80):
    """While a connect to a black hole hangs, fetches; prints how often, and how the hole is."""
    family = socket.AF_INET6 if ":" in hole else socket.AF_INET
    lost = socket.socket(family)
    lost.setblocking(False)
    started = lost.connect_ex((hole, int(dead)))
    for _ in range(int(rounds)):
        download(host, port, 1000)
    answered = select.select([], [lost], [], 0)[1]
    print(errno.errorcode[started], "answered" if answered else "still waiting")


def greet_once(host, port):
    """The server speaks first; that is all."""
    print(connected(host, port).makefile().readline(), end="")


def read_to_the_end(host, port):
    """Prints what comes, says a byte, and prints how it ends."""
    sock = connected(host, port)
    print(sock.recv(1000).decode(), end="")
    sock.sendall(b"x")
    try:
        while data := sock.recv(1000):
            print(data.decode(), end="")
    except OSError as error:
        print(errno.errorcode[error.errno])


def give_up_then_fetch(host, dead, port, count):
    """Begins many connects to a port nobody answers on, drops them, and fetches."""
    lost = [socket.socket() for _ in range(20)]
    for sock in lost:
        sock.setblocking(False)
        sock.connect_ex((host, int(dead)))
    download(host, port, 10)
    for sock in lost:
        sock.close()
    download(host, port, count)


def many(host, port, connections, count):
    """Holds all connections open at once, asks on each, then reads each to its end."""
    socks = [connected(host, port) for _ in range(int(connections))]
    for sock in socks:
        sock.sendall(f"{count}\n".encode())
    for line in sorted({read_all(sock) for sock in socks}):
        print(line)


def stall_then_keep_the_last(host, port, connections, count):
    """Asks for much on each connection and reads nothing; at a word, ends all but the last."""
    socks = []
    for _ in range(int(connections)):
        socks.append(connected(host, port, receive_buffer=4096))
        socks[-1].sendall(f"{count}\n".encode())
    print("stalled", flush=True)
    sys.stdin.readline()
    for sock in socks[:-1]:
        sock.close()
    print("ended", flush=True)
    sys.stdin.readline()


def leave_holder_behind(host, port):
    """Ends while a background process of its own holds a connection; it ignores SIGTERM."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sock = connected(host, port)
        sock.sendall(b"x")
        os.write(writer, b"held")
        while True:
            signal.pause()
    print(os.read(reader, 4).decode())


def descriptors():
    def is_open(fd):
        return outcome(os.fstat, fd) == "ok"

    print(*filter(is_open, range(1024)))


def bind_low_port():
    with socket.create_server(("127.0.0.1", 80)):
        print("bound")


PROGRAMS = [
    connect, upload, upload_and_exit, upload_what_fits, download, download_late,
    download_and_leave, greet, after_peers_fin, short_answers, provoke_reset, send_reset,
    refused_then_fetch, write_after_reset_then_fetch, datagrams, beside_a_hole, many,
    greet_once, read_to_the_end, give_up_then_fetch,
    stall_then_keep_the_last, leave_holder_behind, descriptors, bind_low_port,
]

if __name__ == "__main__":
    {program.__name__: program for program in PROGRAMS}[sys.argv[1]](*sys.argv[2:])
