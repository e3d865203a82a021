#!/usr/bin/env python3
"""Writes ../fixtures: what NuvomSchedule is compared with. Nothing here is made with NuvomSchedule itself.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install croniter==7.0.0 cronsim==2.8 tzdata==2026.6
    /tmp/oracle/bin/python make_fixtures.py            writes the fixtures; prints where the implementations disagree
    /tmp/oracle/bin/python make_fixtures.py --explain Europe/Berlin '30 2 * * *' 2026-03-29T01:00:00Z
                                                       prints what is due around a transition, by each policy

`--transitions` or `--expressions` makes only these. README.md says what each file is, and who is right where they disagree. Runs for some two minutes; the same versions write the same bytes.
"""

import calendar
import collections
import functools
import importlib.metadata
import importlib.resources
import os
import random
import re
import signal
import sys
import zoneinfo
from datetime import datetime, time, timedelta, timezone
from pathlib import Path

import croniter
import cronsim
import tzdata

PINNED = {"croniter": "7.0.0", "cronsim": "2.8", "tzdata": "2026.6"}
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
UTC = timezone.utc
EPOCH = datetime(1970, 1, 1)

zoneinfo.reset_tzpath(())  # The wheel's zones, never the system's.


# The third implementation: for the syntax that neither of the two has, and to say which of them is right. It knows one date at a time.

