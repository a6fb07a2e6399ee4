"""The services of the lab's internet that no ready-made server offers, one TCP port each.

usage: server.py EVENTS GIT_ROOT UDP_ADDRESS...

Each finished conversation is told as one JSON line in EVENTS: what this end saw is what the
tests believe. Prints one line once all ports are open.
"""

import errno
import hashlib
import http.server
import json
import os
import socket
import struct
import subprocess
import sys
import threading

import pattern

BANNER, SINK, SOURCE, RESET, FIN_FIRST, STALL, RELEASE = range(7001, 7008)
UDP_TWICE = 7020  # answers each datagram twice, with the sender's address in front
GIT = 8080

events = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
released = threading.Event()


def tell(service, **facts):
    os.write(events, (json.dumps({"service": service, **facts}) + "\n").encode())


def read_all(conn):
    """Reads to the end: how many bytes, their SHA-256, and "eof" or the error's name."""
    total, count = hashlib.sha256(), 0
    buffer = bytearray(1 << 18)
    try:
        while got := conn.recv_into(buffer):
            total.update(memoryview(buffer)[:got])
            count += got
        end = "eof"
    except OSError as error:
        end = errno.errorcode[error.errno]
    return {"bytes": count, "sha256": total.hexdigest(), "end": end}


def read_line(conn):
    line = b""
    while not line.endswith(b"\n") and (byte := conn.recv(1)):
        line += byte
    return line


def reset(conn):
    """Closes with RST instead of FIN."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def serve_banner(conn):
    conn.sendall(b"220 the lab speaks first\n")
    while line := read_line(conn):
        conn.sendall(line.upper())


def serve_sink(conn):
    seen = read_all(conn)
    tell("sink", **seen)
    if seen["end"] == "eof":
        conn.sendall(f"{seen['bytes']} {seen['sha256']}\n".encode())


def serve_source(conn):
    sent = 0
    try:
        for piece in pattern.blocks(int(read_line(conn))):
            conn.sendall(piece)
            sent += len(piece)
        end = "eof"
    except OSError as error:
        end = errno.errorcode[error.errno]
    tell("source", bytes=sent, end=end)


def serve_reset(conn):
    conn.recv(1)
    reset(conn)


def serve_fin_first(conn):
    conn.sendall(b"that was all from here\n")
    conn.shutdown(socket.SHUT_WR)
    tell("fin_first", **read_all(conn))


def serve_stall(conn):
    tell("stall_begin")
    released.wait()
    tell("stall", **read_all(conn))


def serve_release(conn):
    released.set()
    conn.recv(1)
    released.clear()


SERVICES = {
    BANNER: serve_banner,
    SINK: serve_sink,
    SOURCE: serve_source,
    RESET: serve_reset,
    FIN_FIRST: serve_fin_first,
    STALL: serve_stall,
    RELEASE: serve_release,
}


class GitHandler(http.server.BaseHTTPRequestHandler):
    """git's own CGI program, so that a clone speaks the "smart" protocol."""

    def run_backend(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": sys.argv[2],
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        answer = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE
        ).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        self.send_response(200)
        for line in head.decode().splitlines():
            self.send_header(*line.split(": ", 1))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = run_backend

    def log_message(self, *_):
        pass


def handle(serve, conn):
    try:
        serve(conn)
    except OSError:
        pass
    conn.close()


def accept_for_ever(listener, serve):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=handle, args=(serve, conn), daemon=True).start()


def answer_datagrams(address):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, UDP_TWICE))
    while True:
        data, peer = sock.recvfrom(65536)
        for number in (b"first", b"second"):
            sock.sendto(b"%d %s %s" % (peer[1], number, data), peer)


def listen(port):
    listener = socket.create_server(
        ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024
    )
    if port == STALL:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return listener


class GitServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def main():
    for port, serve in SERVICES.items():
        threading.Thread(target=accept_for_ever, args=(listen(port), serve), daemon=True).start()
    for address in sys.argv[3:]:
        threading.Thread(target=answer_datagrams, args=(address,), daemon=True).start()
    git = GitServer(("::", GIT), GitHandler)
    print("ready", flush=True)
    git.serve_forever()


if __name__ == "__main__":
    main()
