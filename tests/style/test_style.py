#!/usr/bin/env python3
"""House rules that a machine can see: sizes, nesting, comments of public functions, words."""
import re
import unittest

import tree

FILE_LINES_MAX = 600
COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
NESTING_MAX = 3

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
COMMENT_OR_LITERAL = re.compile(
    COMMENT.pattern + r"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.DOTALL
)
CONTROL = re.compile(r"(\)|\belse|\bdo) \{$")
PUBLIC = re.compile(r"^ZEROFAULT_(API|INLINE|COLD|OUTLINE)\b[^;{]*?\b(\w+)\(", re.MULTILINE)
PARTS_OF_COMMENT = (
    ("Returns", re.compile(r"\bReturns\s+\S")),
    ("Latency", re.compile(r"\bLatency\s+(hot|warm|cold)\b")),
    ("Threads", re.compile(r"\bThreads\s+\S")),
    ("Since", re.compile(r"\bSince\s+\d+\.\d+\b")),
)
# A library does not read the environment, print of its own accord, run before main or end the
# program; abort() is what a section's policy or a broken invariant asks for.
FORBIDDEN = re.compile(
    r"(?<![\w.>])(getenv|secure_getenv|setenv|exit|_exit|printf|puts|perror|syslog)\s*\("
    r"|\bconstructor\b"
)


def file_violations(path, text):
    """Sizes and words of any file. Yields sentences."""
    lines = text.split("\n")
    if len(lines) - 1 > FILE_LINES_MAX:
        yield f"{path}: {len(lines) - 1} lines"
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX and not path.endswith((".md", ".json")):
            yield f"{path}:{number}: {len(line)} columns"
        if line != line.rstrip() or "\t" in line:
            yield f"{path}:{number}: a tab, or a space at the end"
        if UNFINISHED.search(line):
            yield f"{path}:{number}: unfinished"


def functions(text):
    """Pairs (line of the opening brace, body lines) of every function in formatted code: in this
    style a brace that stands alone opens a function, a class or a namespace."""
    lines = text.split("\n")
    for start, line in enumerate(lines):
        if line.strip() != "{" or start == 0:
            continue
        if re.match(r"\s*(template.*> )?(class|struct|union|enum|namespace)\b", lines[start - 1]):
            continue
        end = lines.index(line.replace("{", "}"), start)
        yield start, lines[start + 1 : end]


def nesting(body):
    """Deepest nesting of control statements with braces."""
    deepest, opened = 0, []
    for line in body:
        for brace in re.findall(r"[{}]", line):
            if brace == "{":
                opened.append(bool(CONTROL.search(line)))
            elif opened:
                opened.pop()
        deepest = max(deepest, sum(opened))
    return deepest


def function_violations(path, text):
    """Length and nesting of the functions in a file. Yields sentences."""
    code = COMMENT_OR_LITERAL.sub(lambda found: "\n" * found.group().count("\n"), text)
    for start, body in functions(code):
        if len(body) + 3 > FUNCTION_LINES_MAX:
            yield f"{path}:{start}: a function of {len(body) + 3} lines"
        if nesting(body) > NESTING_MAX:
            yield f"{path}:{start}: a function nested {nesting(body)} deep"


def comment_violations(path, text):
    """Public functions whose comment lacks one of its fixed parts. Yields sentences."""
    for found in PUBLIC.finditer(text):
        before = text[: found.start()].rstrip("\n")
        comment = before[before.rfind("/**") :] if before.endswith("*/") else ""
        if comment.count("*/") != 1:
            comment = ""
        for part, pattern in PARTS_OF_COMMENT:
            if not pattern.search(comment):
                yield f"{path}: {found.group(2)}: no {part} in its comment"


def library_violations(path, text):
    """Words that the library does not use, and the comment that opens each file."""
    # The command is a program on top of the library, and prints for a living.
    code = "" if path.startswith("src/cli/") else COMMENT.sub("", text)
    for found in FORBIDDEN.finditer(code):
        yield f"{path}: uses {found.group()}"
    if not text.startswith("/*"):
        yield f"{path}: does not open with its idea"


