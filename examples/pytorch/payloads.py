# SPDX-License-Identifier: MIT
"""The payloads of PROTOCOL.md: activations with labels, tensors, codecs. Needs numpy only."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from wire import Reader, Refused, pack_text

Array = np.ndarray
LARGEST, LEAST = np.finfo(np.float32).max, np.finfo(np.float32).tiny
KINDS = {"tensor", "sample", "token", "channel"}
BRAIN_LARGEST = np.uint32(0x7F7F0000).view(np.float32)


@dataclass
class Activations:
    """A forward message behind the number of its step, or an evaluate message."""

    samples: int
    tokens: int
    labels: bytes = b""
    encoded: bytes = b""
    sizes: Array | None = None  # (samples)
    token_sizes: Array | None = None  # (samples, tokens)

    def pack(self) -> bytes:
        sizes = b"" if self.sizes is None else self.sizes.astype("<u2").tobytes()
        token_sizes = b"" if self.token_sizes is None else self.token_sizes.astype("u1").tobytes()
        follow = (1 if sizes else 0) | (2 if token_sizes else 0)
        head = struct.pack("<IIIB", self.samples, self.tokens, len(self.labels), follow)
        return head + sizes + token_sizes + self.labels + self.encoded

    @staticmethod
    def parse(payload: bytes, tokens: int, width: int, classes: int, limit: int) -> Activations:
        """At most `tokens` of `width` numbers a sample, and `limit` bytes of all when decoded."""
        read = Reader(payload, "activations")
        came = Activations(*read.get("II"))
        fits = came.samples >= 1 and 1 <= came.tokens <= tokens
        fits &= came.samples * 4 * max(came.tokens * width, classes) <= limit
        read.need(fits, "wrong_shape", f"{came.samples} samples of {came.tokens} tokens")
        label_bytes, follow = read.get("IB")
        read.need(label_bytes <= limit // 16, "too_long", f"{label_bytes} bytes of labels")
        read.need(follow <= 3, "malformed", f"the byte for sizes is {follow}")
        if follow & 1:
            came.sizes = np.frombuffer(read.take(2 * came.samples), "<u2")
        if follow & 2:
            sizes = np.frombuffer(read.take(came.samples * came.tokens), np.uint8)
            came.token_sizes = sizes.reshape(came.samples, came.tokens)
        for all_ in (came.sizes, came.token_sizes):
            read.need(all_ is None or bool(all_.all()), "malformed", "a size of 0")
        came.labels, came.encoded = read.take(label_bytes), read.take()
        return came


def id_type(classes: int) -> np.dtype:
    return np.dtype("<u1" if classes <= 256 else "<u2" if classes <= 65536 else "<u4")


def read_labels(payload: bytes, rows: int, classes: int) -> Array:
    """The probabilities of the classes, (rows, classes)."""
    read, kind, targets = Reader(payload, "labels"), id_type(classes), np.zeros((rows, classes))
    (mode,) = read.get("B")
    read.need(mode <= 2, "malformed", f"mode {mode}")
    kind = np.dtype([("id", kind), ("weight", "<f4")]) if mode == 2 else kind
    for target in targets:
        count = read.get("H")[0] if mode else 1
        came = np.frombuffer(read.take(count * kind.itemsize), kind)
        ids = (came["id"] if mode == 2 else came).astype(np.int64)
        fits = count > 0 and bool((np.diff(ids) >= (mode == 2)).all() and ids[-1] < classes)
        read.need(fits, "malformed", f"classes {ids[:9]} in a row")
        weights = came["weight"].astype(np.float64) if mode == 2 else np.full(count, 1 / count)
        read.need(bool(np.isfinite(weights).all()), "not_finite", "a weight")
        fits = bool((weights >= 0).all()) and abs(weights.sum() - 1) <= 1e-4
        read.need(fits, "malformed", f"weights {weights[:9]} in a row")
        np.add.at(target, ids, weights)
    read.end()
    return targets.astype(np.float32)


def pack_tensor(x: Array, before: int = 0) -> bytes:
    """`before`: bytes of the payload in front of it."""
    head = struct.pack(f"<BB{x.ndim}I", 1, x.ndim, *x.shape)
    return head + bytes(-(before + len(head)) % 64) + x.astype("<f4").tobytes()


def pack_weights(weights: dict[str, Array]) -> bytes:
    out = bytearray(struct.pack("<I", len(weights)))
    for name, x in weights.items():
        out += pack_text(name)
        out += pack_tensor(x, len(out))
    return bytes(out)


def read_weights(payload: bytes, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    read, out = Reader(payload, "weights"), {}
    read.need(read.get("I") == (len(shapes),), "wrong_shape", "another number of tensors")
    for name, shape in shapes.items():
        came = read.text(256), *read.get("BB")
        fits = came == (name, 1, len(shape)) and read.get(f"{len(shape)}I") == shape
        read.need(fits, "wrong_shape", f"another tensor than {name} {shape}")
        read.need(not any(read.take(-read.at % 64)), "malformed", "padding that is not zero")
        x = np.frombuffer(read.take(4 * math.prod(shape)), "<f4").reshape(shape)
        read.need(bool(np.isfinite(x).all()), "not_finite", f"NaN or infinity in {name}")
        out[name] = x
    read.end()
    return out


class Codec:
    """float32, float16, bfloat16 or q, as --compress has it behind the @, or the handshake."""

    def __init__(self, text: str) -> None:
        self.name, *parts = text.replace(",", ":").split(":")
        given = dict(part.split("=", 1) if "=" in part else ("", part) for part in parts)
        ranges = {"range": "token", "gradient_range": "token", "rounding": "nearest"}
        options = {"": "8", "gradient_bits": given.get("", "8")} | ranges
        known = {"float32": {}, "bfloat16": {}, "float16": {"scaled": "yes"}, "q": options}
        if self.name not in known or not given.keys() <= known[self.name].keys():
            raise Refused("codec", text, "float32, float16, bfloat16, q")
        o = known[self.name] | given
        self.text = ":".join([self.name, *(f"{k}={v}" if k else v for k, v in o.items())])
        self.scaled, self.is_random = o.get("scaled") == "yes", o.get("rounding") == "stochastic"
        self.bits = int(o.get("", "8")), int(o.get("gradient_bits", "8"))
        self.range = o.get("range", "token"), o.get("gradient_range", "token")
        if not set(range(1, 17)).issuperset(self.bits) or not KINDS.issuperset(self.range):
            raise Refused("codec", text, "q with 1 to 16 bits")

    def encode(self, x: Array, backward: bool) -> bytes:
        head, scaled = b"", self.scaled and backward
        if self.name == "q":
            return self._quantise(x, self.bits[backward], self.range[backward])
        if self.name == "float32":
            return x.astype("<f4").tobytes()
        if self.name == "bfloat16":
            bits = np.clip(x, -BRAIN_LARGEST, BRAIN_LARGEST).view(np.uint32)
            return (bits + 0x7FFF + (bits >> 16 & 1) >> 16).astype("<u2").tobytes()
        if scaled:
            x = flushed(x)
            largest = float(np.abs(x).max())
            power = min(max(15 - math.frexp(largest)[1], -126), 126) if largest else 0
            head, x = struct.pack("<h", power), x * np.ldexp(np.float32(1), power)
        return head + np.clip(x, -65504, 65504).astype("<f2").tobytes()

    def decode(self, data: bytes, shape: tuple[int, ...], backward: bool) -> Array:
        read, scaled = Reader(data, self.name), self.scaled and backward
        if self.name == "q":
            return self._dequantise(read, shape, self.bits[backward], self.range[backward])
        (power,) = read.get("h") if scaled else (0,)
        read.need(abs(power) <= 126, "malformed", f"a gradient times 2^{power}")
        body = read.take((4 if self.name == "float32" else 2) * math.prod(shape))
        read.end()
        if self.name == "bfloat16":
            x = (np.frombuffer(body, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            x = np.frombuffer(body, "<f4" if self.name == "float32" else "<f2").astype(np.float32)
        read.need(bool(np.isfinite(x).all()), "not_finite", "NaN or infinity")
        if scaled:
            x = flushed(np.clip(x * np.ldexp(np.float32(1), -power), -LARGEST, LARGEST))
        return x.reshape(shape)

    def _quantise(self, x: Array, bits: int, kind: str) -> bytes:
        v, top = groups(flushed(x), kind), np.float32(2**bits - 1)
        low, high = v.min(1, keepdims=True), v.max(1, keepdims=True)
        scale = (high - low) / top
        scale = np.where(scale < 4 * LEAST, np.float32(0), scale)
        ok = bool(np.isfinite(scale).all())
        Reader(b"", "q").need(ok, "not_finite", "a range wider than the largest number")
        coded = scale[:, 0] != 0
        place = np.clip(flushed(v - low)[coded] / scale[coded], 0, top)
        codes = np.rint(place)
        if self.is_random:
            codes = np.floor(place) + (np.random.random(place.shape) >= 1 - place % 1)
        codes = (codes.T if kind == "channel" else codes).astype("<u2").reshape(-1, 1)
        ones = np.unpackbits(codes.view(np.uint8), axis=1, bitorder="little")[:, :bits]
        packed = np.packbits(ones.ravel(), bitorder="little").tobytes()
        return np.concatenate([low, scale], 1).astype("<f4").tobytes() + packed

    @staticmethod
    def _dequantise(read: Reader, shape: tuple[int, ...], bits: int, kind: str) -> Array:
        x = np.empty(shape, np.float32)
        v = groups(x, kind)  # another view of it
        ranges = np.frombuffer(read.take(8 * len(v)), "<f4").reshape(-1, 2)
        read.need(bool(np.isfinite(ranges).all()), "not_finite", "NaN or infinity")
        read.need(bool((ranges[:, 1] >= 0).all()), "malformed", "a negative scale")
        low, scale = flushed(ranges[:, :1]), flushed(ranges[:, 1:])
        v[:], coded = low, scale[:, 0] != 0
        count, n = int(coded.sum()) * v.shape[1], int(coded.sum())
        packed = np.frombuffer(read.take((count * bits + 7) // 8), np.uint8)
        read.end()
        ones = np.unpackbits(packed, bitorder="little")
        read.need(not ones[count * bits :].any(), "malformed", "padding that is not zero")
        codes = ones[: count * bits].reshape(count, bits) @ (1 << np.arange(bits))
        size = v.shape[1]
        codes = codes.reshape(size, n).T if kind == "channel" else codes.reshape(n, size)
        product = np.minimum(codes * scale[coded].astype(np.float64), LARGEST).astype(np.float32)
        v[coded] = flushed(np.clip(product + low[coded], -LARGEST, LARGEST))
        return x


def groups(x: Array, kind: str) -> Array:
    """The numbers that share a range, as rows."""
    rows = x.reshape(-1, x.shape[-1])
    whole = {"tensor": x.reshape(1, -1), "sample": x.reshape(len(x), -1)}
    return (whole | {"token": rows, "channel": rows.T})[kind]


def flushed(x: Array) -> Array:
    """Numbers too small for full precision, and -0, are +0."""
    return np.where(np.abs(x) < LEAST, np.float32(0), x)
