"""A chart of bars relative to direct, as one SVG file that refers to nothing outside.

Longer is better in every row: where less is better, the ratio is turned round. The text takes
its colour from what the reader's screen prefers, and the bars' colours go with both.
"""

from xml.sax.saxutils import escape

import report

COLOURS = ["#7f8c8d", "#b7791f", "#8e5ea2", "#d2556b", "#2f80ed", "#56b4e9", "#27ae60", "#e67e22"]
LABELS, BARS, FIGURES = 240, 430, 130  # widths
BAR, ROW_GAP, TOP = 11, 12, 66
ROW_LEAST = 26  # room for the two lines of a label
FULL = 1.25  # the ratio at which a bar is cut off

STYLE = """
    text { font: 12px system-ui, sans-serif; fill: #24292f }
    .small { font-size: 10px } .title { font-size: 15px; font-weight: 600 }
    .page { fill: #ffffff } .line { stroke: #8c959f; stroke-width: 1 }
    @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3 } .page { fill: #0d1117 } .line { stroke: #6e7681 }
    }
"""


def text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{kind}">'
            f"{escape(words)}</text>")


def bar_ratio(metric, summary, name):
    """How long the bar is, 1 being as good as direct; None: there is nothing to show."""
    ratio = summary.get(name, (0, None))[1]
    if ratio is None or ratio <= 0:
        return None
    return 1 / ratio if metric.less_is_better else ratio


def label(metric, top, height):
    """What is measured, in two lines: its table, its column."""
    table = next(title for title, metrics in report.TABLES.items() if metric in metrics)
    middle = top + height / 2
    return [text(LABELS - 8, middle - 3, table, "small", "end"),
            text(LABELS - 8, middle + 10, metric.title, "small", "end")]


def row(metric, summary, shown, colours, top):
    """The bars of one metric; returns (elements, height)."""
    bars = [(name, ratio) for name in shown
            if (ratio := bar_ratio(metric, summary, name)) is not None]
    if not bars:
        return [], 0
    height = max(len(bars) * BAR, ROW_LEAST)
    elements = label(metric, top, height)
    for number, (name, ratio) in enumerate(bars):
        y = top + number * BAR
        width = min(ratio, FULL) / FULL * BARS
        elements.append(f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR - 2}" '
                        f'fill="{colours[name]}"><title>{escape(name)}</title></rect>')
        cut = " →" if ratio > FULL else ""
        figure = f"{summary[name][0]:.{metric.digits}f} (×{ratio:.2f}){cut}"
        elements.append(text(LABELS + width + 5, y + BAR - 3, figure, "small"))
    return elements, height + ROW_GAP


def legend(shown, colours):
    elements, x = [], LABELS
    for name in shown:
        elements.append(f'<rect x="{x}" y="31" width="10" height="10" fill="{colours[name]}"/>')
        elements.append(text(x + 14, 40, name))
        x += 30 + 7 * len(name)
    return elements, x


def render(result):
    rounds = result["rounds"]
    shown = report.names(rounds)
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(shown)}
    peers = [name for name in shown if name != report.BASE]
    body, y = [], TOP
    for metric in report.HEADLINES:
        elements, height = row(metric, report.summarise(rounds, metric.key), peers, colours, y)
        body += elements
        y += height
    keys, right = legend(peers, colours)
    one = LABELS + BARS / FULL
    width, height = max(LABELS + BARS + FIGURES, right), y + 24
    return "\n".join([
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">',
        f"<style>{STYLE}</style>", f'<rect class="page" width="{width}" height="{height}"/>',
        text(LABELS, 22, "Relative to direct, longer is better", "title"), *keys, *body,
        f'<line class="line" x1="{one}" y1="{TOP - 8}" x2="{one}" y2="{y}"/>',
        text(one, TOP - 10, "direct", "small", "middle"),
        text(8, height - 8, report.describe(result["meta"]), "small"),
        "</svg>",
    ]) + "\n"
