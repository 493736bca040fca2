#!/usr/bin/env python3
"""Every C and C++ file, or each FILE given, is formatted as .clang-format says."""
import pathlib
import subprocess
import sys

import tools
import tree


def is_formatted(name, text):
    """Is this text formatted, as if it were a file of this name in the root folder?"""
    command = ["clang-format", f"--assume-filename={tree.ROOT / name}"]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=True)
    return done.stdout == text


def main():
    if tools.is_missing("clang-format"):
        return tools.SKIPPED
    foreign = [name for name in sys.argv[1:] if pathlib.Path(name).suffix not in tree.CODE]
    if foreign:
        print("no C or C++ file:", *foreign)
        return 2
    given = [(name, pathlib.Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    bad = [name for name, text in given or tree.files(tree.CODE) if not is_formatted(name, text)]
    for name in bad:
        print(f"FAIL {name}: run ./dev format {name}")
    planted = is_formatted("a.c", "int  f( void ) {return 0;}\n")
    if planted:
        print("FAIL the formatter lets anything pass")
    return 1 if bad or planted else 0


if __name__ == "__main__":
    sys.exit(main())
