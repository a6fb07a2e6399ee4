"""Listens on unix sockets, as resolvers do. Told what to do by lines, answers each by a line.

listen PATH    makes it and the directories above it; anybody may connect
remove PATH    and its directory, as a service does that is stopped
heard          the paths that were connected to since the last "heard"
"""

import os
import selectors
import socket
import sys

ears = selectors.DefaultSelector()
open_now, heard = {}, []


def listen(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    sock = open_now[path] = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    os.chmod(path, 0o777)
    sock.listen(100)
    ears.register(sock, selectors.EVENT_READ, path)
    return "listening"


def remove(path):
    ears.unregister(open_now[path])
    open_now.pop(path).close()
    os.unlink(path)
    if os.path.dirname(path) not in ("/run", "/var/run"):
        os.rmdir(os.path.dirname(path))
    return "removed"


def tell_heard():
    words = " ".join(heard)
    heard.clear()
    return words


def main():
    actions = {"listen": listen, "remove": remove, "heard": tell_heard}
    ears.register(sys.stdin, selectors.EVENT_READ, None)
    while True:
        # Connections first: they were made before anybody asked for them.
        for key, _ in sorted(ears.select(), key=lambda ready: ready[0].data is None):
            if key.data:
                key.fileobj.accept()[0].close()
                heard.append(key.data)
            elif line := os.read(0, 4096).decode():
                name, *arguments = line.split()
                print(actions[name](*arguments), flush=True)
            else:
                return


if __name__ == "__main__":
    main()
