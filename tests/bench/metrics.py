"""What is measured. Each function measures one thing through one contender and notes figures.

The keys of the figures stand in report.py's table, which knows their titles and units.
"""

import contextlib
import json
import statistics
import subprocess
import threading

from world import (FAR, HTTP_PORT, ORIGIN, PORT, Failure, cpu_seconds,
                   machine_cpu_seconds, memory_kib, run_json, wait_quiet)

STARTS = 40
GRACE_SECONDS = 20  # a measurement may take so much longer than its load lasts
IDLE_SECONDS = 2
SLOW_START_SECONDS = 3
HELD = (1000, 10000)
STALLED = 100  # each way
DNS_NAMES = 1000


class Notes:
    """What one round has found out about one contender."""

    def __init__(self, contender):
        self.contender = contender
        self.values, self.errors, self.waits = {}, {}, {}
        self.faults = []  # what must not happen at all

    @contextlib.contextmanager
    def attempt(self, what):
        """A measurement that may fail by itself, without those after it."""
        try:
            yield
        except (Failure, AssertionError, KeyError, OSError, ValueError,
                subprocess.SubprocessError) as error:
            self.errors[what] = f"{type(error).__name__}: {error}"[:200]

    def note(self, key, value):
        self.values[key] = round(value, 6)

    def load(self, mode, *arguments, seconds=0.0):
        """A run of the load generator inside."""
        command = [*self.contender.inside(), self.contender.world.load, mode, ORIGIN, str(PORT)]
        found = run_json([*command, *map(str, arguments)], seconds + GRACE_SECONDS)
        if found.get("inexact"):
            self.faults.append(f"{mode}: what came was not what was sent ({found})")
        return found


class Meter:
    """The CPU time that the contender's processes, and the whole machine, need meanwhile."""

    def __init__(self, contender):
        self.relays = contender.relays

    def __enter__(self):
        self.before = cpu_seconds(self.relays), machine_cpu_seconds()
        return self

    def __exit__(self, *_):
        self.relay = cpu_seconds(self.relays) - self.before[0]
        self.machine = machine_cpu_seconds() - self.before[1]


def iperf(contender, address, space, seconds, options):
    """Runs iperf3 for (whole) seconds; returns the end of its report, and the Meter."""
    with contender.world.iperf_server(space) as port:
        command = ["iperf3", "-J", "-c", address, "-p", str(port), "-t", str(seconds), *options]
        with Meter(contender) as meter:
            found = run_json([*contender.inside(), *command],
                             seconds + SLOW_START_SECONDS + GRACE_SECONDS)
    return found["end"], meter


def whole(seconds, least=1):
    return max(least, round(seconds))


def measure_tcp(notes, seconds):
    for streams in (1, 4):
        for way, options in (("up", []), ("down", ["-R"])):
            key = f"tcp_{way}{streams}"
            with notes.attempt(key):
                end, meter = iperf(notes.contender, ORIGIN, notes.contender.world.origin,
                                   whole(seconds), ["-P", str(streams), *options])
                received = end["sum_received"]
                notes.note(key, received["bits_per_second"] / 1e9)
                gigabytes = received["bytes"] / 1e9
                if gigabytes > 0.01:
                    notes.note(f"{key}_machine", meter.machine / gigabytes)
                    if notes.contender.relays:
                        notes.note(f"{key}_cpu", meter.relay / gigabytes)


def measure_latency(notes, seconds):
    for protocol in ("tcp", "udp"):
        with notes.attempt(f"{protocol}_latency"):
            found = notes.load(protocol, seconds, 64, seconds=seconds)
            notes.note(f"{protocol}_p50", found["p50"])
            notes.note(f"{protocol}_p99", found["p99"])
            notes.note(f"{protocol}_lost", found["lost"])


def measure_connections(notes, seconds):
    for parallel in (1, 64):
        key = f"cps{parallel}"
        with notes.attempt(key):
            with Meter(notes.contender) as meter:
                found = notes.load("churn", seconds, parallel, seconds=seconds)
            notes.note(key, found["per_second"])
            notes.note(f"{key}_failed", found["failed"])
            if notes.contender.relays and found["done"]:
                notes.note(f"{key}_cpu", meter.relay * 1e6 / found["done"])


