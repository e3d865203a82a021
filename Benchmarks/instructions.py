#!/usr/bin/env python3
"""Counts the instructions of pieces of the core's work and compares them with INSTRUCTIONS.md.

    Benchmarks/instructions.py             build, count, compare; fails if a piece costs more than it is allowed to
    Benchmarks/instructions.py --update    build, count, write INSTRUCTIONS.md
    Benchmarks/instructions.py --profile NAME    where the instructions of one piece go, by function

Each piece is run under valgrind's callgrind twice, with a lower and a higher number of repetitions; the difference of the two counts, divided by
the difference of the repetitions, is what one repetition costs. Start-up and preparation fall out. A count does not depend on the speed of the machine or on what
else it does. It does depend on the toolchain: with another one than that of INSTRUCTIONS.md the comparison is printed and nothing fails.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
PAGE = FOLDER / "INSTRUCTIONS.md"
# A build folder of its own: what is built here has no debug information, which valgrind before 3.20 cannot read when it is DWARF 5, and no
# benchmark library.
BUILD = ["swift", "build", "--package-path", str(FOLDER), "--scratch-path", str(FOLDER / ".build-instructions"),
         "--configuration", "release", "-debug-info-format", "none", "--product", "instruction-counts"]

# Counts repeat to a hundredth of a percent, also from a build in another folder. The tolerance is for changes elsewhere: they have moved a piece by two
# percent, by what they left on the heap or by what the compiler then inlined.
TOLERANCE = 0.05
# Far below what the page says is a failure too: else the gain could be lost again, up to the old count, and nobody would be told.
GAIN = 0.10


class Failure(Exception):
    pass


Piece = collections.namedtuple("Piece", "name fewer more summary")


def build():
    environment = {**os.environ, "NUVOM_INSTRUCTION_COUNTS_ONLY": "1"}
    built = subprocess.run(BUILD, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if built.returncode != 0:
        raise Failure(f"{built.stdout}the build failed")
    bin_path = subprocess.run([*BUILD, "--show-bin-path"], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(bin_path.stdout.strip()) / "instruction-counts"


def pieces(executable):
    listing = subprocess.run([executable], stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in listing.splitlines():
        name, fewer, more, summary = line.split("\t")
        yield Piece(name, int(fewer), int(more), summary)


def environment():
    """Nothing of the caller's environment but what finds the programs: it lies on the stack of the process that is counted."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    # The C library chooses its copying routines by the processor. Without these all x86-64 processors choose the same.
    tunables = "glibc.cpu.hwcaps=-AVX2,-ERMS,-FSRM"
    return {**kept, "LC_ALL": "C", "SWIFT_DETERMINISTIC_HASHING": "1", "GLIBC_TUNABLES": tunables}


def callgrind(executable, name, repetitions, output):
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", executable, name, str(repetitions)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        raise Failure(f"{run.stdout}{name} could not be counted")
    return output.read_text(errors="replace")


def total(profile):
    found = re.search(r"^totals: (\d+)$", profile, re.MULTILINE)
    if not found:
        raise Failure("callgrind wrote no total")
    return int(found.group(1))


def count(executable, piece, folder):
    """Instructions of one repetition."""
    fewer, more = (total(callgrind(executable, piece.name, repetitions, folder / f"{piece.name}.{repetitions}"))
                   for repetitions in (piece.fewer, piece.more))
    return (more - fewer) / (piece.more - piece.fewer)


def count_all(executable, wanted):
    with tempfile.TemporaryDirectory() as folder, \
         concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        counts = pool.map(lambda piece: count(executable, piece, pathlib.Path(folder)), wanted)
        return dict(zip((piece.name for piece in wanted), counts))


# The toolchain, and the page that the counts are kept on.

