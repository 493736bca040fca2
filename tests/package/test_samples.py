#!/usr/bin/env python3
"""test_samples.py LIBRARY INCLUDE COMPILER: the programs in the documents compile without a
warning, run, and print what the documents say.

A program is a block of C that has a main; the text block behind it, if the next block is one, is
its output, in which addresses, times and thread numbers are anybody's.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

COMPILER, INCLUDE, LIBRARY = sys.argv.pop(), sys.argv.pop(), sys.argv.pop()
ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *ROOT.glob("examples/*/*.md")]
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()
READABLE = "-O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls".split()

# What a program may include that is not on this machine, as the names it uses.
STAND_INS = {
    "tracy/TracyC.h": "#define TracyCFrameMarkStart(name) ((void)(name))\n"
    "#define TracyCFrameMarkEnd(name) ((void)(name))\n"
    "#define TracyCMessageL(text) ((void)(text))\n",
}

HAS_RING = """
#include <zerofault/zerofault.h>
int main(void)
{
    return hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING), NULL) != 0;
}
"""


def samples(text):
    """Pairs of a program and its output; the output is None where none is shown."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for number, (language, code) in enumerate(blocks):
        if language == "c" and re.search(r"\bmain\(", code):
            following = blocks[number + 1 : number + 2]
            yield code, following[0][1] if following and following[0][0] == "text" else None


def masked(output):
    """Without what differs from run to run."""
    output = re.sub(r"0x[0-9a-f]+", "ADDRESS", output)
    output = re.sub(r"thread \d+", "thread N", output)
    output = re.sub(r"\d+\.\d{9}(?= s| to)", "TIME", output)
    # The folder, and what the C library calls main by.
    output = re.sub(r"\S*/sample\b", "sample", output)
    output = re.sub(r"^ +#\d+ ADDRESS in __?libc_start.*\n", "", output, flags=re.MULTILINE)
    # Of a warmup: what it took, and whether this kernel has names for mappings.
    output = re.sub(r"\d+ minor, \d+ major", "N minor, N major", output)
    output = re.sub(r"\b\d+\.\d\d(?=,| ms)", "TIME", output)
    return re.sub(r"^  name .*", "  name", output, flags=re.MULTILINE)


def has_huge_pages():
    setting = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return setting.exists() and "[never]" not in setting.read_text(encoding="ascii")


class Samples(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        for name, text in STAND_INS.items():
            file = pathlib.Path(cls.folder.name, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        cls.has_ring = cls.run_program(cls.build(HAS_RING)).returncode == 0

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def build(cls, code):
        """Compile as sample.c, so that the name is the same everywhere."""
        pathlib.Path(cls.folder.name, "sample.c").write_text(code, encoding="utf-8")
        libraries = ["-lcmocka"] if "<cmocka.h>" in code else []
        command = [COMPILER, "-std=gnu11", *READABLE, *WARNINGS, "-I", INCLUDE, "-I.", "sample.c"]
        done = subprocess.run(
            [*command, "-o", "sample", LIBRARY, "-pthread", "-lnuma", "-ldl", *libraries],
            cwd=cls.folder.name,
            text=True,
            capture_output=True,
        )
        if done.returncode != 0:
            raise AssertionError(f"{code}\n{done.stderr}")
        return pathlib.Path(cls.folder.name, "sample")

    @staticmethod
    def run_program(program):
        return subprocess.run([program], text=True, capture_output=True, timeout=60)

    def can_compare(self, output, printed):
        if " in main " in output and " in main " not in printed:
            return False  # no names: built without libdw
        return self.has_ring and (has_huge_pages() or "huge pages" not in output)

    def test_every_program_runs_and_prints_what_is_shown(self):
        count = 0
        for document in DOCUMENTS:
            for code, output in samples(document.read_text(encoding="utf-8")):
                with self.subTest(document=document.name, program=code.splitlines()[-6:]):
                    done = self.run_program(self.build(code))
                    self.assertEqual((done.returncode, done.stderr), (0, done.stderr))
                    if output is not None and self.can_compare(output, done.stdout):
                        self.assertEqual(masked(done.stdout), masked(output))
                    count += 1
        print(count, "programs,", "compared" if self.has_ring else "not compared: no ring here")
        self.assertGreaterEqual(count, 6)

    def test_every_cause_is_explained(self):
        source = (ROOT / "src/hot/cause_text.c").read_text(encoding="utf-8")
        explained = (ROOT / "docs/guard.md").read_text(encoding="utf-8")
        causes = re.findall(r"\[HOT_CAUSE_\w+\]\s*=\s*\{\s*\"([^\"]+)\",\s*\"", source)
        self.assertGreater(len(causes), 10)
        for cause in causes:
            self.assertIn(f"| {cause} |", explained)

    def test_a_program_that_does_not_compile_is_found(self):
        with self.assertRaises(AssertionError):
            self.build("int main(void) { int unused; return 0; }\n")

    def test_programs_and_outputs_are_told_apart(self):
        text = "```c\nint x;\n```\n```c\nint main(void)\n```\nprints\n```text\n0x1 a\n```\n"
        self.assertEqual(list(samples(text)), [("int main(void)\n", "0x1 a\n")])
        self.assertEqual(masked("0x1f, thread 12, 1.000000002 s"), "ADDRESS, thread N, TIME s")
        self.assertEqual(masked("1.000000002 to 1.000000003 s"), "TIME to TIME s")
        self.assertEqual(masked("#1 0x1 in f /a/sample.c:9"), "#1 ADDRESS in f sample.c:9")
        self.assertEqual(masked("  #2 0x1 in __libc_start_call_main x.h:5\n"), "")
        self.assertEqual(masked("  1 minor, 2 major\n  name off"), "  N minor, N major\n  name")
        self.assertEqual(masked("prove 1.25, lock 0.50 ms"), "prove TIME, lock TIME ms")


if __name__ == "__main__":
    if not shutil.which(COMPILER) or os.name != "posix":
        sys.exit(77)
    unittest.main()
