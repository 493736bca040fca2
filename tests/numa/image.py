"""The guest's first file system: busybox, init, and what is run in there with its libraries.

It is a cpio archive in the "newc" format (see the kernel's driver-api/early-userspace/
buffer-format.rst), uncompressed, because emulated processors unpack slowly. Files keep their paths,
so the dynamic linker finds libraries without being told.
"""
import pathlib
import re
import shutil
import stat
import subprocess

FOLDER, FILE, LINK = 0o040755, 0o100755, 0o120777


def entry(name, mode, content=b"", number=0):
    """One member of the archive, padded as the format asks."""
    encoded = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def archive(members):
    """A whole archive from a dictionary of paths without the leading slash to content: bytes are a
    file, a string is where a link leads, None is a folder. Parents are added."""
    every = {}
    for name in members:
        for parent in reversed(pathlib.PurePosixPath(name).parents[:-1]):
            every.setdefault(str(parent), None)
        every[name] = members[name]
    parts = []
    for number, (name, content) in enumerate(every.items(), 1):
        mode = FOLDER if content is None else LINK if isinstance(content, str) else FILE
        content = content.encode() if isinstance(content, str) else content or b""
        parts.append(entry(name, mode, content, number))
    return b"".join(parts) + entry("TRAILER!!!", 0)


def libraries(program):
    """The shared libraries of a program, dynamic linker included; none when it is static."""
    listing = subprocess.run(["ldd", program], text=True, capture_output=True).stdout
    missing = re.findall(r"(\S+) => not found", listing)
    if missing:
        raise FileNotFoundError(f"{program} wants {', '.join(missing)}")
    return [pathlib.Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+) \(", listing, re.M)]


def is_program(path):
    return path.is_file() and path.stat().st_mode & stat.S_IXUSR


def build(init, programs, texts):
    """The archive: `programs` maps paths in the guest to files here, `texts` to texts."""
    busybox = shutil.which("busybox")
    members = {"dev": None, "proc": None, "sys": None, "tmp": None}
    members["init"] = pathlib.Path(init).read_bytes()
    for name, path in {"bin/busybox": pathlib.Path(busybox), **programs}.items():
        members[name] = path.read_bytes()
        for library in libraries(path) if is_program(path) else ():
            members[str(library).lstrip("/")] = library.read_bytes()
    members.update((name, text.encode()) for name, text in texts.items())
    return archive(members)
