"""Connects to the unix sockets that it is given; prints "ok" or errno's name."""

import errno
import socket
import sys

for path in sys.argv[1:]:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("ok")
    except OSError as error:
        print(errno.errorcode[error.errno])
