#!/usr/bin/env python3
"""test_c_only.py SOURCE PREFIX COMPILER: whoever has no C++ compiler configures the library alone,
includes it as a folder, and finds it installed."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE, PREFIX, COMPILER = sys.argv[1:]
PROJECT = """cmake_minimum_required(VERSION 3.22)
project(c_only LANGUAGES C)
{}
add_executable(program program.c)
target_link_libraries(program PRIVATE zerofault::zerofault)
"""


class WithoutCpp(unittest.TestCase):
    def configure(self, source, *options):
        environment = dict(os.environ, CC=COMPILER, CXX="/nonexistent")
        with tempfile.TemporaryDirectory() as build:
            done = subprocess.run(["cmake", "-S", source, "-B", build, *options], env=environment,
                                  text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def configure_project(self, line, *options):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "CMakeLists.txt").write_text(PROJECT.format(line))
            pathlib.Path(folder, "program.c").write_text("int main(void)\n{\n}\n")
            self.configure(folder, *options)

    def test_it_is_configured_alone(self):
        self.configure(SOURCE, "-DZEROFAULT_TESTS=OFF", "-DZEROFAULT_CLI=OFF")

    def test_it_is_included_as_a_folder(self):
        self.configure_project(f"add_subdirectory({SOURCE} zerofault)")

    def test_it_is_found(self):
        self.configure_project("find_package(zerofault 0.1 REQUIRED)",
                               f"-DCMAKE_PREFIX_PATH={PREFIX}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
