"""What a leaner transport behind the same seam would bring: the broker on bare epoll (transport/), beside the one that ships."""

import os
import subprocess

from bench import NUVOM, REDIS_LIST, Contender, by, median, short, spread, table
from servers import EPOLL_BUILD, HERE

from .limits import ECHO
from .rates import MODES, PLAIN, Row, run_row

TITLE = "Another transport"
ONLY_IN_FULL = True
EPOLL = Contender("nuvom-epoll", "epoll", "nuvom")
CONTENDERS = [NUVOM, EPOLL, next(peer for peer in PLAIN if peer.name == REDIS_LIST.name)]
ROWS = [Row("off", 50, 1), Row("off", 50, 64)]


def prepare(bench):
    if bench.peers_only:
        return
    bench.say("building the broker on epoll …")
    # Without the benchmark library, which the package otherwise fetches.
    environment = {**os.environ, "NUVOM_INSTRUCTION_COUNTS_ONLY": "1"}
    command = ["swift", "build", "--package-path", str(HERE), "--scratch-path", str(EPOLL_BUILD), "--configuration", "release",
               "--product", "EpollBroker"]
    built = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if built.returncode != 0:
        raise SystemExit(f"{built.stdout}the broker on epoll could not be built")


def run(bench):
    contenders = bench.present(CONTENDERS)
    runs = []
    for row in ROWS:
        # The floor: of one request at a time, as the echo answers with whatever has arrived.
        for _, contender in bench.in_turns(contenders + ([ECHO] if row.in_flight == 1 else [])):
            run_row(bench, row, contender, ["enqueue"] if contender is ECHO else MODES, runs)
    for name, own in by(runs, "row").items():
        bench.say(f"{name}: " + ", ".join(f"{contender} {short(median(runs, 'jobs_per_second'))}"
                                          for contender, runs in by(own, "contender").items()))
    return runs


def ratios(runs):
    """What ships is the measure here: the broker on epoll over it."""
    found = {}
    for row, own in by(runs, "row").items():
        speeds = {name: median(runs, "jobs_per_second") for name, runs in by(own, "contender").items()}
        if EPOLL.name in speeds and NUVOM.name in speeds:
            found[row.replace("off", "transport", 1)] = speeds[EPOLL.name] / speeds[NUVOM.name]
    return found


def section(runs):
    lines = ["*nuvom-epoll* is the same broker on bare epoll, a measurement and not for use; *echo* is the C server in the table of limits. "
             "Durability off. Jobs (echo: frames) per second: median (least–most); server CPU a job; busy cores of server / "
             "generator. Ratio: over nuvom."]
    for row, own in by(runs, "row").items():
        contenders = by(own, "contender")
        shipped = median(contenders[NUVOM.name], "jobs_per_second") if NUVOM.name in contenders else None
        rows = []
        for name, runs in contenders.items():
            speed = median(runs, "jobs_per_second")
            rows.append((name, spread([run["jobs_per_second"] for run in runs]), f"{median(runs, 'server_us_per_job'):.2f} µs",
                         f"{median(runs, 'server_cores'):.2f} / {median(runs, 'client_cores'):.2f}",
                         f"{speed / shipped:.2f}" if shipped and name != NUVOM.name else ""))
        lines += ["", f"### {row}", "", *table(("", "jobs/s", "server CPU", "cores", "ratio"), rows)]
    return lines
