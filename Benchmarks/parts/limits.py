"""What this machine does without any broker: an echo server, the disk, memory."""

import ctypes
import os
import statistics
import time

import servers
from bench import Contender, cpu, short, spread, table

TITLE = "Limits of the machine"
ECHO = Contender("echo", "echo", "echo")


def run(bench):
    found = []

    def add(name, unit, measure):
        runs = [measure() for _ in range(bench.repetitions)]
        server_us = [run[1] for run in runs if isinstance(run, tuple)]
        found.append({"name": name, "unit": unit, "values": [run[0] if isinstance(run, tuple) else run for run in runs],
                      "server_us": statistics.median(server_us) if server_us else None})

    with bench.server(ECHO, "off") as server:
        for payload in (100,) if bench.short else (100, 1024):
            for connections, in_flight in ((1, 1), (1, 64), (50, 1), (50, 64)):
                add(f"echo of frames with {payload} bytes, {connections}x{in_flight}", "frames/s",
                    lambda: echoed(bench, server, payload, connections, in_flight))
    for kib in (4,) if bench.short else (4, 64, 256):
        for way in ("overwriting", "appending"):
            add(f"pwrite and fdatasync of {kib} KiB, {way}", "/s", lambda: sync_rate(bench.seconds, kib * 1024, way == "overwriting"))
    add("memcpy of 256 MiB, one thread", "GB/s", memcpy_rate)
    return found


def echoed(bench, server, payload, connections, in_flight):
    run = bench.load(server, ECHO, "enqueue", "--connections", connections, "--in-flight", in_flight, "--payload", payload,
                     "--seconds", bench.seconds, "--warm-up", bench.seconds / 5)
    return run["jobs_per_second"], cpu(run)["server_us_per_job"]


def sync_rate(seconds, size, overwriting):
    path = servers.BUILD / "sync-rate"
    block = os.urandom(size)
    blocks = 64 * 1024 * 1024 // size
    file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR)
    try:
        if overwriting:
            for index in range(blocks):
                os.pwrite(file, block, index * size)
        os.fsync(file)
        count, begin = 0, time.monotonic()
        while time.monotonic() < begin + seconds:
            os.pwrite(file, block, (count % blocks if overwriting else count) * size)
            os.fdatasync(file)
            count += 1
        return count / (time.monotonic() - begin)
    finally:
        os.close(file)
        path.unlink()


def memcpy_rate():
    size = 256 * 1024 * 1024
    source, target = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size)
    ctypes.memset(source, 1, size)
    ctypes.memmove(target, source, size)  # once, so that both have their pages
    begin = time.monotonic()
    ctypes.memmove(target, source, size)
    return size / (time.monotonic() - begin) / 1e9


def section(found):
    rows = [(limit["name"], f"{spread(limit['values'], short)} {limit['unit']}",
             f"{limit['server_us']:.2f} µs" if limit["server_us"] is not None else "–") for limit in found]
    return table(("", "", "server CPU each"), rows)