def toolchain():
    swift = subprocess.run(["swift", "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    version = re.search(r"Swift version (\S+)", swift.stdout)
    return f"Swift {version.group(1) if version else '?'}, {os.confstr('CS_GNU_LIBC_VERSION')}, {platform.machine()}"


def write(counts, wanted):
    _, kept = read()
    # A row that has not changed stays as it is, so that the page's difference shows what has.
    counts = {name: kept[name] if name in kept and abs(now / kept[name] - 1) < 0.001 else now for name, now in counts.items()}
    lines = [
        "# Instructions",
        "",
        "What pieces of the core's work cost, in instructions. Written by `Benchmarks/instructions.py --update`, and what that script compares with:",
        f"more than {TOLERANCE:.0%} above is a failure, and so is more than {GAIN:.0%} below (then update this page).",
        "",
        f"Toolchain: {toolchain()}",
        "",
        "| piece | instructions | what it is |",
        "|---|---:|---|",
        *(f"| {piece.name} | {counts[piece.name]:.1f} | {piece.summary} |" for piece in wanted),
    ]
    PAGE.write_text("\n".join(lines) + "\n")


def read():
    """The toolchain and the counts of the page."""
    if not PAGE.exists():
        return None, {}
    text = PAGE.read_text()
    found = re.search(r"^Toolchain: (.*)$", text, re.MULTILINE)
    rows = re.findall(r"^\| ([a-z0-9-]+) \| ([0-9.]+) \|", text, re.MULTILINE)
    return found and found.group(1), {name: float(value) for name, value in rows}


def verdict(now, before):
    if before is None:
        return "new: not in INSTRUCTIONS.md"
    change = now / before - 1
    if change > TOLERANCE:
        return f"MORE than {TOLERANCE:.0%} above"
    if change < -GAIN:
        return f"LESS by more than {GAIN:.0%}"
    return ""


def compare(counts):
    """Prints the table; the sentences that say what is wrong."""
    kept_toolchain, kept = read()
    print(f"{'piece':28} {'now':>11} {'kept':>11} {'change':>8}")
    wrong = []
    for name, now in counts.items():
        before = kept.get(name)
        words = verdict(now, before)
        kept_text, change = ("-", "") if before is None else (f"{before:.1f}", f"{now / before - 1:+.1%}")
        print(f"{name:28} {now:11.1f} {kept_text:>11} {change:>8}  {words}".rstrip())
        if words:
            wrong.append(f"{name}: {words}")
    wrong += [f"{name}: in INSTRUCTIONS.md, but there is no such piece" for name in kept if name not in counts]
    if kept_toolchain != toolchain():
        print(f"\nINSTRUCTIONS.md was written with {kept_toolchain}; this is {toolchain()}. Counts of different toolchains differ: nothing is judged.")
        return []
    return wrong


def profile(executable, piece):
    """Prints which functions the instructions of one repetition are in, without those that they call."""
    def by_function(text):
        names, costs, function, is_call = {}, collections.Counter(), None, False
        for line in text.splitlines():
            if found := re.match(r"(c?)fn=\((\d+)\)(?: (.*))?$", line):
                if found.group(3):
                    names[found.group(2)] = found.group(3)
                if not found.group(1):
                    function = found.group(2)
            elif line.startswith("calls="):
                is_call = True
            elif re.match(r"[-+*\d]", line):
                # The line behind a call is what the called function costs.
                if not is_call and function:
                    costs[function] += int(line.split()[1])
                is_call = False
        merged = collections.Counter()
        for number, cost in costs.items():
            merged[names[number]] += cost
        return merged

    with tempfile.TemporaryDirectory() as folder:
        fewer, more = (by_function(callgrind(executable, piece.name, repetitions, pathlib.Path(folder) / str(repetitions)))
                       for repetitions in (piece.fewer, piece.more))
    repetitions = piece.more - piece.fewer
    costs = {name: (more[name] - fewer[name]) / repetitions for name in more}
    shown = [(name, cost) for name, cost in sorted(costs.items(), key=lambda item: -item[1]) if cost >= 0.5]
    symbols = "\n".join(name for name, _ in shown)
    plain = subprocess.run(["swift", "demangle", "--simplified"], input=symbols, stdout=subprocess.PIPE, text=True, check=True)
    whole = sum(costs.values())
    for (_, cost), name in zip(shown, plain.stdout.splitlines()):
        print(f"{cost:10.1f} {cost / whole:6.1%}  {name}")
    print(f"{whole:10.1f}         in all")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write INSTRUCTIONS.md instead of comparing with it")
    parser.add_argument("--profile", metavar="NAME", help="only this piece, by function")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        raise Failure("valgrind is needed; on Debian: apt-get install valgrind")
    executable = build()
    wanted = list(pieces(executable))
    if options.profile:
        chosen = next((piece for piece in wanted if piece.name == options.profile), None)
        if not chosen:
            raise Failure(f"there is no piece {options.profile}; there are: {', '.join(piece.name for piece in wanted)}")
        return profile(executable, chosen)
    counts = count_all(executable, wanted)
    if options.update:
        write(counts, wanted)
    wrong = compare(counts)
    if wrong:
        wrong.append("If this is meant to be: Benchmarks/instructions.py --update, and say in the commit why.")
        raise Failure("\n".join(["", *wrong]))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
