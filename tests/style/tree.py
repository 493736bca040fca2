"""The files of this project, read once for the checks of this folder."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("include", "src", "bindings", "tests", "bench", "examples", "docs", "cmake")
CODE = {".c", ".h", ".cpp", ".hpp"}
SCRIPTS = {"dev", "run", "guest", "init"}
TEXT = CODE | {".py", ".md", ".txt", ".cmake", ".in", ".map", ".json"} | SCRIPTS


def files(suffixes, folders=FOLDERS):
    """Pairs (path below the root, text) of all files with one of the suffixes, sorted. Without
    folders: of the whole tree, the root folder's own files included."""
    found = [path for path in ROOT.iterdir() if path.is_file()] if folders is FOLDERS else []
    for folder in folders:
        found += (path for path in (ROOT / folder).rglob("*") if path.is_file())
    for path in sorted(found):
        if (path.suffix or path.name) in suffixes:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
