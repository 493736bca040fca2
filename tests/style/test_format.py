#!/usr/bin/env python3
"""Every C and C++ file is formatted as .clang-format says, and the formatter can tell."""
import re
import shutil
import subprocess
import sys

import tree

# Versions format differently; this is Debian 12's.
VERSION = "14"
SKIPPED = 77


def is_formatted(name, text):
    """Is this text formatted, as if it were a file of this name in the root folder?"""
    command = ["clang-format", f"--assume-filename={tree.ROOT / name}"]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=True)
    return done.stdout == text


def main():
    if shutil.which("clang-format") is None:
        print("needs clang-format")
        return SKIPPED
    version = subprocess.run(["clang-format", "--version"], text=True, capture_output=True).stdout
    if not re.search(rf"\bversion {VERSION}\.", version):
        print(f"needs clang-format {VERSION}, found: {version}")
        return SKIPPED
    bad = [name for name, text in tree.files(tree.CODE) if not is_formatted(name, text)]
    for name in bad:
        print(f"FAIL {name}: run ./dev format {name}")
    planted = is_formatted("a.c", "int  f( void ) {return 0;}\n")
    if planted:
        print("FAIL the formatter lets anything pass")
    return 1 if bad or planted else 0


if __name__ == "__main__":
    sys.exit(main())
