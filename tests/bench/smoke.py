#!/usr/bin/env python3
"""Run one bench at its smoke size and check its output, not its times.

smoke.py PROGRAM NAME [--may-leave-out=PATTERN] WARM_CASE...

Every line must be an object of the promised form, and the warm cases must have taken no page
fault (under ThreadSanitizer, which takes its own, that cannot be told). A case may be left out,
with a reason, unless ZEROFAULT_TEST_PROVIDES promises "perf" and its name does not match PATTERN.
"""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

KEYS = ["bench", "case", "metric", "value", "unit"]


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=250, check=False)


def check(holds, complaint):
    if not holds:
        sys.exit(f"smoke.py: {complaint}")


def parse(text, name):
    """{case: {metric: value}} of JSON lines, each checked."""
    cases = {}
    for line in text.splitlines():
        figure = json.loads(line, parse_constant=lambda word: check(False, f"{word} in {line}"))
        check(list(figure) == KEYS, f"keys of {line}")
        check(figure["bench"] == name, f"bench of {line}")
        check(all(isinstance(figure[key], str) for key in KEYS if key != "value"), line)
        check(isinstance(figure["value"], (int, float)), f"value of {line}")
        check(math.isfinite(figure["value"]), f"value of {line}")
        metrics = cases.setdefault(figure["case"], {})
        check(figure["metric"] not in metrics, f"a second time: {line}")
        metrics[figure["metric"]] = figure["value"]
    return cases


def check_case(case, metrics, optional):
    if "left_out" in metrics and re.search(optional, case):
        return
    if "left_out" in metrics:
        words = os.environ.get("ZEROFAULT_TEST_PROVIDES", "").split(",")
        promised = "perf" in [word.strip() for word in words]
        check(not promised, f"{case} was left out where perf is promised")
        return
    check(metrics["p50"] > 0, f"{case}: p50 is {metrics['p50']}")
    check(metrics["p50"] <= metrics["p99"] <= metrics["p99.9"] <= metrics["max"], f"{case}: order")


def main():
    program, name, *warm = sys.argv[1:]
    optional = "(?!)"  # matches nothing
    if warm and warm[0].startswith("--may-leave-out="):
        optional = warm.pop(0).split("=", 1)[1]
    usage = run(program, "--help")
    check(usage.returncode == 0 and usage.stdout.startswith(f"usage: bench_{name}"), "--help")
    check(run(program, "--no-such-option").returncode == 2, "an unknown option is not refused")

    lines = run(program, "--smoke", "--json")
    check(lines.returncode == 0, f"exit status {lines.returncode}")
    cases = parse(lines.stdout, name)
    setup = cases.pop("setup")
    check(setup["smoke"] == 1, "not the smoke size")
    for case, metrics in cases.items():
        check_case(case, metrics, optional)
    for case in warm:
        check(case in cases, f"no case {case}")
        faults = cases[case].get("faults", 0)
        check(faults == 0 or setup["instrumented"] == 1, f"{case} took {faults} page faults")

    with tempfile.TemporaryDirectory() as folder:
        kept = os.path.join(folder, "kept.jsonl")
        table = run(program, "--smoke", "--json-to", kept)
        check(table.returncode == 0, f"exit status {table.returncode} with a table")
        with open(kept, encoding="utf-8") as stream:
            check(set(parse(stream.read(), name)) == {"setup", *cases}, "table and lines differ")
    for case in cases:
        check(f"\n{case} " in table.stdout, f"{case} is not in the table")


if __name__ == "__main__":
    main()
