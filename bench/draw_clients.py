#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table and the figure of several clients that train one model, from what study.sh clients writes.

  draw_clients.py OUT >clients.md           the table, in Markdown
  draw_clients.py OUT --svg >clients.svg    the figure

OUT has a folder PARTITION/SHARING for each combination, with metrics.csv, clients.csv and, of three
seeds, one run each. Accuracies are of the last evaluation: mean and standard deviation of the seeds.
"""
import argparse
import collections
import csv
import html
import json
import pathlib
import statistics
import sys

SHARING = {"relay": "relay", "averaged": "averaged (SplitFed v1)", "shared": "shared (SplitFed v2)"}
PARTITIONS = {"iid": "IID", "dirichlet-0.5": "Dirichlet 0.5", "dirichlet-0.1": "Dirichlet 0.1"}
INK, SOFT, RULE = "#222222", "#767676", "#e4e4e4"
COLOURS = {"relay": "#a3841f", "averaged": "#c4511d", "shared": "#1f5fa8"}


def results(out):
    """(partition, sharing, method) -> [(accuracy in per cent, MiB of the cut)], one for each seed."""
    found = collections.defaultdict(list)
    for partition in PARTITIONS:
        for sharing in SHARING:
            path = out / partition / sharing / "metrics.csv"
            if not path.exists():
                continue
            last = {}
            with open(path, newline="") as file:
                for row in csv.DictReader(file):
                    if row["test_accuracy"]:
                        last[row["method"], row["seed"]] = row
            for (method, _), row in last.items():
                mib = (int(row["bytes_up"]) + int(row["bytes_down"])) / 2**20
                found[partition, sharing, method].append((100 * float(row["test_accuracy"]), mib))
    if not found:
        sys.exit(f"draw_clients.py: {out} has no runs")
    return found


def majority(out):
    """The share of the most frequent class among the test images, in per cent."""
    for path in sorted(out.glob("*/*/metrics.jsonl")):
        for line in path.open():
            if '"majority_baseline"' in line:
                return 100 * json.loads(line)["majority_baseline"]
    sys.exit(f"draw_clients.py: {out} has no run that has ended")


def mean(values):
    return statistics.mean(values), statistics.pstdev(values)


def table(found):
    lines = ["| method | sharing | " + " | ".join(PARTITIONS.values()) + " | MiB of the cut |",
             "| --- " * (len(PARTITIONS) + 3) + "|"]
    for method in dict.fromkeys(key[2] for key in found):
        for sharing, name in SHARING.items():
            cells, mib = [], []
            for partition in PARTITIONS:
                runs = found.get((partition, sharing, method))
                cells.append("{:.1f} ± {:.1f}".format(*mean([run[0] for run in runs])) if runs else "")
                mib += [run[1] for run in runs or []]
            if mib:
                lines.append(f"| `{method}` | {name} | " + " | ".join(cells) +
                             f" | {statistics.mean(mib):.1f} |")
    return "\n".join(lines)


def figure(found, baseline):
    width, height, left, top, bottom = 760, 420, 56, 64, 60
    methods = list(dict.fromkeys(key[2] for key in found))
    groups = [(method, partition) for method in methods for partition in PARTITIONS
              if any((partition, sharing, method) in found for sharing in SHARING)]
    high = 10 * (1 + max(int(run[0]) for runs in found.values() for run in runs) // 10)
    room = (width - left - 16) / len(groups)

    def y(accuracy):
        return height - bottom - accuracy / high * (height - top - bottom)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}">',
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
           '<text x="16" y="26" font-size="16" font-weight="600">Ten clients, one model</text>',
           f'<text x="16" y="48" fill="{SOFT}">test accuracy, %; bars of one standard deviation</text>']
    for tick in range(0, high + 1, 10):
        out += [f'<path d="M{left} {y(tick):.1f}H{width - 16}" stroke="{RULE}"/>',
                f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="{SOFT}">{tick}</text>']
    out += [f'<path d="M{left} {y(baseline):.1f}H{width - 16}" stroke="{SOFT}" stroke-dasharray="4 3"/>',
            f'<text x="{width - 16}" y="{y(baseline) - 5:.1f}" text-anchor="end" fill="{SOFT}" '
            'font-size="11">majority class</text>']
    for number, (method, partition) in enumerate(groups):
        middle = left + (number + 0.5) * room
        out += [f'<text x="{middle:.1f}" y="{height - 36}" text-anchor="middle">{PARTITIONS[partition]}</text>',
                f'<text x="{middle:.1f}" y="{height - 16}" text-anchor="middle" fill="{SOFT}" '
                f'font-size="11">{html.escape(method)}</text>']
        for place, sharing in enumerate(SHARING):
            runs = found.get((partition, sharing, method))
            if not runs:
                continue
            value, deviation = mean([run[0] for run in runs])
            x = middle + (place - 1) * 26
            out += [f'<rect x="{x - 10:.1f}" y="{y(value):.1f}" width="20" '
                    f'height="{height - bottom - y(value):.1f}" fill="{COLOURS[sharing]}"/>',
                    f'<path d="M{x:.1f} {y(value - deviation):.1f}V{y(value + deviation):.1f}" '
                    f'stroke="{INK}"/>']
    for place, (sharing, name) in enumerate(SHARING.items()):
        x = 390 + 124 * place
        out += [f'<rect x="{x}" y="37" width="12" height="12" fill="{COLOURS[sharing]}"/>',
                f'<text x="{x + 18}" y="48">{html.escape(name.split(" (")[0])}</text>']
    out.append("</svg>")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--svg", action="store_true")
    args = parser.parse_args()
    found = results(args.out)
    print(figure(found, majority(args.out)) if args.svg else table(found))


main()
