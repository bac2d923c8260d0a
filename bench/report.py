#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""What hvpt-bench measured, for people: a table, charts, and the part of README.md that shows them.

usage: hvpt-bench | report.py collect BUILD_DIR FILE    results into FILE, with the machine, the compiler and code sizes
       report.py table FILE                             everything, as text
       report.py charts FILE DIR                        DIR/bench-ratios.svg and DIR/bench-growth.svg, by gnuplot
       report.py readme FILE README                     the table between README's two bench comments
"""
import datetime
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import OrderedDict
from pathlib import Path

import size

# Name in the results, heading of its column, its mark in the chart (gnuplot's colour and point type; None: not there).
SIDES = OrderedDict([
    ("ept linear", ("linear", ("#40b0a0", 9))),
    ("ept called", ("called", ("#0090d0", 5))),
    ("ept retpoline", ("retpoline", ("#7080b0", 10))),
    ("ept inline", ("inline", ("#0060b0", 7))),
    ("npt linear", ("NPT", None)),
    ("s2 linear", ("stage 2", None)),
    ("gstage linear", ("G-stage", None)),
    ("plain walker", ("plain", ("#808080", 6))),
    ("x86_64 crate", ("x86_64", ("#d06010", 4))),
    ("page_table_multiarch", ("multiarch", ("#a03070", 8))),
])
LEGEND = {"ept linear": "EPT, linear map", "ept called": "EPT, hooks called", "ept retpoline": "EPT, called, retpolines",
          "ept inline": "EPT, inlined"}
IN_README = [name for name in SIDES if SIDES[name][1]]
MET, MISSED = "✓", "✗"
GROWTH = re.compile(r"grow: (.+?)(?: in)? (\d+) MiB")
AT_LEAST = "times as fast"  # in a job whose goal is a number to reach, not one to stay below


# ---- collecting ----

def first_line(path, start=""):
    try:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if line.startswith(start):
                return line[len(start):].strip(" \t:")
    except OSError:
        pass
    return ""


def machine():
    caches = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if first_line(index / "type") != "Instruction":
            caches["L" + first_line(index / "level")] = first_line(index / "size")
    return {
        "processor": first_line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "caches": caches,
        "memory": first_line("/proc/meminfo", "MemTotal"),
        "huge pages": "".join(re.findall(r"\[(\w+)\]", first_line("/sys/kernel/mm/transparent_hugepage/enabled"))),
        "system": f"{platform.system()} {platform.release()}",
        "load": os.getloadavg()[0],
    }


def compiler_of(build):
    """What meson compiled hvpt-bench with, in its own words."""
    targets = json.loads((Path(build) / "meson-info" / "intro-targets.json").read_text(encoding="utf-8"))
    for target in targets:
        if target["name"] == "hvpt-bench":
            command = [part for part in target["target_sources"][0]["compiler"] if "ccache" not in part]
            said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout
            said = re.sub(r"^\S*cc ", "gcc ", said) if "Free Software Foundation" in said else said
            return said.splitlines()[0] if said else ""
    return ""


def collect(build, file):
    report = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "machine": machine(),
              "compiler": compiler_of(build), "results": []}
    if report["machine"]["load"] > 0.3 * os.cpu_count():
        print("This machine is busy: the figures will be worse than they could be, and less steady.", file=sys.stderr)
    last = None
    for line in sys.stdin:
        result = json.loads(line)
        if result["job"] != last:
            last = result["job"]
            print("  " + last, file=sys.stderr, flush=True)
        report["results"].append(result)
    if shutil.which("gcc") and platform.machine() == "x86_64":
        print("  code size", file=sys.stderr, flush=True)
        report["code"] = [{"format": row[0], "what": row[1], "option": row[2], "bytes": bytes_}
                          for row, bytes_ in size.measure_all().items()]
    Path(file).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


# ---- sorting ----

def split(report):
    """Jobs that have a roofline: name -> side -> result; growth: (kind, side) -> [(MiB, ns)]; the rest in its order."""
    with_limit = {result["job"] for result in report["results"] if result["name"] == "roofline"}
    jobs, growth, rest = OrderedDict(), OrderedDict(), []
    for result in report["results"]:
        grows = GROWTH.fullmatch(result["job"])
        if result["job"] in with_limit:
            jobs.setdefault(result["job"], {})[result["name"]] = result
        elif grows:
            growth.setdefault((grows.group(1), result["name"]), []).append((int(grows.group(2)), result["ns"]))
        else:
            rest.append(result)
    return jobs, growth, rest


def met(result):
    """True, False, or None where there is no goal."""
    if "goal" not in result or "ratio" not in result:
        return None
    if AT_LEAST in result["job"]:
        return result["ratio"] >= result["goal"]
    return result["ratio"] <= result["goal"]


def mark(result):
    return {True: MET, False: MISSED, None: ""}[met(result)]


def number(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def goals_of(sides):
    """The goals of a job: "1.25", or those of linear, called and inline, where they differ: "2.4/3.6/2", "1.1/–/1.1"."""
    goals = [sides.get(name, {}).get("goal") for name in ("ept linear", "ept called", "ept inline")]
    if len(set(goals)) == 1:
        goals = [goal for goal in goals[:1] if goal is not None]
    return "/".join("–" if goal is None else f"{goal:g}" for goal in goals)


def size_text(mib):
    return f"{mib} MiB" if mib < 1024 else f"{mib // 1024} GiB" if mib < 1 << 20 else f"{mib >> 20} TiB"


def about(report):
    at = report["machine"]
    caches = ", ".join(f"{level} {size_}" for level, size_ in at["caches"].items())
    return (f"{at['processor']}, {at['processors']} processors ({caches}), {report['compiler']} -O2, "
            f"{report['date'].split()[0]}")


# ---- as text ----

def print_jobs(jobs):
    there = [name for name in SIDES if any(name in sides for sides in jobs.values())]
    print(f"Times the limit of this machine: what a bare loop takes, in ns. {MET} {MISSED}: goal met, or missed.")
    print("linear, called: EPT by hvpt_space_*, memory at an offset and by a hook; retpoline: called, with a kernel's flags;")
    print("inline: hvpt_ept_*, with hooks that the compiler knows.")
    print()
    print(f"{'job':<44}{'limit':>7}{'goal':>12}" + "".join(f"{SIDES[name][0]:>10}" for name in there))
    for job, sides in jobs.items():
        cells = ""
        for name in there:
            result = sides.get(name)
            said = number(result["ratio"]) + (mark(result) or " ") if result and "ratio" in result else ""
            cells += f"{said:>10}"
        print(f"{job:<44}{number(sides['roofline']['ns']):>7}{goals_of(sides):>12}{cells}")


def print_growth(growth):
    kinds = list(growth)
    print("How the cost grows: ns a page, or an address, by what is mapped")
    print()
    print(f"{'mapped':<10}" + "".join(f"{' '.join(kind):>26}" for kind in kinds))
    for mib in sorted({mib for points in growth.values() for mib, _ in points}):
        cells = "".join(f"{number(dict(growth[kind])[mib]) if mib in dict(growth[kind]) else '':>26}" for kind in kinds)
        print(f"{size_text(mib):<10}{cells}")


def print_rest(rest):
    for result in rest:
        if AT_LEAST in result["job"]:
            goal = f"  (goal: at least {result['goal']:g}) {mark(result)}" if "goal" in result else ""
            said = f"{number(result['ratio'])}{goal}"
        elif result["unit"] in ("flushes", "bytes a GiB"):
            said = f"{result['ns']:.0f} {result['unit']}"
        else:
            said = f"{number(result['ns'])} ns a {result['unit']}" if result["unit"] else number(result["ns"])
            said += f", ratio {number(result['ratio'])} {mark(result)}" if "ratio" in result else ""
        print(f"{result['job']:<52}{result['name']:<28}{said}")


def table(report):
    jobs, growth, rest = split(report)
    print(about(report))
    for part, show in ((jobs, print_jobs), (growth, print_growth), (rest, print_rest)):
        if part:
            print()
            show(part)
    if report.get("code"):
        print("\nBytes of code, gcc for x86-64 with a kernel's flags")
        for row in report["code"]:
            print(f"{row['format']:<8}{row['what']:<18}{row['option']:<5}{row['bytes']:>8}")
    judged = [met(result) for result in report["results"] if met(result) is not None]
    if judged:
        print(f"\n{sum(judged)} goals met, {len(judged) - sum(judged)} missed")


# ---- charts ----

SVG = "set terminal svg size {},{} noenhanced font 'sans-serif,13' background '#ffffff'\nset output '{}'\n" \
      "set grid lt 1 lc rgb '#e4e4e4' lw 1\nset border lc rgb '#606060'\nset tmargin 3\n" \
      "set label 1 '{}' at screen 0.5, screen 0.97 center\n"


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def gnuplot(script):
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def chart_ratios(report, path):
    """One row a job, ratios to the right on a logarithmic scale: the nearer to 1, the better. Strokes are goals."""
    jobs = OrderedDict((job, sides) for job, sides in split(report)[0].items()
                       if any(name in sides for name in IN_README))
    if not jobs:
        return
    rows = {job: len(jobs) - at for at, job in enumerate(jobs)}
    shown = [name for name in IN_README if any(name in sides for sides in jobs.values())]
    height = 140 + 46 * len(jobs)
    script = SVG.format(1000, height, path,
                        "Time, as a multiple of what a bare loop takes on such tables; the last: of 32 single calls")
    script += f"set logscale x\nset key at screen 0.5, screen {64 / height} center top horizontal maxcols 4 samplen 1\n"
    lowest = min(sides[name]["ratio"] for sides in jobs.values() for name in shown if "ratio" in sides.get(name, {}))
    script += f"set bmargin 6\nset yrange [0.4:{len(jobs) + 0.6}]\nset xrange [{min(0.5, lowest * 0.8)}:*]\n"
    script += "set arrow from 1,graph 0 to 1,graph 1 nohead lc rgb '#303030'\n"
    script += "set ytics (" + ", ".join(f"{quoted(job)} {row}" for job, row in rows.items()) + ")\n"
    parts, goals = [], ""
    for at, name in enumerate(shown):
        offset = 0.3 - 0.6 * at / max(1, len(shown) - 1)
        colour, point = SIDES[name][1]
        script += f"$side{at} << END\n"
        for job, sides in jobs.items():
            if "ratio" in sides.get(name, {}):
                script += f"{sides[name]['ratio']} {rows[job] + offset}\n"
                if "goal" in sides[name]:
                    goals += f"{sides[name]['goal']} {rows[job] + offset - 0.07} 0 0.14\n"
        script += "END\n"
        parts.append(f"$side{at} using 1:2 with points pt {point} ps 0.9 lc rgb '{colour}' "
                     f"title {quoted(LEGEND.get(name, name))}")
    if goals:
        script += f"$goals << END\n{goals}END\n"
        parts.append("$goals using 1:2:3:4 with vectors nohead lw 2 lc rgb '#000000' title 'goal'")
    gnuplot(script + "plot " + ", \\\n  ".join(parts) + "\n")


def chart_growth(report, path):
    growth = split(report)[1]
    if not growth:
        return
    script = SVG.format(1000, 480, path, "How the cost grows with what is mapped by 4K pages")
    script += "set logscale xy\nset key outside right\n"
    script += "set ylabel 'ns a page, or an address'\nset xlabel 'mapped'\nset xtics rotate by -40\n"
    sizes = sorted({mib for points in growth.values() for mib, _ in points})
    script += f"set xrange [{sizes[0]}:{sizes[-1]}]\n"
    script += "set xtics (" + ", ".join(f"'{size_text(mib)}' {mib}" for mib in sizes) + ")\n"
    parts = []
    several = len({name for _, name in growth}) > 1
    for at, ((kind, name), points) in enumerate(growth.items()):
        script += f"$line{at} << END\n" + "".join(f"{mib} {ns}\n" for mib, ns in points) + "END\n"
        title = quoted(f"{kind}, {LEGEND.get(name, name)}" if several else kind)
        parts.append(f"$line{at} using 1:2 with linespoints lw 2 pt 7 ps 0.6 title {title}")
    gnuplot(script + "plot " + ", \\\n  ".join(parts) + "\n")


def charts(report, directory):
    if not shutil.which("gnuplot"):
        print("No charts: no gnuplot (Debian: gnuplot-nox)", file=sys.stderr)
        return
    for name, draw in (("bench-ratios.svg", chart_ratios), ("bench-growth.svg", chart_growth)):
        draw(report, Path(directory) / name)


# ---- README.md ----

def beside_the_table(report):
    """What has no roofline of its own, in sentences: two processors, and bytes of code."""
    found = {(result["job"], result["name"]): result for result in report["results"]}
    ratios = [found.get(key, {}).get("ratio") for key in (
        ("two CPUs, times as fast as under a lock", "ept linear"), ("two CPUs, times as fast as one", "ept linear"),
        ("two CPUs, times as fast as one", "bare"), ("fault in random pages", "fault_map, two CPUs"))]
    lines = []
    if all(ratios):
        lines.append(f"Two processors that fault in pages at random are {ratios[0]:.1f} times as fast as under a lock "
                     f"(goal: 5) and {ratios[1]:.2f} times as fast as one alone (goal: 1.5). Both goals are for processors "
                     f"that are near each other: a bare walk, a compare-exchange and a count gain {ratios[2]:.2f} times there "
                     f"from the second (2 between neighbours), and on both fault_map takes {ratios[3]:.2f} times what they "
                     "take.")
    code = {row["option"]: row["bytes"] for row in report.get("code", [])
            if row["format"] == "ept" and row["what"] == "all operations"}
    if code:
        lines.append("All operations of EPT together: " + ", ".join(f"{size_ / 1000:.1f} KB of code with gcc {option}"
                                                                    for option, size_ in code.items()) + ".")
    return [part for line in lines for part in ("", textwrap.fill(line, 140))]


def markdown(report):
    jobs = split(report)[0]
    there = [name for name in IN_README if any(name in sides for sides in jobs.values())]
    heads = [f"EPT, {SIDES[name][0]}" if name.startswith("ept") else name for name in there]
    lines = [f"Measured on: {about(report)}.", "",
             "| job | limit, ns | goal | " + " | ".join(heads) + " |", "|---|--:|--:|" + "--:|" * len(there)]
    for job, sides in jobs.items():
        cells = [f"{number(sides[name]['ratio'])} {mark(sides[name])}".strip() if "ratio" in sides.get(name, {}) else ""
                 for name in there]
        lines.append(f"| {job} | {number(sides['roofline']['ns'])} | {goals_of(sides)} | " + " | ".join(cells) + " |")
    return "\n".join(lines + beside_the_table(report)) + "\n"


def readme(report, path):
    text = Path(path).read_text(encoding="utf-8")
    parts = re.fullmatch(r"(.*<!-- bench: begin -->\n).*(<!-- bench: end -->\n.*)", text, re.S)
    if not parts:
        sys.exit(f"{path} has no place for the table: two lines, <!-- bench: begin --> and <!-- bench: end -->")
    Path(path).write_text(parts.group(1) + markdown(report) + parts.group(2), encoding="utf-8")


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads may stop when it has seen enough
    arguments = sys.argv[1:]
    if len(arguments) == 3 and arguments[0] == "collect":
        collect(*arguments[1:])
        return
    actions = {"table": (table, 2), "charts": (charts, 3), "readme": (readme, 3)}
    if not arguments or arguments[0] not in actions or len(arguments) != actions[arguments[0]][1]:
        sys.exit(__doc__)
    report = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
    actions[arguments[0]][0](report, *arguments[2:])


if __name__ == "__main__":
    main()
