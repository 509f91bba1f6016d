#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tables and the pictures of what leaks, from what leakage.sh writes.

  draw_leakage.py OUT >leakage.md                   a table for each set of images, in Markdown
  draw_leakage.py OUT --pictures NAME >images.svg   of one set: images, and what was drawn of them

OUT has folders NAME/seedN/ROW with row.txt, leakage.json, metrics.jsonl and pictures.ppm.
"""

import argparse
import base64
import html
import json
import pathlib
import statistics
import struct
import sys
import zlib

COLUMNS = {  # of the table: name in leakage.json, decimals
    "SSIM": ("inverse network: SSIM", 2),
    "PSNR": ("inverse network: PSNR", 1),
    "distance correlation": ("distance correlation", 2),
    "alone": ("samples alone in their row", 0),
    "one class": ("rows of one class", 0),
    "AUC at the cut": ("AUC of cosines", 2),
    "AUC behind the last block": ("AUC of cosines, last", 2),
    "labels from clusters": ("labels from clusters", 0),
}
FLOORS = ("untrained network: SSIM", "mean image: SSIM", "mean image: PSNR", "labels by guessing")


def rows_of(folder):
    """(cut, method) -> numbers and pictures of each seed, in the order in which they were run."""
    found = {}
    for path in sorted(folder.glob("seed*/*/leakage.json"), key=lambda p: p.stat().st_mtime):
        values = {row["name"]: row["value"] for row in json.loads(path.read_text())}
        records = [json.loads(line) for line in path.with_name("metrics.jsonl").open()]
        last = [r for r in records if r["record"] == "epoch" and "test_accuracy" in r][-1]
        values["accuracy"] = 100 * last["test_accuracy"]
        values["KiB"] = (last["bytes_up"] + last["bytes_down"]) / last["step"] / 1024
        cut, method, *options = path.with_name("row.txt").read_text().split()
        name = f"{method} {' '.join(options)}".strip()
        found.setdefault((cut, name), []).append((values, path.with_name("pictures.ppm")))
    return found


def of_seeds(runs, key, decimals):
    values = [run[0][key] for run in runs]
    spread = f" ± {statistics.pstdev(values):.{decimals}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{decimals}f}{spread}"


def table(folder):
    rows = rows_of(folder)
    if not rows:
        print(f"draw_leakage.py: {folder} has no rows yet", file=sys.stderr)
        return
    head = ["cut", "method", "accuracy", "KiB a step", *COLUMNS]
    print(f"\n**{folder.name}**\n\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for (cut, method), runs in rows.items():
        cells = [
            "stem" if cut == "0" else cut,
            f"`{method}`",
            of_seeds(runs, "accuracy", 1),
            of_seeds(runs[:1], "KiB", 0),
        ]
        cells += [of_seeds(runs, key, decimals) for key, decimals in COLUMNS.values()]
        print(f"| {' | '.join(cells)} |")
    any_runs = next(iter(rows.values()))
    floors = (f"{name} {of_seeds(any_runs, name, 2)}" for name in FLOORS)
    print(f"\nFloors: {'; '.join(floors)}.")


def png_of(path, of_all):
    """A picture in PNG, from PPM: all of it, or its lower half. What was drawn of grey images is
    grey."""
    data = path.read_bytes()
    _, size, _, pixels = data.split(b"\n", 3)
    width, height = map(int, size.split())
    upper = pixels[: len(pixels) // 2]
    is_grey = upper[::3] == upper[1::3] == upper[2::3]
    if not of_all:
        height //= 2
        pixels = pixels[len(upper) :]
    if is_grey:
        pixels = bytes(sum(pixel) // 3 for pixel in zip(pixels[::3], pixels[1::3], pixels[2::3]))
    line = len(pixels) // height
    lines = b"".join(b"\0" + pixels[line * y : line * (y + 1)] for y in range(height))

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0 if is_grey else 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
    return width, height, b"\x89PNG\r\n\x1a\n" + body


def pictures(folder):
    """Images once, and a line for each row of the table with what was drawn."""
    scale, left, gap = 2, 400, 6
    lines, y, width = [], 8, 0
    for (cut, method), runs in rows_of(folder).items():
        values, path = runs[0]
        width, height, png = png_of(path, of_all=not lines)
        text = html.escape(f"{method}, cut {cut}" if cut != "0" else "after the stem")
        text += f", SSIM {values['inverse network: SSIM']:.2f}"
        bottom = y + scale * height
        middle = bottom - scale * (height if lines else height // 2) // 2  # of what was drawn
        lines.append(
            f'<image x="{left}" y="{y}" width="{scale * width}" height="{scale * height}" '
            f'href="data:image/png;base64,{base64.b64encode(png).decode()}" '
            'style="image-rendering:pixelated"/>'
            f'<text x="{left - 10}" y="{middle + 4}" text-anchor="end">{text}</text>'
        )
        y = bottom + gap
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + scale * width + 8}" height="{y + 2}" '
        'font-family="sans-serif" font-size="12" fill="#222222">'
        '<rect width="100%" height="100%" fill="#ffffff"/>'
    )
    print("\n".join(lines), "</svg>", sep="\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--pictures", metavar="NAME")
    arguments = parser.parse_args()
    if arguments.pictures:
        return pictures(arguments.out / arguments.pictures)
    for folder in sorted(path for path in arguments.out.iterdir() if path.is_dir()):
        table(folder)


if __name__ == "__main__":
    main()
