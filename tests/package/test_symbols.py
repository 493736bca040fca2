#!/usr/bin/env python3
"""The headers, the version script and the two libraries agree on what is public.

The shared library exports what the headers declare and nothing else, inline functions included,
because bindings link to them. The static library cannot hide its inner symbols from a program, so
every one of them carries a prefix that is ours.
"""
import pathlib
import re
import subprocess
import sys

import public_symbols

# The name that the format of static probes prescribes, in every object that has one.
PROBE_BASE = "_.stapsdt.base"
PREFIXES = re.compile(
    r"(arena|hot|warmup|process|machine|fault_profile|zerofault|zf)_|thread_warmup$"
)


def defined(nm, library, *options):
    """Names of the global symbols that a library defines, and of its version nodes."""
    command = [nm, *options, "--defined-only", "--extern-only", "--format=posix", str(library)]
    output = subprocess.run(command, check=True, text=True, capture_output=True).stdout
    rows = [line.split() for line in output.splitlines() if len(line.split()) >= 3]
    names = {row[0].split("@")[0] for row in rows if row[1] != "A"}
    versions = {row[0] for row in rows if row[1] == "A"}
    return names, {version.split("@")[0] for version in versions}


def listed(version_script):
    """Names that a version script makes global, and its nodes."""
    text = re.sub(r"#.*", "", version_script.read_text())
    nodes = re.findall(r"^([\w.]+) \{", text, re.MULTILINE)
    globals_ = re.findall(r"global:(.*?)(?:local:|\})", text, re.DOTALL)
    return {name.strip() for part in globals_ for name in part.split(";") if name.strip()}, nodes


def differ(what, names, other, others):
    """Print what is in one list alone. True when something is."""
    for name in sorted(names - others):
        print(f"FAIL {name}: in {what}, not in {other}")
    for name in sorted(others - names):
        print(f"FAIL {name}: in {other}, not in {what}")
    return names != others


def main():
    nm, source, shared, static = sys.argv[1:]
    headers = set(public_symbols.declared(pathlib.Path(source, "include")))
    in_script, nodes = listed(pathlib.Path(source, "src", "zerofault.map"))
    exported, versions = defined(nm, shared, "--dynamic")
    in_archive, _ = defined(nm, static)
    foreign = sorted(name for name in in_archive if not PREFIXES.match(name) and name != PROBE_BASE)
    for name in foreign:
        print(f"FAIL {name}: in the static library, without a prefix of ours")
    print(f"{len(headers)} declared, {len(exported)} exported, {len(in_archive)} in the archive")
    bad = [
        not headers,
        differ("the headers", headers, "the version script", in_script),
        differ("the headers", headers, "the shared library", exported),
        differ("the version script's nodes", set(nodes), "the shared library's", versions),
        bool(headers - in_archive),
        bool(foreign),
    ]
    return 1 if any(bad) else 0


if __name__ == "__main__":
    sys.exit(main())
