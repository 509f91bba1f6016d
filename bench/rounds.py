# SPDX-License-Identifier: MIT
"""What the comparisons share: running a program of this folder for one round, and their rows."""
import json
import os
import statistics
import subprocess
import tempfile


class Round:
    """One round of a program, under way. The row that counts is the name it is given."""

    def __init__(self, program, row, *options, core=None):
        self.row = row
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "rows.json")
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        self.process = subprocess.Popen(
            [*pinned, program, row, "--rounds", "1", "--json", self.path, *options],
            stdout=subprocess.DEVNULL)

    def value(self):
        """Waits for its end."""
        if self.process.wait() != 0:
            raise SystemExit(f"{self.process.args[0]} ended with {self.process.returncode}")
        with self.folder, open(self.path) as file:
            return {entry["name"]: entry["value"] for entry in json.load(file)}[self.row]


def row_of(name, unit, values):
    """A row as the programs write them."""
    return {"name": name, "value": statistics.median(values), "unit": unit, "min": min(values),
            "max": max(values), "rounds": len(values)}


def write(path, rows):
    """Writes rows where --json says, if it does."""
    if path:
        with open(path, "w") as file:
            json.dump(rows, file, indent=1)
