#!/usr/bin/env python3
"""test_off_switch.py INCLUDE CPP_INCLUDE COMPILER...: what a hot section costs, read in the
assembly.

With ZEROFAULT_HOT_OFF a guarded function is the bare one, instruction by instruction, and its
object does not even know that there is a library. Without it, begin and end together are a few
instructions, none of them a call or a locked one, before the function returns.
"""
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
OPTIMISATIONS = ("-O2", "-O3", "-O2 -fPIC")
# Begin and end together, measured against the bare function: two loads of the thread's table, two
# of the slot's number, what is compared and stored, and the registers saved around the long way.
INSTRUCTIONS_MAX = 29
# What those load and store besides the stack: the thread's table, the slot's number and the ring's
# head twice each, whose slot it is once, the head at begin stored, loaded and closed; where the
# variable of the table is, is told by the linker, once or twice. A tenth of a nanosecond each.
ACCESSES_MAX = 10 + 2
BRANCHES = 3  # whose slot it is, twice, and whether the head has moved
SERIALISING = re.compile(r"lock|xchg|[mls]fence|cpuid|rdtsc|syscall")
NOT_OURS = {"_GLOBAL_OFFSET_TABLE_", "__gxx_personality_v0"}


def run(*command):
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"FAIL {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


class Object:
    """One compiled file: its symbols, and its functions as lists of instructions."""

    def __init__(self, path):
        self.undefined = re.findall(r"^(\S+) U", run("nm", "-P", path), re.MULTILINE)
        self.everything = run("nm", "-P", path)
        self.functions = {}
        instructions = None
        for line in run("objdump", "-dr", "--no-show-raw-insn", path).splitlines():
            head = re.match(r"^[0-9a-f]+ <(\S+)>:$", line)
            code = re.match(r"^\s+([0-9a-f]+):\t(\S.*)$", line)
            relocation = re.match(r"^\s+[0-9a-f]+: (R_\S+)\s+(\S+)$", line)
            if head:
                instructions = self.functions.setdefault(head.group(1), [])
            elif code:
                instructions.append([int(code.group(1), 16), code.group(2).strip(), ""])
            elif relocation:
                instructions[-1][2] = relocation.group(2)

    def text(self, function):
        """Instructions with their relocations; what targets a place within the function counts
        from its start. Padding behind the last instruction is left out."""
        instructions = self.functions[function]
        start = instructions[0][0]
        lines = []
        for _, code, relocation in instructions:
            code = re.sub(
                r"\b([0-9a-f]+) <\w+(\+0x[0-9a-f]+)?>",
                lambda found: f"+{int(found.group(1), 16) - start:x}",
                re.sub(r"\s*#.*", "", code),
            )
            lines.append(f"{code} {relocation}".strip())
        while re.match(r"(data16 |cs )*(nop|xchg\s+%ax,%ax)", lines[-1]):
            lines.pop()
        return lines

    def fast_path(self, function):
        """The instructions from the entry to the first return, no conditional branch taken."""
        instructions = self.functions[function]
        where = {address: number for number, (address, _, _) in enumerate(instructions)}
        number, path = 0, []
        while len(path) < 1000:
            _, code, _ = instructions[number]
            path.append(re.sub(r"\s*#.*", "", code))
            if code.startswith("ret"):
                return path
            jump = re.match(r"jmp\s+([0-9a-f]+) <", code)
            if jump and int(jump.group(1), 16) not in where:
                raise SystemExit(f"FAIL {function} leaves itself: {code}")
            number = where[int(jump.group(1), 16)] if jump else number + 1
        raise SystemExit(f"FAIL {function} never returns")


def compile_with(compiler, is_cpp, includes, folder, *options):
    source = pathlib.Path(__file__).with_name("off_switch.c")
    target = pathlib.Path(folder, "off_switch.o")
    language = ["-x", "c++", "-std=c++17"] if is_cpp else ["-x", "c", "-std=c11"]
    folders = [f"-I{include}" for include in includes]
    quiet = ["-fcf-protection=none"]
    if "clang" not in run(compiler, "--version"):
        quiet.append("-fno-ipa-icf")  # the functions are alike on purpose, and stay two
    run(compiler, *language, *folders, *options, *quiet, "-c", source, "-o", target)
    return Object(target)


