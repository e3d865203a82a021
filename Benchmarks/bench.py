"""What the parts of the comparison share: who is compared, and how work is given to a server."""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

from servers import LOAD, Server


@dataclass(frozen=True)
class Contender:
    """A server and a way to speak to it."""

    name: str
    server: str
    driver: str
    options: tuple = ()
    variant: bool = False  # shown beside the plain ones, in none of their ratios


NUVOM = Contender("nuvom", "nuvom", "nuvom")
BEANSTALKD = Contender("beanstalkd", "beanstalkd", "beanstalkd")
REDIS_LIST = Contender("redis-list", "redis", "redis-list")
REDIS_STREAM = Contender("redis-stream", "redis", "redis-stream")
CONTENDERS = [NUVOM, BEANSTALKD, REDIS_LIST, REDIS_STREAM]


class Bench:
    """One run: its arguments, its results, and the ways to measure."""

    def __init__(self, arguments):
        self.short = arguments.short
        self.only = arguments.only
        self.nuvom = arguments.nuvom
        self.peers_only = arguments.peers_only
        self.repetitions = arguments.repetitions
        self.seconds = arguments.seconds

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def server(self, contender, durability, *parts):
        """Started with what `servers.FOR` adds for these parts; None of them: as rates are measured."""
        return Server(contender.server, durability, self.nuvom, *(parts or ("no rewriting",)))

    def load(self, server, contender, mode, *options, timeout=120):
        """One run of the generator; its line of JSON."""
        command = self.command(server, contender, mode, *options)
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\n{result.stderr}server's output:\n{server.output()}")
        return json.loads(result.stdout)

    def command(self, server, contender, mode, *options):
        return [str(LOAD), contender.driver, mode, str(server.port), "--server", str(server.process.pid),
                *map(str, contender.options), *map(str, options)]

    def fill(self, server, contender, jobs, *options):
        """Enqueues exactly so many jobs, and lets the server end what they left it to do."""
        run = self.load(server, contender, "enqueue", "--connections", 10, "--in-flight", 100, "--jobs", jobs,
                        "--seconds", 900, *options, timeout=960)
        server.wait_until_quiet()
        return run

    def present(self, contenders):
        return [contender for contender in contenders if not (self.peers_only and contender.name.startswith("nuvom"))]

    def in_turns(self, contenders):
        """Pairs of repetition and contender. Every other turn runs backwards, so that none always follows the heaviest."""
        for repetition in range(self.repetitions):
            for contender in contenders[:: -1 if repetition % 2 else 1]:
                yield repetition, contender


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def by(runs, *keys):
    """Groups of runs by the values of keys (one key: the value, several: a tuple), in the order measured."""
    groups = {}
    for run in runs:
        values = tuple(run[key] for key in keys)
        groups.setdefault(values[0] if len(keys) == 1 else values, []).append(run)
    return groups


def cpu(run):
    """The columns that every measurement has: what a job cost the server, and how busy both sides were."""
    return {
        "server_us_per_job": 1e6 * run["server_cpu_seconds"] / max(run["jobs"], 1),
        "server_cores": run["server_cpu_seconds"] / run["seconds"],
        "client_cores": run["client_cpu_seconds"] / run["seconds"],
    }


def short(number):
    if number >= 999_500:
        return f"{number / 1e6:.2f}M"
    if number >= 9_995:
        return f"{number / 1e3:.0f}k"
    if number >= 1_000:
        return f"{number / 1e3:.1f}k"
    return f"{number:.3g}"


def time_text(microseconds):
    if microseconds >= 999_500:
        return f"{microseconds / 1e6:.2f} s"
    if microseconds >= 999.5:
        return f"{microseconds / 1e3:.3g} ms"
    return f"{microseconds:.0f} µs"


def spread(values, text=short):
    return f"{text(statistics.median(values))} ({text(min(values))}–{text(max(values))})"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
