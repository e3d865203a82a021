"""How the cost of a job (enqueue, dequeue, ack) grows with the jobs that are queued and with the number of queues."""

import chart
from bench import BEANSTALKD, CONTENDERS, NUVOM, REDIS_LIST, by, cpu, median, short, table

TITLE = "How cost grows"
SIZES = [10**exponent for exponent in range(3, 8)]
QUEUES = [10**exponent for exponent in range(0, 6)]
JOBS_IN_QUEUES = 1_000_000
MARK = "<!-- growth: the table below is written by compare.py --publish -->"


def points(bench):
    """(jobs, queues, contenders)"""
    if bench.short:
        return [(jobs, 1, [NUVOM]) for jobs in (SIZES[0], SIZES[-1])]
    # beanstalkd takes 90 s to be given 10 M jobs, and looks through all its tubes for one by name; Redis's streams would need a
    # consumer group in each.
    found = [(jobs, 1, [contender for contender in CONTENDERS if jobs <= 1_000_000 or contender is not BEANSTALKD]) for jobs in SIZES]
    return found + [(JOBS_IN_QUEUES, queues, [NUVOM, REDIS_LIST] + ([BEANSTALKD] if queues <= 1000 else []))
                    for queues in QUEUES if queues > 1]


def run(bench):
    runs = []
    seconds = max(bench.seconds, 1)
    for repetition in range(bench.repetitions):
        for jobs, queues, contenders in points(bench)[:: -1 if repetition % 2 else 1]:
            for contender in bench.present(contenders)[:: -1 if repetition % 2 else 1]:
                with bench.server(contender, "off", "many jobs") as server:
                    filled = bench.fill(server, contender, jobs, "--queues", queues)
                    run = bench.load(server, contender, "cycle", "--connections", 50, "--in-flight", 64, "--queues", queues,
                                     "--seconds", seconds, "--warm-up", seconds / 5)
                if filled["enqueued_in_all"] != jobs:
                    raise RuntimeError(f"{contender.name} took {filled['enqueued_in_all']} of {jobs} jobs")
                runs.append({"contender": contender.name, "jobs": jobs, "queues": queues,
                             "jobs_per_second": run["jobs_per_second"], **cpu(run)})
                bench.say(f"{contender.name}, {jobs} jobs in {queues} queues: {runs[-1]['server_us_per_job']:.2f} µs of the server")
    return runs


def cost(runs):
    return median(runs, "server_us_per_job")


def figures(runs):
    costs = {key: cost(own) for key, own in by([run for run in runs if run["contender"] == "nuvom"], "jobs", "queues").items()}
    found = {}
    if (10**7, 1) in costs and (10**3, 1) in costs:
        found["cost-1e7-over-1e3"] = costs[10**7, 1] / costs[10**3, 1]
    if (JOBS_IN_QUEUES, 10**5) in costs and (JOBS_IN_QUEUES, 1) in costs:
        found["cost-1e5-queues-over-1"] = costs[JOBS_IN_QUEUES, 10**5] / costs[JOBS_IN_QUEUES, 1]
    return found


def section(runs):
    lines = ["Server CPU for one job's enqueue, dequeue and ack, at 50x64 with durability off, on top of jobs that stay queued: the "
             "oldest are taken while new ones are added. In brackets jobs per second."]
    names = list(by(runs, "contender"))
    rows = []
    for (jobs, queues), own in sorted(by(runs, "jobs", "queues").items(), key=lambda item: (item[0][1], item[0][0])):
        contenders = by(own, "contender")
        rows.append((short(jobs), f"{queues:,}",
                     *(f"{cost(contenders[name]):.2f} µs ({short(median(contenders[name], 'jobs_per_second'))})"
                       if name in contenders else "–" for name in names)))
    return lines + ["", *table(("jobs queued", "queues", *names), rows)]


def publish(results, folder):
    """The picture, and the table in README.md; of a full run only."""
    runs = results["growth"]
    if len(by(runs, "jobs")) <= 2:
        return

    def series(wanted, key):
        names = by([run for run in runs if wanted(run)], "contender")
        return {name: [(value, cost(own)) for value, own in sorted(by(runs, key).items())] for name, runs in names.items()}

    in_queues = by([run for run in runs if run["queues"] > 1], "contender")
    picture = chart.side_by_side([
        ("Jobs queued (one queue)", "jobs queued", "µs of server CPU a job", series(lambda run: run["queues"] == 1, "jobs")),
        ("Queues (a million jobs)", "queues", "µs of server CPU a job",
         series(lambda run: run["jobs"] == JOBS_IN_QUEUES and run["contender"] in in_queues, "queues"))])
    (folder / "growth.svg").write_text(picture)
    readme = folder / "README.md"
    before, _, after = readme.read_text().partition(MARK)
    rest = after.lstrip("\n").split("\n\n", 2)[2]  # behind the sentence and the table that were there
    sentence, _, *table_lines = section(runs)
    repetitions = len(next(iter(by(runs, "contender", "jobs", "queues").values())))
    sentence += f" Measured on {results['started'][:10]}; median of {repetitions}." if repetitions > 1 else \
        f" Measured once, on {results['started'][:10]}."
    readme.write_text("\n\n".join([before + MARK, sentence, "\n".join(table_lines), rest]))
