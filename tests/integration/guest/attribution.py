"""Programs whose connections and datagrams are to be attributed; the first argument says which.

A process that is to be recognised has a name of its own (prctl); what it prints are the ports
of its sockets beside that name.
"""

import ctypes
import os
import socket
import sys
import threading

PR_SET_NAME = 15


def rename(name):
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def connect(host, port):
    sock = socket.create_connection((host, port))
    print(sock.getsockname()[1], open("/proc/self/comm").read().strip(), flush=True)
    return sock


def forked(host, port, count):
    """Workers, each with a connection of its own, one after another."""
    for number in range(count):
        if (pid := os.fork()) == 0:
            rename(f"worker{number}")
            connect(host, port)
            os._exit(0)
        os.waitpid(pid, 0)


def shared(host, port):
    """A socket that was made before the fork: the worker connects it, the parent has it, too."""
    sock = socket.socket()
    rename("parent")
    if (pid := os.fork()) == 0:
        rename("worker")
        sock.connect((host, port))
        print(sock.getsockname()[1], "worker", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


def inherited(host, port):
    """A connection that its children have, too: it is the parent's."""
    rename("parent")
    for _ in range(3):
        if os.fork() == 0:
            rename("child")
            sys.stdin.read()
            os._exit(0)
    connect(host, port)


def short(host, port, count):
    """Connects and is gone, again and again."""
    for number in range(count):
        if (pid := os.fork()) == 0:
            rename(f"short{number}")
            sock = socket.socket()
            sock.connect((host, port))
            os.write(1, f"{sock.getsockname()[1]} short{number}\n".encode())
            os._exit(0)
        os.waitpid(pid, 0)


def threads(host, port, count):
    """One process; its threads have names of their own, the process has one."""
    rename("leader")
    started = [threading.Thread(target=connect, args=(host, port)) for _ in range(count)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def orphan(host, port):
    """Its parent is gone."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            os.close(read_end)
            while os.getppid() != 1:
                pass
            rename("orphan")
            connect(host, port)
        os._exit(0)
    os.close(write_end)
    os.read(read_end, 1)


def datagram(host, port):
    rename("asker")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.sendto(b"x", (host, port))
    sock.recv(100)
    print(sock.getsockname()[1], "asker", flush=True)


def refused(host, port):
    """A datagram that is against the rules: its socket hears of it."""
    rename("refused")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((host, port))
    sock.send(b"x")
    try:
        sock.recv(100)
    except OSError:
        print(sock.getsockname()[1], "refused", flush=True)


def crowd(host, port, count):
    """So many processes, each with a socket that stays; they end with our input."""
    rename("leader")
    read_end, write_end = os.pipe()
    for number in range(count):
        if os.fork() == 0:
            rename(f"p{number}")
            os.close(write_end)
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.sendto(b"x", (host, port))
            line = f"{sock.getsockname()[1]} p{number}\n".encode()
            os.write(1, line)
            os.read(read_end, 1)
            os._exit(0)
    sys.stdin.read()
    os.close(write_end)


def main():
    name, host, *numbers = sys.argv[1:]
    globals()[name](host, *map(int, numbers))


main()
