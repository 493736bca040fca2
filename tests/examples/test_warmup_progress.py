#!/usr/bin/env python3
"""test_warmup_progress.py PROGRAM: the bar of the example, as a terminal and as a file see it."""
import os
import pty
import re
import signal
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop()
ENVIRONMENT = {"PATH": os.environ["PATH"], "TERM": "xterm"}
STEPS = ["populate", "prove"]  # an arena that is new is locked while it is populated


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], text=True, capture_output=True, check=False)


class OnATerminal:
    """A run whose standard error is a terminal; `screen` is all that it was sent."""

    def __init__(self, *arguments, environment=None, interrupt=False):
        master, slave = pty.openpty()
        self.screen = b""
        with subprocess.Popen([PROGRAM, *arguments], stderr=slave, stdout=subprocess.PIPE,
                              env={**ENVIRONMENT, **(environment or {})}) as child:
            os.close(slave)
            while True:
                try:
                    part = os.read(master, 4096)
                except OSError:  # the other end is closed
                    break
                if not part:
                    break
                self.screen += part
                if interrupt:
                    child.send_signal(signal.SIGINT)
                    interrupt = False
            self.output = child.stdout.read().decode()
            self.status = child.wait()
        os.close(master)
        self.lines = [line.split("\r")[-1] for line in self.screen.decode().split("\r\n")]


class Bar(unittest.TestCase):
    def test_each_step_ends_complete_in_a_line_of_its_own(self):
        run_ = OnATerminal("64")
        self.assertEqual(run_.status, 0)
        self.assertRegex(run_.output,
                         r"^warm: 64 MiB, \d+ threads?, \d+ page faults taken, 0 left$")
        self.assertEqual(run_.lines[-1], "")
        self.assertEqual([line.split()[0] for line in run_.lines[:-1]], STEPS)
        for line in run_.lines[:-1]:
            self.assertRegex(line, r" 100 %  64 of 64 MiB  \d+\.\d GiB/s\x1b\[K$")

    def test_it_is_drawn_over_itself_with_what_is_left(self):
        screen = OnATerminal("512", "1").screen.decode()
        drawn = re.findall(
            r"\rpopulate[^\r]*? (\d+) %  \d+ of 512 MiB  [\d.]+ GiB/s(  [\d.]+ s left)?", screen)
        percents = [int(percent) for percent, _ in drawn]
        self.assertGreater(len(drawn), 1)
        self.assertEqual(percents, sorted(percents))
        self.assertEqual([left != "" for _, left in drawn], [True] * (len(drawn) - 1) + [False])

    def test_colours_are_for_terminals_that_want_them(self):
        self.assertIn(b"\x1b[32m", OnATerminal("1").screen)
        plain = OnATerminal("1", environment={"NO_COLOR": "1"}).screen
        self.assertNotRegex(plain, rb"\x1b\[[0-9]*m")
        self.assertIn(b" [====", plain)

    def test_a_file_gets_one_plain_line_for_each_step(self):
        done = run("64")
        self.assertEqual(done.returncode, 0)
        lines = done.stderr.splitlines()
        self.assertEqual([line.split()[0] for line in lines], STEPS)
        for line in lines:
            self.assertRegex(line, r"^\w+ +100 %  64 of 64 MiB  \d+\.\d GiB/s$")

    def test_a_dumb_terminal_is_treated_like_a_file(self):
        self.assertNotIn(b"\x1b", OnATerminal("1", environment={"TERM": "dumb"}).screen)

    def test_nothing_is_drawn_after_an_interrupt(self):
        stopped = OnATerminal("4096", "1", interrupt=True)
        self.assertEqual(stopped.status, 130)
        told = re.fullmatch(r"stopped in populate: the first (\d+) of 4096 MiB are done\n",
                            stopped.output)
        self.assertTrue(told, stopped.output)
        drawn = re.findall(r" (\d+) of 4096 MiB", stopped.screen.decode())
        self.assertLessEqual(int(drawn[-1]), int(told[1]))
        self.assertLess(int(told[1]), 4096)
        self.assertNotIn(b"\n", stopped.screen)

    def test_a_wrong_command_line_is_refused(self):
        for arguments in (["0"], ["x"], ["1", "0"], ["1", "1000"], ["1", "1", "1"], ["-1"]):
            self.assertEqual(run(*arguments).returncode, 2, arguments)


if __name__ == "__main__":
    unittest.main()
