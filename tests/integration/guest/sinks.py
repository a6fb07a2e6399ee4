"""TCP servers that tell all they are sent: sinks.py EVENTS PORT,PORT... ADDRESS...

Whatever comes first is answered by a line. Each connection that has ended is a JSON line in
EVENTS. Prints one line once all ports are open.
"""

import json
import os
import socket
import sys
import threading

ANSWER = b"HTTP/1.0 200 OK\r\n\r\nshown\n"


def serve(out, conn):
    address, port = conn.getsockname()[:2]
    data, end = b"", "eof"
    try:
        while piece := conn.recv(65536):
            if not data:
                conn.sendall(ANSWER)
                conn.shutdown(socket.SHUT_WR)
            data += piece
    except OSError:
        end = "reset"
    conn.close()
    event = {"service": "sink", "address": address, "port": port, "bytes": len(data), "end": end}
    os.write(out, (json.dumps(event) + "\n").encode())


def accept_for_ever(out, listener):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(out, conn), daemon=True).start()


def main(events, ports, *addresses):
    out = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for port in map(int, ports.split(",")):
            listener = socket.create_server((address, port), family=family, backlog=100)
            threading.Thread(target=accept_for_ever, args=(out, listener), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
