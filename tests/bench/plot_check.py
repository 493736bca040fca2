#!/usr/bin/env python3
"""Draw made-up figures with bench/plot.py (the only argument) and read the picture back."""
import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = {
    "setup": {"cpu": 1.0},
    "fast & <small>": {"p50": 1.0, "p99": 2.0, "p99.9": 3.0},
    "slow": {"p50": 100.0, "p99": 250.0, "p99.9": 900.0},
    "absent": {"left_out": 1.0},
}


def check(holds, complaint):
    if not holds:
        sys.exit(f"plot_check.py: {complaint}")


def write_figures(path):
    with open(path, "w", encoding="utf-8") as stream:
        for case, metrics in FIGURES.items():
            for metric, value in metrics.items():
                figure = {"bench": "made", "case": case, "metric": metric, "value": value,
                          "unit": "ns"}
                stream.write(json.dumps(figure) + "\n")


def check_cut(plot, path):
    """Figures that end half-way, within a line or between two, are told by name."""
    whole = path.read_text(encoding="utf-8")
    slow = whole.index('{"bench": "made", "case": "slow", "metric": "p99.9"')
    for end, said in ((slow - 20, f"{path}:6: "), (slow, f"{path}: slow ")):
        path.write_text(whole[:end], encoding="utf-8")
        done = subprocess.run([sys.executable, "-B", plot, path.parent], text=True,
                              capture_output=True, check=False)
        check(done.returncode == 1 and done.stderr.startswith(said), done.stderr)
    path.write_text(whole, encoding="utf-8")


def main():
    plot = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        empty = subprocess.run([sys.executable, "-B", plot, name], stderr=subprocess.DEVNULL,
                               check=False)
        check(empty.returncode != 0, "an empty folder is not an error")
        write_figures(folder / "made.jsonl")
        check_cut(plot, folder / "made.jsonl")
        subprocess.run([sys.executable, "-B", plot, name], check=True, stdout=subprocess.DEVNULL)
        root = xml.etree.ElementTree.parse(folder / "made.svg").getroot()
    texts = [text.text for text in root.iter(SVG + "text")]
    bars = [bar for bar in root.iter(SVG + "rect") if bar.get("class") == "bar"]
    widths = [float(bar.get("width")) for bar in bars]
    check(len(widths) == 2, f"two bars wanted, got {len(widths)}")
    check(0 < widths[0] < widths[1], f"the slower bar is not the longer one: {widths}")
    check("fast & <small>" in texts and "slow" in texts, f"case names missing in {texts}")
    check("absent" not in texts and "setup" not in texts, "drew what was not measured")


if __name__ == "__main__":
    main()
