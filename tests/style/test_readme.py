#!/usr/bin/env python3
"""What the README shows is what the tree holds: program, output, commands, links."""
import re
import unittest

import tree

README = (tree.ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text, language):
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def broken_links(path, text):
    """Relative links of a document that lead nowhere."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    return [target for target in local if not (tree.ROOT / path).parent.joinpath(target).exists()]


class Readme(unittest.TestCase):
    maxDiff = None

    def test_the_first_program_is_the_hello_example(self):
        hello = (tree.ROOT / "examples/hello/hello.c").read_text(encoding="utf-8")
        self.assertEqual(blocks(README, "c")[0], hello)

    def test_its_output_is_what_the_examples_test_expects(self):
        expected = (tree.ROOT / "tests/examples/hello.expected").read_text(encoding="utf-8")
        self.assertEqual(blocks(README, "text")[0], expected)

    def test_every_command_of_dev_that_a_document_names_exists(self):
        usage = (tree.ROOT / "dev").read_text(encoding="utf-8")
        known = set(re.findall(r"^(\w+)\) ?", usage.split("case $command in")[1], re.MULTILINE))
        self.assertIn("demo", known)
        for name in ("README.md", "HACKING.md"):
            text = (tree.ROOT / name).read_text(encoding="utf-8")
            self.assertEqual(set(re.findall(r"\./dev (\w+)", text)) - known, set(), name)

    def test_links_lead_to_files(self):
        for path, text in tree.files({".md"}):
            self.assertEqual(broken_links(path, text), [], path)

    def test_a_broken_link_is_found(self):
        self.assertEqual(broken_links("README.md", "[a](dev) [b](nosuch.md#x)"), ["nosuch.md"])


if __name__ == "__main__":
    unittest.main()
