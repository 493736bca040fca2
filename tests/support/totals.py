#!/usr/bin/env python3
"""Add up what ctest wrote to results.xml in the build folders given, and print the totals.

A cmocka program counts with each of its cases, any other test as one. A folder without results
was not built: one failure. Exit status 1 when something failed or nothing passed.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree

CASE = re.compile(r"(?:^needs (.+)\n)?^\[ +(OK|FAILED|SKIPPED) +\] (\w+)$", re.MULTILINE)
NEED = re.compile(r"^needs (.+)$", re.MULTILINE)
OUTCOMES = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


def outcome_of(test):
    """What ctest says of a test as a whole; one that could not be started has failed."""
    skipped = test.find("skipped")
    if test.get("status") == "disabled":
        return "skipped"
    if test.get("status") == "notrun" and "SKIP_" in skipped.get("message", ""):
        return "skipped"
    return "passed" if test.get("status") == "run" else "failed"


def cases_of(test):
    """Triples (case, outcome, reason); the case is "" for a test that has none inside."""
    whole = outcome_of(test)
    output = test.findtext("system-out") or ""
    cases = {}
    for reason, word, name in CASE.findall(output):
        # cmocka lists failed and skipped cases a second time at the end; a name counts once.
        cases.setdefault(name, (OUTCOMES[word], reason))
    if not cases or (whole == "failed" and "failed" not in dict(cases.values())):
        need = NEED.search(output)
        cases[""] = (whole, need[1] if need else "")
    return [(case, outcome, reason) for case, (outcome, reason) in cases.items()]


def main():
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    notes = []
    for folder in map(pathlib.Path, sys.argv[1:]):
        results = folder / "results.xml"
        if not results.exists():
            totals["failed"] += 1
            notes.append(("failed", f"{folder.name}: build"))
            continue
        for test in xml.etree.ElementTree.parse(results).getroot().iter("testcase"):
            for case, outcome, reason in cases_of(test):
                totals[outcome] += 1
                if outcome != "passed":
                    note = f"{folder.name}: {test.get('name')} {case}".rstrip()
                    notes.append((outcome, f"{note} ({reason})" if reason else note))
    for outcome, note in sorted(notes, reverse=True):
        print(f"{outcome:7}  {note}")
    print(", ".join(f"{count} {outcome}" for outcome, count in totals.items()))
    return 1 if totals["failed"] or not totals["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
