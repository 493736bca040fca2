#!/usr/bin/env python3
"""An outside program builds and runs with what pkg-config says of the installed library: shared
and fully static, in C and in C++, and as a module that is closed early."""
import os
import pathlib
import subprocess
import sys
import tempfile


def run(*command, **options):
    """Show a command, run it, and give back what it printed."""
    print("+", *command, flush=True)
    return subprocess.run(command, check=True, text=True, **options)


def main():
    prefix, consumer, c_compiler, cpp_compiler = sys.argv[1:]
    found = next(pathlib.Path(prefix).rglob("zerofault.pc")).parent
    environment = dict(os.environ, PKG_CONFIG_PATH=str(found), LD_LIBRARY_PATH=str(found.parent))

    def pkg_config(*options):
        command = ("pkg-config", *options, "zerofault")
        return run(*command, env=environment, stdout=subprocess.PIPE).stdout.split()

    header = pathlib.Path(prefix, "include", "zerofault", "version.h").read_text()
    version = pkg_config("--modversion")[0]
    assert f'ZEROFAULT_VERSION "{version}"' in header, version
    with tempfile.TemporaryDirectory() as folder:
        for source in ("consumer.c", "consumer.cpp", "binding.cpp"):
            is_c = source.endswith(".c")
            compiler = (c_compiler, "-std=c11") if is_c else (cpp_compiler, "-std=c++17")
            program = os.path.join(folder, source + ".out")
            source = os.path.join(consumer, source)
            flags = pkg_config("--cflags")
            run(*compiler, source, "-o", program, *flags, *pkg_config("--libs"))
            run(program, env=environment)
            libraries = pkg_config("--static", "--libs")
            run(*compiler, "-static", source, "-o", program, *flags, *libraries)
            run(program, env={})
        # A module with the static library inside, closed before its thread ends.
        host, plugin = os.path.join(folder, "host"), os.path.join(folder, "plugin.so")
        run(c_compiler, os.path.join(consumer, "host.c"), "-o", host, "-pthread", "-ldl")
        static = ["-l:libzerofault.a" if word == "-lzerofault" else word for word in libraries]
        source = os.path.join(consumer, "plugin.c")
        run(c_compiler, "-shared", "-fPIC", source, "-o", plugin, *flags, *static)
        run(host, plugin, env={})
    return 0


if __name__ == "__main__":
    sys.exit(main())
