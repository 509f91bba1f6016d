# SPDX-License-Identifier: MIT
"""What the comparisons share: running a program of this folder for one round, and their rows."""
import json
import os
import shutil
import statistics
import subprocess
import tempfile


def require_programs(*paths):
    """Ends with a line that says how to build it if there is no such program."""
    for path in paths:
        if shutil.which(path):
            continue
        build = os.path.dirname(os.path.dirname(path)) or "."
        if not os.path.exists(os.path.join(build, "CMakeCache.txt")):
            build = "build/release"
        raise SystemExit(f"there is no program {path}; build it with: cmake --preset release && "
                         f"cmake --build {build} --target bench_{os.path.basename(path)}")


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
