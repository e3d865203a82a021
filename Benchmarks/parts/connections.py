"""Connections that do nothing: what each takes of the server's memory, and what they cost the active ones."""

import json
import subprocess

from bench import BEANSTALKD, NUVOM, REDIS_LIST, by, cpu, median, short, spread, table
from servers import most_files

TITLE = "Idle connections"
IDLE = 10_000


def run(bench):
    idle = min(IDLE, most_files() - 200)
    if idle < IDLE:
        bench.say(f"only {idle} idle connections: the limit of open files is {most_files()} (ulimit -Hn)")
    runs = []
    for _, contender in bench.in_turns(bench.present([NUVOM, BEANSTALKD, REDIS_LIST])):
        with bench.server(contender, "off", "many connections") as server:
            alone = active(bench, server, contender)
        with bench.server(contender, "off", "many connections") as server:
            server.wait_until_quiet()
            empty = server.resident_bytes()
            holder = subprocess.Popen(bench.command(server, contender, "hold", "--connections", idle, "--seconds", 60),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                line = holder.stdout.readline()
                if not line or json.loads(line)["connections"] != idle:
                    raise RuntimeError(f"{contender.name}: {idle} connections cannot be opened: {holder.stderr.read()}")
                server.wait_until_quiet()
                memory = server.resident_bytes() - empty
                beside = active(bench, server, contender)
                if holder.poll() is not None:
                    raise RuntimeError(f"{contender.name}: an idle connection failed: {holder.stderr.read()}")
            finally:
                holder.kill()
                holder.communicate()
        runs.append({"contender": contender.name, "connections": idle, "bytes_each": memory / idle,
                     "jobs_per_second_without": alone["jobs_per_second"], "jobs_per_second_with": beside["jobs_per_second"],
                     "server_us_without": cpu(alone)["server_us_per_job"], "server_us_with": cpu(beside)["server_us_per_job"]})
    bench.say("\n".join(f"{name}: {median(own, 'bytes_each') / 1024:.1f} KiB each, active ones {short(median(own, 'jobs_per_second_without'))} "
                        f"without, {short(median(own, 'jobs_per_second_with'))} with them" for name, own in by(runs, "contender").items()))
    return runs


def active(bench, server, contender):
    return bench.load(server, contender, "enqueue", "--connections", 50, "--in-flight", 1, "--seconds", bench.seconds,
                      "--warm-up", bench.seconds / 5)


def figures(runs):
    own = [run for run in runs if run["contender"] == "nuvom"]
    if not own:
        return {}
    return {"idle-connection-kib": median(own, "bytes_each") / 1024,
            "idle-connections-active-share": median(own, "jobs_per_second_with") / median(own, "jobs_per_second_without")}


def section(runs):
    lines = [f"{runs[0]['connections']:,} connections that have been greeted and then do nothing. Memory is the growth of the server's "
             "resident set; what the kernel keeps for a socket is not in it. Active: off-50x1-enqueue without and beside them."]
    rows = [(name, f"{spread([run['bytes_each'] / 1024 for run in own])} KiB",
             spread([run["jobs_per_second_without"] for run in own]), spread([run["jobs_per_second_with"] for run in own]),
             f"{median(own, 'server_us_without'):.2f} / {median(own, 'server_us_with'):.2f} µs")
            for name, own in by(runs, "contender").items()]
    return lines + ["", *table(("", "memory each", "active jobs/s without", "with", "server CPU without / with"), rows)]
