#!/usr/bin/env python3
"""Draw the kept figures of the benches: FOLDER/NAME.jsonl becomes FOLDER/NAME.svg.

usage: plot.py [FOLDER]          default: build/release/bench-results of this tree

One bar for each case, on a logarithmic axis: from the left edge to p50, with a thin line on to p99
and a tick at p99.9. Nothing beyond Python's own library is needed.
Exit status: 0; 1 nothing to draw, or a line that is no figure.
"""
import json
import math
import pathlib
import sys
from xml.sax.saxutils import escape

ROW = 26
LABEL = 250
PLOT = 560
MARGIN = 16
HEAD = 54
DRAWN = ("p50", "p99", "p99.9")
STYLE = (
    "text{font:13px sans-serif;fill:#222}.title{font-weight:bold}.axis{stroke:#ddd}"
    ".bar{fill:#4878a8}.whisker{stroke:#222;stroke-width:1.5}.small{font-size:11px;fill:#666}"
)


def read_cases(path):
    """{case: {metric: value}}, in the order of the file, without setup and what was left out."""
    cases = {}
    with open(path, encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            try:
                figure = json.loads(line)
                cases.setdefault(figure["case"], {})[figure["metric"]] = float(figure["value"])
            except (ValueError, KeyError, TypeError):
                sys.exit(f"{path}:{number}: not a figure: {line.rstrip()}")
    cases = {case: metrics for case, metrics in cases.items() if "p50" in metrics}
    for case, metrics in cases.items():
        if not all(metrics.get(name, 0) > 0 for name in DRAWN):
            sys.exit(f"{path}: {case} does not have all of {', '.join(DRAWN)}: was it cut off?")
    return cases


class Axis:
    """Whole decades from below the smallest p50 to above the largest p99.9."""

    def __init__(self, cases):
        lowest = min(metrics["p50"] for metrics in cases.values())
        highest = max(metrics["p99.9"] for metrics in cases.values())
        self.first = math.floor(math.log10(lowest) - 0.01)
        self.last = max(math.ceil(math.log10(highest)), self.first + 1)

    def x(self, value):
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return round(LABEL + PLOT * share, 1)

    def decades(self):
        return [10.0**power for power in range(self.first, self.last + 1)]


def draw_grid(axis, bottom):
    for decade in axis.decades():
        x = axis.x(decade)
        yield f'<line class="axis" x1="{x}" x2="{x}" y1="{HEAD - 8}" y2="{bottom}"/>'
        yield f'<text class="small" x="{x}" y="{HEAD - 14}" text-anchor="middle">{decade:g}</text>'


def draw_case(axis, top, case, metrics):
    middle = top + ROW / 2
    p50, p99, p99_9 = (axis.x(metrics[name]) for name in DRAWN)
    yield f'<text x="{LABEL - 8}" y="{middle + 4}" text-anchor="end">{escape(case)}</text>'
    yield (f'<rect class="bar" x="{LABEL}" y="{top + 5}" width="{round(p50 - LABEL, 1)}" '
           f'height="{ROW - 10}"/>')
    yield f'<line class="whisker" x1="{p50}" x2="{p99}" y1="{middle}" y2="{middle}"/>'
    yield f'<line class="whisker" x1="{p99_9}" x2="{p99_9}" y1="{middle - 4}" y2="{middle + 4}"/>'
    value = metrics["p50"]
    label = f"{value:,.0f} ns" if value >= 100 else f"{value:.2f} ns"
    yield f'<text class="small" x="{p99_9 + 6}" y="{middle + 4}">{label}</text>'


def draw(name, cases):
    axis = Axis(cases)
    bottom = HEAD + ROW * len(cases)
    width, height = LABEL + PLOT + 90, bottom + MARGIN
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
    yield f"<style>{STYLE}</style>"
    yield f'<rect width="{width}" height="{height}" fill="#fff"/>'
    title = f"bench {name}: ns per operation; bar p50, line to p99, tick p99.9"
    yield f'<text class="title" x="{MARGIN}" y="22">{escape(title)}</text>'
    yield from draw_grid(axis, bottom)
    for index, (case, metrics) in enumerate(cases.items()):
        yield from draw_case(axis, HEAD + ROW * index, case, metrics)
    yield "</svg>"


def main():
    here = pathlib.Path(__file__).resolve().parent
    default = here.parent / "build" / "release" / "bench-results"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    paths = sorted(folder.glob("*.jsonl"))
    if len(sys.argv) > 2 or not paths:
        sys.exit(f"{__doc__}\nno *.jsonl in {folder}: run bench/run first")
    for path in paths:
        cases = read_cases(path)
        if not cases:
            print(f"{path}: nothing to draw", file=sys.stderr)
            continue
        picture = path.with_suffix(".svg")
        picture.write_text("\n".join(draw(path.stem, cases)) + "\n", encoding="utf-8")
        print(picture)


if __name__ == "__main__":
    main()
