#!/usr/bin/env python3
"""The runner of guests: what it makes of its options, of apt's answers, and of guests that fail."""
import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import image
import kernel
import machine

FOLDER = pathlib.Path(__file__).resolve().parent
GUEST = FOLDER / "guest"
SKIPPED = 77

LISTING = """\
'http://mirror/tools/dists/stable/InRelease' mirror_tools_dists_stable_InRelease 0
'http://mirror/debian/dists/bookworm/InRelease' mirror_debian_dists_bookworm_InRelease 0
'http://mirror/debian/dists/bookworm-updates/InRelease' mirror_updates_InRelease 0
'http://mirror/safe/dists/bookworm-security/InRelease' mirror_safe_InRelease 0
'http://mirror/debian/dists/bookworm/main/binary-amd64/Packages.xz' mirror_Packages 0
"""

NAMES = [
    "linux-image-5.10.0-9-cloud-amd64",
    "linux-image-5.10.0-46-cloud-amd64",
    "linux-image-5.10.0-46-cloud-amd64-dbg",
    "linux-image-6.1.0-50-cloud-amd64",
    "linux-image-6.12.9+deb13-cloud-amd64",
    "linux-image-6.12.10+deb13-cloud-amd64",
    "linux-image-7.3.4+deb13-cloud-amd64",
    "linux-image-7.12.4+deb13-cloud-amd64-unsigned",
    "linux-image-7.12.4+deb13-amd64",
    "linux-image-cloud-amd64",
]


class Kernels(unittest.TestCase):
    def test_the_mirror_is_the_one_that_has_a_security_archive(self):
        expected = ("http://mirror/debian", "http://mirror/safe")
        self.assertEqual(kernel.mirrors(LISTING), expected)

    def test_no_mirror_is_a_reason_to_skip(self):
        with self.assertRaises(kernel.Unavailable):
            kernel.mirrors(LISTING.replace("-security", "-other"))
        with self.assertRaises(kernel.Unavailable):
            kernel.mirrors("")

    def test_the_newest_package_of_a_version_is_chosen_by_number(self):
        for version, name in (("5.10", NAMES[1]), ("6.1", NAMES[3]), ("6.12", NAMES[5])):
            self.assertEqual(kernel.newest_package(NAMES, version), name)
        self.assertEqual(kernel.newest_package(NAMES, "newest"), NAMES[6])
        with self.assertRaises(kernel.Unavailable):
            kernel.newest_package(NAMES, "6.6")

    def test_a_kernel_of_the_cache_is_taken_as_it_is(self):
        with tempfile.TemporaryDirectory() as name:
            image_file = pathlib.Path(name, "6.1", "linux-image-6.1")
            image_file.parent.mkdir()
            image_file.touch()
            self.assertEqual(kernel.find("6.1", pathlib.Path(name)), image_file)
            self.assertEqual(kernel.find(str(image_file)), image_file)
            with self.assertRaises(kernel.Unavailable):
                kernel.find("2.6", pathlib.Path(name))


class Images(unittest.TestCase):
    def unpack(self, archive, folder):
        subprocess.run(["busybox", "cpio", "-i"], input=archive, cwd=folder, check=True,
                       capture_output=True)

    def setUp(self):
        if shutil.which("busybox") is None:
            self.skipTest("needs guests: busybox is not installed")

    def test_an_archive_holds_what_was_put_in(self):
        members = {"a/b/file": b"12345", "a/link": "b/file", "empty": b"", "folder": None}
        with tempfile.TemporaryDirectory() as name:
            self.unpack(image.archive(members), name)
            root = pathlib.Path(name)
            self.assertEqual((root / "a/link").read_bytes(), b"12345")
            self.assertTrue((root / "a/link").is_symlink())
            self.assertEqual((root / "empty").read_bytes(), b"")
            self.assertTrue((root / "folder").is_dir())
            self.assertTrue(os.access(root / "a/b/file", os.X_OK))

    def test_programs_bring_their_libraries_at_the_same_paths(self):
        program = pathlib.Path(sys.executable).resolve()
        self.assertTrue(any("libc.so" in path.name for path in image.libraries(program)))
        with tempfile.TemporaryDirectory() as name:
            self.unpack(image.build(FOLDER / "init", {"guest/p": program}, {"etc/t": "x"}), name)
            root = pathlib.Path(name)
            self.assertEqual((root / "guest/p").read_bytes(), program.read_bytes())
            self.assertEqual((root / "etc/t").read_text(), "x")
            for library in image.libraries(program):
                self.assertTrue((root / str(library).lstrip("/")).exists(), library)


class Options(unittest.TestCase):
    def test_nodes_are_memory_and_processors(self):
        nodes = machine.parse_nodes("1024:2 0:1 256")
        self.assertEqual([(node.memory_mib, node.cpus) for node in nodes],
                         [(1024, 2), (0, 1), (256, 0)])
        options = " ".join(machine.numa_options(nodes, [(0, 2, 17)]))
        for part in ("-m 1280M", "-smp 3,", "node,nodeid=1 ", "node,nodeid=2,memdev=ram2",
                     "cpu,node-id=1,socket-id=2,", "dist,src=0,dst=2,val=17"):
            self.assertIn(part, options)

    def test_what_cannot_be_meant_is_refused(self):
        for parse, text in ((machine.parse_nodes, "1024:x"), (machine.parse_nodes, "1024"),
                            (machine.parse_nodes, ""), (machine.parse_distances, "0,1,20"),
                            (machine.parse_pools, "0-16")):
            with self.assertRaises(ValueError, msg=text):
                parse(text)
        self.assertEqual(machine.parse_pools("0:16 2:8"), [(0, 16), (2, 8)])
        self.assertEqual(machine.parse_pools(""), [])

    def test_gigantic_pages_are_spelled_as_each_kernel_reads_them(self):
        spell = runpy.run_path(str(GUEST))["reserve_gigantic"]
        self.assertEqual(spell([(0, 1), (1, 1)], "6.1"), "hugepagesz=1G hugepages=0:1,1:1")
        self.assertEqual(spell([(0, 1), (1, 1)], "5.10"), "hugepagesz=1G hugepages=2")
        self.assertEqual(spell([], "6.1"), "")


