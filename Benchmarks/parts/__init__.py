"""The parts of the comparison, in the order in which they run and are shown.

A part is a module with
  TITLE            of its section
  ONLY_IN_FULL     True where a short run leaves it out unless it is named
  prepare(bench)   builds what it needs, where it does: before anything is measured
  run(bench)       measures; what it returns is kept in the results' JSON under the part's name
  section(found)   lines of Markdown
  ratios(found), figures(found)   name to value, where it has any
  publish(results, folder)        writes more than the section, where there is more
where `found` is what `run` returned, read back from the JSON.
"""

from . import connections, delayed, growth, idle, latency, limits, memory, rates, schedules, transport

PARTS = {"limits": limits, "rates": rates, "latency": latency, "memory": memory, "delayed": delayed,
         "connections": connections, "schedules": schedules, "growth": growth, "idle": idle, "transport": transport}