def measure_http(notes, seconds):
    with notes.attempt("http"):
        command = ["wrk", "-t1", "-c32", f"-d{whole(seconds)}s", f"http://{ORIGIN}:{HTTP_PORT}/"]
        done = subprocess.run([*notes.contender.inside(), *command], text=True, check=True,
                              timeout=seconds + GRACE_SECONDS, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        words = done.stdout.split()
        notes.note("http", float(words[words.index("Requests/sec:") + 1]))
        if "Socket errors:" in done.stdout or "Non-2xx" in done.stdout:
            raise Failure("wrk saw errors: " + " ".join(words[-20:]))


def measure_dns(notes, seconds):
    with notes.attempt("dns"):
        names = notes.contender.world.top / "names"
        names.write_text("".join(f"host{n}.example.net A\n" for n in range(DNS_NAMES)))
        command = ["dnsperf", "-s", ORIGIN, "-d", str(names), "-l", str(whole(seconds))]
        done = subprocess.run([*notes.contender.inside(), *command], text=True, check=True,
                              timeout=seconds + GRACE_SECONDS, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        lines = [line.strip() for line in done.stdout.splitlines() if ":" in line]
        figures = dict(line.split(":", 1) for line in lines)
        notes.note("dns", float(figures["Queries per second"]))
        notes.note("dns_lost", int(figures["Queries lost"].split()[0]))


def measure_udp(notes, seconds):
    for way, options in (("up", []), ("down", ["-R"])):
        key = f"udp1400_{way}"
        with notes.attempt(key):
            end, _ = iperf(notes.contender, ORIGIN, notes.contender.world.origin, whole(seconds),
                           ["-u", "-b", "0", "-l", "1400", *options])
            notes.note(key, end["sum_received"]["bits_per_second"] / 1e9)
    for way in ("up", "down"):
        with notes.attempt(f"udp64_{way}"):
            found = notes.load(way, seconds, 64, seconds=seconds)
            notes.note(f"udp64_{way}", found["per_second"] / 1e3)


def measure_startup(notes, seconds):
    command = notes.contender.startup()
    if not command:
        return
    with notes.attempt("startup"):
        world = notes.contender.world
        spawn = [*world.as_user(), world.load, "spawn", str(STARTS), *command, "//"]
        found = run_json([*spawn, "unshare", "-Urn", "true"], STARTS * 2)
        if found["first_failed"]:
            notes.errors["startup"] = f"{found['first_failed']} of {STARTS} runs failed"
            if notes.contender.ours:
                notes.faults.append(f"start-up: {notes.errors['startup']}")
        took, bare = (statistics.median(found[which]) for which in ("first", "second"))
        notes.note("startup", took)
        notes.note("startup_unshare", bare)
        notes.note("startup_times_unshare", took / bare)


@contextlib.contextmanager
def conversation(notes, mode, count):
    """The load generator inside, held at its first line; yields how to go on to the next."""
    command = [*notes.contender.inside(), notes.contender.world.load, mode, ORIGIN, str(PORT)]
    process = subprocess.Popen([*command, str(count)], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = threading.Timer(90, process.kill)
    deadline.start()

    def next_line(go_on=True):
        if go_on:
            process.stdin.write("go\n")
            process.stdin.flush()
        found = json.loads(process.stdout.readline() or '{"error": "ended early"}')
        if "error" in found:
            raise Failure(found["error"])
        return found

    try:
        yield next_line
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


class PeakMemory:
    """The largest memory seen while other things go on."""

    def __init__(self, pids):
        self.pids, self.peak = pids, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self.over.wait(0.05):
            self.peak = max(self.peak, memory_kib(self.pids))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def measure_memory(notes, seconds):
    contender = notes.contender
    if contender.relays:
        notes.note("pss_idle", memory_kib(contender.relays) / 1024)
    for count in HELD:
        with notes.attempt(f"held{count}"), conversation(notes, "hold", count) as next_line:
            found = next_line(go_on=False)
            notes.note(f"opened{count}", found["opened"])
            notes.note(f"opened{count}_seconds", found["seconds"])
            if contender.relays:
                wait_quiet()
                notes.note(f"pss_{count}", memory_kib(contender.relays) / 1024)
                before = cpu_seconds(contender.relays)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    contender.process.wait(IDLE_SECONDS)
                spent = cpu_seconds(contender.relays) - before
                notes.note(f"idle_cpu_{count}", spent / IDLE_SECONDS * 100)
            found = next_line()
            notes.note(f"echoed{count}", found["echoed"])
            notes.note(f"echoed{count}_seconds", found["seconds"])
    measure_stalled(notes)


def measure_stalled(notes):
    relays = notes.contender.relays
    with notes.attempt("stalled"), conversation(notes, "stall", STALLED) as next_line:
        with PeakMemory(relays) as memory:
            next_line(go_on=False)
            stalled = memory_kib(relays)
            found = next_line()
        if relays:
            notes.note("pss_stalled", stalled / 1024)
            notes.note("pss_stalled_peak", max(memory.peak, stalled) / 1024)
        notes.note("stalled_up", found["up_bytes"] / 2**20)
        notes.note("stalled_down", found["down_bytes"] / 2**20)
        notes.note("stalled_inexact", found["inexact"])
        if found["inexact"]:
            notes.faults.append(f"stalled connections: {found['inexact']} were not exact")


def measure_long(notes, seconds):
    """One stream over a long wire, whose first seconds don't count."""
    contender = notes.contender
    takes = whole(seconds * 3, 3)
    own = contender.kernel_only and contender.holder != contender.world.host.pid
    with contender.world.wide_windows(*[contender.holder] * own):
        for way, options in (("up", []), ("down", ["-R"])):
            with notes.attempt(f"long_{way}"):
                end, _ = iperf(contender, FAR, contender.world.far, takes,
                               ["-O", str(SLOW_START_SECONDS), *options])
                notes.note(f"long_{way}", end["sum_received"]["bits_per_second"] / 1e6)


METRICS = {
    "startup": measure_startup,
    "tcp": measure_tcp,
    "latency": measure_latency,
    "cps": measure_connections,
    "http": measure_http,
    "dns": measure_dns,
    "udp": measure_udp,
    "memory": measure_memory,
    "long": measure_long,
}


def measure(notes, names, seconds):
    contender = notes.contender
    for name in names:
        # Memory that earlier loads have left behind is no matter of what connections need.
        if name == "memory" and name != names[0] and (status := contender.restart()):
            notes.faults.append(f"ended with status {status}: {contender.last_words()}")
        notes.waits[name] = wait_quiet()
        METRICS[name](notes, seconds)
        if not contender.alive():
            notes.faults.append(f"died during {name}: {contender.last_words()}")
            return
