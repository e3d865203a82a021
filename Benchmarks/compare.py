#!/usr/bin/env python3
"""Compares a Nuvom broker with its peers on this machine, in one run. See README.md for what is done and why."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time

import report
import servers
from bench import Bench
from parts import PARTS
from servers import HERE


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nuvom", default=str(HERE.parent / ".build/release/nuvom"), help="the broker's executable")
    parser.add_argument("--short", action="store_true", help="what has goals, in short runs: under ten minutes")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part (may be repeated)")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="only these rows of rates, such as 'strict-50x64-*'")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="of one measurement of a rate (default 1.5; short: 0.5)")
    parser.add_argument("--peers-only", action="store_true", help="without Nuvom, to check the peers' figures")
    parser.add_argument("--publish", nargs="+", metavar="JSON",
                        help="measure nothing: write RESULTS.md and the picture from earlier runs, where later ones replace parts")
    arguments = parser.parse_args()
    arguments.part = arguments.part or [name for name, part in PARTS.items()
                                        if not (arguments.short and getattr(part, "ONLY_IN_FULL", False))]
    arguments.seconds = arguments.seconds or (0.5 if arguments.short else 1.5)
    return arguments


def machine(arguments):
    def first_line(*command):
        try:
            lines = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.splitlines()
            return lines[0] if lines else "unknown"
        except OSError:
            return "not installed"

    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                 platform.machine())
    memory = int(next(line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal:")))
    versions = {"beanstalkd": first_line("beanstalkd", "-v"), "redis": first_line("redis-server", "--version")}
    if not arguments.peers_only:
        versions["nuvom"] = first_line(arguments.nuvom, "version")
    others = Others()
    time.sleep(1)
    return {
        "processor": model, "cores": os.cpu_count(), "memory_gib": round(memory / 1024**2, 1),
        "kernel": platform.release(), "file_system": file_system(), "versions": versions,
        "cores_busy_before": others.cores(),
    }


class Others:
    """How many cores of this machine others keep busy: with half a core taken, a sync takes milliseconds instead of 0.1."""

    def __init__(self):
        self.begin, self.idle_before, self.own_before = time.monotonic(), self.idle(), self.own()

    def idle(self):
        fields = open("/proc/stat").readline().split()
        return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")

    def own(self):
        """Of this script, and of the servers and generators that have ended."""
        return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))

    def cores(self):
        taken = self.idle() - self.idle_before + self.own() - self.own_before
        return round(max(0.0, os.cpu_count() - taken / (time.monotonic() - self.begin)), 2)


def file_system():
    return subprocess.run(["stat", "-f", "-c", "%T", str(servers.BUILD)], capture_output=True, text=True).stdout.strip()


def check(arguments):
    for program in ("cc", "beanstalkd", "redis-server"):
        if not shutil.which(program):
            raise SystemExit(f"{program} is not installed; on Debian and Ubuntu: apt-get install gcc "
                             f"$(cat {HERE / 'apt-packages.txt'})")
    if not arguments.peers_only:
        if not os.access(arguments.nuvom, os.X_OK):
            raise SystemExit(f"there is no broker at {arguments.nuvom}: run swift build -c release, or name one by --nuvom")
        arguments.nuvom = str(pathlib.Path(arguments.nuvom).resolve())
    servers.build_load()
    if file_system() == "tmpfs":
        raise SystemExit(f"{servers.BUILD} is in memory, where syncing costs nothing: strict figures would mean nothing")


def measured(arguments):
    bench = Bench(arguments)
    # What cannot be built must not come to light after an hour.
    for name in arguments.part:
        if hasattr(PARTS[name], "prepare"):
            PARTS[name].prepare(bench)
    begin = time.monotonic()
    results = {
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(arguments),
        "method": {"short": arguments.short, "repetitions": arguments.repetitions, "seconds": arguments.seconds,
                   "commands": servers.COMMANDS, "commands_for": servers.FOR},
    }
    busy = results["machine"]["cores_busy_before"]
    if busy > 0.2:
        bench.say(f"warning: others keep {busy} cores of this machine busy; the figures will not be worth much")
    took = results["method"]["seconds_of_parts"] = {}
    busy_in = results["machine"]["cores_busy_with_others"] = {}
    for name, part in PARTS.items():
        if name in arguments.part:
            bench.say(f"{name} …")
            started, others = time.monotonic(), Others()
            results[name] = part.run(bench)
            took[name] = round(time.monotonic() - started, 1)
            busy_in[name] = others.cores()
            if busy_in[name] > 0.2:
                bench.say(f"warning: others kept {busy_in[name]} cores busy while {name} was measured")
    results["took_seconds"] = round(time.monotonic() - begin, 1)
    return results


def publish(runs):
    results = {}
    for run in runs:
        results.update(run)
    results["runs"] = len(runs)
    results["took_seconds"] = sum(run["took_seconds"] for run in runs)
    busy = {}
    for run in runs:
        busy.update(run["machine"]["cores_busy_with_others"])
    results["machine"]["cores_busy_with_others"] = busy
    (HERE / "RESULTS.md").write_text(report.page(results))
    for name, part in PARTS.items():
        if name in results and hasattr(part, "publish"):
            part.publish(results, HERE)


def main():
    arguments = parsed_arguments()
    if arguments.publish:
        publish([json.loads(pathlib.Path(file).read_text()) for file in arguments.publish])
        return
    check(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    results = measured(arguments)
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    file = folder / f"{results['started'].replace(':', '')[:17]}.json"
    file.write_text(json.dumps(results, indent=1))
    print(report.page(results))
    print(f"results: {os.path.relpath(file)}")
    for line in report.final_lines(results):
        print(line)


if __name__ == "__main__":
    main()
