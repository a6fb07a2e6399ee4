"""Runs childflow again and again, kills parts of it, and tells what is left.

usage: leftovers.py RUNS SEED CHILDFLOW...

Runs as the first process of a PID namespace of its own, so that it sees all there is to see, and
whatever has lost its parent becomes its child.
"""

import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time

HARD_END = 20  # seconds
NAMESPACES = "user mnt net pid ipc uts cgroup time".split()


def processes():
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def text(path):
    with open(path) as file:
        return file.read()


def namespaces():
    """Those that a process is in, and those that lsns(8) finds besides."""
    found = set()
    for pid in processes():
        for name in NAMESPACES:
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/ns/{name}"))
    listed = subprocess.run(["lsns", "-n", "-o", "NS"], capture_output=True, text=True).stdout
    return sorted(found), sorted(listed.split())


def files():
    places = ["/tmp", "/dev/shm", "/run", os.environ["HOME"]]
    found = []
    for place in places:
        for folder, folders, names in os.walk(place):
            if "/proc" in folder:
                continue
            found += [os.path.join(folder, name) for name in folders + names]
    return sorted(found)


def looks(pid):
    """What a process is and waits for."""
    with contextlib.suppress(OSError):
        status = dict(line.split(":\t", 1) for line in text(f"/proc/{pid}/status").splitlines())
        return [pid, status["Name"], status["State"], status["PPid"], text(f"/proc/{pid}/wchan")]
    return [pid, "gone"]


def snapshot():
    return {
        "processes": processes(),
        "namespaces": namespaces(),
        "mounts": text("/proc/self/mountinfo").splitlines(),
        "files": files(),
        "interfaces": socket.if_nameindex(),
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "unix sockets": sorted(line.split()[-1] for line in
                               text("/proc/net/unix").splitlines() if "/" in line),
    }


def reap():
    """Until there is no other process; those that still run after a while are what is left."""
    deadline = time.monotonic() + HARD_END
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if processes() == [os.getpid()]:
            return
        time.sleep(0.001)


def start(argv):
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


def is_newborn(pid):
    """It has not yet asked to die with its parent, which comes before its name."""
    with contextlib.suppress(OSError):
        return text(f"/proc/{pid}/comm") == "childflow\n"
    return False


def kill_something(moments, process):
    """A process of the run, the supervisor more often than by chance; then the supervisor.

    Who is stopped in the instant of its birth can't ask the kernel for anything, and stays.
    """
    time.sleep(moments.uniform(0, 0.05))
    others = [pid for pid in processes() if pid != os.getpid()]
    victim = moments.choice([process.pid, moments.choice(others or [process.pid])])
    how = moments.choice([signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
    if how == signal.SIGSTOP and victim != process.pid and is_newborn(victim):
        how = signal.SIGKILL
    for pid, number in ((victim, how), (process.pid, signal.SIGKILL)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        time.sleep(moments.uniform(0, 0.01))


def run(argv):
    """The status of an ordinary run; with LIMITED again until there is room for its namespaces.

    The kernel takes a namespace down in its own time, but one that is held it never gives back.
    """
    deadline = time.monotonic() + HARD_END
    while (code := start(argv).wait()) == 125 and "LIMITED" in os.environ:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return code


def main(runs, seed, *childflow):
    moments = random.Random(int(seed))
    web = os.environ["WEB"]
    background = "(trap '' TERM HUP; setsid sleep 1000) & sleep 1000"
    commands = [["sleep", "1000"], ["sh", "-c", background], ["curl", "-s", f"http://{web}/page"],
                ["sh", "-c", f"while :; do curl -s http://{web}/page; done"]]
    ordinary = [["true"], ["sh", "-c", "exit 3"], ["curl", "-s", f"http://{web}/hello"]]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = snapshot()
    codes = {}
    for number in range(int(runs)):
        kill_something(moments, start([*childflow, *commands[number % len(commands)]]))
        reap()
        if processes() != [os.getpid()]:
            break
    for number in range(int(runs)):
        code = run([*childflow, *ordinary[number % len(ordinary)]])
        codes[code] = codes.get(code, 0) + 1
    reap()
    after = snapshot()
    left = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
    if "processes" in left:
        left["looks"] = [looks(pid) for pid in after["processes"] if pid != os.getpid()]
    print(json.dumps({"left": left, "codes": codes}))


main(*sys.argv[1:])
