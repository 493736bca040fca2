#!/usr/bin/env python3
"""Every public header compiles alone and twice, as C11 and as C++17, without a warning."""
import pathlib
import subprocess
import sys

WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()
# What the headers may include beside each other: small, in every C library, and valid C++.
STANDARD = set("stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h".split())


def compiles(compiler, language, standard, include, header):
    """Tell whether a file compiles that includes the header first and twice; print why not."""
    source = f"#include <{header}>\n#include <{header}>\ntypedef int not_empty;\n"
    command = [compiler, "-x", language, f"-std={standard}", *WARNINGS, "-I", include]
    done = subprocess.run(
        [*command, "-fsyntax-only", "-"], input=source, text=True, capture_output=True
    )
    good = done.returncode == 0
    print("ok  " if good else "FAIL", standard, header, done.stderr)
    return good


def foreign_includes(header):
    """The includes of a header that are neither ours nor small. Prints them."""
    foreign = []
    for line in header.read_text().splitlines():
        if line.startswith("#include"):
            name = line.split()[1].strip('<>"')
            if not name.startswith("zerofault/") and name not in STANDARD:
                foreign.append(name)
                print(f"FAIL {header.name} includes {name}")
    return foreign


def main():
    include, c_compiler, cpp_compiler = sys.argv[1:]
    headers = sorted(pathlib.Path(include, "zerofault").glob("*.h"))
    good = len(headers) > 0
    for header in headers:
        name = f"zerofault/{header.name}"
        good &= compiles(c_compiler, "c", "c11", include, name)
        good &= compiles(cpp_compiler, "c++", "c++17", include, name)
        good &= not foreign_includes(header)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
