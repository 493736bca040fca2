"""What the public headers declare: the one source that the other lists are compared with."""
import pathlib
import re

# A declaration may go over several lines; its name is the last word before the first parenthesis,
# or before the semicolon of a variable.
DECLARATION = re.compile(
    r"^(?:extern )?ZEROFAULT_(API|INLINE|COLD|OUTLINE)\b([^;{(]*?)\b(\w+)(?=\(|;)", re.MULTILINE
)


def declared(include_folder):
    """Names to kinds ("API", "INLINE" or "COLD") of everything below a folder of headers."""
    symbols = {}
    for header in sorted(pathlib.Path(include_folder).rglob("*.h")):
        for kind, _, name in DECLARATION.findall(header.read_text()):
            symbols[name] = kind
    return symbols
