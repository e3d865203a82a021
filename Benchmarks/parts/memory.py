"""Memory and log of queued jobs, and the time from a start after SIGKILL to the first job."""

import json
import statistics
import subprocess
import time

import messagepack
from bench import CONTENDERS, by, median, short, table

TITLE = "Memory, log and recovery"


def run(bench):
    runs = []
    for jobs in (1_000_000,) if bench.short else (1_000_000, 10_000_000):
        # In 10 M jobs, one filling for three recoveries.
        repetitions, recoveries = (bench.repetitions, 1) if jobs == 1_000_000 else (1, 3)
        plan = [(contender, "strict" if contender.server == "nuvom" else "relaxed") for contender in bench.present(CONTENDERS)]
        plan += [(contender, "off") for contender in bench.present(CONTENDERS) if contender.server == "nuvom" or not bench.short]
        own = []
        for repetition in range(repetitions):
            for contender, durability in plan[:: -1 if repetition % 2 else 1]:
                own.append(measured(bench, contender, durability, jobs, recoveries))
        bench.say("\n".join(text(group) for group in by(own, "contender", "durability").values()))
        runs += own
    return runs


def measured(bench, contender, durability, jobs, recoveries):
    with bench.server(contender, durability, "many jobs") as server:
        empty = server.resident_bytes()
        run = bench.fill(server, contender, jobs)
        time.sleep(1)  # for what a server gives back when it rests
        jobs = run["enqueued_in_all"]
        result = {"contender": contender.name, "durability": durability, "jobs": jobs,
                  "jobs_per_second": run["jobs_per_second"], "memory_bytes_per_job": (server.resident_bytes() - empty) / jobs}
        if durability == "off":
            return result
        written = server.disk_bytes()
        if contender.server == "nuvom":
            # Its segments are written ahead of use, so that only the broker knows how much of them is used.
            written = broker_figures(server)["wal_bytes_total"]
        result["log_bytes_per_job"] = written / jobs
        result["recovery_seconds"] = [recovery(bench, server, contender) for _ in range(recoveries)]
        server.wait_until_quiet()
        result["memory_bytes_per_job_recovered"] = (server.resident_bytes() - empty) / jobs
        if contender.server == "nuvom":
            figures = broker_figures(server)
            there = figures["ready"] + figures["leased"]
            if there != jobs:
                raise RuntimeError(f"{jobs} jobs enqueued, {there} there after SIGKILL")
        return result


def broker_figures(server):
    session = messagepack.Session(server.port)
    try:
        return session.call("stats", {})
    finally:
        session.close()


def recovery(bench, server, contender):
    server.kill()
    # The generator is there first and keeps trying to connect.
    command = [word for word in bench.command(server, contender, "first", "--seconds", 240)]
    server_option = command.index("--server")
    del command[server_option:server_option + 2]  # the process whose CPU time it could read is gone
    taker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.05)
    begin = time.monotonic()
    server.start()
    try:
        output, errors = taker.communicate(timeout=270)
    finally:
        taker.kill()
    if taker.returncode != 0:
        raise RuntimeError(f"no job after a restart: {errors}\n{server.output()}")
    return json.loads(output)["ended_at"] - begin


def seconds_to_recover(runs):
    return statistics.median(seconds for run in runs for seconds in run["recovery_seconds"])


def text(runs):
    line = (f"{runs[0]['contender']}/{runs[0]['durability']}, {short(runs[0]['jobs'])} jobs: "
            f"{median(runs, 'memory_bytes_per_job'):.0f} bytes of memory a job")
    if "recovery_seconds" in runs[0]:
        line += (f", {median(runs, 'log_bytes_per_job'):.0f} of log, "
                 f"{seconds_to_recover(runs):.2f} s to the first job after SIGKILL")
    return line


def size(jobs):
    return f"{jobs // 1_000_000}m"


def figures(runs):
    figures = {}
    for (durability, jobs), own in by([run for run in runs if run["contender"] == "nuvom"], "durability", "jobs").items():
        suffix = "" if jobs == 1_000_000 else "-" + size(jobs)
        if durability == "off":
            figures["memory-bytes-per-job-ephemeral" + suffix] = median(own, "memory_bytes_per_job")
        else:
            figures["memory-bytes-per-job" + suffix] = median(own, "memory_bytes_per_job")
            figures["log-bytes-per-job" + suffix] = median(own, "log_bytes_per_job")
            figures[f"recovery-{size(jobs)}-seconds"] = seconds_to_recover(own)
    return figures


def section(runs):
    rows = []
    for (name, durability, jobs), own in by(runs, "contender", "durability", "jobs").items():
        durable = durability != "off"
        rows.append((f"{name}/{durability}", short(jobs), short(median(own, "jobs_per_second")),
                     f"{median(own, 'memory_bytes_per_job'):.0f}", f"{median(own, 'log_bytes_per_job'):.0f}" if durable else "–",
                     f"{seconds_to_recover(own):.2f}" if durable else "–",
                     f"{median(own, 'memory_bytes_per_job_recovered'):.0f}" if durable else "–"))
    return table(("", "jobs", "enqueue jobs/s (10x100)", "memory bytes/job", "log bytes/job",
                  "seconds from start to first job after SIGKILL", "memory bytes/job after it"), rows)
