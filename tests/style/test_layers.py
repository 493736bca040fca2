#!/usr/bin/env python3
"""The order of the parts, read from the includes.

A part includes itself and the parts before it, their public headers, and the C library's standard
headers. Only a folder below src/os includes or calls what belongs to one operating system. What is
built on the library (examples, benchmarks, bindings) sees the public headers alone.
"""
import re
import unittest

import tree

PARTS = ("base", "os", "machine", "region", "warmup", "arena", "hot", "profile", "cli")

# Which part each public header is the face of; the last one gathers all.
PUBLIC = {
    "attributes.h": "base",
    "version.h": "base",
    "valgrind.h": "base",
    "probes.h": "base",
    "histogram.h": "base",
    "machine.h": "machine",
    "wish.h": "region",
    "warmup.h": "warmup",
    "process.h": "warmup",
    "arena.h": "arena",
    "group.h": "arena",
    "pool.h": "arena",
    "hot.h": "hot",
    "testing.h": "hot",
    "trace.h": "hot",
    "hot_report.h": "hot",
    "zerofault.h": "hot",
}

# What the command may include besides: it is a program, not a part that others embed.
PROGRAM = {"argp.h", "jansson.h", "sysexits.h", "sys/ioctl.h", "unistd.h"}

STANDARD = set(
    "assert ctype errno float inttypes limits math setjmp signal stdalign stdarg stdatomic stdbool"
    " stddef stdint stdio stdlib string time".split()
) | {"sys/types"}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)
SYSTEM_ONLY = (
    (re.compile(r"\bsyscall\s*\("), "a system call"),
    (re.compile(r"\b(SYS_|__NR_)\w+"), "a system call's number"),
    (re.compile(r"^\s*#.*\b(__linux__|_WIN32|__APPLE__|__unix__|_GNU_SOURCE)", re.M), "a system"),
)
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def part_of(path):
    """Index of the part that a file below src/ or include/ belongs to."""
    folders = path.split("/")
    if folders[0] == "include":
        return PARTS.index(PUBLIC[folders[-1]])
    return PARTS.index(folders[1])


def is_system_code(path):
    return path.startswith("src/os/") and path.count("/") > 2


def is_program(path):
    return path.startswith("src/cli/")


def included_part(quote, name):
    """Index of the part of an included file; -1 for the C library, None for anything else."""
    if name.startswith("zerofault/"):
        part = PUBLIC.get(name.split("/", 1)[1])
        return PARTS.index(part) if part else None
    if quote == "<":
        return -1 if name.removesuffix(".h") in STANDARD else None
    folder = name.split("/")[0]
    return PARTS.index(folder) if "/" in name and folder in PARTS else None


def library_violations(path, text):
    """What a file of the library does that its part may not. Yields sentences."""
    own = part_of(path)
    system = is_system_code(path)
    for quote, name in INCLUDE.findall(text):
        part = included_part(quote, name)
        if is_program(path) and (name in PROGRAM or name.startswith("cli/")):
            continue
        if is_program(path) and quote == '"':
            yield f"{path}: includes {name}, which is private to the library"
        elif part is None and not (system and quote == "<"):
            yield f"{path}: includes {name}, which is of no part"
        elif part is not None and part > own:
            yield f"{path}: {PARTS[own]} includes {name} of {PARTS[part]}"
        elif re.match(r"os/\w+/", name) and not system:
            yield f"{path}: includes {name}; only os/os.h is the contract"
    code = "" if system else COMMENT_OR_STRING.sub("", text)
    for pattern, what in SYSTEM_ONLY:
        for found in pattern.finditer(code):
            yield f"{path}: names {what} outside src/os: {found.group().strip()}"


def user_violations(path, text):
    """What a file that is built on the library includes and may not. Yields sentences."""
    for quote, name in INCLUDE.findall(text):
        if quote == '"' and name.split("/")[0] in PARTS + ("..", "src"):
            yield f"{path}: includes {name}, which is private to the library"


