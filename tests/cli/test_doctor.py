#!/usr/bin/env python3
"""test_doctor.py COMMAND [--update]: `zerofault doctor` on captured systems, compared with what is
in golden/, and on this machine. With --update, golden/ is written anew: read the difference."""
import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TREES = HERE.parent / "machine" / "trees"
GOLDEN = HERE / "golden"
NOBODY = 65534
COMMAND = ""

# Captured system: arguments, and the status that follows.
SYSTEMS = {
    "vm_6_18": ([], 1),
    "guest_2_nodes": (["--for", "64M", "--node", "1", "--huge", "2M"], 1),
    "guest_4_sparse": (["-v"], 1),
    "guest_8_nodes": (["-v", "--for=1G", "--huge=1G", "--lock"], 2),
    "guest_16_nodes": (["-v"], 0),
    "container_6_12": (["--for", "300M", "--lock"], 2),
}


def run(*arguments, **options):
    """The finished process of `zerofault ARGUMENT...`."""
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [COMMAND, *arguments], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        timeout=60, **options
    )


def doctor(tree, *arguments):
    return run("doctor", "--root", str(TREES / tree), *arguments)


def need(case, name, met, reason):
    """As need() of tests/support/needs.h: skip, or fail where the job provides it."""
    if not met and name in os.environ.get("ZEROFAULT_TEST_PROVIDES", "").split(", "):
        case.fail(f"this job provides {name}, yet: {reason}")
    if not met:
        case.skipTest(reason)


def severities(report):
    return {check["name"]: check["severity"] for check in report["checks"]}


def read_terminal(primary, parts):
    """Read what comes until the other end is closed."""
    try:
        while part := os.read(primary, 65536):
            parts.append(part)
    except OSError:  # Linux tells the end of a terminal by EIO
        pass


def on_terminal(*arguments, **variables):
    """What the command writes to a terminal."""
    primary, secondary = pty.openpty()
    parts = []
    reader = threading.Thread(target=read_terminal, args=(primary, parts))
    reader.start()
    done = run(*arguments, stdout=secondary, env={**os.environ, "TERM": "xterm", **variables})
    os.close(secondary)
    reader.join()
    os.close(primary)
    assert done.returncode in (0, 1, 2), done.stderr
    return b"".join(parts).decode()


class CapturedSystems(unittest.TestCase):
    maxDiff = None

    def test_the_table_is_as_before(self):
        for tree, (arguments, status) in SYSTEMS.items():
            with self.subTest(tree):
                done = doctor(tree, *arguments)
                golden = (GOLDEN / tree / "table").read_text(encoding="utf-8")
                self.assertEqual(done.stdout, golden)
                self.assertEqual((done.returncode, done.stderr), (status, ""))

    def test_the_json_is_as_before(self):
        for tree, (arguments, status) in SYSTEMS.items():
            with self.subTest(tree):
                done = doctor(tree, "--json", *arguments)
                golden = (GOLDEN / tree / "json").read_text(encoding="utf-8")
                self.assertEqual(json.loads(done.stdout), json.loads(golden))
                self.assertEqual((done.returncode, done.stderr), (status, ""))

    def test_table_and_json_tell_the_same(self):
        for tree in SYSTEMS:
            table = doctor(tree, "-v").stdout
            for check in json.loads(doctor(tree, "--json").stdout)["checks"]:
                row = f"  {check['severity']:<10}{check['name']:<22} {check['value']}\n"
                self.assertIn(row, table)
                if check["fix"] is not None:
                    self.assertIn(f"fix: {check['fix']}\n", table)

    def test_what_is_fine_is_shown_only_when_asked_for(self):
        self.assertNotIn("  ok ", doctor("guest_2_nodes").stdout)
        self.assertIn("  ok ", doctor("guest_2_nodes", "--verbose").stdout)

    def test_lines_fit_but_for_what_is_copied_whole(self):
        for tree in SYSTEMS:
            for line in doctor(tree, "-v").stdout.splitlines():
                if "fix: " not in line and not line.lstrip()[:1].isdigit():
                    self.assertLessEqual(len(line), 100, line)

    def test_a_root_that_holds_nothing_is_an_error(self):
        done = run("doctor", "--root", str(HERE))
        self.assertEqual((done.returncode, done.stdout), (66, ""))
        self.assertIn("neither proc nor sys", done.stderr)


    def test_pipes_in_a_captured_tree_are_not_waited_for(self):
        with tempfile.TemporaryDirectory() as root:
            shutil.copytree(TREES / "vm_6_18", root, dirs_exist_ok=True)
            for path in ("proc/meminfo", "proc/self/status", "sys/kernel/mm/ksm/run"):
                (pathlib.Path(root) / path).unlink()
                os.mkfifo(pathlib.Path(root) / path)
            done = run("doctor", "--json", "--root", root)
        found = severities(json.loads(done.stdout))
        self.assertEqual((found["memory"], found["ksm"]), ("unknown", "unknown"))


