# SPDX-License-Identifier: MIT
"""A part of a ViT in plain PyTorch, with Adam and timm's names; its weights in files."""

from __future__ import annotations

import argparse
import json
import math
import struct
from decimal import Decimal
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KINDS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
SIZES = "image patch channels dim heads depth mlp_ratio classes".split()
HEADS = {"deit_tiny": 3, "deit_small": 6, "deit_base": 12}
HEADS |= {"vit_micro": 4, "vit_mini": 3, "vit_cifar": 3}


def options(text: str | None) -> argparse.ArgumentParser:
    """What both parties take, as split_train does."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--weights", required=True, help="safetensors file with timm's names")
    parser.add_argument("--model", default="vit_micro", choices=HEADS, help="tells the heads")
    parser.add_argument("--cut", type=int, required=True, help="blocks at the client")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    return parser


def shortest(x: float) -> str:
    """The shortest text of a number, as a setting has it: 0.001, 1e-04, 3."""
    number = Decimal(repr(x)).normalize()
    digits, power = "".join(map(str, number.as_tuple().digits)), number.adjusted()
    short = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{power:+03d}"
    return min(f"{number:f}", short, key=len)


def rate(schedule: str, lr: float, step: int) -> float:
    """The learning rate of a step, from 0: "cosine,STEPS,WARMUP" or "constant,0,WARMUP"."""
    name, steps, warmup = schedule.split(",")
    step, steps, warmup = step - int(warmup), int(steps) - int(warmup), int(warmup)
    if step < 0:
        return lr * (step + warmup + 1) / (warmup + 1)
    done = min(1.0, step / steps if steps > 0 else 1.0) if name == "cosine" else 0.0
    return lr * (1 + math.cos(math.pi * done)) / 2


def fnv(*parts: bytes | int, value: int = 0xCBF29CE484222325) -> int:
    """FNV-1a with 64 bits; numbers count as eight bytes."""
    for part in parts:
        for byte in part.to_bytes(8, "little") if isinstance(part, int) else part:
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


class Model:
    """A safetensors file: weights, sizes, statistics of the images, and a digest."""

    def __init__(self, path: str, name: str) -> None:
        data, digest = Path(path).read_bytes(), fnv()
        begin = 8 + struct.unpack("<Q", data[:8])[0]
        head = json.loads(data[8:begin])
        self.metadata, self.weights = head.pop("__metadata__", {}), {}
        for key in sorted(head):
            kind, shape, (first, last) = (head[key][k] for k in ("dtype", "shape", "data_offsets"))
            raw = data[begin + first : begin + last]
            texts = len(key), key.encode(), len(kind), kind.encode()
            digest = fnv(*texts, len(shape), *shape, raw, value=digest)
            x = torch.frombuffer(bytearray(raw), dtype=KINDS[kind]).reshape(shape)
            self.weights[key] = x.to(torch.float32)
        shapes = {key: x.shape for key, x in self.weights.items()}
        dim, channels, patch, _ = shapes["patch_embed.proj.weight"]
        side = math.isqrt(shapes["pos_embed"][1] - 1)
        info = json.loads(self.metadata.get("splitvit", "{}"))
        self.mean, self.std = info.get("mean", [0.485, 0.456, 0.406]), info.get("std")
        self.std, self.tokens = self.std or [0.229, 0.224, 0.225], 1 + side * side
        depth = sum(key.endswith(".norm1.weight") for key in shapes)
        sizes = side * patch, patch, channels, dim, info.get("heads", HEADS[name]), depth
        sizes += shapes["blocks.0.mlp.fc1.weight"][0] // dim, shapes["head.weight"][0]
        self.sizes, self.digest = dict(zip(SIZES, sizes)), f"{digest:016x}"

    def settings(self, o: argparse.Namespace, **more: str) -> dict[str, str]:
        """What the handshake compares."""
        own = {key: str(value) for key, value in self.sizes.items()} | {"cut": str(o.cut)}
        own |= {"numbers": "float32", "bottleneck": "none", "seed": str(o.seed)}
        own |= {"lr": shortest(o.lr), "weight_decay": shortest(o.weight_decay)}
        return own | {"start": "weights with digest " + self.digest} | more


def save(path: Path, weights: dict[str, Tensor], metadata: dict[str, str]) -> None:
    head, at = {"__metadata__": metadata}, 0
    for key, x in weights.items():
        ends = [at, at := at + 4 * x.numel()]
        head[key] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": ends}
    text = json.dumps(head).encode()
    body = b"".join(x.cpu().numpy().astype("<f4").tobytes() for x in weights.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.qkv, self.proj, self.heads = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim), heads

    def forward(self, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """`bias` (B, N) is added to the scores of the keys. Returns the attention of CLS, too."""
        B, N, D = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (D // self.heads) ** -0.5
        p = (scores if bias is None else scores + bias[:, None, None]).softmax(-1)
        return self.proj((p @ v).transpose(1, 2).reshape(B, N, D)), p[:, :, 0].mean(1)


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, 1e-6), Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, 1e-6), nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        y, cls = self.attn(self.norm1(x), bias)
        x = x + y
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x)))), cls


class Part(nn.Module):
    """Blocks [first, last), with the stem before the first and the classifier after the last."""

    def __init__(self, model: Model, first: int, last: int, device: str) -> None:
        super().__init__()
        s = model.sizes
        if first == 0:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, s["dim"]))
            self.pos_embed = nn.Parameter(torch.zeros(1, model.tokens, s["dim"]))
            self.patch_embed = nn.Module()
            self.patch_embed.proj = nn.Conv2d(s["channels"], s["dim"], s["patch"], s["patch"])
        hidden = s["mlp_ratio"] * s["dim"]
        blocks = {str(i): Block(s["dim"], s["heads"], hidden) for i in range(first, last)}
        self.blocks, self.is_last = nn.ModuleDict(blocks), last == s["depth"]
        if self.is_last:
            self.norm, self.head = nn.LayerNorm(s["dim"], 1e-6), nn.Linear(s["dim"], s["classes"])
        self.load_state_dict({key: model.weights[key] for key in self.state_dict()})
        self.to(device)
        zeros = [torch.zeros_like(p) for p in self.parameters()]
        self.steps, self.m, self.v = 0, zeros, [x.clone() for x in zeros]  # of Adam

    def forward(self, x: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images to tokens and the attention of CLS, or tokens to class scores."""
        if hasattr(self, "patch_embed"):
            x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks.values():
            x, cls = block(x, bias)
        return (self.head(self.norm(x[:, 0])) if self.is_last else x), cls

    @torch.no_grad()
    def apply_gradients(self, lr: float, weight_decay: float) -> None:
        """A step of AdamW."""
        self.steps += 1
        length, root = lr / (1 - 0.9**self.steps), math.sqrt(1 - 0.999**self.steps)
        for p, m, v in zip(self.parameters(), self.m, self.v):
            m.mul_(0.9).add_(p.grad, alpha=0.1)
            v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
            p.mul_(1 - lr * weight_decay).addcdiv_(m, v.sqrt() / root + 1e-8, value=-length)
            p.grad = None

    def state(self) -> tuple[int, list[Tensor]]:
        return self.steps, [x.detach().clone() for x in (*self.parameters(), *self.m, *self.v)]

    def restore(self, state: tuple[int, list[Tensor]]) -> None:
        self.steps, tensors = state
        for x, old in zip((*self.parameters(), *self.m, *self.v), tensors):
            x.data.copy_(old)
