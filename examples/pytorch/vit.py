# SPDX-License-Identifier: MIT
"""A part of a ViT in plain PyTorch, with AdamW and timm's names; its weights in files."""

import argparse
import copy
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SIZES = "image patch channels dim heads depth mlp_ratio classes".split()
HEADS = {"deit_tiny": 3, "deit_small": 6, "deit_base": 12}
HEADS |= {"vit_micro": 4, "vit_mini": 3, "vit_cifar": 3}
LAYERS = "norm1 attn.qkv attn.proj norm2 mlp.fc1 mlp.fc2".split()  # of a block
Weights = dict[str, Tensor]


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
    plain = np.format_float_positional(x, trim="-")
    return min(plain, np.format_float_scientific(x, trim="-", exp_digits=2), key=len)


def fnv(*parts: bytes | int, value: int = 0xCBF29CE484222325) -> int:
    """FNV-1a with 64 bits; numbers count as eight bytes."""
    for part in parts:
        for byte in part.to_bytes(8, "little") if isinstance(part, int) else part:
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


class Model:
    """A safetensors file of float32: weights, sizes, statistics of the images, and a digest."""

    def __init__(self, path: str, name: str) -> None:
        data, digest = Path(path).read_bytes(), fnv()
        begin = 8 + struct.unpack("<Q", data[:8])[0]
        head = json.loads(data[8:begin])
        self.metadata: dict[str, str] = head.pop("__metadata__", {})
        self.weights: Weights = {}
        for key, entry in sorted(head.items()):
            kind, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
            raw = data[begin + first : begin + last]
            texts = len(key), key.encode(), len(kind), kind.encode()
            digest = fnv(*texts, len(shape), *shape, raw, value=digest)
            x = torch.frombuffer(bytearray(raw), dtype={"F32": torch.float32}[kind])
            self.weights[key] = x.reshape(shape)
        info = json.loads(self.metadata.get("splitvit", "{}"))
        self.mean = info.get("mean", [0.485, 0.456, 0.406])
        self.std = info.get("std", [0.229, 0.224, 0.225])
        dim, channels, patch, _ = self.weights["patch_embed.proj.weight"].shape
        self.tokens = self.weights["pos_embed"].shape[1]
        depth = sum(key.endswith(".norm1.weight") for key in self.weights)
        ratio = len(self.weights["blocks.0.mlp.fc1.bias"]) // dim
        sizes: tuple[int, ...] = math.isqrt(self.tokens - 1) * patch, patch, channels, dim
        sizes += info.get("heads", HEADS[name]), depth, ratio, len(self.weights["head.bias"])
        self.sizes, self.digest = dict(zip(SIZES, sizes)), f"{digest:016x}"

    def settings(self, o: argparse.Namespace, **more: str) -> dict[str, str]:
        """What the handshake compares."""
        own = {key: str(value) for key, value in self.sizes.items()} | {"cut": str(o.cut)}
        own |= {"numbers": "float32", "bottleneck": "none", "seed": str(o.seed)}
        own |= {"lr": shortest(o.lr), "weight_decay": shortest(o.weight_decay)}
        return own | {"start": "weights with digest " + self.digest} | more


def save(path: Path, weights: Weights, metadata: dict[str, str]) -> None:
    head: dict[str, Any] = {"__metadata__": metadata}
    body = b""
    for key, x in weights.items():
        begin, body = len(body), body + x.detach().cpu().numpy().astype("<f4").tobytes()
        head[key] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [begin, len(body)]}
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


class Part:
    """Blocks [first, last), with the stem before the first and the classifier after the last."""

    def __init__(self, model: Model, o: argparse.Namespace, first: int, last: int) -> None:
        self.first, self.last, self.is_last = first, last, last == model.sizes["depth"]
        self.heads, self.patch = model.sizes["heads"], model.sizes["patch"]
        layers = ["patch_embed.proj"] if first == 0 else []
        layers += [f"blocks.{i}.{layer}" for i in range(first, last) for layer in LAYERS]
        layers += ["norm", "head"] if self.is_last else []
        names = ["cls_token", "pos_embed"] if first == 0 else []
        names += [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
        self.weights = {name: model.weights[name].to(o.device, copy=True) for name in names}
        tensors = [x.requires_grad_() for x in self.weights.values()]
        self.adam = torch.optim.AdamW(tensors, o.lr, weight_decay=o.weight_decay)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[name + ".weight"], self.weights[name + ".bias"])

    def norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[name + ".weight"], self.weights[name + ".bias"]
        return F.layer_norm(x, x.shape[-1:], weight, bias, 1e-6)

    def attention(self, name: str, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """`bias` (B, N) is added to the scores of the keys. Returns the attention of CLS, too."""
        B, N, D = x.shape
        q, k, v = self.linear(name + ".qkv", x).view(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (D // self.heads) ** -0.5
        p = (scores if bias is None else scores + bias[:, None, None]).softmax(-1)
        out = self.linear(name + ".proj", (p @ v).transpose(1, 2).reshape(B, N, D))
        return out, p[:, :, 0].mean(1)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images to tokens and the attention of CLS, or tokens to class scores."""
        w, cls = self.weights, x
        if self.first == 0:
            x = F.conv2d(x, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], self.patch)
            x = x.flatten(2).transpose(1, 2)
            x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x], 1) + w["pos_embed"]
        for block in (f"blocks.{i}." for i in range(self.first, self.last)):
            y, cls = self.attention(block + "attn", self.norm(block + "norm1", x), bias)
            x = x + y
            y = F.gelu(self.linear(block + "mlp.fc1", self.norm(block + "norm2", x)))
            x = x + self.linear(block + "mlp.fc2", y)
        return (self.linear("head", self.norm("norm", x[:, 0])) if self.is_last else x), cls

    def state(self) -> tuple[Weights, dict[str, Any]]:
        return copy.deepcopy((self.weights, self.adam.state_dict()))

    def restore(self, state: tuple[Weights, dict[str, Any]]) -> None:
        for name, x in state[0].items():
            self.weights[name].data.copy_(x)
        self.adam.load_state_dict(copy.deepcopy(state[1]))
