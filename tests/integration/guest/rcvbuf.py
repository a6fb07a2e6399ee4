"""Room for datagrams that come faster than they are read."""

import contextlib
import socket

SO_RCVBUFFORCE = 33  # asm-generic/socket.h


def widen(sock, size):
    """Beyond the machine's limit where we are root; else up to it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    with contextlib.suppress(PermissionError):
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
