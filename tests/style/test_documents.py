#!/usr/bin/env python3
"""What the documents say is what the tree holds: program, output, commands, names, links."""
import re
import unittest

import test_layers
import tree

README = (tree.ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text, language):
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def lost_names(text):
    """What a document says to be `name` in `file`, and is not."""
    for name, path in re.findall(r"`(?:struct )?(\w+)`\s+in\s+`([\w/.]+)`", text):
        file = tree.ROOT / path
        if not file.exists() or not re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")):
            yield f"{name} in {path}"


def mapped_headers(text):
    """Pairs (public header, part) of a map whose rows are | `src/PART` | ... | headers |."""
    for part, headers in re.findall(r"^\| `src/(\w+)` \|.*\|([^|\n]*)\|$", text, re.MULTILINE):
        for header in re.findall(r"`([^`]+)`", headers):
            yield header, part


def broken_links(path, text):
    """Relative links of a document that lead nowhere."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    return [target for target in local if not (tree.ROOT / path).parent.joinpath(target).exists()]


class Documents(unittest.TestCase):
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

    def test_the_map_of_hacking_has_every_public_header(self):
        mapped = sorted(mapped_headers((tree.ROOT / "HACKING.md").read_text(encoding="utf-8")))
        self.assertEqual(mapped, sorted(test_layers.PUBLIC.items()))
        there = [path.name for path in (tree.ROOT / "include/zerofault").iterdir()]
        self.assertEqual([header for header, _ in mapped], sorted(there))

    def test_links_lead_to_files(self):
        for path, text in tree.files({".md"}):
            self.assertEqual(broken_links(path, text), [], path)

    def test_the_walkthrough_names_what_is_there(self):
        text = (tree.ROOT / "docs/walkthrough.md").read_text(encoding="utf-8")
        self.assertGreater(len(re.findall(r"`\s+in\s+`", text)), 20)
        self.assertEqual(list(lost_names(text)), [])

    def test_a_lost_name_is_found(self):
        text = "`nosuch` in `src/os/os.h`, `zf_os_reserve`\nin `src/os/os.h`, `a` in `nosuch.c`"
        self.assertEqual(list(lost_names(text)), ["nosuch in src/os/os.h", "a in nosuch.c"])

    def test_a_broken_link_is_found(self):
        self.assertEqual(broken_links("README.md", "[a](dev) [b](nosuch.md#x)"), ["nosuch.md"])


if __name__ == "__main__":
    unittest.main()
