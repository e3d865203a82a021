"""Turns results into pages, ratios and figures. Everything shown anywhere comes from the results' JSON through here."""

from bench import table
from parts import PARTS

# name, what it is, and the bound that it should keep: ratios at least, figures at most
RATIO_GOALS = {
    "strict-50x64-enqueue": 2.0,
    "strict-50x64-backlog": 3.0,
    "strict-50x64-together": 4.0,
    "strict-50x1-enqueue": 1.15,
    "strict-50x1-together": 2.0,
    "strict-latency-p50": 1.0,
    "strict-latency-p99": 1.0,
    "off-50x64-enqueue": 1.5,
    "off-50x64-backlog": 3.0,
    "off-50x64-together": 3.0,
    "off-50x1-enqueue": 0.9,
    "off-50x1-together": 1.3,
    "strict-1x1-batch100-enqueue": 20,
    "relaxed-50x64-together": 3.0,
}
FIGURE_GOALS = {
    "memory-bytes-per-job": 160,
    "log-bytes-per-job": 135,
    "recovery-1m-seconds": 0.4,
    "delayed-lateness-p99-ms": 1.0,
    "cost-1e7-over-1e3": 1.5,
    "idle-connection-kib": 20,
    "schedule-bytes": 300,
    "schedule-creation-us": 5,
    "schedule-idle-cpu-percent": 0.1,
    "schedule-herd-seconds": 2,
    "schedule-herd-others-p99": 2,
    "schedule-lateness-p99-ms": 2,
}


def of_all_parts(results, kind):
    found = {}
    for name, part in PARTS.items():
        if name in results and hasattr(part, kind):
            found.update(getattr(part, kind)(results[name]))
    return found


def final_lines(results):
    lines = [f"ratio {name} {value:.3f}" for name, value in of_all_parts(results, "ratios").items()]
    return lines + [f"figure {name} {value:.4g}" for name, value in of_all_parts(results, "figures").items()]


def goals(results):
    ratios, figures = of_all_parts(results, "ratios"), of_all_parts(results, "figures")
    rows = [(f"ratio {name}", f"{ratios[name]:.3g}", f"at least {bound:g}", "yes" if ratios[name] >= bound else "**no**")
            for name, bound in RATIO_GOALS.items() if name in ratios]
    rows += [(f"figure {name}", f"{figures[name]:.3g}", f"at most {bound:g}", "yes" if figures[name] <= bound else "**no**")
             for name, bound in FIGURE_GOALS.items() if name in figures]
    return table(("what", "measured", "wanted", "reached"), rows) if rows else []


def page(results):
    machine, method = results["machine"], results["method"]
    runs = results.get("runs", 1)
    source = "one run" if runs == 1 else f"{runs} runs, each part whole from one of them"
    lines = ["# Results", "", f"Written by `compare.py --publish` from the results of {source}; not edited by hand.", "",
             f"{results['started'][:10]} · {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB · "
             f"Linux {machine['kernel']}, {machine['file_system']}, "
             f"{max(machine['cores_busy_with_others'].values())} cores kept busy by others at most · "
             + " · ".join(machine["versions"].values())
             + f" · {method['repetitions']} repetitions in turns, rates over {method['seconds']:g} s · "
             f"took {results['took_seconds']:.0f} s"]
    reached = goals(results)
    if reached:
        lines += ["", "## Goals", "", *reached]
    for name, part in PARTS.items():
        if name in results:
            lines += ["", f"## {part.TITLE}", "", *part.section(results[name])]
    return "\n".join(lines) + "\n"
