"""Schedules: what a million of them take and cost, a hundred thousand due in the same second, and how late fires are."""

import statistics
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import messagepack
from bench import NUVOM, short, spread, table, time_text

TITLE = "Schedules"
PILE = 1_000_000
BATCH = 1_000
HERD = 100_000
FIRES_PER_SECOND = 1_000
DURABILITY = "strict"
PROBE = Path(__file__).resolve().parent.parent / "probe.py"


def run(bench):
    runs = []
    for _ in range(1 if bench.short else bench.repetitions):
        if not bench.present([NUVOM]):
            return runs
        with bench.server(NUVOM, DURABILITY) as server:
            server.wait_until_listening()
            measured = {**pile(server), **idle(server), **herd(server), **pace(server, 5 if bench.short else 10)}
        runs.append(measured)
        bench.say(f"created {short(1e6 / measured['creation_us'])}/s, {measured['bytes_each']:.0f} bytes each; {HERD} at once in "
                  f"{measured['herd_seconds']:.2f} s, p99 of others {time_text(measured['others_p99_us_before'])} before, "
                  f"{time_text(measured['others_p99_us_during'])} meanwhile; late p99 at the worker {time_text(measured['late_p99_us'])}")
    return runs


def definition(name, times):
    return messagepack.packed({"name": name, **times, "job": {"queue": "bench", "task": "bench"}})


def frames(definitions):
    """Whole requests of so many definitions, made before the clock starts."""
    made = []
    for first in range(0, len(definitions), BATCH):
        batch = definitions[first : first + BATCH]
        params = b"\x81" + messagepack.packed("schedules") + b"\xdc" + struct.pack(">H", len(batch)) + b"".join(batch)
        message = b"\x94\x00" + messagepack.packed(first + 1) + messagepack.packed("schedule") + params
        made.append(struct.pack(">I", len(message)) + message)
    return made


def send(session, made):
    """Sends frames without waiting for answers between them, and reads all answers; how long that took."""
    begin = time.monotonic()
    sender = threading.Thread(target=lambda: [session.socket.sendall(frame) for frame in made])
    sender.start()
    for _ in made:
        message = messagepack.unpacked(session.read_frame())
        if message[2] is not None:
            raise RuntimeError(f"the broker answered {message[2]}")
    sender.join()
    return time.monotonic() - begin


def pile(server):
    """A million crons, in one time zone, that are not due for months."""
    session = messagepack.Session(server.port)
    before = session.call("stats", {})["memory_bytes"], server.resident_bytes()
    month = time.gmtime().tm_mon % 12 + 1
    made = frames([definition(f"schedule-{number:07}", {"cron": f"{number % 60} {number // 60 % 24} 15 {(month + 3) % 12 + 1} *",
                                                        "time_zone": "Europe/Berlin"}) for number in range(PILE)])
    cpu = server.cpu_seconds()
    seconds = send(session, made)
    cpu = server.cpu_seconds() - cpu
    server.wait_until_quiet()
    after = session.call("stats", {})["memory_bytes"], server.resident_bytes()
    session.close()
    return {"creation_us": 1e6 * seconds / PILE, "creation_server_us": 1e6 * cpu / PILE,
            "bytes_each": (after[0] - before[0]) / PILE, "resident_bytes_each": (after[1] - before[1]) / PILE}


def idle(server):
    """What a million schedules cost while none is due."""
    cpu, begin = server.cpu_seconds(), time.monotonic()
    time.sleep(5)
    return {"idle_cpu_us_per_second": 1e6 * (server.cpu_seconds() - cpu) / (time.monotonic() - begin)}


def herd(server):
    """A hundred thousand that are due in the same millisecond, while a producer enqueues."""
    session = messagepack.Session(server.port)
    due = int(time.time() * 1000) + 8_000
    send(session, frames([definition(f"herd-{number:06}", {"at_ms": due}) for number in range(HERD)]))
    server.wait_until_quiet()
    fired = session.call("stats", {})["fires_total"]
    probe = subprocess.Popen([sys.executable, str(PROBE), str(server.port), str((due + 4_000) / 1000)],
                             stdout=subprocess.PIPE, text=True)
    time.sleep(max(0, due / 1000 - time.time()))
    while session.call("stats", {})["fires_total"] < fired + HERD:
        time.sleep(0.01)
    end = time.time()
    samples = [tuple(map(float, line.split())) for line in probe.communicate()[0].splitlines()]
    session.close()
    before = [us for at, us in samples if due / 1000 - 3 <= at < due / 1000]
    during = [us for at, us in samples if due / 1000 <= at <= end]
    return {"herd_seconds": end - due / 1000, "others_p99_us_before": quantile(before, 0.99),
            "others_p99_us_during": quantile(during, 0.99), "others_during": len(during),
            "others_max_us_during": max(during)}


