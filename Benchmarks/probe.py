#!/usr/bin/env python3
"""Enqueues one job after the other until a time, and prints for each when it was sent and how many microseconds it took.

usage: probe.py PORT END   (END in seconds since 1970)
"""

import sys
import time

import messagepack

session = messagepack.Session(int(sys.argv[1]))
end = float(sys.argv[2])
taken = []
while (sent := time.time()) < end:
    begin = time.perf_counter_ns()
    session.call("enqueue", {"jobs": [{"queue": "probe", "task": "probe"}]})
    taken.append((sent, (time.perf_counter_ns() - begin) / 1000))
print("\n".join(f"{sent} {microseconds}" for sent, microseconds in taken))
