#!/usr/bin/env python3
"""Compares a Nuvom broker with its peers on this machine, in one run. See README.md for what is done and why."""

import argparse
import datetime
import fnmatch
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import messagepack
import report
import servers
from servers import HERE, LOAD, Server


@dataclass(frozen=True)
class Contender:
    """A server and a way to speak to it."""

    name: str
    server: str
    driver: str
    modes: tuple = ("enqueue", "backlog", "together")
    options: tuple = ()
    variant: bool = False  # of nuvom: shown beside it, in no ratio of the plain rows


CONTENDERS = [
    Contender("nuvom", "nuvom", "nuvom"),
    Contender("nuvom-separate-acks", "nuvom", "nuvom", ("backlog", "together"), ("--acks", "separate"), True),
    Contender("nuvom-safe-retries", "nuvom", "nuvom", ("enqueue", "together"), ("--retries", "safe"), True),
    Contender("nuvom-batch100", "nuvom", "nuvom", ("enqueue",), ("--batch", "100"), True),
    Contender("beanstalkd", "beanstalkd", "beanstalkd"),
    Contender("redis-list", "redis", "redis-list"),
    Contender("redis-stream", "redis", "redis-stream"),
]


@dataclass(frozen=True)
class Row:
    """Contenders do the work of a row in turns; its three modes share a start of the server where they can."""

    durability: str
    connections: int
    in_flight: int
    payload: int = 100

    @property
    def name(self):
        suffix = "" if self.payload == 100 else f"-{self.payload}b"
        return f"{self.durability}-{self.connections}x{self.in_flight}{suffix}"


SHAPES = [(1, 1), (1, 64), (50, 1), (50, 64)]
FULL_ROWS = [Row(durability, *shape, payload) for payload in (100, 1024) for durability in ("off", "relaxed", "strict")
             for shape in SHAPES]
SHORT_ROWS = [Row("off", 50, 1), Row("off", 50, 64), Row("strict", 50, 64)]
PARTS = ["limits", "rates", "memory", "idle"]


