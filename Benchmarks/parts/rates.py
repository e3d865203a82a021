"""Jobs per second: enqueue, dequeue and ack from a backlog, and both together."""

import fnmatch
from dataclasses import dataclass, replace

from bench import CONTENDERS, NUVOM, Contender, by, cpu, median, short, spread, table

TITLE = "Rates"
MODES = ("enqueue", "backlog", "together")
MOST_JOBS = 3_000_000  # in one run: keeps a fast server below a gigabyte

# So many requests are in flight as a row's name says: a peer's worker waits for the answer to the command that finishes a job, then
# takes the next. Pipelined, both commands leave in one write, which is one in flight more.
PEERS = [contender for contender in CONTENDERS if contender is not NUVOM]
PLAIN = [NUVOM] + [replace(peer, options=("--finish", "alone")) for peer in PEERS]
PIPELINED = [replace(peer, name=f"{peer.name}-pipelined", variant=True) for peer in PEERS]

BATCHES = Contender("nuvom-batch100", "nuvom", "nuvom", ("--batch", "100"), True)
# What a variant is not in: the modes where it is no different, or where it has no meaning.
VARIANTS = {
    Contender("nuvom-separate-acks", "nuvom", "nuvom", ("--acks", "separate"), True): ("backlog", "together"),
    Contender("nuvom-safe-retries", "nuvom", "nuvom", ("--retries", "safe"), True): ("enqueue", "together"),
    BATCHES: ("enqueue",),
    **{peer: ("backlog", "together") for peer in PIPELINED},
}


@dataclass(frozen=True)
class Row:
    """Contenders do the work of a row in turns; its modes share a start of the server where they can."""

    durability: str
    connections: int
    in_flight: int
    payload: int = 100
    modes: tuple = MODES

    @property
    def name(self):
        suffix = "" if self.payload == 100 else f"-{self.payload}b"
        return f"{self.durability}-{self.connections}x{self.in_flight}{suffix}"


SHAPES = [(1, 1), (1, 64), (50, 1), (50, 64)]
FULL_ROWS = [Row(durability, *shape, payload) for payload in (100, 1024) for durability in ("off", "relaxed", "strict")
             for shape in SHAPES]
# Those with goals.
SHORT_ROWS = [Row("off", 50, 1, modes=("enqueue", "together")), Row("off", 50, 64), Row("relaxed", 50, 64, modes=("together",)),
              Row("strict", 1, 1, modes=("enqueue",)), Row("strict", 50, 1, modes=("enqueue", "together")), Row("strict", 50, 64)]


def run(bench):
    rows = SHORT_ROWS if bench.short else FULL_ROWS
    wanted = [(row, [mode for mode in row.modes if fnmatch.fnmatch(f"{row.name}-{mode}", bench.only)]) for row in rows]
    wanted = [(row, modes) for row, modes in wanted if modes]
    if not wanted:
        names = "\n".join(f"{row.name}-{mode}" for row in rows for mode in row.modes)
        raise SystemExit(f"--only {bench.only} names no row; rows are\n{names}")
    runs = []
    for row, modes in wanted:
        contenders = PLAIN + list(VARIANTS)
        if bench.short:
            contenders = PLAIN + {1: [BATCHES], 50: PIPELINED if row.in_flight == 1 else []}[row.connections]
        for _, contender in bench.in_turns(bench.present(contenders)):
            run_row(bench, row, contender, [mode for mode in modes if mode in VARIANTS.get(contender, MODES)], runs)
        for mode in modes:
            medians = {name: median(own, "jobs_per_second")
                       for name, own in by([run for run in runs if run["row"] == f"{row.name}-{mode}"], "contender").items()}
            bench.say(f"{row.name}-{mode}: " + ", ".join(f"{name} {short(speed)}" for name, speed in medians.items()))
    return runs


def run_row(bench, row, contender, modes, runs):
    seconds = bench.seconds
    shape = ("--connections", row.connections, "--in-flight", row.in_flight, "--payload", row.payload)
    window = ("--seconds", seconds, "--warm-up", seconds / 5)
    in_flight = row.connections * row.in_flight

    def measured(server, mode, *options):
        run = bench.load(server, contender, mode, *shape, *options)
        runs.append({"row": f"{row.name}-{mode}", "contender": contender.name, "variant": contender.variant,
                     "jobs_per_second": run["jobs_per_second"], **cpu(run)})
        return run

    if "enqueue" in modes or "backlog" in modes:
        with bench.server(contender, row.durability) as server:
            jobs = 0
            if "enqueue" in modes:
                jobs = measured(server, "enqueue", *window, "--jobs", MOST_JOBS)["enqueued_in_all"]
            if "backlog" in modes:
                # Enough for the whole window where the server enqueues no slower than it delivers, and enough
                # beyond what is in flight where it is slow.
                if "enqueue" not in modes:
                    jobs += bench.load(server, contender, "enqueue", *shape, "--seconds", 1.5 * seconds,
                                       "--jobs", MOST_JOBS)["enqueued_in_all"]
                missing = 8 * in_flight + 1000 - jobs
                if missing > 0:
                    jobs += bench.load(server, contender, "enqueue", *shape, "--seconds", 20,
                                       "--jobs", missing)["enqueued_in_all"]
                if jobs > 5 * in_flight:
                    server.wait_until_quiet()
                    measured(server, "backlog", *window, "--jobs", jobs)
                else:
                    bench.say(f"{row.name}-backlog: {contender.name} took only {jobs} jobs in time, left out")
    if "together" in modes:
        with bench.server(contender, row.durability) as server:
            measured(server, "together", *window)


def strongest_peer(contenders, pipelined=False):
    peers = [median(runs, "jobs_per_second") for name, runs in contenders.items()
             if not name.startswith("nuvom") and name.endswith("-pipelined") == pipelined]
    return max(peers, default=None)


def ratios(runs):
    found = {}
    for row, own in by(runs, "row").items():
        contenders = by(own, "contender")
        best = strongest_peer(contenders)
        prefix, mode = row.rsplit("-", 1)
        for name, title in (("nuvom", row), ("nuvom-batch100", f"{prefix}-batch100-{mode}")):
            if best and name in contenders:
                found[title] = median(contenders[name], "jobs_per_second") / best
        best = strongest_peer(contenders, pipelined=True)
        if best and "nuvom" in contenders:
            found[f"{row}-against-pipelined"] = median(contenders["nuvom"], "jobs_per_second") / best
    return found


def section(runs):
    lines = ["Jobs per second: median (least–most); server CPU a job; busy cores of server / generator. Ratio: Nuvom over "
             "the strongest peer."]
    for row, own in by(runs, "row").items():
        contenders = by(own, "contender")
        best = strongest_peer(contenders)
        rows = []
        for name in sorted(contenders, key=lambda name: not name.startswith("nuvom")):
            runs = contenders[name]
            ratio = f"{median(runs, 'jobs_per_second') / best:.2f}" if best and name.startswith("nuvom") else ""
            rows.append((name, spread([run["jobs_per_second"] for run in runs]), f"{median(runs, 'server_us_per_job'):.2f} µs",
                         f"{median(runs, 'server_cores'):.2f} / {median(runs, 'client_cores'):.2f}", ratio))
        lines += ["", f"### {row}", "", *table(("", "jobs/s", "server CPU", "cores", "ratio"), rows)]
    return lines
