"""All kinds of load at once through one childflow, for a long time: does what it holds come back?

Streams whose every byte is compared, short connections, datagrams and readers that stop reading
run together. Meanwhile the memory, descriptors and CPU time of childflow's processes are
sampled; when the load has ended they must become what they were before it.
"""

import contextlib
import json
import sys
import threading
import time

from contenders import Childflow, contenders
from metrics import Notes, conversation
from world import World, cpu_seconds, memory_kib

SAMPLE_SECONDS = 10
STALL_SECONDS = 5
# A datagram's session lives for three minutes after its last datagram, and memory is given back
# when it has gone.
RETURN_SECONDS = 240
MEMORY_MIB, MEMORY_PART = 2, 0.1  # what may be left, whichever is more
LOADS = [("stream",), ("churn", 16), ("tcp", 1000), ("udp", 64), ("udp", 1200)]


def sample(contender, started):
    pids = contender.relays
    return {
        "at": round(time.monotonic() - started, 1),
        "pss": round(memory_kib(pids) / 1024, 2), "rss": round(memory_kib(pids, "Rss") / 1024, 2),
        "descriptors": contender.descriptors(), "cpu": round(cpu_seconds(pids), 2),
    }


def has_returned(before, now):
    """What is still held, in words; none when all came back."""
    allowed = before["pss"] + max(MEMORY_MIB, before["pss"] * MEMORY_PART)
    left = []
    if now["pss"] > allowed:
        left.append(f"memory: {now['pss']} MiB, {before['pss']} before")
    if now["descriptors"] > before["descriptors"]:
        left.append(f"descriptors: {now['descriptors']}, {before['descriptors']} before")
    return left


def keep_loading(notes, mode, arguments, seconds, totals):
    with notes.attempt(" ".join(map(str, (mode, *arguments)))):
        found = notes.load(mode, seconds, *arguments, seconds=seconds)
        for key in {"up_bytes", "down_bytes", "done", "failed", "count", "lost"} & set(found):
            what = f"{mode} {key.replace('_', ' ')}"
            totals[what] = totals.get(what, 0) + found[key]


def keep_stalling(notes, end, totals):
    while time.monotonic() < end and notes.contender.alive():
        with notes.attempt("stall"), conversation(notes, "stall", 20) as next_line:
            next_line(go_on=False)
            with contextlib.suppress(Exception):
                notes.contender.process.wait(min(STALL_SECONDS, max(0, end - time.monotonic())))
            found = next_line()
            if found["inexact"]:
                notes.faults.append(f"stalled connections: {found}")
            totals["stalled bytes"] = (totals.get("stalled bytes", 0) + found["up_bytes"] +
                                       found["down_bytes"])
        if "stall" in notes.errors:
            return


def load(notes, seconds, samples, say):
    """Runs it all, and samples; returns when the load has ended."""
    totals = {}
    started = time.monotonic()
    workers = [threading.Thread(target=keep_loading, args=(notes, mode, arguments, seconds, totals))
               for mode, *arguments in LOADS]
    workers.append(threading.Thread(target=keep_stalling, args=(notes, started + seconds, totals)))
    for worker in workers:
        worker.start()
    while alive := [worker for worker in workers if worker.is_alive()]:
        alive[-1].join(SAMPLE_SECONDS)
        samples.append(sample(notes.contender, started))
        say("{at:.0f} s: PSS {pss} MiB, {descriptors} descriptors, CPU {cpu} s"
            .format(**samples[-1]))
    return totals


def wait_return(contender, before, started):
    """The first sample in which all has come back, or the last one."""
    end = time.monotonic() + RETURN_SECONDS
    while True:
        now = sample(contender, started)
        if not has_returned(before, now) or time.monotonic() > end or not contender.alive():
            return now
        with contextlib.suppress(Exception):
            contender.process.wait(1)


def run(arguments, say):
    wanted = (arguments.contenders or "childflow").split(",")
    chosen = [contender for contender in contenders(str(arguments.build / "childflow"))
              if isinstance(contender, Childflow) and contender.name in wanted]
    if len(chosen) != 1 or (why := chosen[0].absent()):
        say(why if chosen else "--soak wants one childflow")
        return 2
    contender, samples = chosen[0], []
    notes = Notes(contender)
    with (arguments.output / "servers.err").open("w") as log:
        world = World(arguments.build / "tests/bench", log, arguments.cc)
        try:
            contender.start(world, arguments.output)
            started = time.monotonic()
            before = sample(contender, started)
            totals = load(notes, arguments.soak * 60, samples, say)
            ended = sample(contender, started)
            after = wait_return(contender, before, started)
            if not contender.alive():
                notes.faults.append(f"died: {contender.last_words()}")
            else:
                notes.faults += [f"not given back: {left}" for left in has_returned(before, after)]
            status = contender.stop()
            if status:
                notes.faults.append(f"ended with status {status}: {contender.last_words()}")
        finally:
            contender.stop()
            world.close()
    notes.faults += contender.complaints()
    notes.faults += [f"{what}: {why}" for what, why in notes.errors.items()]
    result = {"contender": contender.name, "program": contender.program, "minutes": arguments.soak,
              "before": before, "ended": ended, "after": after, "totals": totals,
              "samples": samples, "faults": notes.faults}
    (arguments.output / "soak.json").write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(render(result))
    return 1 if notes.faults else 0


def render(result):
    lines = [f"Soak of {result['minutes']:g} minutes: {result['contender']}", "",
             "| | before | peak | load's end | after |", "|---|---:|---:|---:|---:|"]
    for key, title in (("pss", "PSS, MiB"), ("rss", "RSS, MiB"), ("descriptors", "descriptors")):
        peak = max(taken[key] for taken in result["samples"])
        before, ended, after = (result[when][key] for when in ("before", "ended", "after"))
        lines.append(f"| {title} | {before} | {peak} | {ended} | {after} |")
    waited = result["after"]["at"] - result["ended"]["at"]
    lines += ["", f"The last column is from {waited:.0f} s after the load's end.", ""]
    lines += [f"- {what}: {count:,}" for what, count in sorted(result["totals"].items())]
    lines += [f"- FAULT: {fault}" for fault in result["faults"]]
    return "\n".join(lines) + "\n"