class Fixes(unittest.TestCase):
    """The commands that are printed, carried out on a copy of the captured system."""

    def carry_out(self, root, fix):
        """True when this is a command that writes a file."""
        setting = re.fullmatch(r"sysctl -w ([\w.]+)=(\d+)", fix)
        echo = re.fullmatch(r"echo (\w+) > (/[\w/.-]+)", fix)
        if setting:
            path, word = "/proc/sys/" + setting[1].replace(".", "/"), setting[2]
        elif echo:
            word, path = echo[1], echo[2]
        else:
            self.assertRegex(fix, r"^(swapoff -a|prlimit --pid \$\$ --\w+=)")
            return False
        file = pathlib.Path(root + path)
        self.assertTrue(file.exists(), f"{fix}: no such file")
        file.write_text(word + "\n", encoding="utf-8")
        return True

    def test_each_mends_what_it_is_for(self):
        mended = set()
        for tree in SYSTEMS:
            with tempfile.TemporaryDirectory() as root:
                shutil.copytree(TREES / tree, root, dirs_exist_ok=True)
                before = json.loads(run("doctor", "--json", "--root", root).stdout)["checks"]
                fixed = {
                    check["name"]
                    for check in before
                    if check["fix"] is not None and self.carry_out(root, check["fix"])
                }
                after = severities(json.loads(run("doctor", "--json", "--root", root).stdout))
            self.assertEqual({after[name] for name in fixed} - {"ok"}, set(), tree)
            mended |= fixed
        self.assertGreater(len(mended), 10)


class Plans(unittest.TestCase):
    def assert_plan(self, works, tree, *arguments):
        done = doctor(tree, "--json", *arguments)
        plan = json.loads(done.stdout)["plan"]
        self.assertEqual(plan["works"], works)
        self.assertEqual(done.returncode == 2, not works)
        return plan

    def test_status_2_means_that_the_plan_cannot_work(self):
        self.assert_plan(True, "guest_2_nodes", "--for", "100M", "--node", "1")
        self.assert_plan(False, "guest_2_nodes", "--for", "250M", "--node", "1")
        self.assert_plan(False, "guest_2_nodes", "--for", "4K", "--node", "9")
        self.assert_plan(True, "vm_6_18", "--for", "8M", "--lock")
        self.assert_plan(False, "vm_6_18", "--for", "9M", "--lock")
        self.assert_plan(True, "vm_6_18", "--for", "64M", "--huge", "2M")
        self.assert_plan(False, "vm_6_18", "--for", "64M", "--huge", "2M", "--reserved")

    def test_a_plan_is_told_back(self):
        plan = self.assert_plan(True, "guest_2_nodes", "--for=64M", "--node=0", "--huge=2M")
        asked = {"bytes": 64 << 20, "node": 0, "huge_bytes": 2 << 20, "lock": False,
                 "reserved": False}
        self.assertEqual(plan, {**asked, "works": True})
        self.assertIsNone(json.loads(doctor("vm_6_18", "--json").stdout)["plan"])


