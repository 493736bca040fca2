"""Kernels for guests: Debian's own, downloaded as packages, unpacked into a cache, not installed.

Which mirror to ask is read from apt's configuration; the suites need not be in its sources, because
apt runs here with sources and state of its own. No privileges are needed. To fetch one takes about
30 MB, and the cache keeps it until its folder is removed.
"""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

# The suites that have each kernel. The last one is whatever is newest there: the second suite
# follows Debian's releases, the first is more often up to date on a mirror.
SUITES = {
    "5.10": ["bullseye-security"],
    "6.1": ["bookworm-security"],
    "6.12": ["trixie-security"],
    "newest": ["trixie-backports", "stable-backports"],
}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Small, and with all that the tests ask for.
PACKAGE = re.compile(r"linux-image-(\d+\.\d[\w.+-]*)-cloud-amd64")


class Unavailable(Exception):
    """What a guest needs is not here and not to be had."""


def cache_folder():
    """Where kernels are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base, "zerofault-guest")


def mirrors(listing):
    """The archives (main, security) that apt updates from, given `apt-get update --print-uris`: the
    two whose suites are called X and X-security."""
    bases = {}
    for base, suite in re.findall(r"^'(\S+)/dists/([^/\s]+)/\w*Release'", listing, re.MULTILINE):
        bases.setdefault(suite, base)
    for suite, base in bases.items():
        if f"{suite}-security" in bases:
            return base, bases[f"{suite}-security"]
    raise Unavailable("apt's sources name no Debian mirror with its security archive")


def newest_package(names, version):
    """The package with the highest version that begins with `version`, or with the highest of all
    when that is "newest"."""
    prefix = "" if version == "newest" else version + "."
    found = filter(None, map(PACKAGE.fullmatch, names))
    fitting = [match for match in found if match[1].startswith(prefix)]
    if not fitting:
        raise Unavailable(f"the archive has no Linux {version}")
    return max(fitting, key=lambda match: [int(part) for part in re.findall(r"\d+", match[1])])[0]


def run(*command, **options):
    """Standard output of a command; Unavailable with its first complaint when it fails."""
    try:
        done = subprocess.run(command, text=True, capture_output=True, **options)
    except FileNotFoundError as error:
        raise Unavailable(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise Unavailable(f"{command[0]} failed: {words[0]}")
    return done.stdout


class Apt:
    """apt with a few suites as its only sources, and a folder as its only state."""

    def __init__(self, folder, suites):
        main, security = mirrors(run("apt-get", "update", "--print-uris"))
        sources = [
            f"deb [signed-by={KEYRING}] {security if 'security' in suite else main} {suite} main\n"
            for suite in suites
        ]
        (folder / "sources.list").write_text("".join(sources), encoding="utf-8")
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        self.folder = folder
        settings = {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": "/dev/null",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "",
            "APT::Update::Error-Mode": "any",
            # A suite that is not maintained any more is as good here as on its last day.
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "30",
        }
        self.options = [f"-o{name}={value}" for name, value in settings.items()]

    def __call__(self, program, *arguments):
        return run(program, *self.options, "-q", *arguments, cwd=self.folder)

    def unpack(self, package):
        """Download a package and unpack it below `tree`; the packages that it depends on."""
        self("apt-get", "download", package)
        (archive,) = self.folder.glob("*.deb")
        run("dpkg-deb", "-x", str(archive), str(self.folder / "tree"))
        depends = run("dpkg-deb", "-f", str(archive), "Depends")
        archive.unlink()
        return [re.split(r"[ (|]", word.strip())[0] for word in depends.split(",")]


def download(version, folder):
    """Bring a kernel into an empty folder; the name of the package and the path of its image."""
    apt = Apt(folder, SUITES[version])
    apt("apt-get", "update")
    package = newest_package(apt("apt-cache", "pkgnames", "linux-image-").split(), version)
    depends = apt.unpack(package)
    images = list((folder / "tree").rglob("vmlinuz*"))
    # Since Linux 7 the image itself is in a package of its own.
    for other in depends if not images else ():
        if other.startswith("linux-binary-"):
            apt.unpack(other)
            images = list((folder / "tree").rglob("vmlinuz*"))
    if not images:
        raise Unavailable(f"{package} holds no kernel image")
    return package, images[0]


@contextlib.contextmanager
def locked(path):
    """Hold a lock while the block runs: several test runs may want the same kernel at once."""
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find(version, cache=None):
    """The image of a kernel: a file that is given, a kernel of the cache, or one to be fetched."""
    if os.path.isfile(version):
        return pathlib.Path(version)
    if version not in SUITES:
        raise Unavailable(f"{version} is neither a file nor one of {', '.join(SUITES)}")
    cache = cache or cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / version
    with locked(cache / f"{version}.lock"):
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                package, image = download(version, pathlib.Path(folder))
                ready = pathlib.Path(folder, "ready")
                ready.mkdir()
                shutil.move(image, ready / package)
                ready.rename(kept)
    (image,) = kept.iterdir()
    return image
