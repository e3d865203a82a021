"""CPU time while nothing happens; Nuvom with ten workers that wait for a job."""

import time

import messagepack
from bench import BEANSTALKD, NUVOM, REDIS_LIST, table

TITLE = "Idle"


def run(bench):
    started = [bench.server(contender, "strict").wait_until_listening()
               for contender in bench.present([NUVOM, BEANSTALKD, REDIS_LIST])]
    sessions = [messagepack.Session(server.port) for server in started if server.kind == "nuvom" for _ in range(10)]
    for session in sessions:
        session.send("dequeue", {"queues": ["bench"], "wait_ms": 60_000})
    for server in started:
        server.wait_until_quiet()
    begin, before = time.monotonic(), [server.cpu_seconds() for server in started]
    time.sleep(5)
    elapsed = time.monotonic() - begin
    found = [{"server": server.kind, "cpu_us_per_second": 1e6 * (server.cpu_seconds() - cpu) / elapsed}
             for server, cpu in zip(started, before)]
    for session in sessions:
        session.close()
    for server in started:
        server.end()
    return found


def figures(found):
    return {"idle-cpu-percent": result["cpu_us_per_second"] / 1e4 for result in found if result["server"] == "nuvom"}


def section(found):
    return table(("", "CPU time in a second"), [(result["server"], f"{result['cpu_us_per_second']:.0f} µs") for result in found])
