#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws ratios that the benchmarks have written as bars, with a line from smallest to largest.

  draw_results.py TITLE ROWS.json... [--without TEXT...] >results.svg

Rows that are no ratio, or have one of the texts in their name, are left out.
"""
import argparse
import html
import json
import sys

WIDTH, LABELS, BAR, GAP, TOP = 900, 380, 18, 10, 64
INK, SOFT, FILL = "#222222", "#767676", "#4a6fa5"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("title")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--without", nargs="+", default=[])
    args = parser.parse_args()
    rows = []
    for path in args.files:
        with open(path) as file:
            rows += [row for row in json.load(file)
                     if row["unit"].startswith("times")
                     and not any(text in row["name"] for text in args.without)]
    if not rows:
        sys.exit("draw_results.py: no row in these files is a ratio")
    most = max(1.0, *(row["max"] for row in rows)) * 1.05
    labels = max(LABELS, 20 + 8 * max(len(row["name"]) for row in rows))  # the names must fit
    width = WIDTH - LABELS + labels
    height = TOP + len(rows) * (BAR + GAP) + 30

    def x(value):
        return labels + value / most * (width - labels - 90)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}">',
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
           f'<text x="16" y="28" font-size="16" font-weight="600">{html.escape(args.title)}</text>',
           f'<text x="16" y="48" fill="{SOFT}">median of the rounds; the line goes from the '
           'smallest to the largest</text>']
    for i, row in enumerate(rows):
        y = TOP + i * (BAR + GAP)
        middle = y + BAR / 2
        out += [f'<text x="{labels - 10}" y="{y + 14}" text-anchor="end">'
                f'{html.escape(row["name"])}</text>',
                f'<rect x="{x(0):.1f}" y="{y}" width="{x(row["value"]) - x(0):.1f}" '
                f'height="{BAR}" rx="2" fill="{FILL}"/>',
                f'<path d="M{x(row["min"]):.1f} {middle}H{x(row["max"]):.1f}" stroke="{INK}" '
                'stroke-width="2"/>',
                f'<text x="{x(row["max"]) + 8:.1f}" y="{y + 14}">{row["value"]:.2f}</text>']
    out += [f'<path d="M{x(1):.1f} {TOP - 6}V{height - 24}" stroke="{SOFT}" '
            'stroke-dasharray="4 3"/>',
            f'<text x="{x(1):.1f}" y="{height - 8}" text-anchor="middle" fill="{SOFT}">1</text>',
            "</svg>"]
    print("\n".join(out))


main()
