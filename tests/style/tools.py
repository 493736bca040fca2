"""The tools of LLVM that this folder's checks run, in the one version that they are tuned for."""
import re
import shutil
import subprocess

# Versions disagree about format and find different things; this is Debian 12's.
VERSION = "14"
SKIPPED = 77


def is_missing(tool):
    """Tell whether a tool is not there in the right version, and print what is there instead."""
    if shutil.which(tool) is None:
        print(f"needs {tool}")
        return True
    version = subprocess.run([tool, "--version"], text=True, capture_output=True).stdout
    if not re.search(rf"\bversion {VERSION}\.", version):
        print(f"needs {tool} {VERSION}, found:", version)
        return True
    return False
