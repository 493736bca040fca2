#!/usr/bin/env python3
"""test_tracer.py TRACER: the trace that the example writes is one that timelines can read, and
tells what happened: pairs that nest, and the page faults between them."""
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TRACER = sys.argv.pop()


class Trace(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "trace.json")
            done = subprocess.run([TRACER, file], text=True, capture_output=True, check=True)
            cls.events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
        cls.printed = done.stdout

    def test_begins_and_ends_nest(self):
        open_by_thread = collections.defaultdict(list)
        for event in self.events:
            opened = open_by_thread[event["tid"]]
            if event["ph"] == "B":
                opened.append(event["name"])
            elif event["ph"] == "E":
                self.assertEqual(opened.pop(), event["name"])
            else:
                self.assertTrue(opened, "a violation outside of all sections")
        self.assertEqual([opened for opened in open_by_thread.values() if opened], [])

    def test_every_frame_is_there(self):
        begins = collections.Counter(e["name"] for e in self.events if e["ph"] == "B")
        self.assertEqual(begins, {"frame": 12, "simulate": 12, "draw": 12})

    def test_time_goes_forward_from_zero_in_each_kind(self):
        times = [event["ts"] for event in self.events if event["ph"] != "i"]
        self.assertEqual(times[0], 0)
        self.assertEqual(times, sorted(times))

    def test_faults_stand_within_the_section_that_took_them(self):
        begin, seen = None, 0
        for event in self.events:
            if event["ph"] == "B" and event["name"] == "simulate":
                begin = event["ts"]
            if event["ph"] == "i" and event["name"] == "page fault":
                seen += 1
                self.assertGreaterEqual(event["ts"], begin)
                self.assertRegex(event["args"]["address"], "^0x[0-9a-f]+$")
                self.assertEqual(event["s"], "t")
        self.assertGreater(seen, 0)

    def test_the_ends_count_what_the_program_counts(self):
        total = sum(e["args"]["violations"] for e in self.events if e["ph"] == "E")
        marks = sum(event["ph"] == "i" for event in self.events)
        told = re.fullmatch(
            r"(\d+) entries in \S+, (\d+) violations, seen by (ring|rusage)\n", self.printed
        )
        self.assertEqual(int(told.group(1)), len(self.events))
        frames = [e for e in self.events if e["ph"] == "E" and e["name"] == "frame"]
        self.assertEqual(int(told.group(2)), sum(e["args"]["violations"] for e in frames))
        # Each fault of an inner section is one of its frame too.
        self.assertEqual(total, marks)
        self.assertEqual(marks, 2 * int(told.group(2)))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