class Comparison:
    def __init__(self, arguments):
        self.arguments = arguments
        self.contenders = [c for c in CONTENDERS if not (arguments.peers_only and c.server == "nuvom")
                           and not (arguments.short and c.variant)]
        self.results = {"started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def load(self, server, driver, mode, *options, timeout=120):
        """One run of the generator; its line of JSON."""
        command = [str(LOAD), driver, mode, str(server.port), "--server", str(server.process.pid), *map(str, options)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\n{result.stderr}server's output:\n{server.output()}")
        return json.loads(result.stdout)

    # The parts

    def limits(self):
        """What this machine does without any broker."""
        found = []
        with Server("echo", "off", None) as server:
            for shape in SHAPES:
                run = self.load(server, "echo", "enqueue", "--connections", shape[0], "--in-flight", shape[1],
                                "--seconds", self.arguments.seconds, "--warm-up", self.arguments.seconds / 5)
                found.append({"name": f"echo of 104-byte frames, {shape[0]}x{shape[1]}", "unit": "frames/s",
                              "value": run["jobs_per_second"],
                              "server_us": 1e6 * run["server_cpu_seconds"] / max(run["jobs"], 1)})
        found.append({"name": "pwrite and fdatasync of 4 KiB in a pre-written file", "unit": "/s",
                      "value": self.sync_rate()})
        self.results["limits"] = found

    def sync_rate(self):
        path = servers.BUILD / "sync-rate"
        block = os.urandom(4096)
        file = os.open(path, os.O_CREAT | os.O_RDWR)
        try:
            os.pwrite(file, block * 1024, 0)
            os.fsync(file)
            count, begin = 0, time.monotonic()
            while time.monotonic() < begin + self.arguments.seconds:
                os.pwrite(file, block, (count % 1024) * 4096)
                os.fdatasync(file)
                count += 1
            return count / (time.monotonic() - begin)
        finally:
            os.close(file)
            path.unlink()

    def rates(self):
        rows = SHORT_ROWS if self.arguments.short else FULL_ROWS
        wanted = [(row, [mode for mode in ("enqueue", "backlog", "together")
                         if fnmatch.fnmatch(f"{row.name}-{mode}", self.arguments.only)]) for row in rows]
        wanted = [(row, modes) for row, modes in wanted if modes]
        if not wanted:
            names = " ".join(row.name for row in rows)
            raise SystemExit(f"--only {self.arguments.only} names no row; rows are one of\n{names}\n"
                             "followed by -enqueue, -backlog or -together")
        runs = self.results["rates"] = []
        for row, modes in wanted:
            for repetition in range(self.arguments.repetitions):
                # Every other turn runs backwards, so that none is always the one after the heaviest.
                for contender in self.contenders[:: -1 if repetition % 2 else 1]:
                    self.run_row(row, contender, [mode for mode in modes if mode in contender.modes], runs)
            self.say(report.row_text(row.name, runs))

    def run_row(self, row, contender, modes, runs):
        seconds = self.arguments.seconds
        shape = ("--connections", row.connections, "--in-flight", row.in_flight, "--payload", row.payload,
                 *contender.options)
        window = ("--seconds", seconds, "--warm-up", seconds / 5)
        in_flight = row.connections * row.in_flight

        def measured(server, mode, *options):
            run = self.load(server, contender.driver, mode, *shape, *options)
            runs.append({
                "row": f"{row.name}-{mode}", "durability": row.durability, "connections": row.connections,
                "in_flight": row.in_flight, "payload": row.payload, "mode": mode, "contender": contender.name,
                "variant": contender.variant, "jobs_per_second": run["jobs_per_second"],
                "server_us_per_job": 1e6 * run["server_cpu_seconds"] / max(run["jobs"], 1),
                "server_cores": run["server_cpu_seconds"] / run["seconds"],
                "client_cores": run["client_cpu_seconds"] / run["seconds"],
            })
            return run

        def start():
            return Server(contender.server, row.durability, self.arguments.nuvom)

        if "enqueue" in modes or "backlog" in modes:
            with start() as server:
                jobs = 0
                if "enqueue" in modes:
                    jobs = measured(server, "enqueue", *window, "--jobs", self.arguments.most_jobs)["enqueued_in_all"]
                if "backlog" in modes:
                    # Enough for the whole window where the server enqueues no slower than it delivers, and enough
                    # beyond what is in flight where it is slow.
                    seconds_to_fill = 0 if "enqueue" in modes else 1.5 * seconds
                    if seconds_to_fill:
                        jobs += self.load(server, contender.driver, "enqueue", *shape, "--seconds", seconds_to_fill,
                                          "--jobs", self.arguments.most_jobs)["enqueued_in_all"]
                    missing = 8 * in_flight + 1000 - jobs
                    if missing > 0:
                        jobs += self.load(server, contender.driver, "enqueue", *shape, "--seconds", 20,
                                          "--jobs", missing)["enqueued_in_all"]
                    if jobs > 5 * in_flight:
                        server.wait_until_quiet()
                        measured(server, "backlog", *window, "--jobs", jobs)
                    else:
                        self.say(f"{row.name}-backlog: {contender.name} took only {jobs} jobs in time, left out")
        if "together" in modes:
            with start() as server:
                measured(server, "together", *window)

    def memory(self):
        """Memory and log of queued jobs, and the time from a start after SIGKILL to the first job."""
        jobs = self.arguments.memory_jobs
        found = self.results["memory"] = []
        plan = [(c, "strict" if c.server == "nuvom" else "relaxed") for c in self.contenders if not c.variant]
        plan += [(c, "off") for c in self.contenders if not c.variant and (c.server == "nuvom" or not self.arguments.short)]
        for contender, durability in plan:
            with Server(contender.server, durability, self.arguments.nuvom, rewrite=True) as server:
                empty = server.resident_bytes()
                run = self.load(server, contender.driver, "enqueue", "--connections", 10, "--in-flight", 100,
                                "--jobs", jobs, "--seconds", 300, timeout=400)
                server.wait_until_quiet()
                result = {
                    "contender": contender.name, "durability": durability, "jobs": run["enqueued_in_all"],
                    "jobs_per_second": run["jobs_per_second"],
                    "memory_bytes_per_job": (server.resident_bytes() - empty) / run["enqueued_in_all"],
                }
                if durability != "off":
                    result["disk_bytes"] = server.disk_bytes()
                    written = server.disk_bytes()
                    if contender.server == "nuvom":
                        # Its segments are written ahead of use, so that only the broker knows how much of them is used.
                        written = self.broker_figures(server)["wal_bytes_total"]
                    result["log_bytes_per_job"] = written / run["enqueued_in_all"]
                    result["recovery_seconds"] = [self.recover(server, contender) for _ in range(3)]
                    server.wait_until_quiet()
                    result["memory_bytes_per_job_recovered"] = (server.resident_bytes() - empty) / run["enqueued_in_all"]
                    if contender.server == "nuvom":
                        figures = self.broker_figures(server)
                        there = figures["ready"] + figures["leased"]
                        if there != run["enqueued_in_all"]:
                            raise RuntimeError(f"{run['enqueued_in_all']} jobs enqueued, {there} there after SIGKILL")
                found.append(result)
                self.say(report.memory_text(result))

    def broker_figures(self, server):
        session = messagepack.Session(server.port)
        try:
            return session.call("stats", {})
        finally:
            session.close()

    def recover(self, server, contender):
        server.kill()
        # The generator is there first and keeps trying to connect.
        command = [str(LOAD), contender.driver, "first", str(server.port), "--seconds", "60"]
        taker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.05)
        begin = time.monotonic()
        server.start()
        try:
            output, errors = taker.communicate(timeout=90)
        finally:
            taker.kill()
        if taker.returncode != 0:
            raise RuntimeError(f"no job after a restart: {errors}\n{server.output()}")
        return json.loads(output)["ended_at"] - begin

    def idle(self):
        """CPU time while nothing happens; Nuvom with ten workers that wait for a job."""
        kinds = ["nuvom", "beanstalkd", "redis"]
        if self.arguments.peers_only:
            kinds.remove("nuvom")
        started = [Server(kind, "strict", self.arguments.nuvom).wait_until_listening() for kind in kinds]
        sessions = [messagepack.Session(server.port) for server in started if server.kind == "nuvom" for _ in range(10)]
        for session in sessions:
            session.send("dequeue", {"queues": ["bench"], "wait_ms": 60_000})
        for server in started:
            server.wait_until_quiet()
        begin, before = time.monotonic(), [server.cpu_seconds() for server in started]
        time.sleep(5)
        elapsed = time.monotonic() - begin
        self.results["idle"] = [
            {"server": server.kind, "cpu_us_per_second": 1e6 * (server.cpu_seconds() - cpu) / elapsed}
            for server, cpu in zip(started, before)]
        for session in sessions:
            session.close()
        for server in started:
            server.end()

    def run(self):
        begin = time.monotonic()
        self.results["machine"] = machine(self.arguments)
        if self.results["machine"]["cores_busy_before"] > 0.2:
            self.say(f"warning: others keep {self.results['machine']['cores_busy_before']} cores of this machine busy; "
                     "the figures will not be worth much")
        self.results["method"] = {
            "repetitions": self.arguments.repetitions, "seconds": self.arguments.seconds,
            "commands": {kind: dict(levels) for kind, levels in servers.COMMANDS.items()}}
        for part in PARTS:
            if part in self.arguments.part:
                self.say(f"{part} …")
                getattr(self, part)()
        self.results["took_seconds"] = round(time.monotonic() - begin, 1)
        return self.results


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
    return {
        "processor": model, "cores": os.cpu_count(), "memory_gib": round(memory / 1024**2, 1),
        "kernel": platform.release(), "file_system": file_system(), "versions": versions,
        "cores_busy_before": round(busy_cores(), 2),
    }


def busy_cores():
    """How much of this machine others use: with half a core taken, a sync takes milliseconds instead of 0.1."""
    def idle_ticks():
        fields = open("/proc/stat").readline().split()
        return int(fields[4]) + int(fields[5])

    begin, before = time.monotonic(), idle_ticks()
    time.sleep(1)
    idle = (idle_ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begin)
    return max(0.0, os.cpu_count() - idle)


def file_system():
    return subprocess.run(["stat", "-f", "-c", "%T", str(servers.BUILD)], capture_output=True, text=True).stdout.strip()


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nuvom", default=str(HERE.parent / ".build/release/nuvom"), help="the broker's executable")
    parser.add_argument("--short", action="store_true", help="the rows with goals, short runs: under three minutes")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part (may be repeated)")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="only these rows of rates, such as 'strict-50x64-*'")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="of one measurement (default 1.5; short: 0.5)")
    parser.add_argument("--peers-only", action="store_true", help="without Nuvom, to check the peers' figures")
    parser.add_argument("--publish", metavar="JSON", help="measure nothing: write RESULTS.md from an earlier run")
    arguments = parser.parse_args()
    arguments.part = arguments.part or PARTS
    arguments.seconds = arguments.seconds or (0.5 if arguments.short else 1.5)
    arguments.most_jobs = 3_000_000  # keeps a fast server below a gigabyte
    arguments.memory_jobs = 1_000_000
    return arguments


def main():
    arguments = parsed_arguments()
    if arguments.publish:
        results = json.loads(pathlib.Path(arguments.publish).read_text())
        (HERE / "RESULTS.md").write_text(report.page(results))
        return
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
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))

    results = Comparison(arguments).run()
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
