# SPDX-License-Identifier: MIT
"""The payloads of PROTOCOL.md: activations with labels, tensors, codecs. Needs numpy only."""

import math
import re
import struct
from dataclasses import dataclass

import numpy as np

from wire import Reader, Refused, pack_text

Array = np.ndarray
LARGEST, LEAST = np.finfo(np.float32).max, np.finfo(np.float32).tiny
BRAIN_LARGEST = np.uint32(0x7F7F0000).view(np.float32)
NO_GRADIENT, CODED = 4, 8  # flags; 1 and 2 are of sizes


@dataclass
class Activations:
    """A forward message behind the number of its step, or an evaluate message."""

    samples: int
    tokens: int
    labels: bytes = b""
    encoded: bytes = b""
    flags: int = 0
    sizes: bytes = b""  # of samples, u16 each
    token_sizes: bytes = b""

    def pack(self) -> bytes:
        flags = self.flags | (1 if self.sizes else 0) | (2 if self.token_sizes else 0)
        head = struct.pack("<IIIB", self.samples, self.tokens, len(self.labels), flags)
        return head + self.sizes + self.token_sizes + self.labels + self.encoded

    @staticmethod
    def parse(payload: bytes, tokens: int, width: int, classes: int, limit: int) -> "Activations":
        """At most `tokens` of `width` numbers a sample, and `limit` bytes of all when decoded."""
        read = Reader(payload, "activations")
        B, N = read.get("II")
        fits = B >= 1 and 1 <= N <= tokens and 4 * B * max(N * width, classes) <= limit
        read.need(fits, "wrong_shape", f"{B} samples of {N} tokens")
        label_bytes, flags = read.get("IB")
        read.need(label_bytes <= limit // 16, "too_long", f"{label_bytes} bytes of labels")
        read.need(flags < 16, "bad_flags", f"flags {flags}")
        sizes, token_sizes = read.take(2 * B * (flags & 1)), read.take(B * N * (flags >> 1 & 1))
        positive = np.frombuffer(sizes, "<u2").all() and 0 not in token_sizes
        read.need(positive, "malformed", "a size of 0")
        labels, encoded = read.take(label_bytes), read.take()
        return Activations(B, N, labels, encoded, flags, sizes, token_sizes)


def id_type(classes: int) -> str:
    return "<u1" if classes <= 256 else "<u2" if classes <= 65536 else "<u4"


def read_labels(payload: bytes, rows: int, classes: int) -> Array:
    """The probabilities of the classes, (rows, classes)."""
    read, targets = Reader(payload, "labels"), np.zeros((rows, classes))
    (mode,) = read.get("B")
    read.need(mode <= 2, "malformed", f"mode {mode}")
    entry = np.dtype([("id", id_type(classes)), ("weight", "<f4" if mode == 2 else "V0")])
    for target in targets:
        count = read.get("H")[0] if mode else 1
        came = np.frombuffer(read.take(count * entry.itemsize), entry)
        ids = came["id"].astype(np.int64)
        fits = count > 0 and (np.diff(ids) >= (mode == 2)).all() and ids[-1] < classes
        read.need(fits, "malformed", f"classes {ids[:9]} in a row")
        weights = came["weight"].astype(np.float64) if mode == 2 else np.full(count, 1 / count)
        read.need(np.isfinite(weights).all(), "not_finite", "a weight")
        fits = (weights >= 0).all() and abs(weights.sum() - 1) <= 1e-4
        read.need(fits, "malformed", f"weights {weights[:9]} in a row")
        np.add.at(target, ids, weights)
    read.end()
    return targets.astype(np.float32)


def pack_tensor(x: Array, before: int = 0) -> bytes:
    """`before`: bytes of the payload in front of it."""
    head = struct.pack(f"<BB{x.ndim}I", 1, x.ndim, *x.shape)
    return head + bytes(-(before + len(head)) % 64) + x.astype("<f4").tobytes()


def pack_weights(weights: dict[str, Array]) -> bytes:
    out = struct.pack("<I", len(weights))
    for name, x in weights.items():
        out += pack_text(name)
        out += pack_tensor(x, len(out))
    return out


def read_weights(payload: bytes, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    read, out = Reader(payload, "weights"), {}
    read.need(read.get("I") == (len(shapes),), "wrong_shape", "another number of tensors")
    for name, shape in shapes.items():
        came = read.text(256), *read.get("BB")
        fits = came == (name, 1, len(shape)) and read.get(f"{len(shape)}I") == shape
        read.need(fits, "wrong_shape", f"another tensor than {name} {shape}")
        read.need(not any(read.take(-read.at % 64)), "malformed", "padding that is not zero")
        x = out[name] = np.frombuffer(read.take(4 * math.prod(shape)), "<f4").reshape(shape)
        read.need(np.isfinite(x).all(), "not_finite", f"NaN or infinity in {name}")
    read.end()
    return out


SHORT = {"": "float32", "float16": "float16:scaled=yes"}  # what --compress may say instead
SHORT["q:8"] = "q:8:gradient_bits=8:range=token:gradient_range=token:rounding=nearest"
_BITS, _KINDS = "([1-9]|1[0-6])", "(tensor|sample|token|channel)"
_Q = f"q:{_BITS}:gradient_bits={_BITS}:range={_KINDS}:gradient_range={_KINDS}:rounding="
_OTHERS = "float32|bfloat16|float16:scaled=(yes|no)"


class Codec:
    """From its name in the handshake. A `gradient` is in a backward message."""

    def __init__(self, text: str) -> None:
        self.text = SHORT.get(text, text)
        self.q = re.fullmatch(_Q + "(nearest|stochastic)", self.text)
        if not self.q and not re.fullmatch(_OTHERS, self.text):
            raise Refused("codec", text, "float32, float16, bfloat16 or q")

    def encode(self, x: Array, gradient: bool) -> bytes:
        if self.q:
            bits, kind = int(self.q[1 + gradient]), self.q[3 + gradient]
            return quantise(flushed(x), bits, kind, self.q[5] == "stochastic")
        if self.text == "float32":
            return x.astype("<f4").tobytes()
        if self.text == "bfloat16":
            bits = np.clip(x, -BRAIN_LARGEST, BRAIN_LARGEST).view(np.uint32)
            return (bits + 0x7FFF + (bits >> 16 & 1) >> 16).astype("<u2").tobytes()
        head = b""
        if gradient and self.text.endswith("yes"):
            x = flushed(x)
            power = 15 - int(np.frexp(np.abs(x).max())[1]) if x.any() else 0
            power = min(max(power, -126), 126)
            head, x = struct.pack("<h", power), np.ldexp(x, power)
        return head + np.clip(x, -65504, 65504).astype("<f2").tobytes()

    def decode(self, data: bytes, shape: tuple[int, ...], gradient: bool) -> Array:
        read = Reader(data, "codec")
        if self.q:
            return dequantise(read, shape, int(self.q[1 + gradient]), self.q[3 + gradient])
        is_scaled = gradient and self.text.endswith("yes")
        (power,) = read.get("h") if is_scaled else (0,)
        read.need(abs(power) <= 126, "malformed", f"a gradient times 2^{power}")
        kind = np.dtype({"float32": "<f4", "bfloat16": "<u2"}.get(self.text, "<f2"))
        x = np.frombuffer(read.take(kind.itemsize * math.prod(shape)), kind)
        read.end()
        if self.text == "bfloat16":
            x = (x.astype(np.uint32) << 16).view(np.float32)
        x = x.astype(np.float32).reshape(shape)
        read.need(np.isfinite(x).all(), "not_finite", "NaN or infinity")
        return limited(np.ldexp(x, -power)) if is_scaled else x


def groups(x: Array, kind: str) -> Array:
    """The numbers that share a range, as rows."""
    if kind == "channel":
        return x.reshape(-1, x.shape[-1]).T
    rows = {"tensor": 1, "sample": len(x), "token": x.size // x.shape[-1]}
    return x.reshape(rows[kind], -1)


def quantise(x: Array, bits: int, kind: str, is_random: bool) -> bytes:
    v, top = groups(x, kind), np.float32(2**bits - 1)
    low, high = v.min(1, keepdims=True), v.max(1, keepdims=True)
    scale = (high - low) / top
    ok = np.isfinite(scale).all()
    Reader(b"", "codec").need(ok, "not_finite", "a range wider than the largest number")
    scale[scale < 4 * LEAST] = 0
    coded = scale[:, 0] != 0
    place = np.clip(flushed(v - low)[coded] / scale[coded], 0, top)
    codes = np.rint(place)
    if is_random:
        codes = np.floor(place) + (np.random.random(place.shape) >= 1 - place % 1)
    codes = (codes.T if kind == "channel" else codes).astype("<u2").reshape(-1, 1)
    ones = np.unpackbits(codes.view(np.uint8), axis=1, bitorder="little")[:, :bits]
    ranges = np.concatenate([low, scale], 1).astype("<f4").tobytes()
    return ranges + np.packbits(ones, bitorder="little").tobytes()


def dequantise(read: Reader, shape: tuple[int, ...], bits: int, kind: str) -> Array:
    x = np.empty(shape, np.float32)
    v = groups(x, kind)  # another view of it
    ranges = np.frombuffer(read.take(8 * len(v)), "<f4").reshape(-1, 2)
    read.need(np.isfinite(ranges).all(), "not_finite", "NaN or infinity")
    read.need((ranges[:, 1] >= 0).all(), "malformed", "a negative scale")
    low, scale = flushed(ranges[:, :1]), flushed(ranges[:, 1:])
    coded = scale[:, 0] != 0
    size, count = v.shape[1], v.shape[1] * int(coded.sum())
    packed = np.frombuffer(read.take((count * bits + 7) // 8), np.uint8)
    read.end()
    ones = np.unpackbits(packed, bitorder="little")
    read.need(not ones[count * bits :].any(), "malformed", "padding that is not zero")
    codes = ones[: count * bits].reshape(count, bits) @ (1 << np.arange(bits)).astype(np.float32)
    codes = codes.reshape(size, -1).T if kind == "channel" else codes.reshape(-1, size)
    v[:] = low
    v[coded] = limited(codes * scale[coded] + low[coded])
    return x


def flushed(x: Array) -> Array:
    """Numbers too small for full precision, and -0, are +0."""
    return np.where(np.abs(x) < LEAST, np.float32(0), x)


def limited(x: Array) -> Array:
    """The same, and infinity is the largest number."""
    return flushed(np.clip(x, -LARGEST, LARGEST))
