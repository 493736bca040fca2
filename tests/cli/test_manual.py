#!/usr/bin/env python3
"""test_manual.py COMMAND: the manual pages tell what the command does: its options and checks."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANUAL = ROOT / "docs" / "man"
TREES = ROOT / "tests" / "machine" / "trees"
GUIDE = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
COMMAND = ""

# Plans that bring out every check that only a plan has.
PLANS = (
    ("guest_2_nodes", "--for=64M", "--node=1", "--huge=2M"),
    ("guest_8_nodes", "--for=64M", "--lock"),
    ("container_6_12", "--for=24M", "--node=0", "--huge=2M"),
    ("container_6_12", "--for=24M"),
)
# Limits that none of the captured systems has.
RARE = {"plan_addresses", "plan_mappings"}


def text_of(page):
    return (MANUAL / page).read_text(encoding="utf-8")


def output(*arguments):
    return subprocess.run([COMMAND, *arguments], stdout=subprocess.PIPE, text=True).stdout


def options_of(*command):
    """The long options in the help text of a command."""
    return set(re.findall(r"--([a-z]+)", output(*command, "--help").split("Exit status")[0]))


def checks():
    """The names of all checks that the doctor has."""
    names = set(RARE)
    for tree, *arguments in PLANS:
        report = output("doctor", "--json", f"--root={TREES / tree}", *arguments)
        names |= {check["name"] for check in json.loads(report)["checks"]}
    return names


class Manual(unittest.TestCase):
    maxDiff = None

    def test_every_option_is_in_the_manual_and_no_other(self):
        for page, command in (("zerofault.1", []), ("zerofault-doctor.1", ["doctor"])):
            text = text_of(page).split(".Sh OPTIONS")[1].split(".Sh ")[0]
            documented = re.findall(r"^\.It.*?Fl -([a-z]+)", text, re.MULTILINE)
            self.assertEqual(set(documented), options_of(*command) - {"command"}, page)

    def test_every_check_is_in_the_manual_and_no_other(self):
        text = text_of("zerofault-doctor.1").split(".Sh CHECKS")[1].split(".Sh ")[0]
        self.assertEqual(set(re.findall(r"^\.It (\w+)$", text, re.MULTILINE)), checks())

    def test_every_check_is_explained_in_the_guide_and_no_other(self):
        rows = re.findall(r"^\| `(\w+)`", GUIDE, re.MULTILINE)
        self.assertEqual(set(rows), {name for name in checks() if not name.startswith("plan_")})

    def test_the_guide_shows_what_the_command_prints(self):
        shown = re.findall(r"^```text\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
        self.assertEqual(shown, [output("doctor", f"--root={TREES / 'vm_6_18'}")])

    def test_every_command_has_a_page(self):
        commands = re.findall(r"^  (\w+)  ", output("--help").split("Commands:")[1], re.MULTILINE)
        self.assertEqual(commands, ["doctor"])
        for name in commands:
            self.assertTrue((MANUAL / f"zerofault-{name}.1").exists())
            self.assertIn(f".It Cm {name}\n", text_of("zerofault.1"))

    @unittest.skipUnless(shutil.which("groff"), "needs groff")
    def test_pages_are_formatted_without_complaint(self):
        for page in sorted(MANUAL.glob("*.1")):
            command = ["groff", "-mandoc", "-Tascii", "-wall", "-z", str(page)]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), page)


if __name__ == "__main__":
    COMMAND = sys.argv.pop(1)
    unittest.main()