NAMES = {
    "month": "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(),
    "weekday": "SUN MON TUE WED THU FRI SAT".split(),
}
RANGES = {"second": (0, 59), "minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}


def number(kind, text):
    if text in NAMES.get(kind, ()):
        return NAMES[kind].index(text) + RANGES[kind][0]
    return int(text)


@functools.cache
def plain(kind, item):
    """The set of an item without L, W and #."""
    low, high = RANGES[kind]
    body, _, step = item.partition("/")
    if body in ("*", "?"):
        first, last = low, high
    elif "-" in body:
        first, last = (number(kind, end) for end in body.split("-"))
        if kind == "weekday" and body.endswith("-SUN") and first > 0:
            last = 7
    else:
        first = number(kind, body)
        last = high if step else first
    return frozenset(range(first, last + 1, int(step or 1)))


class Expression:
    def __init__(self, text):
        fields = text.upper().split()
        if len(fields) == 5:
            fields.insert(0, "0")
        self.fields = fields
        self.seconds, self.minutes, self.hours, self.months = (
            frozenset().union(*(plain(kind, item) for item in field.split(",")))
            for kind, field in (("second", fields[0]), ("minute", fields[1]), ("hour", fields[2]), ("month", fields[4]))
        )
        self.both = fields[3][0] in "*?" or fields[5][0] in "*?"
        self.rhythm = fields[1][0] == "*" or fields[2][0] == "*"

    def matches_day_item(self, item, year, month, day):
        length = calendar.monthrange(year, month)[1]
        if item.startswith("L") or item.endswith("W"):
            nearest = item.endswith("W")
            body = item.removesuffix("W")
            wanted = length - int(body[2:] or 0) if body.startswith("L") else int(body)
            if not 1 <= wanted <= length:
                return False
            if nearest:
                candidates = [d for d in range(1, length + 1) if calendar.weekday(year, month, d) < 5]
                # Nearest; a tie there is none, as weekends have two days.
                wanted = min(candidates, key=lambda candidate: abs(candidate - wanted))
            return day == wanted
        return day in plain("day", item)

    def matches_weekday_item(self, item, year, month, day):
        weekday = (calendar.weekday(year, month, day) + 1) % 7
        if "#" in item:
            name, week = item.split("#")
            return number("weekday", name) % 7 == weekday and (day + 6) // 7 == int(week)
        if item.endswith("L"):
            return number("weekday", item[:-1]) % 7 == weekday and day + 7 > calendar.monthrange(year, month)[1]
        return bool({weekday, weekday + 7 if weekday == 0 else weekday} & plain("weekday", item))

    def matches_date(self, year, month, day):
        if month not in self.months:
            return False
        by_day = any(self.matches_day_item(item, year, month, day) for item in self.fields[3].split(","))
        by_weekday = any(self.matches_weekday_item(item, year, month, day) for item in self.fields[5].split(","))
        return (by_day and by_weekday) if self.both else (by_day or by_weekday)

    def matches(self, local):
        return (
            local.second in self.seconds
            and local.minute in self.minutes
            and local.hour in self.hours
            and self.matches_date(local.year, local.month, local.day)
        )

    def next_dues(self, after, count, until_year=2130):
        """Naive: in UTC, or in whatever zone has no transitions."""
        dues = []
        times = sorted(h * 3600 + m * 60 + s for h in self.hours for m in self.minutes for s in self.seconds)
        day = after.replace(hour=0, minute=0, second=0)
        while day.year < until_year:
            if self.matches_date(day.year, day.month, day.day):
                for seconds in times:
                    due = day + timedelta(seconds=seconds)
                    if due > after:
                        dues.append(due)
                        if len(dues) == count:
                            return dues
            day += timedelta(days=1)
        return dues


# Zones.


def write_zones():
    """Every TZif file of the wheel once, and an index of it. Returns one name for each file."""
    root = importlib.resources.files("tzdata") / "zoneinfo"
    names = collections.defaultdict(list)
    for folder, _, files in os.walk(str(root)):
        for file in files:
            path = Path(folder) / file
            content = path.read_bytes()
            if content.startswith(b"TZif"):
                names[content].append(str(path.relative_to(str(root))))
    offset = 0
    lines = [f"tzdata {tzdata.IANA_VERSION}"]
    blob = b""
    firsts = []
    # Links are files of their own in the wheel, so which name is the zone's own is not known: one as Europe/Berlin comes first.
    ordered = sorted((sorted(n, key=lambda name: ("/" not in name, name.startswith("Etc"), name)), c) for c, n in names.items())
    for aliases, content in ordered:
        firsts.append(aliases[0])
        lines.append(f"{offset} {len(content)} {' '.join(aliases)}")
        blob += content
        offset += len(content)
    (FIXTURES / "zones.bin").write_bytes(blob)
    (FIXTURES / "zones.txt").write_text("\n".join(lines) + "\n")
    return sorted(firsts)


def local_of(zone, seconds):
    return datetime.fromtimestamp(seconds, zone).replace(tzinfo=None, fold=0)


def offset_of(zone, seconds):
    return int(datetime.fromtimestamp(seconds, zone).utcoffset().total_seconds())


def transitions_of(zone, start, end):
    """Where the offset changes, found by looking once a day and then between. The tests find any that are closer together."""
    found = []
    step = 24 * 3600
    before = offset_of(zone, start)
    for instant in range(start + step, end, step):
        after = offset_of(zone, instant)
        if after != before:
            low, high = instant - step, instant
            while high - low > 1:
                middle = (low + high) // 2
                if offset_of(zone, middle) == before:
                    low = middle
                else:
                    high = middle
            found.append((high, after))
            before = after
    return found


# Due times around transitions, by brute force: every half minute of some days is looked at.

AROUND = {
    # Expression: how many hours before and after the transition count.
    "30 2 * * *": 26,
    "0 0 * * *": 26,
    "15 0,1,2,3,23 * * SUN": 26,
    "0,20,40 0-23 * * *": 3,
    "30 59 0,1,2,23 * * *": 26,
    "*/20 * * * *": 3,
    "30 * * * *": 3,
    "*/30 1-3 * * *": 26,
}
POLICIES = [(gap, fold) for gap in ("shift", "skip") for fold in ("first", "last", "both")]
STEP = 30
FARTHEST = 26 * 3600


class Window:
    """What clocks show around an instant."""

    def __init__(self, zone, middle):
        reach = 3 * FARTHEST
        self.instants = range(middle - reach, middle + reach, STEP)
        self.locals = [local_of(zone, instant) for instant in self.instants]
        self.shown = collections.defaultdict(list)
        for instant, local in zip(self.instants, self.locals):
            self.shown[local].append(instant)
        self.middle = middle
        self.shown_at = collections.defaultdict(list)
        for local in self.shown:
            self.shown_at[local.time()].append(local)
        # Each local time over which clocks were set forward, with the instant at which they were.
        self.skipped = {}
        for index in range(1, len(self.locals)):
            local = self.locals[index - 1] + timedelta(seconds=STEP)
            while local < self.locals[index]:
                if local not in self.shown:
                    self.skipped.setdefault(local, self.instants[index])
                local += timedelta(seconds=STEP)

    def matching(self, expression):
        for hour in expression.hours:
            for minute in expression.minutes:
                for second in expression.seconds:
                    for local in self.shown_at[time(hour, minute, second)]:
                        if expression.matches(local):
                            yield local

    def dues(self, expression, gap, fold, before, after):
        """Each due time, relative to the middle, with what is odd about it."""
        due = {}
        for local in self.matching(expression):
            instants = self.shown[local]
            for instant in instants:
                mark = "" if len(instants) == 1 else "f" if instant == instants[0] else "l"
                wanted = {"first": instants[:1], "last": instants[-1:], "both": instants}[fold]
                if expression.rhythm or instant in wanted:
                    due[instant] = mark
        if gap == "shift" and not expression.rhythm:
            for local, instant in self.skipped.items():
                if expression.matches(local):
                    due[instant] = "g"
        low, high = self.middle - before, self.middle + after
        return [(instant - self.middle, due[instant]) for instant in sorted(due) if low <= instant <= high]


def written(dues):
    return " ".join(f"{seconds}{mark}" for seconds, mark in dues)


def check_matching(text):
    """The three have the same idea of which local times match."""
    own, sim = Expression(text), cronsim.CronSim(text, EPOCH)
    six = len(text.split()) == 6
    expanded = croniter.croniter.expand(text, second_at_beginning=six)[0]
    assert own.minutes == sim.minutes == as_set(expanded[0], range(60)), text
    assert own.hours == sim.hours == as_set(expanded[1], range(24)), text
    day = datetime(2020, 1, 1)
    while day.year == 2020:
        assert own.matches_date(day.year, day.month, day.day) == (sim.match_day(day) and day.month in sim.months), text
        day += timedelta(days=1)


def as_set(values, everything):
    return set(everything) if values == ["*"] else set(values)


def cronsim_dues(zone, text, middle, before, after):
    """What cronsim says; "hangs" where it takes a second, which it does for ever."""

    def give_up(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(1)
    dues = []
    try:
        for due in cronsim.CronSim(text, datetime.fromtimestamp(middle - before - 1, zone)):
            seconds = int(due.timestamp())
            if seconds > middle + after:
                return dues
            dues.append(seconds - middle)
    except TimeoutError:
        return "hangs"
    finally:
        signal.alarm(0)


def write_transitions(names):
    """Transitions from 1970 to 2037, and for each what is due around it. Alike ones share a shape."""
    for text in AROUND:
        check_matching(text)
    shapes = {}
    texts = []
    zone_lines = []
    disagreements = collections.defaultdict(list)
    unexplained = []
    start, end = 86400 * 5, int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())
    for name in names:
        zone = zoneinfo.ZoneInfo(name)
        found = transitions_of(zone, start, end)
        parts = [name, str(offset_of(zone, start))]
        for index, (instant, after) in enumerate(found):
            # All that the days around it depend on.
            near = tuple(
                (other - instant, offset_of(zone, other - 1), offset)
                for other, offset in found
                if abs(other - instant) < 6 * FARTHEST
            )
            local = local_of(zone, instant)
            key = (near, local.time(), local.weekday())
            if key not in shapes:
                lines = []
                window = Window(zone, instant)
                for text, hours in AROUND.items():
                    expression = Expression(text)
                    by_list = collections.defaultdict(list)
                    for gap, fold in POLICIES:
                        dues = written(window.dues(expression, gap, fold, hours * 3600, hours * 3600))
                        by_list[dues].append(f"{gap}-{fold}")
                    for dues, who in by_list.items():
                        policies = ",".join(who) if len(who) < len(POLICIES) else "any"
                        lines.append(f"{text}|{policies}|{hours}|{dues}")
                    # cronsim knows one policy: shift and first. With seconds it knows none.
                    if len(text.split()) == 5:
                        own = [seconds for seconds, _ in window.dues(expression, "shift", "first", hours * 3600, hours * 3600)]
                        other = cronsim_dues(zone, text, instant, hours * 3600, hours * 3600)
                        if own != other:
                            disagreements[text].append((name, local_of(UTC, instant).isoformat(), own, other))
                            if not is_explained(name, expression, own, other):
                                unexplained.append(f"{text} {disagreements[text][-1]}")
                shape = "\n".join(lines)
                if shape not in texts:
                    texts.append(shape)
                shapes[key] = texts.index(shape)
            parts.append(f"{instant}:{after}:{shapes[key]}")
        zone_lines.append(" ".join(parts))
    with open(FIXTURES / "transitions.txt", "w") as file:
        file.write(f"tzdata {tzdata.IANA_VERSION}\n")
        for index, shape in enumerate(texts):
            file.write(f"shape {index}\n{shape}\n")
        file.write("zones\n" + "\n".join(zone_lines) + "\n")
    print(f"{len(names)} zones, {sum(len(line.split()) - 2 for line in zone_lines)} transitions, {len(texts)} shapes")
    for text, found in disagreements.items():
        print(f"cronsim differs around transitions: {text}: {len(found)} of {len(shapes)} kinds")
        for line in found[:3]:
            print("   ", *line)
    if unexplained:
        sys.exit("disagreements without a known reason:\n" + "\n".join(unexplained[:40]))


def is_explained(name, expression, own, other):
    """README.md has the reasons."""
    if other == "hangs":
        return name == "Asia/Colombo"
    missing, extra = set(own) - set(other), set(other) - set(own)
    return name == "Africa/Monrovia" or (expression.rhythm and not extra and all(0 <= due < 3600 for due in missing))


# Random expressions in UTC.


def random_item(numbers, kind):
    low, high = RANGES[kind]
    names = NAMES.get(kind)

    def value(n):
        if names and n - low < len(names) and numbers.random() < 0.3:
            return numbers.choice([str.upper, str.lower, str.title])(names[n - low])
        return str(n)

    form = numbers.random()
    first, last = sorted((numbers.randint(low, high), numbers.randint(low, high)))
    if form < 0.55:
        return value(first)
    if form < 0.75:
        # A range by name that ends on Sunday is 7 here and 0 elsewhere.
        return f"{value(first)}-{last}"
    if form < 0.85:
        return f"{first}-{last}/{numbers.choice([1, 2, 3, 5, 7, 40])}"
    if form < 0.93:
        return f"*/{numbers.choice([1, 2, 3, 5, 7, 10, 13, 30, 90])}"
    return f"{first}/{numbers.choice([2, 3, 5, 20])}"


def random_field(numbers, kind, star):
    if numbers.random() < star:
        return "*"
    count = numbers.choice([1, 1, 1, 1, 2, 3])
    return ",".join(random_item(numbers, kind) for _ in range(count))


def random_day(numbers):
    form = numbers.random()
    if form < 0.12:
        return numbers.choice(["L", "L", "LW", f"L-{numbers.randint(0, 28)}", f"{numbers.randint(1, 28)}W", "1W,L", "15,L-2"])
    return random_field(numbers, "day", 0.5)


def random_weekday(numbers):
    form = numbers.random()
    if form < 0.06:
        return f"{numbers.choice(['0', '3', '5', '7', 'FRI', 'sun'])}L"
    if form < 0.14:
        return f"{numbers.choice(['0', '3', '5', '7', 'FRI', 'sun'])}#{numbers.randint(1, 5)}"
    return random_field(numbers, "weekday", 0.5)


def random_expression(numbers):
    fields = [
        random_field(numbers, "minute", 0.2),
        random_field(numbers, "hour", 0.3),
        random_day(numbers),
        random_field(numbers, "month", 0.6),
        random_weekday(numbers),
    ]
    if numbers.random() < 0.04:
        fields[numbers.choice([2, 4])] = "?"
    if numbers.random() < 0.15:
        fields.insert(0, random_field(numbers, "second", 0.2))
    return " ".join(fields)


def by_croniter(text, after, count):
    # Its last Friday is L5.
    fields = text.upper().split()
    fields[-1] = ",".join(f"L{item[:-1]}" if len(item) > 1 and item.endswith("L") else item for item in fields[-1].split(","))
    try:
        iterator = croniter.croniter(
            " ".join(fields), after, ret_type=datetime, implement_cron_bug=True, second_at_beginning=len(fields) == 6
        )
        return [iterator.get_next() for _ in range(count)]
    except (croniter.CroniterError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"


def by_cronsim(text, after, count):
    try:
        iterator = cronsim.CronSim(text, after)
        return [next(iterator) for _ in range(count)]
    except (cronsim.CronSimError, StopIteration, AssertionError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


# Where the two disagree with the oracle, and why (README.md has who is right). A disagreement that none of these explains is an error.


def one_value_ranges(fields):
    """Items as 7-7, 7-7/2 and FRI-5."""
    for kind, field in zip(("minute", "hour", "day", "month", "weekday"), fields[-5:]):
        for item in field.split(","):
            first, dash, last = item.partition("/")[0].partition("-")
            if dash and first != "L" and number(kind, first) == number(kind, last):
                yield item
    if len(fields) == 6:
        yield from (i for i in fields[0].split(",") if "-" in i and len(set(i.partition("/")[0].split("-"))) == 1)


def cronsim_reason(fields):
    day, weekday = fields[-3], fields[-1]
    if "?" in (day, weekday):
        return "no ?"
    if "L-" in day or re.search(r"\dW", day):
        return "no L-3 and no 15W"
    if re.search(r"[A-Z]L", weekday):
        return "no FRIL, only 5L"
    if any("/" in item for item in one_value_ranges(fields)):
        return "7-7/2 is taken for 7/2"
    return None


def croniter_reason(fields):
    day, weekday = fields[-3], fields[-1]
    if "L-" in day or "LW" in day or ("W" in day and "," in day):
        return "no L-3, no LW, and 15W in no list"
    if re.search(r"[A-Z]L", weekday):
        return "no FRIL, only L5"
    if any(True for _ in one_value_ranges(fields)):
        return "7-7 is taken for all values"
    if "#" in weekday or "L" in weekday or "W" in day:
        return "with #, 5L or 15W both fields for days must match, and plain items beside them count for nothing"
    if re.search(r"(^|,)\w+/", weekday) or re.search(r"-(7|SUN)", weekday):
        return "the week of n/step ends on Saturday"
    if "*" in day[1:] or "*" in weekday[1:] or len(plain_union("weekday", weekday)) == 7 or len(plain_union("day", day)) == 31:
        return "a field that amounts to all values, or has a * anywhere, is as *"
    return None


def plain_union(kind, field):
    values = frozenset().union(*(plain(kind, item) for item in field.split(",") if not set(item) & {"L", "W"}))
    return {value % 7 for value in values} if kind == "weekday" else values


def write_expressions():
    numbers = random.Random(2026)
    lines = []
    tally = collections.Counter()
    reasons = collections.defaultdict(list)
    unexplained = []
    while len(lines) < 10_000:
        text = random_expression(numbers)
        # Naive times: in them the two know no zones.
        after = datetime(2020, 1, 1) + timedelta(seconds=numbers.randrange(20 * 365 * 86400))
        own = Expression(text).next_dues(after, 3)
        if len(own) < 3:
            continue  # Never due, or nearly: refusals have tests of their own.
        who = ""
        for letter, results, reason_of in (
            ("c", by_croniter(text, after, 3), croniter_reason),
            ("s", by_cronsim(text, after, 3), cronsim_reason),
        ):
            if results == own:
                who += letter
                continue
            reason = reason_of(text.upper().split())
            example = f"{text} after {after}: {results if isinstance(results, str) else results[0]} instead of {own[0]}"
            if reason is None:
                unexplained.append(f"{letter} {example}")
            reasons[letter, reason].append(example)
        tally[who or "-"] += 1
        seconds = [int((due - EPOCH).total_seconds()) for due in [after] + own]
        steps = " ".join(str(later - earlier) for earlier, later in zip(seconds, seconds[1:]))
        lines.append(f"{who or '-'}|{text}|{seconds[0]}|{steps}")
    (FIXTURES / "expressions.txt").write_text("\n".join(lines) + "\n")
    print("expressions on which croniter (c) and cronsim (s) agree with the oracle:", dict(tally))
    for (letter, reason), examples in sorted(reasons.items(), key=str):
        print(f"{letter} differs, {reason}: {len(examples)}")
        for example in examples[:3]:
            print("   ", example)
    if unexplained:
        sys.exit("disagreements without a known reason:\n" + "\n".join(unexplained[:40]))


def explain(name, text, instant):
    zone = zoneinfo.ZoneInfo(name)
    middle = int(datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp())
    window = Window(zone, middle)
    for gap, fold in POLICIES:
        print(gap, fold)
        for seconds, mark in window.dues(Expression(text), gap, fold, FARTHEST, FARTHEST):
            print("   ", datetime.fromtimestamp(middle + seconds, zone).isoformat(), mark)


def main():
    for module, version in PINNED.items():
        installed = importlib.metadata.version(module)
        if installed != version:
            sys.exit(f"{module} is {installed}, but the fixtures are made with {version}: pip install {module}=={version}")
    if sys.argv[1:2] == ["--explain"]:
        return explain(*sys.argv[2:5])
    FIXTURES.mkdir(exist_ok=True)
    if "--expressions" not in sys.argv:
        write_transitions(write_zones())
    if "--transitions" not in sys.argv:
        write_expressions()


if __name__ == "__main__":
    main()
