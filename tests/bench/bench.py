#!/usr/bin/python3
"""Compares childflow with running without it, and with other ways to give a command a network.

`make bench` runs it; HACKING.md tells what comes out. Needs root, for namespaces that can be
measured alike; makes its own and touches nothing else.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
import chart  # noqa: E402
import report  # noqa: E402
import soak  # noqa: E402
from contenders import contenders  # noqa: E402
from metrics import METRICS, Notes, measure  # noqa: E402
from world import World  # noqa: E402

TOOLS = "dnsmasq dnsperf ip iperf3 nginx nsenter setpriv sysctl unshare wrk".split()
SOURCE = pathlib.Path(__file__).resolve().parents[2]


def say(words):
    print(f"[{time.strftime('%T')}] {words}", file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--rounds", type=int, default=3, metavar="N")
    parser.add_argument("-s", "--seconds", type=float, default=2, help="of load, per figure")
    parser.add_argument("-c", "--contenders", help="names, with commas between them")
    parser.add_argument("-m", "--metrics", default=",".join(METRICS), help="default: %(default)s")
    parser.add_argument("--cc", help="the congestion control of every namespace "
                                     "(default: what the kernel and the contender set)")
    parser.add_argument("-o", "--output", type=pathlib.Path, metavar="DIRECTORY")
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build", metavar="DIRECTORY",
                        help="where childflow and the compiled helpers are")
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE.json",
                        help="only print the tables of an earlier run, and draw its chart")
    parser.add_argument("--soak", type=float, metavar="MINUTES",
                        help="instead: all kinds of load at once through one childflow, and see "
                             "whether what it holds comes back")
    arguments = parser.parse_args()
    arguments.metrics = arguments.metrics.split(",")
    for name in arguments.metrics:
        if name not in METRICS:
            parser.error(f"no metric {name}; there are: {', '.join(METRICS)}")
    arguments.output = arguments.output or arguments.build / "bench"
    return parser, arguments


def choose(parser, arguments):
    """The contenders that take part, and why the others don't."""
    known = contenders(str(arguments.build / "childflow"))
    if arguments.contenders:
        wanted = arguments.contenders.split(",")
        for name in set(wanted) - {contender.name for contender in known}:
            parser.error(f"no contender {name}; there are: {', '.join(c.name for c in known)}")
        known = [contender for contender in known if contender.name in wanted]
    absent = {c.name: why for c in known if (why := c.absent())}
    for name, why in absent.items():
        say(f"passed over: {name}: {why}")
    return [contender for contender in known if contender.name not in absent], absent


def run_one(contender, position, number, world, arguments):
    """One contender's part of a round."""
    notes = Notes(contender)
    started = time.monotonic()
    inside = None
    try:
        contender.start(world, arguments.output)
        inside = world.sysctl(contender.holder, "net.ipv4.tcp_congestion_control")
        measure(notes, arguments.metrics, arguments.seconds)
    except (AssertionError, OSError, RuntimeError) as error:
        notes.faults.append(f"{type(error).__name__}: {error}")
    finally:
        status = contender.stop()
    if contender.ours and status:
        notes.faults.append(f"ended with status {status}: {contender.last_words()}")
    notes.faults += contender.complaints()
    took = round(time.monotonic() - started, 1)
    wrong = [*notes.errors, *notes.faults]
    say(f"round {number + 1}, {contender.name}: {took:.0f} s{'; ' if wrong else ''}{wrong or ''}")
    return {
        "round": number, "contender": contender.name, "position": position, "took": took,
        "load": os.getloadavg()[0], "congestion_control": inside, "values": notes.values,
        "errors": notes.errors, "faults": notes.faults, "ours": contender.ours,
        "waits": notes.waits,
    }


def run(chosen, absent, arguments):
    host_control = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    result = {"meta": {
        "kernel": os.uname().release, "cpus": os.cpu_count(), "started": time.strftime("%F %T"),
        "rounds": arguments.rounds, "seconds": arguments.seconds, "metrics": arguments.metrics,
        "options": sys.argv[1:], "absent": absent,
        "versions": {contender.name: contender.version() for contender in chosen},
        "congestion_control": arguments.cc or f"the kernel's ({host_control})", "load": [],
    }, "rounds": []}
    with (arguments.output / "servers.err").open("w") as log:
        world = World(arguments.build / "tests/bench", log, arguments.cc)
        try:
            for number in range(arguments.rounds):
                first = number % len(chosen)
                for position in [*range(first, len(chosen)), *range(first)]:
                    entry = run_one(chosen[position], position, number, world, arguments)
                    result["rounds"].append(entry)
                    result["meta"]["load"].append(entry["load"])
                    write(arguments.output / "bench.json", result)
        finally:
            world.close()
    return result


def write(path, result):
    path.write_text(json.dumps(result, indent=1) + "\n")


def show(result, path):
    """Prints the tables; the chart goes beside the figures."""
    drawn = path.with_suffix(".svg")
    drawn.write_text(chart.render(result))
    sys.stdout.write(report.render(result))
    sys.stdout.flush()
    say(f"the figures: {path}; the chart: {drawn}")


def main():
    parser, arguments = parse_arguments()
    if arguments.report:
        show(json.loads(arguments.report.read_text()), arguments.report)
        return 0
    if os.geteuid() != 0:
        print("bench: only root can make the namespaces that are compared", file=sys.stderr)
        return 1
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        print(f"bench: not installed: {' '.join(missing)} (./quickstart install demo test bench)",
              file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us, all is undone
    arguments.output.mkdir(parents=True, exist_ok=True)
    for old in arguments.output.glob("*.err"):
        old.unlink()
    if arguments.soak:
        return soak.run(arguments, say)
    chosen, absent = choose(parser, arguments)
    result = run(chosen, absent, arguments)
    show(result, arguments.output / "bench.json")
    faults = [fault for entry in result["rounds"] if entry["ours"] for fault in entry["faults"]]
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
