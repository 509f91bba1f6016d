#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is one way to run a benchmark faster than another? Runs two command lines alternately.

  compare_programs.py NAME 'PROGRAM ROW [OPTIONS]' 'PROGRAM ROW [OPTIONS]' [--rounds 5] [--at-once]
                      [--json FILE]

Prints, under NAME, what the second one measures for its ROW over what the first one does: the
median of the rounds' ratios, with the smallest and the largest. Such as

  compare_programs.py "clang against g++" "gcc/bench/step cifar" "clang/bench/step cifar"
  compare_programs.py "1 to 2 threads" "$B/step cifar --threads 1" "$B/step cifar --threads 2"
  compare_programs.py "adc:0.1 against none" "$B/step split" "$B/step split_adc"

With --at-once both run at the same time, each on a core of its own (0 and 1, swapped every round),
so that both see the same neighbours: for programs of one thread on a machine that is shared.
"""
import argparse
import shlex
import shutil
import sys

from rounds import Round, require_programs, row_of, write


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("--json")
    args = parser.parse_args()
    commands = [shlex.split(args.first), shlex.split(args.second)]
    if any(len(command) < 2 for command in commands):
        sys.exit("compare_programs.py: wanted a program and the name of its row in one argument")
    require_programs(*(command[0] for command in commands))
    if args.at_once and not shutil.which("taskset"):
        sys.exit("compare_programs.py: --at-once needs taskset (apt-get install util-linux)")
    ratios = []
    for number in range(args.rounds):
        if args.at_once:
            cores = (number % 2, 1 - number % 2)
            both = [Round(*command, core=core) for command, core in zip(commands, cores)]
            first, second = (one.value() for one in both)
        else:
            first, second = (Round(*command).value() for command in commands)
        ratios.append(second / first)
        print(f"{first:.4g} and {second:.4g}   ratio {ratios[-1]:.3f}", flush=True)
    row = row_of(args.name, "times", ratios)
    print(f"{args.name}: {row['value']:.3f} ({row['min']:.3f} to {row['max']:.3f})")
    write(args.json, [row])


main()
