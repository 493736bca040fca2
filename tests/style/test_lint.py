#!/usr/bin/env python3
"""test_lint.py BUILD [FILE...]: clang-tidy finds nothing in what a build folder compiles, or in the
FILEs given, and would find a planted bug."""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import tools
import tree

PLANTED = "int f(int a);\nint f(int a)\n{\n    if (a > 1);\n    return a;\n}\n"


def lint(file, *options):
    """Findings in one file, as text; "" when there are none."""
    command = ["clang-tidy", "--quiet", f"--config-file={tree.ROOT}/.clang-tidy", str(file)]
    done = subprocess.run([*command, *options], text=True, capture_output=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def compiled(build):
    """The files of this tree that a build folder compiles."""
    database = json.loads(pathlib.Path(build, "compile_commands.json").read_text(encoding="utf-8"))
    files = {pathlib.Path(entry["directory"], entry["file"]).resolve() for entry in database}
    return sorted(file for file in files if file.is_relative_to(tree.ROOT))


def main():
    if tools.is_missing("clang-tidy"):
        return tools.SKIPPED
    build, *given = sys.argv[1:]
    files = [file for file in given if file.endswith((".c", ".cpp"))] if given else compiled(build)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = list(pool.map(lambda file: lint(file, "-p", build), files))
    for finding in filter(None, findings):
        print(finding)
    print(len(files), "files")
    with tempfile.TemporaryDirectory() as folder:
        planted = pathlib.Path(folder, "planted.c")
        planted.write_text(PLANTED, encoding="utf-8")
        blind = lint(planted, "--", "-std=c11") == ""
    if blind:
        print("FAIL clang-tidy lets anything pass")
    return 1 if any(findings) or blind else 0


if __name__ == "__main__":
    sys.exit(main())
