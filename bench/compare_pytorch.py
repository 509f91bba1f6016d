#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is a training step faster than PyTorch's? Runs bench/step and PyTorch alternately.

  compare_pytorch.py PROGRAMS [cifar|deit_tiny|deit_small] [--rounds 5] [--threads 2] [--compile]
                     [--recompute N] [--compute float32|bf16] [--json FILE]

PROGRAMS is the folder of the programs step and memory, such as build/release/bench. The same model,
batch, loss and optimiser (Adam), with fused attention; --compile adds torch.compile, and each
round's ratio is then to the faster of the two; --recompute lets our first N blocks store
nothing for the backward pass; --compute bf16 is for both: theirs by autocast.
Needs torch (pip install torch==2.13.0, which the figures in the README are from). Prints the
median of the rounds' ratios, with the smallest and the largest, and both peaks of memory.
"""
import argparse
import os
import resource
import sys
import time

from rounds import Round, require_programs, row_of, write

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    sys.exit("compare_pytorch.py needs torch: pip install torch==2.13.0")

SIZES = {  # image, patch, dim, heads, depth, classes, batch
    "cifar": (32, 4, 192, 3, 6, 10, 128),
    "deit_tiny": (224, 16, 192, 3, 12, 1000, 32),
    "deit_small": (224, 16, 384, 6, 12, 1000, 32),
}


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x):
        batch, tokens, dim = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(y.transpose(1, 2).reshape(batch, tokens, dim))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self, image, patch, dim, heads, depth, classes):
        super().__init__()
        self.embed = nn.Conv2d(3, dim, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + (image // patch) ** 2, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)

    def forward(self, images):
        x = self.embed(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x)[:, 0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs")
    parser.add_argument("model", nargs="?", default="cifar", choices=SIZES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--recompute", type=int, default=0)
    parser.add_argument("--compute", default="float32", choices=("float32", "bf16"))
    parser.add_argument("--json")
    args = parser.parse_args()

    require_programs(*(os.path.join(args.programs, name) for name in ("step", "memory")))
    options = ("--threads", str(args.threads), "--compute", args.compute)
    ours_name = f"{args.model}_recompute_{args.recompute}" if args.recompute else args.model

    torch.manual_seed(1)
    torch.set_num_threads(args.threads)
    *size, batch = SIZES[args.model]
    model = Vit(*size)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = torch.randn(batch, 3, size[0], size[0])
    labels = torch.randint(size[-1], (batch,))

    def step(run):
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.compute == "bf16"):
            loss = F.cross_entropy(run(images), labels)
        loss.backward()
        optimiser.step()

    ways = {"eager": model}
    if args.compile:
        ways["compiled"] = torch.compile(model)
    for run in ways.values():
        step(run)
        step(run)
    print(f"torch {torch.__version__}, {args.threads} threads, {args.compute}, {ours_name}, batch "
          f"{batch}")
    ratios = []
    for _ in range(args.rounds):
        theirs = {}
        for name, run in ways.items():
            begin = time.perf_counter()
            step(run)
            theirs[name] = batch / (time.perf_counter() - begin)
        ours = Round(os.path.join(args.programs, "step"), ours_name, *options).value()
        ratios.append(ours / max(theirs.values()))
        text = "   ".join(f"{name} {speed:7.1f}" for name, speed in theirs.items())
        print(f"PyTorch {text}   splitvit {ours:7.1f} samples/s   ratio {ratios[-1]:.2f}",
              flush=True)
    speed = row_of(f"{ours_name} against PyTorch", "times as fast", ratios)
    ours_mib = Round(os.path.join(args.programs, "memory"), ours_name, *options).value()
    theirs_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    memory = row_of(f"{ours_name}, memory against PyTorch's process", "of it",
                    [ours_mib / theirs_mib])
    print(f"median ratio {speed['value']:.2f} ({speed['min']:.2f} to {speed['max']:.2f})")
    print(f"peak memory: {ours_mib:.0f} MiB, PyTorch's process {theirs_mib:.0f} MiB, "
          f"ratio {memory['value']:.2f}")
    write(args.json, [speed, memory])


main()
