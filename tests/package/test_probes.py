#!/usr/bin/env python3
"""test_probes.py LIBRARY INCLUDE CPP_INCLUDE COMPILER...: the static probes are where their notes
say, with arguments that tools can read, in the library and in programs that ask for them; and
where the machine lets a tool attach, the tool sees what happened.

Nothing here trusts our own reading of the format alone: readelf reads the notes, objdump the
instruction at each place, perf lists the events, and bpftrace attaches.
"""
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

SKIPPED = 77
SOURCE = pathlib.Path(__file__).with_name("probes.c")
ARGUMENTS = {
    "section_begin": 1,
    "section_end": 2,
    "violation": 6,
    "warmup_phase_begin": 3,
    "warmup_phase_end": 4,
}
ARGUMENT = re.compile(r"8@(%r[a-z0-9]+|\$-?\d+)")

failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)
        print("FAIL", what)


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"FAIL {command}\n{done.stdout}{done.stderr}")
    return done.stdout


def probes(file):
    """What readelf finds: (provider, name, location, base, semaphore, arguments) for each."""
    text = run("readelf", "-nW", file)
    pattern = (
        r"Provider: (\S+)\s+Name: (\S+)\s+Location: 0x(\w+), Base: 0x(\w+), "
        r"Semaphore: 0x(\w+)\s+Arguments: (.*)"
    )
    return [
        (provider, name, int(location, 16), int(base, 16), int(semaphore, 16), words.split())
        for provider, name, location, base, semaphore, words in re.findall(pattern, text)
    ]


def sections(file):
    """Names to (address, size)."""
    rows = re.findall(r"\] (\S+)\s+\S+\s+(\w+) \w+ (\w+)", run("readelf", "-SW", file))
    return {name: (int(address, 16), int(size, 16)) for name, address, size in rows}


def instructions(file):
    """Addresses to mnemonics."""
    text = run("objdump", "-d", "--no-show-raw-insn", file)
    return {int(a, 16): word for a, word in re.findall(r"^\s+([0-9a-f]+):\s+(\w+)", text, re.M)}


def check_notes(file, expected):
    """The probes of a file are those that are expected, and each is well formed."""
    found = probes(file)
    places, code = sections(file), instructions(file)
    expect({name for _, name, *_ in found} == expected, f"{file}: probes {found}")
    for provider, name, location, base, semaphore, arguments in found:
        where = f"{file}: {name} at {location:x}"
        expect(provider == "zerofault", f"{where}: provider {provider}")
        expect(code.get(location) == "nop", f"{where}: no nop but {code.get(location)}")
        expect(base == places[".stapsdt.base"][0], f"{where}: base {base:x}")
        expect(len(arguments) == ARGUMENTS.get(name), f"{where}: arguments {arguments}")
        expect(all(map(ARGUMENT.fullmatch, arguments)), f"{where}: arguments {arguments}")
        start, size = places.get(".probes", (0, 0))
        has_semaphore = start <= semaphore < start + size
        expect(has_semaphore == (name == "violation"), f"{where}: semaphore {semaphore:x}")
    return found


def build(compiler, includes, library, folder, *options):
    """Compile and link the program; its path."""
    is_cpp = pathlib.Path(compiler).name.endswith("++")
    language = ["-x", "c++", "-std=c++17"] if is_cpp else ["-x", "c", "-std=gnu11"]
    program = pathlib.Path(folder, "probes" + str(len(os.listdir(folder))))
    where = pathlib.Path(library).resolve().parent
    folders = [f"-I{include}" for include in includes]
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    linking = ["-x", "none", library, f"-Wl,-rpath,{where}"]
    run(compiler, *language, *warnings, *folders, *options, SOURCE, "-o", program, *linking)
    return program


def check_programs(compilers, includes, library, folder):
    """Programs have the two probes of begin and end when they ask for them, and none if not."""
    for compiler in compilers:
        for options in ("-O0", "-O2", "-O2 -fPIC -pie", "-O3 -fno-pie -no-pie"):
            program = build(
                compiler, includes, library, folder, *options.split(), "-DZEROFAULT_PROBES"
            )
            found = check_notes(program, {"section_begin", "section_end"})
            print(f"{compiler} {options}: {len(found)} probes")
    plain = build(compilers[0], includes, library, folder, "-O2")
    expect(probes(plain) == [], "a program that did not ask has probes")
    off = build(
        compilers[0], includes, library, folder, "-O2", "-DZEROFAULT_PROBES", "-DZEROFAULT_HOT_OFF"
    )
    expect(probes(off) == [], "a program without guards has probes")


