#!/usr/bin/env python3
"""test_output.py HELLO LAZY_VS_WARM TRACER WARMUP_PROGRESS ITCH_GENERATE ITCH_REPLAY: an example
whose output does not arrive says so and fails; one that gets no memory says why."""
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import unittest

HELLO, LAZY, TRACER, PROGRESS, GENERATE, REPLAY = sys.argv[1:]


class Output(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.trace = os.path.join(folder.name, "trace.json")
        cls.messages = os.path.join(folder.name, "messages.itch")
        subprocess.run([GENERATE, "--messages", "2000", "--out", cls.messages], check=True)

    def test_lost_output_is_an_error(self):
        for command in (
            [HELLO],
            [LAZY, "--size", "64K"],
            [LAZY, "--size", "64K", "lazy"],
            [LAZY, "--help"],
            [TRACER, self.trace],
            [PROGRESS, "1"],
            [GENERATE, "--messages", "2000"],
            [REPLAY, self.messages],
            [REPLAY, "--json", self.messages],
            [REPLAY, "--help"],
        ):
            with self.subTest(command=command), open("/dev/full", "wb") as full:
                done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
                self.assertEqual(done.returncode, 1)
                self.assertNotEqual(done.stderr, "")
                name = "orders" if command == [HELLO] else pathlib.Path(command[0]).name
                self.assertIn(f"{name}: ", done.stderr)

    def test_a_lost_trace_is_an_error(self):
        done = subprocess.run([TRACER, "/dev/full"], text=True, capture_output=True)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "tracer: /dev/full cannot be written\n"))

    def test_hello_says_why_it_got_no_arena(self):
        most = 15 << 20  # of addresses: enough for the program, not for its arena
        if re.search(rb"__[at]san_init", pathlib.Path(HELLO).read_bytes()):
            self.skipTest("a sanitizer needs more addresses than it may have")

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

        done = subprocess.run([HELLO], text=True, capture_output=True, preexec_fn=limit)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "orders: Cannot allocate memory\nno warmup has run\n"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