class CommandLine(unittest.TestCase):
    def assert_usage(self, *arguments):
        done = run(*arguments)
        self.assertEqual((done.returncode, done.stdout), (64, ""), arguments)
        self.assertIn("--help", done.stderr)

    def test_wrong_usage_ends_with_64(self):
        self.assert_usage()
        self.assert_usage("nosuch")
        self.assert_usage("--nosuch")
        for arguments in (
            "--nosuch", "surplus", "--for", "--for=x", "--for=0", "--for=-1", "--for=20E",
            "--node=0", "--huge=2M", "--lock", "--for=1M --node=x", "--for=1M --node=-1",
            "--for=1M --node=99999", "--for=1M --huge=3M", "--for=1M --huge=0", "--reserved",
            "--for=1M --reserved", "--huge=2M --reserved", "--pid=0",
            "--pid=x", "-p 99999999999",
        ):
            self.assert_usage("doctor", *arguments.split(" "))

    def test_help_and_version_are_told(self):
        for arguments in (["--help"], ["doctor", "--help"], ["doctor", "--usage"]):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith("Usage: zerofault"))
        self.assertIn("doctor", run("--help").stdout)
        self.assertRegex(run("--version").stdout, r"^zerofault \d+\.\d+\.\d+\n$")

    def test_output_that_cannot_be_written_is_an_error(self):
        for arguments in (["doctor"], ["doctor", "--json"]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = run(*arguments, stdout=full)
            self.assertEqual(done.returncode, 74)
            self.assertIn("could not be written", done.stderr)

    def test_a_process_that_is_not_there_is_an_error(self):
        done = run("doctor", "--pid", "2147483647")
        self.assertEqual((done.returncode, done.stdout), (66, ""))
        self.assertIn("no process 2147483647", done.stderr)


class Terminals(unittest.TestCase):
    TREE = ["doctor", "--root", str(TREES / "vm_6_18")]

    def test_colour_is_for_terminals(self):
        self.assertNotIn("\033", run(*self.TREE).stdout)
        self.assertIn("\033[33mwarning", on_terminal(*self.TREE))

    def test_no_color_and_a_dumb_terminal_are_heeded(self):
        self.assertNotIn("\033", on_terminal(*self.TREE, NO_COLOR="1"))
        self.assertIn("\033", on_terminal(*self.TREE, NO_COLOR=""))
        self.assertNotIn("\033", on_terminal(*self.TREE, TERM="dumb"))

    def test_json_is_never_coloured(self):
        json.loads(on_terminal(*self.TREE, "--json"))


class ThisMachine(unittest.TestCase):
    def test_it_can_be_audited(self):
        done = run("doctor", "--json")
        report = json.loads(done.stdout)
        self.assertIn(done.returncode, (0, 1, 2))
        self.assertEqual(severities(report)["kernel"] in ("ok", "info"), True)
        self.assertGreater(report["nodes"][0]["total_bytes"], 0)
        self.assertEqual(len(severities(report)), len(report["checks"]))

    def test_another_process_can_be_audited(self):
        report = json.loads(run("doctor", "--json", "--pid", str(os.getpid())).stdout)
        sources = {check["name"]: check["source"] for check in report["checks"]}
        self.assertEqual(sources["memlock"], f"/proc/{os.getpid()}/limits")

    def test_nobody_sees_as_much(self):
        need(self, "root", os.geteuid() == 0, "only root can become nobody")
        probe = subprocess.run(["test", "-x", COMMAND], user=NOBODY, group=NOBODY, extra_groups=[])
        need(self, "open build folder", probe.returncode == 0, "nobody cannot reach the command")
        mine = severities(json.loads(run("doctor", "--json").stdout))
        done = run("doctor", "--json", user=NOBODY, group=NOBODY, extra_groups=[])
        report = json.loads(done.stdout)
        self.assertEqual(done.stderr, "")
        self.assertEqual(set(severities(report)), set(mine))
        capabilities = [c["value"] for c in report["checks"] if c["name"] == "capabilities"]
        self.assertEqual(capabilities, ["none"])
        self.assertNotIn("unknown", [severities(report)[name] for name in ("memlock", "memory")])


def update():
    for tree, (arguments, _) in SYSTEMS.items():
        (GOLDEN / tree).mkdir(parents=True, exist_ok=True)
        for name, more in (("table", []), ("json", ["--json"])):
            text = doctor(tree, *more, *arguments).stdout
            (GOLDEN / tree / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    COMMAND = sys.argv.pop(1)
    if sys.argv[1:] == ["--update"]:
        update()
    else:
        unittest.main()
