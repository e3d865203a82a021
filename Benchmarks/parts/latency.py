"""From the moment a job should have been enqueued to its receipt, at a fixed rate that does not wait for anybody."""

from bench import CONTENDERS, by, cpu, median, spread, table, time_text

TITLE = "Latency at 5,000 jobs/s"
RATE = 5000


def run(bench):
    runs = []
    for durability in ("strict",) if bench.short else ("off", "relaxed", "strict"):
        contenders = bench.present(CONTENDERS)
        for _, contender in bench.in_turns(contenders):
            with bench.server(contender, durability) as server:
                run = bench.load(server, contender, "paced", "--connections", 10, "--rate", RATE,
                                 "--seconds", 3 if bench.short else 10, "--warm-up", 1)
            runs.append({"durability": durability, "contender": contender.name, **cpu(run),
                         **{key: run[key] for key in ("jobs", "missing", "jobs_per_second", "p50_us", "p99_us", "p999_us",
                                                      "max_us", "send_p50_us", "send_p99_us")}})
        bench.say("\n".join(f"{durability}/{name}: p50 {time_text(median(own, 'p50_us'))}, p99 {time_text(median(own, 'p99_us'))}"
                            for name, own in by([run for run in runs if run["durability"] == durability], "contender").items()))
    return runs


def keeps_up(runs):
    return median(runs, "jobs_per_second") > 0.98 * RATE and median(runs, "missing") == 0


def ratios(runs):
    """Of times, the peer's over Nuvom's; a peer that does not keep up is compared with only if none does."""
    found = {}
    for durability, own in by(runs, "durability").items():
        contenders = by(own, "contender")
        if "nuvom" not in contenders:
            continue
        all_peers = [runs for name, runs in contenders.items() if name != "nuvom"]
        peers = [runs for runs in all_peers if keeps_up(runs)] or all_peers
        for quantile in ("p50", "p99"):
            best = min(median(runs, f"{quantile}_us") for runs in peers)
            found[f"{durability}-latency-{quantile}"] = best / median(contenders["nuvom"], f"{quantile}_us")
    return found


def section(runs):
    lines = ["From the intended moment to the receipt, open loop, 10 producers and 10 consumers: medians (least–most) of the "
             "repetitions. *sent late* is the generator's own part of it: how long after the intended moment the job was sent."]
    rows = []
    for (durability, name), own in by(runs, "durability", "contender").items():
        times = [spread([run[f"{quantile}_us"] for run in own], time_text) for quantile in ("p50", "p99", "p999", "max")]
        done = f"{median(own, 'jobs_per_second'):.0f}" + ("" if keeps_up(own) else " (does not keep up)")
        rows.append((f"{name}/{durability}", *times, done,
                     f"{time_text(median(own, 'send_p50_us'))} / {time_text(median(own, 'send_p99_us'))}",
                     f"{median(own, 'server_cores'):.2f} / {median(own, 'client_cores'):.2f}"))
    return lines + ["", *table(("", "p50", "p99", "p99.9", "max", "jobs/s done", "sent late p50 / p99", "cores"), rows)]
