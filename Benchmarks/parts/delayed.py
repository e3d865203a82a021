"""Delayed jobs: how fast they are put, into an empty broker and on top of a million, and how late they are delivered."""

from bench import BEANSTALKD, NUVOM, by, cpu, median, short, spread, table, time_text

TITLE = "Delayed jobs"
PILE = 1_000_000
HOUR = ("--delay-ms", 3_600_000)
PUT = ("--connections", 10, "--in-flight", 100, *HOUR)
DELAY_SECONDS = 2  # beanstalkd's delays are whole seconds
# Jobs due in a second, and takes in flight on each of ten consumers.
RATES = [(1000, 1), (50_000, 64)]


def run(bench):
    runs = []
    for durability in ("off",) if bench.short else ("off", "relaxed", "strict"):
        # A million jobs at beanstalkd's strict rate of some thousands take minutes.
        contenders = [contender for contender in bench.present([NUVOM, BEANSTALKD])
                      if durability != "strict" or contender is NUVOM]
        piled = {}
        try:
            for contender in contenders:
                # One pile for all repetitions: the others stand still while one is measured.
                server = piled[contender] = bench.server(contender, durability).wait_until_listening()
                add(runs, contender, durability, "fill", bench.fill(server, contender, PILE, *HOUR))
            for _, contender in bench.in_turns(contenders):
                measure(bench, runs, contender, durability, piled[contender])
        finally:
            for server in piled.values():
                server.end()
        bench.say("\n".join(step_text(own) for own in by(runs, "durability", "contender", "step").values()
                            if own[0]["durability"] == durability))
    return runs


def measure(bench, runs, contender, durability, piled):
    window = ("--seconds", bench.seconds, "--warm-up", bench.seconds / 5)
    with bench.server(contender, durability) as empty:
        add(runs, contender, durability, "put, empty", bench.load(empty, contender, "enqueue", *PUT, *window))
    add(runs, contender, durability, "put, on top", bench.load(piled, contender, "enqueue", *PUT, *window))
    piled.wait_until_quiet()
    for rate, takes in RATES:
        if bench.short and rate != 1000:
            continue
        run = bench.load(piled, contender, "paced", "--connections", 10, "--in-flight", takes, "--rate", rate,
                         "--delay-ms", 1000 * DELAY_SECONDS, "--seconds", 2 if bench.short else 5, "--warm-up", 0.5)
        add(runs, contender, durability, f"{rate} due a second", run)
        if run["missing"]:
            # What it could not deliver in time is taken away, or it would be in the way of the next repetition.
            bench.load(piled, contender, "backlog", "--connections", 10, "--in-flight", 64, "--seconds", 10)


def add(runs, contender, durability, step, run):
    measured = {key: run[key] for key in ("jobs_per_second", "missing", "p50_us", "p99_us", "p999_us", "max_us", "send_p99_us")
                if key in run}
    runs.append({"contender": contender.name, "durability": durability, "step": step, **measured, **cpu(run)})


def step_text(own):
    text = f"{own[0]['contender']}/{own[0]['durability']}: {own[0]['step']}: {short(median(own, 'jobs_per_second'))} jobs/s"
    return text + (f", late p99 {time_text(median(own, 'p99_us'))}" if "p99_us" in own[0] else "")


def figures(runs):
    found = {}
    for (durability, step), own in by([run for run in runs if run["contender"] == "nuvom"], "durability", "step").items():
        if durability != "off":
            continue
        if step == "1000 due a second":
            found["delayed-lateness-p99-ms"] = median(own, "p99_us") / 1000
        if step.startswith("put"):
            found[f"delayed-{step.replace(', ', '-').replace(' ', '-')}-per-second"] = median(own, "jobs_per_second")
    return found


def section(runs):
    lines = ["A million jobs with a delay of an hour (*fill*, 10x100), then in turns: the rate of putting more of them (10x100) into an "
             "empty server and on top of the million, and the lateness of jobs with a delay of two seconds that are put at a fixed "
             "rate on top of it. Redis has no delayed jobs.", "",
             "Lateness is the receipt less the due time, which is the moment of sending plus the delay by the generator's clock: "
             "the way to the server, after which a server's delay starts, counts against the server."]
    rows = []
    for (durability, name, step), own in by(runs, "durability", "contender", "step").items():
        times = ["–"] * 4
        if "p99_us" in own[0]:
            times = [spread([run[f"{key}_us"] for run in own], time_text) for key in ("p50", "p99", "p999", "max")]
        missing = f", {median(own, 'missing'):.0f} missing" if own[0].get("missing") else ""
        rows.append((f"{name}/{durability}", step, spread([run["jobs_per_second"] for run in own]) + missing, *times,
                     f"{median(own, 'server_cores'):.2f} / {median(own, 'client_cores'):.2f}"))
    return lines + ["", *table(("", "step", "jobs/s", "late p50", "p99", "p99.9", "max", "cores"), rows)]