class Layers(unittest.TestCase):
    def test_no_part_of_the_library_knows_a_later_one(self):
        found = []
        for path, text in tree.files(tree.CODE, ("include", "src")):
            found += library_violations(path, text)
        self.assertEqual(found, [])

    def test_what_is_built_on_the_library_sees_public_headers_alone(self):
        found = []
        for path, text in tree.files(tree.CODE, ("examples", "bench", "bindings")):
            found += user_violations(path, text)
        self.assertEqual(found, [])

    def test_every_public_header_belongs_to_a_part(self):
        headers = {path.split("/")[-1] for path, _ in tree.files({".h"}, ("include",))}
        self.assertEqual(headers, set(PUBLIC))

    def test_every_folder_below_src_is_a_part(self):
        folders = {path.name for path in (tree.ROOT / "src").iterdir() if path.is_dir()}
        self.assertEqual(folders - set(PARTS), set())


class PlantedViolations(unittest.TestCase):
    """The check itself: what it must find, and what it must let pass."""

    def assert_refused(self, path, text):
        self.assertEqual(len(list(library_violations(path, text))), 1, text)

    def assert_allowed(self, path, text):
        self.assertEqual(list(library_violations(path, text)), [])

    def test_an_include_of_a_later_part_is_refused(self):
        self.assert_refused("src/base/a.c", '#include "os/os.h"\n')
        self.assert_refused("src/region/a.c", '#include "arena/arena.h"\n')
        self.assert_refused("src/arena/a.h", "  #  include <zerofault/hot.h>\n")
        self.assert_refused("include/zerofault/warmup.h", "#include <zerofault/arena.h>\n")
        self.assert_refused("src/os/linux/a.c", '#include "region/region.h"\n')
        self.assert_refused("src/os/os.h", "#include <zerofault/warmup.h>\n")

    def test_a_header_of_the_system_is_refused_outside_its_folder(self):
        for name in ("sys/mman.h", "linux/perf_event.h", "unistd.h", "pthread.h", "numa.h"):
            self.assert_refused("src/warmup/a.c", f"#include <{name}>\n")
            self.assert_allowed("src/os/linux/a.c", f"#include <{name}>\n")
        self.assert_refused("src/os/os.h", "#include <sys/mman.h>\n")

    def test_a_file_behind_the_contract_is_refused(self):
        self.assert_refused("src/region/a.c", '#include "os/linux/linux.h"\n')
        self.assert_allowed("src/os/linux/a.c", '#include "os/linux/linux.h"\n')

    def test_a_system_call_is_refused_outside_its_folder(self):
        self.assert_refused("src/hot/a.c", "    rc = syscall(298, 0);\n")
        self.assert_refused("src/hot/a.c", "    rc = call(__NR_perf_event_open);\n")
        self.assert_refused("src/arena/a.c", "#if defined(__linux__)\n")
        self.assert_allowed("src/os/linux/a.c", "    rc = syscall(SYS_gettid);\n")
        self.assert_allowed("src/hot/a.c", "/* one syscall (SYS_gettid) less */\n")
        self.assert_allowed("src/machine/a.c", 'name = "SYS_NICE";\n')

    def test_an_unknown_or_relative_file_is_refused(self):
        self.assert_refused("src/hot/a.c", '#include "helper.h"\n')
        self.assert_refused("src/hot/a.c", '#include "../arena/arena.h"\n')
        self.assert_refused("src/hot/a.c", "#include <zerofault/nosuch.h>\n")

    def test_own_and_earlier_parts_are_allowed(self):
        self.assert_allowed("src/hot/a.c", '#include "hot/b.h"\n#include "arena/c.h"\n')
        self.assert_allowed("src/hot/a.c", "#include <zerofault/hot.h>\n#include <stdint.h>\n")

    def test_the_command_sees_public_headers_alone(self):
        self.assert_refused("src/cli/a.c", '#include "machine/files.h"\n')
        self.assert_refused("src/cli/a.c", "#include <sys/mman.h>\n")
        self.assert_refused("src/cli/a.c", "    rc = syscall(298, 0);\n")
        self.assert_allowed("src/cli/a.c", '#include "cli/b.h"\n#include <jansson.h>\n')
        self.assert_allowed("src/cli/a.c", "#include <zerofault/machine.h>\n")
        self.assert_refused("src/machine/a.c", "#include <jansson.h>\n")

    def test_a_user_of_private_files_is_refused(self):
        private = '#include "base/arith.h"\n'
        self.assertEqual(len(list(user_violations("examples/a/a.c", private))), 1)
        self.assertEqual(list(user_violations("examples/a/a.c", '#include "book.h"\n')), [])


if __name__ == "__main__":
    unittest.main()