def off_failures(switched_off):
    """What the object still has of the guard. Yields sentences."""
    for name in switched_off.undefined:
        if name not in NOT_OURS:
            yield f"needs {name}"
    for word in ("hot_", "zerofault"):
        if word in switched_off.everything:
            yield f"a symbol with {word} in it"
    for function in ("guarded", "paused"):
        if switched_off.text(function) != switched_off.text("bare"):
            yield f"the {function} function differs: " + "; ".join(switched_off.text(function))


def accesses(path):
    """How often a path touches memory other than the stack."""
    return sum(
        bool(re.search(r"\(%|%fs:", code)) and not re.match(r"lea|nop|data16|cs ", code)
        and "(%rsp" not in code
        for code in path
    )


def changes_in_place(code):
    """Loads and stores in one: the next pair would have to wait for this one."""
    return re.match(r"(add|sub|inc|dec|or|and|xor|not|neg)\w?\s.*\)$", code) is not None


def on_failures(guarded, function, nops=0):
    """What the fast path has that it must not. Yields sentences."""
    path = guarded.fast_path(function)
    extra = len(path) - len(guarded.fast_path("bare"))
    words = [code.split()[0] for code in path]
    if any(word.startswith("call") for word in words):
        yield "a call"
    if any(SERIALISING.match(word) for word in words):
        yield "a locked or serialising instruction"
    if sum(word.startswith("nop") for word in words) != nops:
        yield f"{sum(word.startswith('nop') for word in words)} nops, not {nops}"
    bare = guarded.fast_path("bare")
    if accesses(path) - accesses(bare) > ACCESSES_MAX + nops:
        yield f"{accesses(path) - accesses(bare)} accesses of memory more than the bare function"
    if sum(map(changes_in_place, path)) > sum(map(changes_in_place, bare)):
        yield "memory changed in place"
    branches = sum(word.startswith("j") and word != "jmp" for word in words)
    if branches != BRANCHES:
        yield f"{branches} branches, not {BRANCHES}"
    if extra > INSTRUCTIONS_MAX + 2 * nops:  # a nop, and the load of what it tells
        yield f"{extra} instructions more than the bare function"
    if not any("hot_section_end_slow" in code for code in guarded.undefined):
        yield "no long way"


def check(compiler, is_cpp, includes, folder):
    """Yields sentences, and prints what it measured."""
    for options in map(str.split, OPTIMISATIONS):
        what = f"{compiler} {' '.join(options)}"
        off = compile_with(compiler, is_cpp, includes, folder, *options, "-DZEROFAULT_HOT_OFF")
        yield from (f"{what}, off: {failure}" for failure in off_failures(off))
        plain = compile_with(compiler, is_cpp, includes, folder, *options)
        for function in ("guarded", "guarded_elsewhere"):
            yield from (f"{what}, {function}: {bad}" for bad in on_failures(plain, function))
        probed = compile_with(compiler, is_cpp, includes, folder, *options, "-DZEROFAULT_PROBES")
        yield from (f"{what}, probes: {bad}" for bad in on_failures(probed, "guarded", nops=2))
        extra = len(plain.fast_path("guarded")) - len(plain.fast_path("bare"))
        touched = accesses(plain.fast_path("guarded")) - accesses(plain.fast_path("bare"))
        print(
            f"{what}: begin and end are {extra} instructions, {touched} of them with memory, "
            "and none when off"
        )
        # The checks themselves: each must find the other's object at fault.
        if not list(off_failures(plain)) or not list(on_failures(off, "guarded")):
            yield f"{what}: the check lets anything pass"


def main():
    include, cpp_include, *compilers = sys.argv[1:]
    if platform.machine() != "x86_64" or not shutil.which("objdump"):
        print("needs objdump and x86-64")
        return SKIPPED
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for compiler in compilers:
            is_cpp = pathlib.Path(compiler).name.endswith("++")
            includes = [include, cpp_include] if is_cpp else [include]
            failures += check(compiler, is_cpp, includes, folder)
    for failure in failures:
        print("FAIL", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
