#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the accuracy of compared methods against bytes, from split_train's metrics.csv: a line for
each family of methods, from one ratio to the next.

  draw_study.py TITLE METRICS.csv... --line NAME=REGEX... [--bold NAME...] [--traffic] >study.svg

Each run counts with its last row. Several seeds become a mean, with a bar of one standard
deviation each way. Bytes are those of a step, both ways, as a share of those of `none`; with
--traffic those of the training so far, in MiB, and a line has one method and all of its rows.
"""
import argparse
import collections
import csv
import html
import math
import re
import statistics
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 520, 64, 230, 64, 56
INK, SOFT, RULE = "#222222", "#767676", "#e4e4e4"
COLOURS = ["#1f5fa8", "#c4511d", "#2e7d4f", "#8a4fa3", "#a3841f", "#b03060"]
DASHES = ["", "6 3", "2 3", "8 3 2 3"]


def last_rows(paths):
    """(method, seed) -> the last row of that run."""
    rows = {}
    for path in paths:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                rows[row["method"], row["seed"]] = row
    return rows


def curves_of(paths):
    """method -> [(MiB so far, mean accuracy, deviation)], for the evaluations that all seeds have."""
    rows = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in paths:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                if row["test_accuracy"]:
                    mib = (int(row["bytes_up"]) + int(row["bytes_down"])) / 2**20
                    rows[row["method"]][row["seed"]].append((mib, 100 * float(row["test_accuracy"])))
    curves = {}
    for method, seeds in rows.items():
        curves[method] = [(statistics.mean(mib for mib, _ in same),
                           statistics.mean(value for _, value in same),
                           statistics.pstdev(value for _, value in same))
                          for same in zip(*seeds.values())]
    return curves


def points_of(paths):
    """method -> (share of the bytes of none, mean accuracy, deviation), both in per cent."""
    bytes_a_step, accuracies = {}, collections.defaultdict(list)
    for (method, _), row in last_rows(paths).items():
        if row["test_accuracy"]:
            both = int(row["bytes_up"]) + int(row["bytes_down"])
            bytes_a_step[method] = both / int(row["step"])
            accuracies[method].append(100 * float(row["test_accuracy"]))
    if "none" not in bytes_a_step:
        sys.exit("draw_study.py: these files have no run of none to compare with")
    return {method: (100 * bytes_a_step[method] / bytes_a_step["none"],
                     statistics.mean(values), statistics.pstdev(values))
            for method, values in accuracies.items()}


def spread(wanted, distance):
    """Places as near as may be to the wanted ones (descending), at least `distance` apart."""
    places = list(wanted)
    for _ in range(200):
        for i in range(len(places) - 1):
            missing = distance - (places[i + 1] - places[i])
            if missing > 0:
                places[i] -= missing / 2
                places[i + 1] += missing / 2
    return places


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("title")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--line", nargs="+", required=True, metavar="NAME=REGEX")
    parser.add_argument("--bold", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--traffic", action="store_true")
    args = parser.parse_args()
    if args.traffic:
        curves = curves_of(args.files)
        reference = curves.get("none", [])
    else:
        points = points_of(args.files)
        curves = {method: [point] for method, point in points.items()}
        reference = [points["none"]]
    lines = {}
    for line in args.line:
        name, _, pattern = line.partition("=")
        own = sorted((point for method in curves if re.fullmatch(pattern, method)
                      for point in curves[method]), reverse=not args.traffic)
        if not own:
            sys.exit(f"draw_study.py: no method is like {pattern}")
        lines[name] = own

    shown = [point for own in lines.values() for point in own] + reference
    least, most = min(p[0] for p in shown) * 0.85, 130
    if args.traffic:
        most = max(p[0] for p in shown) * 1.1
    low = math.floor(min(p[1] - p[2] for p in shown) / 5) * 5
    high = math.ceil(max(p[1] + p[2] for p in shown) / 5) * 5

    if reference:
        lines["uncompressed"] = reference
    right = max(RIGHT, 40 + 9 * max(map(len, lines)))  # the names must fit
    width = WIDTH - RIGHT + right

    def x(share):  # fewer bytes of a step lie to the right, and a training goes there
        place = math.log(most / share) / math.log(most / least)
        return LEFT + (1 - place if args.traffic else place) * (width - LEFT - right)

    def y(accuracy):
        return HEIGHT - BOTTOM - (accuracy - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" '
           f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}">',
           f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>',
           f'<text x="16" y="28" font-size="16" font-weight="600">{html.escape(args.title)}</text>',
           f'<text x="16" y="48" fill="{SOFT}">test accuracy, %</text>',
           f'<text x="{(LEFT + width - right) / 2}" y="{HEIGHT - 12}" fill="{SOFT}" '
           'text-anchor="middle">'
           + ("MiB so far, both ways" if args.traffic else
              "bytes of a step, % of uncompressed: fewer to the right") + '</text>']
    for accuracy in range(math.ceil(low / 10) * 10, high + 1, 10):
        out += [f'<path d="M{LEFT} {y(accuracy):.1f}H{width - right}" stroke="{RULE}"/>',
                f'<text x="{LEFT - 8}" y="{y(accuracy) + 4:.1f}" text-anchor="end" '
                f'fill="{SOFT}">{accuracy}</text>']
    ticks = (0.3, 1, 3, 10, 30, 100, 300, 1000) if args.traffic else (1, 2.5, 5, 10, 25, 50, 100)
    for share in ticks:
        if least < share < most:
            out += [f'<path d="M{x(share):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{RULE}"/>',
                    f'<text x="{x(share):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" '
                    f'fill="{SOFT}">{share}</text>']

    by_height = sorted(lines, key=lambda name: -lines[name][-1][1])
    labels = dict(zip(by_height, spread([y(lines[name][-1][1]) for name in by_height], 17)))
    for number, (name, own) in enumerate(lines.items()):
        colour = INK if name == "uncompressed" else COLOURS[number % len(COLOURS)]
        bold = name in args.bold
        way = "M" + "L".join(f"{x(p[0]):.1f} {y(p[1]):.1f}" for p in own)
        out.append(f'<path d="{way}" fill="none" stroke="{colour}" '
                   f'stroke-width="{3 if bold else 1.5}" '
                   f'stroke-dasharray="{DASHES[number // len(COLOURS) % len(DASHES)]}"/>')
        for share, accuracy, deviation in own:
            if deviation > 0:
                out.append(f'<path d="M{x(share):.1f} {y(accuracy - deviation):.1f}'
                           f'V{y(accuracy + deviation):.1f}" stroke="{colour}"/>')
            out.append(f'<circle cx="{x(share):.1f}" cy="{y(accuracy):.1f}" '
                       f'r="{4.5 if bold else 3}" fill="{colour}"/>')
        end, label = width - right + 26, labels[name]
        out += [f'<path d="M{x(own[-1][0]) + 6:.1f} {y(own[-1][1]):.1f}L{end - 4} {label:.1f}" '
                f'stroke="{colour}" stroke-width="0.6" opacity="0.6"/>',
                f'<text x="{end}" y="{label + 4:.1f}" fill="{colour}" '
                f'font-weight="{600 if bold else 400}">{html.escape(name)}</text>']
    out.append("</svg>")
    print("\n".join(out))


main()
