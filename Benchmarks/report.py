"""Turns results into tables, ratios and figures. Everything shown anywhere comes from the results' JSON through here."""

import statistics

# name, what it is, and the bound that it should keep
GOALS = [
    ("ratio", "off-50x1-enqueue-cpu", "at least", 1 / 0.9),
    ("ratio", "strict-50x64-enqueue", "at least", 1.0),
    ("figure", "memory-bytes-per-job", "at most", 170),
    ("figure", "log-bytes-per-job", "at most", 150),
    ("figure", "recovery-1m-seconds", "at most", 0.7),
    ("figure", "idle-cpu-percent", "at most", 0.05),
]


def short(number):
    if number >= 999_500:
        return f"{number / 1e6:.2f}M"
    if number >= 9_995:
        return f"{number / 1e3:.0f}k"
    if number >= 1_000:
        return f"{number / 1e3:.1f}k"
    return f"{number:.3g}"


def grouped(runs):
    """Row name to contender to its runs, in the order measured."""
    groups = {}
    for run in runs:
        groups.setdefault(run["row"], {}).setdefault(run["contender"], []).append(run)
    return groups


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def is_nuvom(contender):
    return contender.startswith("nuvom")


def strongest_peer(contenders):
    peers = {name: median(runs, "jobs_per_second") for name, runs in contenders.items() if not is_nuvom(name)}
    return max(peers.values(), default=None)


def row_text(prefix, runs):
    lines = []
    for row, contenders in grouped(runs).items():
        if row.rsplit("-", 1)[0] == prefix:
            cells = [f"{name} {short(median(own, 'jobs_per_second'))}" for name, own in contenders.items()]
            lines.append(f"{row}: " + ", ".join(cells))
    return "\n".join(lines)


def memory_text(result):
    text = f"{result['contender']}/{result['durability']}: {result['memory_bytes_per_job']:.0f} bytes of memory a job"
    if "recovery_seconds" in result:
        text += (f", {result['log_bytes_per_job']:.0f} of log, "
                 f"{statistics.median(result['recovery_seconds']):.2f} s to the first job after SIGKILL")
    return text


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def ratios(results):
    found = {}
    for row, contenders in grouped(results.get("rates", [])).items():
        best = strongest_peer(contenders)
        if best and "nuvom" in contenders:
            found[row] = median(contenders["nuvom"], "jobs_per_second") / best
        if best and "nuvom-batch100" in contenders:
            prefix, mode = row.rsplit("-", 1)
            found[f"{prefix}-batch100-{mode}"] = median(contenders["nuvom-batch100"], "jobs_per_second") / best
        if row == "off-50x1-enqueue" and "nuvom" in contenders and "beanstalkd" in contenders:
            found[f"{row}-cpu"] = (median(contenders["beanstalkd"], "server_us_per_job")
                                   / median(contenders["nuvom"], "server_us_per_job"))
    return found


def figures(results):
    found = {}
    for name, runs in grouped(results.get("rates", [])).get("off-50x1-enqueue", {}).items():
        if "batch" not in name:
            found[f"off-50x1-enqueue-cpu-us-{name}"] = median(runs, "server_us_per_job")
    for result in results.get("memory", []):
        if result["contender"] != "nuvom":
            continue
        if result["durability"] == "off":
            found["memory-bytes-per-job-ephemeral"] = result["memory_bytes_per_job"]
        else:
            found["memory-bytes-per-job"] = result["memory_bytes_per_job"]
            found["log-bytes-per-job"] = result["log_bytes_per_job"]
            found["recovery-1m-seconds"] = statistics.median(result["recovery_seconds"])
    for result in results.get("idle", []):
        if result["server"] == "nuvom":
            found["idle-cpu-percent"] = result["cpu_us_per_second"] / 1e4
    return found


def final_lines(results):
    lines = [f"ratio {name} {value:.3f}" for name, value in ratios(results).items()]
    return lines + [f"figure {name} {value:.4g}" for name, value in figures(results).items()]


def page(results):
    machine, method = results["machine"], results["method"]
    lines = ["# Results", "", "Written by `compare.py --publish` from the results of one run; not edited by hand.", "",
             f"{results['started'][:10]} · {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB · "
             f"Linux {machine['kernel']}, {machine['file_system']}, {machine['cores_busy_before']} cores busy before · "
             + " · ".join(machine["versions"].values())
             + f" · {method['repetitions']} repetitions of {method['seconds']:g} s in turns · "
             f"the run took {results['took_seconds']:.0f} s"]
    for title, section in (("Goals", goals), ("Rates", rates), ("Memory, log and recovery", memory), ("Idle", idle),
                           ("Limits of the machine", limits)):
        body = section(results)
        if body:
            lines += ["", f"## {title}", "", *body]
    return "\n".join(lines) + "\n"


def goals(results):
    found = {"ratio": ratios(results), "figure": figures(results)}
    rows = []
    for kind, name, relation, bound in GOALS:
        if name not in found[kind]:
            continue
        value = found[kind][name]
        met = value >= bound if relation == "at least" else value <= bound
        rows.append((f"{kind} {name}", f"{value:.3g}", f"{relation} {bound:.3g}", "yes" if met else "**no**"))
    return table(("what", "measured", "wanted", "reached"), rows) if rows else []


def rates(results):
    groups = grouped(results.get("rates", []))
    if not groups:
        return []
    lines = ["Jobs per second: median (least–most); server CPU a job; busy cores of server / generator. Ratio: Nuvom over "
             "the strongest peer."]
    for row, contenders in groups.items():
        best = strongest_peer(contenders)
        rows = []
        for name, runs in contenders.items():
            speeds = [run["jobs_per_second"] for run in runs]
            ratio = f"{statistics.median(speeds) / best:.2f}" if best and is_nuvom(name) else ""
            rows.append((name, f"{short(statistics.median(speeds))} ({short(min(speeds))}–{short(max(speeds))})",
                         f"{median(runs, 'server_us_per_job'):.2f} µs",
                         f"{median(runs, 'server_cores'):.2f} / {median(runs, 'client_cores'):.2f}", ratio))
        rows.sort(key=lambda row: not is_nuvom(row[0]))
        lines += ["", f"### {row}", "", *table(("", "jobs/s", "server CPU", "cores", "ratio"), rows)]
    return lines


def memory(results):
    rows = []
    for result in results.get("memory", []):
        durable = "recovery_seconds" in result
        rows.append((f"{result['contender']}/{result['durability']}", short(result["jobs"]),
                     short(result["jobs_per_second"]), f"{result['memory_bytes_per_job']:.0f}",
                     f"{result['log_bytes_per_job']:.0f}" if durable else "–",
                     f"{statistics.median(result['recovery_seconds']):.2f}" if durable else "–",
                     f"{result['memory_bytes_per_job_recovered']:.0f}" if durable else "–"))
    if not rows:
        return []
    return table(("", "jobs", "enqueue jobs/s (10x100)", "memory bytes/job", "log bytes/job",
                  "seconds from start to first job after SIGKILL", "memory bytes/job after it"), rows)


def idle(results):
    rows = [(result["server"], f"{result['cpu_us_per_second']:.0f} µs") for result in results.get("idle", [])]
    return table(("", "CPU time in a second"), rows) if rows else []


def limits(results):
    rows = [(limit["name"], f"{short(limit['value'])} {limit['unit']}",
             f"{limit['server_us']:.2f} µs" if "server_us" in limit else "–") for limit in results.get("limits", [])]
    return table(("", "", "server CPU each"), rows) if rows else []
