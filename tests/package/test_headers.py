#!/usr/bin/env python3
"""Every public header compiles alone and twice, as C11, C++17 and C++20, without a warning; and so
do sections by HOT_SECTION, whose fields C++20 wants in order."""
import pathlib
import subprocess
import sys

WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()
# What the headers may include beside each other: small, in every C library, and valid C++.
STANDARD = set("stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h".split())


SECTIONS = """
#include <zerofault/hot.h>
static struct hot_section bare = HOT_SECTION("bare");
static struct hot_section full = HOT_SECTION("full", .policy = HOT_TRAP, .budget_ns = 5);
uint64_t use(void);
uint64_t use(void) { return full.budget_ns + bare.line; }
"""


def builds(compiler, language, standard, include, source, *options):
    """Tell whether the source compiles, and what the compiler says."""
    command = [compiler, "-x", language, f"-std={standard}", *WARNINGS, *options, "-I", include]
    done = subprocess.run(
        [*command, "-fsyntax-only", "-"], input=source, text=True, capture_output=True
    )
    return done.returncode == 0, done.stderr


def compiles(compiler, language, standard, include, header):
    """Tell whether a file compiles that includes the header first and twice; print why not."""
    source = f"#include <{header}>\n#include <{header}>\ntypedef int not_empty;\n"
    good, why = builds(compiler, language, standard, include, source)
    print("ok  " if good else "FAIL", standard, header, why)
    return good


def has_sections(compiler, language, standard, include):
    """As compiles, for two sections. C++17 has no designators: there they are an extension."""
    quiet = [] if language == "c" else ["-Wno-pedantic", "-Wno-missing-field-initializers"]
    if "clang" in compiler and standard == "c++17":
        quiet.append("-Wno-c++20-designator")
    good, why = builds(compiler, language, standard, include, SECTIONS, *quiet)
    print("ok  " if good else "FAIL", standard, "HOT_SECTION", why)
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
    standards = ["c++17"]
    if builds(cpp_compiler, "c++", "c++20", include, "")[0]:
        standards.append("c++20")
    good &= has_sections(c_compiler, "c", "c11", include)
    for standard in standards:
        good &= has_sections(cpp_compiler, "c++", standard, include)
    for header in headers:
        name = f"zerofault/{header.name}"
        good &= compiles(c_compiler, "c", "c11", include, name)
        for standard in standards:
            good &= compiles(cpp_compiler, "c++", standard, include, name)
        good &= not foreign_includes(header)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
