"""Proxies that are broken or hostile, one port each, on all addresses.

usage: evil_proxy.py DIRECTORY    with the certificates made by proxies.py

Prints one line once all ports are open.
"""

import os
import socket
import ssl
import struct
import sys
import threading
import time

OK = b"HTTP/1.1 200 Connection established\r\n"
EARLY = b"220 early\n"

os.chdir(sys.argv[1])


def read_head(conn):
    head = b""
    while b"\r\n\r\n" not in head:
        got = conn.recv(4096)
        if not got:
            break
        head += got
    return head


def copy(source, sink):
    try:
        while got := source.recv(65536):
            sink.sendall(got)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def relay(conn, host, port):
    """Joins the connection to the target until both sides have ended."""
    with socket.create_connection((host, int(port))) as far:
        upward = threading.Thread(target=copy, args=(conn, far), daemon=True)
        upward.start()
        copy(far, conn)
        upward.join()


def target(head):
    authority = head.split()[1].decode()
    host, port = authority.rsplit(":", 1)
    return host.strip("[]"), port


def hang(conn):
    conn.recv(1 << 20)
    while conn.recv(1 << 20):
        pass


# --- HTTP ---

def slow_header(conn):
    read_head(conn)
    conn.sendall(OK + b"X-Slow: ")
    while True:
        conn.sendall(b"y")
        time.sleep(0.05)


def long_header(conn):
    read_head(conn)
    conn.sendall(OK)
    for _ in range(10 << 10):
        conn.sendall(b"X-Long: " + b"z" * 1014 + b"\r\n")


def many_interim(conn):
    read_head(conn)
    while True:
        conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def single_bytes(conn):
    head = read_head(conn)
    for byte in b"HTTP/1.1 102 Wait\r\n\r\n" + OK + b"Connection: keep-alive\r\n\r\n":
        conn.sendall(bytes([byte]))
        time.sleep(0.001)
    relay(conn, *target(head))


def close_after_200(conn):
    read_head(conn)
    conn.sendall(OK + b"\r\n")


def garbage(conn):
    read_head(conn)
    conn.sendall(os.urandom(100_000).replace(b"H", b"h"))


def close_at_once(conn):
    read_head(conn)


def reset(conn):
    read_head(conn)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def early_data(conn):
    read_head(conn)
    conn.sendall(OK + b"\r\n" + EARLY)
    hang(conn)


def refuse(conn):
    read_head(conn)
    conn.sendall(b"HTTP/1.1 403 \x1b[2Jgo away\r\n\r\n")


def hang_for_port_9(conn):
    host, port = target(read_head(conn))
    if port == "9":
        return hang(conn)
    conn.sendall(OK + b"\r\n")
    relay(conn, host, port)


def honest(conn):
    head = read_head(conn)
    conn.sendall(OK + b"\r\n")
    relay(conn, *target(head))


# --- SOCKS ---

def socks_short_name(conn):
    conn.recv(3)
    conn.sendall(b"\5\0")
    conn.recv(1000)
    conn.sendall(b"\5\0\0\3\xffabc")
    hang(conn)


def socks_odd_method(conn):
    conn.recv(3)
    conn.sendall(b"\5\2")
    hang(conn)


def socks_early_data(conn):
    conn.recv(3)
    conn.sendall(b"\5\0")
    conn.recv(1000)
    for byte in b"\5\0\0\1\1\2\3\4\0\x50":
        conn.sendall(bytes([byte]))
        time.sleep(0.001)
    conn.sendall(EARLY)
    hang(conn)


def socks_all_at_once(conn):
    """Answers what it has not been asked yet."""
    conn.sendall(b"\5\0\5\0\0\1\1\2\3\4\0\x50" + EARLY)
    hang(conn)


# --- TLS ---

def tls(certificate, serve, **settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
    if "max" in settings:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = settings["max"]

    def serve_tls(conn):
        with context.wrap_socket(conn, server_side=True) as wrapped:
            serve(wrapped)
            if settings.get("notify", True):
                wrapped.unwrap()
    return serve_tls


def tls_closed(conn):
    conn.recv(4096)


def tls_alert(conn):
    conn.recv(4096)
    conn.sendall(b"\x15\x03\x03\x00\x02\x02\x28")  # fatal: handshake_failure
    hang(conn)


def cut(conn):
    """The stream ends without anybody having said so."""
    read_head(conn)
    conn.sendall(OK + b"\r\n" + EARLY)
    conn.recv(1)


SERVICES = [  # from port 6600 on
    hang, slow_header, long_header, many_interim, single_bytes, close_after_200, garbage,
    close_at_once, reset, early_data, refuse, hang_for_port_9, honest,
    socks_short_name, socks_odd_method, socks_early_data, socks_all_at_once,
    tls("expired", honest), tls("stranger", honest), tls("selfsigned", honest),
    tls("selfsigned-stranger", honest), tls("proxy", honest, max=ssl.TLSVersion.TLSv1_1),
    tls_closed, tls_alert, tls("proxy", cut, notify=False), tls("proxy", early_data),
    tls("proxy", honest),
]


def handle(serve, conn):
    try:
        with conn:
            serve(conn)
    except OSError:
        pass


def accept_for_ever(listener, serve):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=handle, args=(serve, conn), daemon=True).start()


def main():
    for number, serve in enumerate(SERVICES):
        listener = socket.create_server(("::", 6600 + number), family=socket.AF_INET6,
                                        dualstack_ipv6=True, backlog=1000)
        threading.Thread(target=accept_for_ever, args=(listener, serve), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


main()
