"""Who takes part: each joins a namespace to the host's network, in its own way.

A contender's start() leaves a process inside, the holder, in whose network namespace the
measurements run, and knows the processes that do the work outside: their CPU time and memory are
its price. Rootless ones run as an ordinary user.

A new one: a subclass, and a line in CONTENDERS.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

from world import ORIGIN, Space, descriptor_count, poll, process_tree, read

# Says that it is inside, and stays until its stdin ends.
HOLDER = ["sh", "-c", "echo; exec cat"]
STARTUP_SCRIPT = """
    dir=$(mktemp -d) && mkfifo $dir/up $dir/go
    unshare -Urn sh -c 'echo >$0/up; read x <$0/go; exec true' $dir & inside=$!
    read x <$dir/up
    slirp4netns --configure --mtu=65520 --ready-fd=3 $inside tap0 3>$dir/go >/dev/null 2>&1 &
    wait $inside; status=$?
    kill $!; wait $!
    rm -r $dir; exit $status
"""
SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer",
                   ": runtime error: ")


class Contender:
    ours = False  # what goes wrong with it is our fault
    kernel_only = False  # its connections are made by the namespace's own kernel

    def __init__(self, name, program=None, options=()):
        self.name = name
        self.program = program
        self.options = list(options)
        self.world = self.directory = self.process = self.holder = self.err = None
        self.relays = []

    def absent(self):
        """Why it can't take part; None if it can."""
        if self.program and not shutil.which(self.program):
            return f"no {self.program} here"
        return None

    def version(self):
        if not self.program:
            return None
        done = subprocess.run([self.program, "--version"], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return (done.stdout.splitlines() or ["?"])[0]

    def start(self, world, directory):
        """directory: where its words go."""
        self.world, self.directory = world, directory
        self.err = directory / f"{self.name}.err"
        self.process, self.holder, self.relays = None, None, []
        self._start()
        world.tune(self.holder)

    def _start(self):
        self.holder = self.world.host.pid

    def _hold(self, argv):
        """Starts a program that runs the holder, and finds the holder among what came of it."""
        with self.err.open("a") as err:
            self.process = subprocess.Popen([*self.world.as_user(), *argv], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=err)
        if not self.process.stdout.readline():
            raise RuntimeError(f"{self.name} did not start: {self.last_words()}")

        def find():
            tree = process_tree(self.process.pid)
            return next((pid for pid in tree if read(f"/proc/{pid}/comm") == "cat\n"), None)

        self.holder = poll(find, "the process inside")

    def last_words(self):
        lines = self.err.read_text(errors="replace").splitlines() if self.err else []
        return lines[-1][:300] if lines else "no word"

    def stop(self):
        """Ends it in good order: what is inside ends first. Returns the exit status, or None."""
        if not self.process:
            return None
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in reversed(process_tree(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            status = self.process.wait()
        self.process = None
        return status

    def restart(self):
        """As fresh as at the first start. Returns the exit status of the one that ended."""
        status = self.stop()
        self.start(self.world, self.directory)
        return status

    def inside(self):
        return ["nsenter", f"--target={self.holder}", "--net", "--"]

    def alive(self):
        return all(pathlib.Path(f"/proc/{pid}").exists() for pid in self.relays)

    def descriptors(self):
        return descriptor_count(self.relays)

    def startup(self):
        """The argv of a run of `true`, as the user in the host; None: there is no such thing."""
        return None

    def complaints(self):
        """What sanitizers have found in it."""
        if not self.err or not self.err.exists():
            return []
        lines = self.err.read_text(errors="replace").splitlines()
        return [line for line in lines if any(word in line for word in SANITIZER_WORDS)]


class Direct(Contender):
    kernel_only = True

    def startup(self):
        return ["true"]


class VethNat(Contender):
    """What containers use: a bridge's cost without the bridge. Needs root."""

    kernel_only = True
    space = None

    def _start(self):
        self.space = Space([], "--net")
        self.holder = self.space.pid
        self.world.host.sh(f"""
            ip link add nat0 type veth peer name eth0 netns {self.holder}
            ip address add 10.98.0.1/24 dev nat0; ip link set nat0 up
            sysctl -qw net.ipv4.ip_forward=1
            iptables -t nat -A POSTROUTING -s 10.98.0.0/24 -j MASQUERADE
        """)
        self.space.sh("ip link set lo up; ip link set eth0 up; "
                      "ip address add 10.98.0.2/24 dev eth0; ip route add default via 10.98.0.1")

    def stop(self):
        if self.space:
            self.world.host.sh("iptables -t nat -F POSTROUTING; ip link del nat0")
            self.space.close()
            self.space = None


class Pasta(Contender):
    # As podman starts it: nothing is forwarded, and the gateway is no alias of the host.
    arguments = ["--foreground", "--quiet", "--config-net", "--no-map-gw",
                 "-t", "none", "-u", "none", "-T", "none", "-U", "none"]

    def _start(self):
        self._hold([self.program, *self.arguments, "--", *HOLDER])
        self.relays = [p for p in process_tree(self.process.pid) if p != self.holder]

    def startup(self):
        return [self.program, *self.arguments, "--", "true"]


class Slirp4netns(Contender):
    relay = None

    def _start(self):
        self._hold(["unshare", "-Urn", *HOLDER])
        with self.err.open("a") as err:
            argv = [self.program, "--configure", "--mtu=65520", str(self.holder), "tap0"]
            self.relay = subprocess.Popen([*self.world.as_user(), *argv], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=err)
        route = [*self.inside(), "ip", "route", "get", ORIGIN]
        poll(lambda: self.relay.poll() is not None or not subprocess.run(
            route, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode, "its route")
        self.relays = process_tree(self.relay.pid)

    def stop(self):
        status = super().stop()
        if self.relay:
            self.relay.terminate()
            self.relay.wait()
            self.relay = None
        return status

    def startup(self):
        return ["sh", "-c", STARTUP_SCRIPT]


class Childflow(Contender):
    ours = True

    def absent(self):
        if super().absent():
            return f"no program {self.program}"
        wanted = [o for o in self.options if o.startswith("--")]
        text = subprocess.run([self.program, "--help"], stdout=subprocess.PIPE, text=True).stdout
        missing = [o for o in wanted if o.split("=")[0] not in text]
        return f"{self.program} has no {missing[0]}" if missing else None

    def copied(self):
        """Where an ordinary user can start it, whatever the build directory's mode."""
        copy = self.world.top / self.name
        if not copy.exists():
            shutil.copy(self.program, copy)
        return str(copy)

    def _start(self):
        self._hold([self.copied(), *self.options, "--", *HOLDER])
        self.relays = [p for p in process_tree(self.process.pid) if p != self.holder]

    def startup(self):
        return [self.copied(), *self.options, "--", "true"]


def contenders(program):
    """All of them, in the order of the tables; program: the childflow of this build."""
    program = os.environ.get("CHILDFLOW") or program
    other = os.environ.get("CHILDFLOW2")
    found = [
        Direct("direct"),
        VethNat("veth+nat", "iptables"),
        Pasta("pasta", "pasta"),
        Slirp4netns("slirp4netns", "slirp4netns"),
        Childflow("childflow", program),
        Childflow("childflow-mtu65520", program, ["--mtu=65520"]),
    ]
    return found + ([Childflow("childflow2", other)] if other else [])