def violations_in(check, suffixes, folders=tree.FOLDERS):
    return [line for path, text in tree.files(suffixes, folders) for line in check(path, text)]


class Tree(unittest.TestCase):
    maxDiff = None

    def test_files_are_short_and_finished(self):
        self.assertEqual(violations_in(file_violations, tree.TEXT), [])

    def test_functions_are_short_and_flat(self):
        self.assertEqual(violations_in(function_violations, tree.CODE), [])

    def test_public_functions_say_what_they_return_cost_and_need(self):
        self.assertEqual(violations_in(comment_violations, {".h"}, ("include",)), [])

    def test_the_library_does_not_act_behind_the_caller(self):
        self.assertEqual(violations_in(library_violations, {".c", ".h"}, ("src", "include")), [])


class PlantedViolations(unittest.TestCase):
    """The checks themselves: what they must find, and what they must let pass."""

    def assert_count(self, count, check, text):
        self.assertEqual(len(list(check("a.c", text))), count, text)

    def test_long_files_and_lines_are_found(self):
        self.assert_count(0, file_violations, "x\n" * 600)
        self.assert_count(1, file_violations, "x\n" * 601)
        self.assert_count(0, file_violations, "x" * 100 + "\n")
        self.assert_count(1, file_violations, "x" * 101 + "\n")
        self.assert_count(1, file_violations, "x")
        self.assert_count(2, file_violations, "x \n\ty\n")
        self.assert_count(1, file_violations, "/* TO" "DO later */\n")

    def test_long_functions_are_found(self):
        head = "static int f(void)\n{\n"
        self.assert_count(0, function_violations, head + "    x();\n" * 67 + "}\n")
        self.assert_count(1, function_violations, head + "    x();\n" * 68 + "}\n")
        self.assert_count(0, function_violations, "class a\n{\n" + "    x();\n" * 90 + "}\n")

    def test_deep_nesting_is_found(self):
        def nested(depth):
            opened = "".join("    " * i + "if (x) {\n" for i in range(1, depth + 1))
            closed = "".join("    " * i + "}\n" for i in range(depth, 0, -1))
            return "int f(void)\n{\n" + opened + closed + "}\n"

        self.assert_count(0, function_violations, nested(3))
        self.assert_count(1, function_violations, nested(4))
        chain = "    if (x) {\n    } else if (y) {\n    } else {\n    }\n" * 3
        self.assert_count(0, function_violations, f"int f(void)\n{{\n{chain}}}\n")

    def test_a_missing_part_of_a_comment_is_found(self):
        parts = "Returns  0\n * Latency  hot\n * Threads  any\n * Since    0.1\n"
        function = "ZEROFAULT_API int f(void);\n"
        self.assert_count(0, comment_violations, f"/**\n * Do.\n *\n * {parts} */\n{function}")
        self.assert_count(4, comment_violations, f"/**\n * {parts} */\n\nint a;\n{function}")
        self.assert_count(4, comment_violations, f"/**\n * {parts} */\n{function}{function}")
        self.assert_count(4, comment_violations, function)
        for part in parts.splitlines():
            self.assert_count(
                1, comment_violations, f"/**\n * {parts.replace(part, '')} */\n{function}"
            )
        wrong = parts.replace("hot", "quick")
        self.assert_count(1, comment_violations, f"/**\n * {wrong} */\n{function}")

    def test_forbidden_calls_are_found(self):
        self.assert_count(1, library_violations, '/* a */ x = getenv("HOME");\n')
        self.assert_count(1, library_violations, "/* a */ exit(1);\n")
        self.assert_count(1, library_violations, '/* a */ printf("hello");\n')
        self.assert_count(1, library_violations, "/* a */ __attribute__((constructor))\n")
        self.assert_count(0, library_violations, '/* exit() */ fprintf(stream, "x"); at_exit(0);\n')
        self.assert_count(1, library_violations, "int x;\n")


if __name__ == "__main__":
    unittest.main()
