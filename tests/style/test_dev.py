#!/usr/bin/env python3
"""The script dev takes its words seriously: files from where its caller stands, no word that it
does not know, and nothing of its own among a program's output.

A copy of it runs in a tree of its own, with stand-ins for every program that it would call.
"""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import tree

# Each says what it was called with, on standard output as cmake and apt-get do.
TOOLS = ("apt-get", "cmake", "ctest", "pkg-config", "setarch", "sudo", "valgrind", "clang", "groff",
         "ninja", "gcc", "g++", "clang-tidy", "qemu-system-x86_64", "busybox")
TOOL = '#!/bin/sh\necho "${0##*/} $*"\n'
FORMAT = '#!/bin/sh\necho "$0 $*"\nshift\nfor file; do echo formatted >"$file"; done\n'
LIBRARIES = "#!/bin/sh\necho 'libjemalloc.so.2 libmimalloc.so.2 libtcmalloc_minimal.so.4 '\n"
REPLAY = '#!/bin/sh\ncat "$@"\n'


class Dev(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name, "tree").resolve()
        self.outside = pathlib.Path(folder.name, "outside").resolve()
        self.outside.mkdir()
        shutil.copytree(tree.ROOT / "tests/style", self.root / "tests/style")
        shutil.copy(tree.ROOT / "dev", self.root)
        for name in ("include", "src", "bindings", "bench", "examples", "docs", "cmake"):
            (self.root / name).mkdir()
        for name in TOOLS:
            self.program(f"tools/{name}", TOOL)
        self.program("tools/clang-format", FORMAT)
        self.program("tools/ldconfig", LIBRARIES)
        self.program("bench/run", '#!/bin/sh\necho "{}"\n')
        self.program("build/release/examples/itch_replay/itch_replay", REPLAY)

    def program(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def dev(self, *words, status=0):
        path = f"{self.root}/tools:/usr/bin:/bin"
        done = subprocess.run([self.root / "dev", *words], cwd=self.outside, env={"PATH": path},
                              text=True, capture_output=True)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def write(self, path, text="int  x;\n"):
        path.write_text(text, encoding="utf-8")
        return path

    def test_format_takes_files_from_where_its_caller_stands(self):
        here, other = self.write(self.outside / "a.c"), self.write(self.outside / "b.hpp")
        self.dev("format", "a.c", str(other))
        self.assertEqual((here.read_text(), other.read_text()), ("formatted\n", "formatted\n"))

    def test_only_c_and_cpp_files_are_formatted(self):
        code = self.write(self.outside / "a.c")
        for name in ("README.md", "dev", "CMakeLists.txt"):
            self.write(self.outside / name)
            for command in ("format", "lint"):
                self.assertIn(name, self.dev(command, "a.c", name, status=2).stderr)
            self.assertEqual((self.outside / name).read_text(), "int  x;\n")
        self.assertIn("nosuch.c", self.dev("format", "nosuch.c", status=2).stderr)
        self.assertEqual(code.read_text(), "int  x;\n")

    def test_all_files_are_formatted_outside_a_checkout_too(self):
        files = [self.write(self.root / name) for name in ("src/a.c", "include/b.h", "tests/c.cpp")]
        other = self.write(self.root / "docs/d.md")
        self.dev("format")
        self.assertEqual([file.read_text() for file in files], ["formatted\n"] * 3)
        self.assertEqual(other.read_text(), "int  x;\n")

    def test_a_tree_without_code_is_an_error(self):
        self.assertIn("no C or C++ file", self.dev("format", status=2).stderr)

    def test_the_style_test_does_not_tell_to_format_what_is_no_code(self):
        test = [self.root / "tests/style/test_format.py", self.write(self.outside / "README.md")]
        path = {"PATH": "/usr/bin:/bin"}
        done = subprocess.run(["python3", "-B", *test], env=path, text=True, capture_output=True)
        self.assertIn(done.returncode, (2, 77), done.stdout)

    def test_demo_takes_its_file_from_where_its_caller_stands(self):
        self.write(self.outside / "messages.itch", "messages")
        self.assertEqual(self.dev("demo", "messages.itch").stdout, "messages")

    def test_bench_leaves_standard_output_to_the_benches(self):
        self.assertEqual(self.dev("bench", "--json").stdout, "{}\n")

    def test_a_word_that_is_no_preset_is_refused(self):
        for words in (["test", "relase"], ["test", "dev", "relase"], ["build", "relase"]):
            done = self.dev(*words, status=2)
            self.assertIn("relase", done.stderr)
            self.assertEqual(done.stdout, "")

    def test_clean_removes_what_it_was_told_to(self):
        build, other = self.root / "build/release", self.root / "build/dev"
        other.mkdir()
        for word in ("--foo", "relase", "..", "/"):
            self.assertIn(word, self.dev("clean", "dev", word, status=2).stderr)
        self.assertTrue(build.exists() and other.exists())
        self.dev("clean", "dev")
        self.assertEqual((build.exists(), other.exists()), (True, False))
        self.dev("clean")
        self.assertFalse(build.parent.exists())


if __name__ == "__main__":
    unittest.main()
