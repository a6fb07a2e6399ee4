"""Figures to tables: medians, and medians of each round's ratio to direct.

A ratio is made within a round, in which the contenders ran right after each other: what a busy
machine does to all of them cancels out.
"""

import dataclasses
import statistics

BASE = "direct"


@dataclasses.dataclass(frozen=True)
class Metric:
    key: str
    title: str
    digits: int = 1
    ratio: bool = False  # is a ratio to direct worth a word?
    less_is_better: bool = False


def both_ways(key, title, **options):
    return [Metric(key.format(way), title.format(way), **options) for way in ("up", "down")]


TABLES = {
    "Bulk TCP, Gbit/s": [
        metric for streams in (1, 4)
        for metric in both_ways(f"tcp_{{}}{streams}", f"{{}} {streams}", digits=2, ratio=True)
    ],
    "Bulk TCP, CPU seconds per GB: of the relay, and of the whole machine": [
        metric for streams in (1, 4) for part, name in (("cpu", "relay"), ("machine", "machine"))
        for metric in both_ways(f"tcp_{{}}{streams}_{part}", f"{name} {{}} {streams}", digits=3,
                                less_is_better=True)
    ],
    "Request and response, 64 bytes, µs": [
        Metric(f"{protocol}_{percentile}", f"{protocol.upper()} {percentile}", 1, True, True)
        for protocol in ("tcp", "udp") for percentile in ("p50", "p99")
    ] + [Metric("udp_lost", "UDP lost", 0)],
    "Connections and requests per second": [
        Metric("cps1", "connections, 1 at a time", 0, True),
        Metric("cps64", "64 at a time", 0, True),
        Metric("cps64_failed", "failed", 0),
        Metric("cps1_cpu", "relay µs each (1)", 1, less_is_better=True),
        Metric("cps64_cpu", "relay µs each (64)", 1, less_is_better=True),
        Metric("http", "HTTP keep-alive", 0, True),
        Metric("dns", "DNS queries", 0, True),
        Metric("dns_lost", "DNS lost", 0),
    ],
    "UDP delivered": [
        *both_ways("udp1400_{}", "1400 B {}, Gbit/s", digits=2, ratio=True),
        *both_ways("udp64_{}", "64 B {}, kpps", digits=0, ratio=True),
    ],
    "One stream, 100 ms and 1 Gbit/s away, Mbit/s": [
        *both_ways("long_{}", "{}", digits=0, ratio=True),
    ],
    "Start-up of true, ms": [
        Metric("startup", "takes", 2, less_is_better=True),
        Metric("startup_unshare", "unshare -Urn beside it", 2),
        Metric("startup_times_unshare", "times that", 2, less_is_better=True),
    ],
    "Memory, MiB (PSS)": [
        Metric("pss_idle", "idle", 1, less_is_better=True),
        Metric("pss_1000", "1,000 connections", 1, less_is_better=True),
        Metric("pss_10000", "10,000", 1, less_is_better=True),
        Metric("pss_stalled", "200 stalled", 1, less_is_better=True),
        Metric("pss_stalled_peak", "peak", 1, less_is_better=True),
        Metric("stalled_up", "held up", 1),
        Metric("stalled_down", "held down", 1),
        Metric("stalled_inexact", "inexact", 0),
    ],
    "10,000 connections": [
        Metric("opened10000", "opened", 0),
        Metric("opened10000_seconds", "in s", 2, less_is_better=True),
        Metric("echoed10000", "echoed", 0),
        Metric("echoed10000_seconds", "in s", 2, less_is_better=True),
        Metric("idle_cpu_10000", "CPU % while idle", 2, less_is_better=True),
    ],
}

# What a glance should show: the chart's rows.
HEADLINES = [
    metric for metrics in TABLES.values() for metric in metrics if metric.ratio
]


def by_contender(rounds, key):
    """{contender: {round: value}} of one figure; what was not measured isn't there."""
    found = {}
    for entry in rounds:
        if key in entry["values"]:
            found.setdefault(entry["contender"], {})[entry["round"]] = entry["values"][key]
    return found


def names(rounds):
    """The contenders, in the order in which they were given."""
    order = {entry["contender"]: entry["position"] for entry in rounds}
    return sorted(order, key=order.get)


def summarise(rounds, key):
    """{contender: (median, median of the ratios to direct or None)}"""
    found = by_contender(rounds, key)
    base = found.get(BASE, {})
    summary = {}
    for name, values in found.items():
        ratios = [value / base[number] for number, value in values.items() if base.get(number)]
        summary[name] = (statistics.median(values.values()),
                         statistics.median(ratios) if ratios else None)
    return summary


def cell(summary, metric, name):
    if name not in summary:
        return "–"
    median, ratio = summary[name]
    text = f"{median:.{metric.digits}f}"
    return f"{text} ({ratio:.2f})" if metric.ratio and ratio is not None else text


def table(rounds, title, metrics):
    """One Markdown table, without the rows and columns in which there is nothing."""
    summaries = {metric: summarise(rounds, metric.key) for metric in metrics}
    metrics = [metric for metric in metrics if summaries[metric]]
    if not metrics:
        return []
    lines = ["", f"### {title}", "", "| | " + " | ".join(metric.title for metric in metrics) + " |",
             "|---|" + "---:|" * len(metrics)]
    for name in names(rounds):
        cells = [cell(summaries[metric], metric, name) for metric in metrics]
        if any(text != "–" for text in cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def describe(meta):
    """One paragraph: where and how."""
    loads = [load for load in meta.get("load", []) if load is not None]
    busy = f"; load average {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    return (f"Linux {meta['kernel']}, {meta['cpus']} CPUs{busy}; {meta['started']}; rounds: "
            f"{meta['rounds']}, seconds: {meta['seconds']:g}; congestion control: "
            f"{meta['congestion_control']}.")


def complaints(result):
    """What could not be measured, and what was wrong."""
    lines = [f"- not there: {name}: {why}" for name, why in result["meta"]["absent"].items()]
    for entry in result["rounds"]:
        where = f"{entry['contender']}, round {entry['round'] + 1}"
        lines += [f"- {where}: {what}: {why}" for what, why in entry["errors"].items()]
        lines += [f"- FAULT: {where}: {what}" for what in entry["faults"]]
    return ["", *lines] if lines else []


def render(result):
    """The whole report, in Markdown."""
    lines = [describe(result["meta"]), "",
             "Medians; in brackets the median of each round's ratio to direct."]
    for title, metrics in TABLES.items():
        lines += table(result["rounds"], title, metrics)
    return "\n".join(lines + complaints(result)) + "\n"