def pace(server, seconds):
    """A thousand schedules of one second each, spread over it, as a worker sees them."""
    session = messagepack.Session(server.port)
    begin = (int(time.time()) + 2) * 1000
    names = [f"pace-{number:04}" for number in range(FIRES_PER_SECOND)]
    drain(session)
    send(session, frames([definition(name, {"every_ms": 1_000, "start_at_ms": begin + number * 1000 // FIRES_PER_SECOND})
                          for number, name in enumerate(names)]))
    before = session.call("stats", {})["fire_lateness"]["counts"]
    late, end, settled = [], begin / 1000 + seconds + 1, []
    while time.time() < end:
        jobs = session.call("dequeue", {"queues": ["bench"], "max": 100, "wait_ms": 1_000, "ack": settled})["jobs"]
        now = time.time()
        late += [1e6 * now - 1000 * job["schedule"]["due_at_ms"] for job in jobs if job["schedule"]["due_at_ms"] >= begin + 1000]
        settled = [{"id": job["id"], "token": job["token"]} for job in jobs]
    stats = session.call("stats", {})["fire_lateness"]
    counts = [after - earlier for after, earlier in zip(stats["counts"], before)]
    session.call("schedule_delete", {"names": names})
    session.close()
    return {"late_p50_us": quantile(late, 0.5), "late_p99_us": quantile(late, 0.99), "late_max_us": max(late),
            "paced_fires": len(late), "fired_within_ms": dict(zip(map(str, stats["le_ms"]), counts))}


def drain(session):
    """Takes away what the herd has left."""
    settled = []
    while True:
        jobs = session.call("dequeue", {"queues": ["bench"], "max": 1_000, "ack": settled})["jobs"]
        settled = [{"id": job["id"], "token": job["token"]} for job in jobs]
        if not jobs:
            return


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def figures(runs):
    if not runs:
        return {}
    return {"schedule-bytes": median(runs, "bytes_each"), "schedule-creation-us": median(runs, "creation_us"),
            "schedule-idle-cpu-percent": median(runs, "idle_cpu_us_per_second") / 1e4,
            "schedule-herd-seconds": median(runs, "herd_seconds"),
            "schedule-herd-others-p99": statistics.median(run["others_p99_us_during"] / run["others_p99_us_before"] for run in runs),
            "schedule-lateness-p99-ms": median(runs, "late_p99_us") / 1000}


def section(runs):
    def row(what, key, text):
        return (what, spread([run[key] for run in runs], text))

    def number(value):
        return f"{value:.0f}"

    rows = [
        row(f"create one, in batches of {BATCH:,} (a cron in Europe/Berlin)", "creation_us", lambda us: f"{us:.2f} µs"),
        row("of that, CPU of the server", "creation_server_us", lambda us: f"{us:.2f} µs"),
        row("memory of one: the engine's blocks", "bytes_each", lambda count: f"{count:.0f} bytes"),
        row("memory of one: resident", "resident_bytes_each", lambda count: f"{count:.0f} bytes"),
        row(f"CPU in a second with {PILE:,} of which none is due", "idle_cpu_us_per_second", time_text),
        row(f"{HERD:,} due in the same millisecond: until the last is enqueued", "herd_seconds", lambda s: f"{s:.2f} s"),
        row("p99 of another producer's enqueue: in the 3 s before", "others_p99_us_before", time_text),
        row("p99 of another producer's enqueue: meanwhile", "others_p99_us_during", time_text),
        row("enqueues of it meanwhile", "others_during", number),
        row(f"{FIRES_PER_SECOND:,} fires a second: late at the worker, p50", "late_p50_us", time_text),
        row("late at the worker, p99", "late_p99_us", time_text),
        row("late at the worker, worst", "late_max_us", time_text),
    ]
    lines = [f"All with every reply on disk, on top of {PILE:,} schedules. Late at the worker: receipt less due time, by one worker in Python, which "
             "measures itself too. The others' enqueues are one at a time, each waiting for the one before."]
    return lines + ["", *table(("", ""), rows)] if runs else lines
