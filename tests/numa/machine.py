"""A guest with several NUMA nodes, run by qemu in software and watched until it ends.

Emulation is by one thread for all processors: with one each, about one boot in fifty is lost to an
oops or a hang, and one thread loses none. A guest that does not reach its init is started again.
KVM is not used, since hosts that are guests themselves often have a /dev/kvm that never runs one.
"""
import dataclasses
import os
import pathlib
import re
import subprocess
import time

# A slow host stretches the clock, but hardly the processor time that a boot costs. A boot needs two
# seconds; one that spins or sleeps for ever is given up at one of these.
BOOT_CPU_SECONDS_MAX = 30
BOOT_SECONDS_MAX = 90
BOOTS_MAX = 3

# 1 GiB pages, and no instruction that 7.2 cannot emulate.
CPU = "qemu64,+pdpe1gb,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand"

KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet loglevel=4 8250.nr_uarts=4"  # what is printed is an error
    " panic=-1 oops=panic"  # a kernel in trouble ends, and qemu with it
    " tsc=reliable no_timer_check nokaslr"  # no measuring of clocks against each other
    " mitigations=off cryptomgr.notests random.trust_cpu=on"  # nothing that only costs time
)


# ttyS0 and on; init knows them too.
SERIAL_LINES = ("console", "output", "signals")


@dataclasses.dataclass
class Node:
    memory_mib: int
    cpus: int


@dataclasses.dataclass
class Outcome:
    """How a guest ended: `status` of the command, or None and the reason why there is none."""

    status: int | None
    reason: str
    output: bytes
    console: str


def parse_nodes(text):
    """ "1024:2 256" is a node of 1024 MiB and 2 processors, and one of 256 MiB and none."""
    nodes = []
    for word in text.split():
        if not re.fullmatch(r"\d+(:\d+)?", word):
            raise ValueError(f"{word}: a node is MIB or MIB:CPUS")
        memory, _, cpus = word.partition(":")
        nodes.append(Node(int(memory), int(cpus or 0)))
    if not sum(node.cpus for node in nodes):
        raise ValueError("no node has a processor")
    return nodes


def parse_distances(text):
    """ "0-1=20 0-2=30": triples (from, to, distance). Pairs that are not named have qemu's 20."""
    if not re.fullmatch(r"(\d+-\d+=\d+\s*)*", text):
        raise ValueError(f"{text}: a distance is FROM-TO=NUMBER")
    return [tuple(map(int, found)) for found in re.findall(r"(\d+)-(\d+)=(\d+)", text)]


def parse_pools(text):
    """ "0:16 2:8": pairs (node, pages)."""
    if not re.fullmatch(r"(\d+:\d+\s*)*", text):
        raise ValueError(f"{text}: a pool is NODE:PAGES")
    return [tuple(map(int, found)) for found in re.findall(r"(\d+):(\d+)", text)]


def numa_options(nodes, distances):
    """qemu's options for the nodes; a processor is a socket of its own."""
    options, sockets = [], 0
    for number, node in enumerate(nodes):
        numa = f"node,nodeid={number}"
        if node.memory_mib:
            options += ["-object", f"memory-backend-ram,id=ram{number},size={node.memory_mib}M"]
            numa += f",memdev=ram{number}"
        options += ["-numa", numa]
        for socket in range(sockets, sockets + node.cpus):
            options += ["-numa", f"cpu,node-id={number},socket-id={socket},core-id=0,thread-id=0"]
        sockets += node.cpus
    for start, end, distance in distances:
        options += ["-numa", f"dist,src={start},dst={end},val={distance}"]
    memory = sum(node.memory_mib for node in nodes)
    return ["-m", f"{memory}M", "-smp", f"{sockets},sockets={sockets},cores=1,threads=1", *options]


def qemu_command(kernel, initrd, numa, arguments, folder):
    """The whole command line; the guest's serial lines become files of the folder."""
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"]
    command += ["-display", "none", "-accel", "tcg,thread=single,tb-size=256", "-cpu", CPU]
    # microvm would start faster, and drops the nodes without a word.
    command += ["-machine", "pc,hpet=off,usb=off,vmport=off", *numa]
    for line in SERIAL_LINES:
        command += ["-chardev", f"file,id={line},path={folder / line}"]
        command += ["-serial", f"chardev:{line}"]
    command += ["-kernel", str(kernel), "-initrd", str(initrd)]
    return [*command, "-append", f"{KERNEL_ARGUMENTS} {arguments}".rstrip()]


def cpu_seconds(pid):
    """Processor time of a process so far."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def is_up(folder):
    signals = folder / "signals"
    return signals.exists() and signals.read_bytes().startswith(b"up")


def watch(qemu, folder, deadline):
    """Wait for the end of a guest; why it had to be ended, or "" when it ended by itself."""
    started = time.monotonic()
    booted = False
    while True:
        try:
            qemu.wait(0.05)
            return ""
        except subprocess.TimeoutExpired:
            booted = booted or is_up(folder)
        now = time.monotonic()
        if now > deadline:
            return "the time is over"
        if not booted and now > started + BOOT_SECONDS_MAX:
            return "it did not boot"
        if not booted and cpu_seconds(qemu.pid) > BOOT_CPU_SECONDS_MAX:
            return "it did not boot"


def run_once(command, folder, deadline):
    """Start a guest, wait for its end, and see what it left behind."""
    for line in SERIAL_LINES:
        (folder / line).write_bytes(b"")
    # Whatever ends this process ends the guest too.
    bound = ["setpriv", "--pdeathsig", "KILL", *command]
    with open(folder / "qemu", "wb") as log:
        qemu = subprocess.Popen(bound, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        reason = watch(qemu, folder, deadline)
    finally:
        qemu.kill()
        qemu.wait()
    signals = (folder / "signals").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^status (\d+)$", signals, re.MULTILINE)
    if not found and not reason:
        reason = "short of huge pages" if "short of" in signals else "it died"
    console = (folder / "qemu").read_text() + (folder / "console").read_text(errors="replace")
    output = (folder / "output").read_bytes()
    return Outcome(int(found[1]) if found else None, reason, output, console)


def run(command, folder, seconds_max):
    """Run a guest; one that does not reach its init is started again."""
    deadline = time.monotonic() + seconds_max
    for left in reversed(range(BOOTS_MAX)):
        outcome = run_once(command, folder, deadline)
        if is_up(folder) or left == 0 or time.monotonic() > deadline:
            return outcome
        print(f"guest: {outcome.reason}; starting it again", flush=True)
