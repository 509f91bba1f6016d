#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is a training step faster than PyTorch's? Runs bench_step and PyTorch alternately.

  compare_pytorch.py BENCH_STEP [cifar|deit_tiny] [--rounds 5] [--threads 2]

The same model, batch, loss and optimiser (Adam), with fused attention and eager execution.
Needs torch (pip install torch; 2.13.0 was used for the figures in the README). Prints the
median of the rounds' ratios, with the smallest and the largest.
"""
import argparse
import re
import statistics
import subprocess
import time

import torch
from torch import nn
from torch.nn import functional as F

SIZES = {  # image, patch, dim, heads, depth, classes, batch
    "cifar": (32, 4, 192, 3, 6, 10, 128),
    "deit_tiny": (224, 16, 192, 3, 12, 1000, 32),
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
    parser.add_argument("bench_step")
    parser.add_argument("model", nargs="?", default="cifar", choices=SIZES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    torch.manual_seed(1)
    torch.set_num_threads(args.threads)
    *size, batch = SIZES[args.model]
    model = Vit(*size)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = torch.randn(batch, 3, size[0], size[0])
    labels = torch.randint(size[-1], (batch,))

    def step():
        optimiser.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimiser.step()

    step()
    step()
    print(f"torch {torch.__version__}, {args.threads} threads, {args.model}, batch {batch}")
    ratios = []
    for _ in range(args.rounds):
        begin = time.perf_counter()
        step()
        theirs = batch / (time.perf_counter() - begin)
        out = subprocess.run([args.bench_step, args.model, "1", str(args.threads)],
                             capture_output=True, text=True, check=True).stdout
        ours = float(re.search(r"median ([\d.]+) samples/s", out).group(1))
        ratios.append(ours / theirs)
        print(f"PyTorch {theirs:7.1f} samples/s   splitvit {ours:7.1f} samples/s   "
              f"ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f} to {max(ratios):.2f})")


main()