def check_perf(library, folder):
    """perf takes the library's probes for events."""
    if not shutil.which("perf"):
        print("perf is not installed")
        return
    home = dict(os.environ, HOME=folder)
    cache = ["perf", "--buildid-dir", str(pathlib.Path(folder, "cache"))]
    added = subprocess.run([*cache, "buildid-cache", "--add", library], env=home)
    listed = subprocess.run([*cache, "list", "sdt"], env=home, text=True, capture_output=True)
    if added.returncode != 0 or listed.returncode != 0:
        print("perf cannot list probes here")
        return
    for name in ARGUMENTS:
        expect(f"sdt_zerofault:{name} " in listed.stdout, f"perf does not list {name}")


SCRIPT = """
usdt:{library}:zerofault:violation
{{ printf("violation %s, %d, %lx, %s\\n", str(arg0), arg1, arg2, str(arg5)); }}
usdt:{library}:zerofault:warmup_phase_begin
{{ printf("phase %s, %s, %d\\n", str(arg0), str(arg1), arg2); }}
usdt:{library}:zerofault:warmup_phase_end
{{ printf("done %s, %s, %d\\n", str(arg0), str(arg1), arg3); }}
usdt:{program}:zerofault:section_begin {{ printf("begin %s\\n", str(arg0)); }}
usdt:{program}:zerofault:section_end {{ printf("end %s, %d\\n", str(arg0), arg1); }}
usdt:{library}:zerofault:section_end {{ printf("slow end %s, %d\\n", str(arg0), arg1); }}
"""


def trace(program, script):
    """What the program and bpftrace print when the one runs while the other is attached; nothing
    from the latter when it could not attach. It is not asked to start the program: it would look
    for the library's probes before the library is loaded."""
    tracer = subprocess.Popen(
        ["bpftrace", "-e", 'BEGIN { printf("ready\\n"); }' + script],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    watchdog = threading.Timer(60, tracer.kill)
    watchdog.start()
    for line in tracer.stdout:
        if line == "ready\n":
            break
    printed = run(program, "3")
    tracer.send_signal(signal.SIGINT)
    traced, complaints = tracer.communicate()
    watchdog.cancel()
    if not traced:
        print("bpftrace cannot attach here:", complaints.strip())
    return printed, traced


def check_attached(compiler, includes, library, folder):
    """bpftrace attaches, and prints what the program did: the first end by the long way, for the
    fault; then begin and end by the fast way, which is inlined in the program."""
    if not shutil.which("bpftrace") or os.geteuid() != 0:
        print("needs bpftrace and root to attach")
        return
    program = build(compiler, includes, library, folder, "-O2", "-DZEROFAULT_PROBES")
    printed, traced = trace(program, SCRIPT.format(library=library, program=program))
    if not traced:
        return
    print(traced)
    lines = traced.splitlines()
    page = re.search(r"page 0x(\w+)", printed).group(1)
    expect(f"violation probe tick, 2, {page}, page fault" in lines, "no violation was seen")
    expect("phase probe arena, populate, 8192" in lines, "no phase was seen")
    expect("done probe arena, prove, 0" in lines, "no phase's end was seen")
    expect(lines.count("slow end probe tick, 1") == 1, "the dirty end was not seen")
    expect(lines.count("begin probe tick") == 2, "not the two fast begins")
    expect(lines.count("end probe tick, 0") == 2, "not the two fast ends")


def main():
    library, include, cpp_include, *compilers = sys.argv[1:]
    if platform.machine() != "x86_64" or not shutil.which("readelf"):
        print("needs readelf and x86-64")
        return SKIPPED
    includes = [include, cpp_include]
    with tempfile.TemporaryDirectory() as folder:
        check_notes(library, set(ARGUMENTS))
        check_programs(compilers, includes, library, folder)
        check_perf(library, folder)
        check_attached(compilers[0], includes, library, folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