class Watching(unittest.TestCase):
    """A shell script in place of qemu: how a guest may end, without waiting for one."""

    def outcome(self, script, seconds_max=20):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "boots").touch()
            script = f"cd {folder}; echo >>boots; {script}"
            outcome = machine.run(["sh", "-c", script], folder, seconds_max)
            return outcome, len((folder / "boots").read_text())

    def test_status_and_output_are_the_commands(self):
        script = "echo up >signals; echo hello >output; echo status 7 >>signals"
        outcome, boots = self.outcome(script)
        self.assertEqual((outcome.status, outcome.output, boots), (7, b"hello\n", 1))

    def test_a_guest_that_dies_has_no_status(self):
        outcome, boots = self.outcome("echo up >signals; echo panic >console")
        self.assertEqual((outcome.status, outcome.reason, boots), (None, "it died", 1))
        self.assertIn("panic", outcome.console)

    def test_a_guest_that_does_not_boot_is_started_again(self):
        lucky = "[ $(wc -l <boots) -lt 3 ] || { echo up; echo status 0; } >signals"
        outcome, boots = self.outcome(lucky)
        self.assertEqual((outcome.status, boots), (0, 3))
        outcome, boots = self.outcome("exit 1")
        self.assertEqual((outcome.status, outcome.reason, boots), (None, "it died", 3))

    def test_a_boot_that_hangs_is_given_up(self):
        before = machine.BOOT_SECONDS_MAX
        machine.BOOT_SECONDS_MAX = 0.2
        outcome, boots = self.outcome("exec sleep 1000")
        machine.BOOT_SECONDS_MAX = before
        self.assertEqual((outcome.reason, boots), ("it did not boot", 3))

    def test_a_boot_that_spins_is_given_up(self):
        before = machine.BOOT_CPU_SECONDS_MAX
        machine.BOOT_CPU_SECONDS_MAX = 0.1
        outcome, boots = self.outcome("while :; do :; done")
        machine.BOOT_CPU_SECONDS_MAX = before
        self.assertEqual((outcome.reason, boots), ("it did not boot", 3))

    def test_the_time_is_over_for_all_boots_together(self):
        outcome, boots = self.outcome("echo up >signals; exec sleep 1000", 0.5)
        self.assertEqual((outcome.reason, boots), ("the time is over", 1))
        outcome, boots = self.outcome("exec sleep 1000", 0.5)
        self.assertEqual((outcome.reason, boots), ("the time is over", 1))


class Guests(unittest.TestCase):
    """Real ones, as small as they come."""

    @classmethod
    def setUpClass(cls):
        done = subprocess.run([GUEST, "--kernel=6.1"], text=True, capture_output=True)
        if done.returncode == 123:
            raise unittest.SkipTest(done.stdout.strip())
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)

    def guest(self, *arguments, **options):
        small = [GUEST, "--kernel=6.1", "--nodes=256:1 128"]
        return subprocess.run([*small, *arguments], text=True, capture_output=True, **options)

    def test_output_status_and_files_come_and_go(self):
        done = self.guest(f"--file={__file__}", "--env=WORD=two words", "--", "sh", "-c",
                          'echo "$WORD"; cat test_guest.py | head -n 1; exit 7')
        self.assertEqual(done.stdout, "two words\n#!/usr/bin/env python3\n", done.stderr)
        self.assertEqual(done.returncode, 7)

    def test_a_panic_is_an_error_and_shows_the_console(self):
        done = self.guest("--", "sh", "-c", "echo before; echo c >/proc/sysrq-trigger")
        self.assertEqual((done.returncode, done.stdout), (126, "before\n"))
        self.assertIn("guest: it died", done.stderr)
        self.assertIn("Kernel panic", done.stderr)

    def test_a_pool_that_cannot_be_filled_is_an_error(self):
        done = self.guest("--pool-2m=1:4096", "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn("instead of 4096", done.stdout)

    def test_a_guest_does_not_outlive_its_runner(self):
        runner = subprocess.Popen([GUEST, "--kernel=6.1", "--", "sleep", "1000"])
        children = pathlib.Path(f"/proc/{runner.pid}/task/{runner.pid}/children")
        while "qemu" not in " ".join(map(command_of, children.read_text().split())):
            self.assertIsNone(runner.poll())
            time.sleep(0.05)
        (guest,) = children.read_text().split()
        runner.kill()
        runner.wait()
        deadline = time.monotonic() + 30
        while "qemu" in command_of(guest) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertNotIn("qemu", command_of(guest))


def command_of(pid):
    """The program that a process runs; "" when it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


if __name__ == "__main__":
    RESULT = unittest.main(exit=False).result
    for _, reason in RESULT.skipped:
        print(reason)
    sys.exit(SKIPPED if RESULT.wasSuccessful() and RESULT.skipped else not RESULT.wasSuccessful())
