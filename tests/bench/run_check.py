#!/usr/bin/env python3
"""run_check.py RUN: what bench/run hands to the benches, and what it keeps of them, with a stand-in
for a bench that writes half a line and ends as it is told."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

RUN = sys.argv.pop()
BENCH = """#!/bin/sh
here=${0%/*}
echo "$*" >"$here/words"
for last; do :; done
printf '%s' '{"bench":' >"$last"
. "$here/end"
"""


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = pathlib.Path(folder.name)
        self.kept = self.build / "bench-results/guard.jsonl"
        bench = self.build / "bench/bench_guard"
        bench.parent.mkdir()
        bench.write_text(BENCH, encoding="utf-8")
        bench.chmod(0o755)

    def bench(self, *words, end="exit 0"):
        """Run one bench. Returns the exit status and the words that the bench was given."""
        (self.build / "bench/end").write_text(end + "\n", encoding="utf-8")
        command = [RUN, "--build", self.build, *words, "guard"]
        status = subprocess.run(command, capture_output=True, check=False).returncode
        given = self.build / "bench/words"
        return status, given.read_text().split(" --json-to")[0].split() if given.exists() else None

    def test_a_cpu_is_named_in_either_way(self):
        self.assertEqual(self.bench("--cpu", "1", "--smoke"), (0, ["--cpu=1", "--smoke"]))
        self.assertEqual(self.bench("--cpu=1"), (0, ["--cpu=1"]))

    def test_what_is_no_cpu_is_refused(self):
        for words in (["--cpu"], ["--cpu="], ["--cpu", "one"], ["--cpu=1 2"], ["--nosuch"]):
            self.assertEqual(self.bench(*words), (2, None), words)

    def test_figures_of_a_bench_that_ended_are_kept(self):
        for end in ("exit 0", "exit 1"):
            self.assertEqual(self.bench(end=end)[0], int(end[-1]))
            self.assertTrue(self.kept.exists(), end)
            self.kept.unlink()

    def test_an_interrupted_bench_leaves_the_figures_as_they_were(self):
        for before in (None, "old\n"):
            if before is not None:
                self.kept.write_text(before, encoding="utf-8")
            self.assertNotEqual(self.bench(end="kill -KILL $$")[0], 0)
            self.assertEqual(self.kept.read_text() if self.kept.exists() else None, before)


if __name__ == "__main__":
    unittest.main()
