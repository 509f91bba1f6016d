#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Replays the exchanges in tests/wire/exchanges with the Python implementation: both sides take the
numbers from the files, and must write and read the recorded bytes. Needs numpy, not torch."""

from __future__ import annotations

import json
import math
import socket
import struct
import sys
from pathlib import Path

try:
    import numpy as np
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "pytorch"))
import payloads  # noqa: E402
import wire  # noqa: E402
from wire import Kind  # noqa: E402

FOLDER = ROOT / "tests" / "wire" / "exchanges"
SESSION = struct.pack("<QQ", 0x1716151413121110, 0x1F1E1D1C1B1A1918)
SIZES = {"image": 8, "patch": 4, "channels": 3, "dim": 8, "heads": 2, "depth": 2, "mlp_ratio": 2}
TOKENS, WIDTH, CLASSES, LIMIT = 5, 8, 3, wire.CEILING


class Tapped:
    """A socket that remembers what it has sent."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.sent = sock, bytearray()
        self.settimeout, self.recv, self.close = sock.settimeout, sock.recv, sock.close

    def setsockopt(self, *option: int) -> None:
        """Those of TCP, which this one is not."""

    def send(self, data: memoryview) -> int:
        count = self.sock.send(data)
        self.sent += data[:count]
        return count


def read_numbers(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    data = path.read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:begin])
    metadata = head.pop("__metadata__")
    out = {}
    for name, entry in head.items():
        assert entry["dtype"] == "F32", name
        ends = [begin + at for at in entry["data_offsets"]]
        out[name] = np.frombuffer(data[slice(*ends)], "<f4").reshape(entry["shape"])
    return out, metadata


def pack_labels(table: np.ndarray, is_soft: bool) -> bytes:
    """As section 8 asks a sender to do."""
    rows = [[(c, x) for c, x in enumerate(row) if x > 0] for row in table.tolist()]
    if is_soft:
        pairs = [b"".join(struct.pack("<Bf", *entry) for entry in row) for row in rows]
        return b"\2" + b"".join(struct.pack("<H", len(p) // 5) + p for p in pairs)
    ids = []
    for row in rows:
        divisor = math.gcd(*(int(count) for _, count in row))
        ids.append([c for c, count in row for _ in range(int(count) // divisor)])
    if all(len(row) == 1 for row in ids):
        return b"\0" + bytes(c for (c,) in ids)
    return b"\1" + b"".join(struct.pack("<H", len(row)) + bytes(row) for row in ids)


def block_names(i: int) -> list[str]:
    layers = "norm1 attn.qkv attn.proj norm2 mlp.fc1 mlp.fc2".split()
    return [f"blocks.{i}.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]


def pack_turn(*numbers: int, weights: bytes) -> bytes:
    """Of a client: turn, steps, checksum. Of a server: number, round, steps, what."""
    return struct.pack("<QQI" if len(numbers) == 3 else "<QQQB", *numbers) + weights


class Exchange:
    """Both sides, over a pair of sockets."""

    def __init__(self, name: str) -> None:
        self.name, self.connections = name, 0
        self.numbers, metadata = read_numbers(FOLDER / f"{name}.safetensors")
        self.codec = payloads.Codec(metadata["codec"])
        assert self.codec.text == metadata["codec"]
        settings = {key: str(size) for key, size in SIZES.items()}
        settings |= {"classes": "3", "cut": "1", "numbers": "float32"}
        settings |= {"method": metadata["method"], "bottleneck": "none", "codec": self.codec.text}
        self.at_client, self.at_server = wire.Session(client=2), wire.Session(id=SESSION)
        self.at_client.settings, self.reply = settings, b""
        self.flags = payloads.NO_GRADIENT if name == "turns" else 0

    def say_hello(self, generations: list[int]) -> wire.Session:
        both = [Tapped(sock) for sock in socket.socketpair()]
        self.taps, self.connections = both, self.connections + 1
        self.client, self.server = wire.Link(both[0]), wire.Link(both[1])
        self.at_client.checkpoints = self.at_server.checkpoints = generations
        self.at_client.heartbeat_ms = 5000
        self.client.send(Kind.hello, self.at_client.hello())
        hello = wire.Session.of_hello(self.server.receive(Kind.hello)[1])
        assert hello == self.at_client
        return hello

    def connect(self, *generations: int) -> None:
        hello = self.say_hello(list(generations))
        wire.compare_settings(hello.settings, self.at_client.settings | {"method": "any"})
        self.server.send(Kind.welcome, self.at_server.welcome(hello))
        last = self.at_client.welcomed(self.client.receive(Kind.welcome)[1])
        assert last == self.at_server.last_step
        self.server.open(self.at_server)
        self.client.open(self.at_client)

    def end(self) -> None:
        for tap, way in zip(self.taps, ("up", "down")):
            wanted = (FOLDER / f"{self.name}.{self.connections}.{way}.bin").read_bytes()
            assert tap.sent == wanted, f"{self.name}, connection {self.connections}, {way}"
        self.client.close()
        self.server.close()

    def say_goodbye(self) -> None:
        self.client.send(Kind.bye)
        self.server.receive(Kind.bye)
        self.end()

    def same(self, what: str, came: np.ndarray) -> None:
        wanted = self.numbers[what]
        assert came.shape == wanted.shape and came.tobytes() == wanted.tobytes(), what

    def step(self, is_answered: bool = True) -> None:
        number = self.at_client.last_step + 1
        step = f"step.{number}."
        of = {k.removeprefix(step): x for k, x in self.numbers.items() if k.startswith(step)}
        x, at = of["activations"], struct.pack("<QI", number, 0)
        message = payloads.Activations(*x.shape[:2], encoded=self.codec.encode(x, False))
        message.labels = pack_labels(of["labels"], self.name == "q_soft")
        nothing = np.zeros(0)
        message.sizes = of.get("sizes", nothing).astype("<u2").tobytes()
        message.token_sizes = of.get("token_sizes", nothing).astype("<u1").tobytes()
        message.flags = self.flags
        self.client.send(Kind.forward, at + message.pack())
        came = self.server.receive(Kind.forward)[1]
        assert came[:12] == at
        if number > self.at_server.last_step:
            self.reply = at + self.answer(step, came[12:])
            self.at_server.last_step = number
        if not is_answered:
            return self.end()
        self.server.send(Kind.backward, self.reply)
        came = self.client.receive(Kind.backward)[1]
        assert came[:12] == at and struct.unpack("<dd", came[12:28])[0] == of["loss"][0]
        if "gradient" in of:
            gradient = self.codec.decode(came[28:], x.shape, True)
            self.same(step + "gradient_decoded", gradient)
        self.at_client.last_step = number

    def answer(self, step: str, payload: bytes) -> bytes:
        came = payloads.Activations.parse(payload, TOKENS, WIDTH, CLASSES, LIMIT)
        shape = came.samples, came.tokens, WIDTH
        self.same(step + "decoded", self.codec.decode(came.encoded, shape, False))
        self.same(step + "targets", payloads.read_labels(came.labels, came.samples, CLASSES))
        for name, sizes, kind in (
            ("sizes", came.sizes, "<u2"),
            ("token_sizes", came.token_sizes, "<u1"),
        ):
            wanted = self.numbers.get(step + name, np.zeros(0))
            assert np.array_equal(np.frombuffer(sizes, kind), wanted.ravel()), name
        head = struct.pack("<dd", self.numbers[step + "loss"][0], 0.25)
        assert came.flags & payloads.NO_GRADIENT == self.flags
        return (
            head if self.flags else head + self.codec.encode(self.numbers[step + "gradient"], True)
        )

    def evaluate(self, flags: int = 0) -> None:
        x, scores = self.numbers["evaluate.activations"], self.numbers["evaluate.scores"]
        codec = self.codec if flags == payloads.CODED else payloads.Codec("float32")
        classes = np.array([2, 0, 1, 1, 2, 0])
        for labels in (b"\0" + bytes(classes.tolist()), b""):
            encoded = codec.encode(x, False)
            message = payloads.Activations(*x.shape[:2], labels, encoded, flags)
            self.client.send(Kind.evaluate, message.pack())
            came = self.server.receive(Kind.evaluate)[1]
            assert payloads.Activations.parse(came, TOKENS, WIDTH, CLASSES, LIMIT) == message
            self.same("evaluate.decoded", codec.decode(message.encoded, x.shape, False))
            correct = np.packbits(scores.argmax(1) == classes, bitorder="little").tobytes()
            answer = struct.pack("<d", 6.5) + correct if labels else payloads.pack_tensor(scores)
            self.server.send(Kind.evaluated, answer)
            self.client.receive(Kind.evaluated)

    def fetch_weights(self) -> None:
        self.client.send(Kind.fetch_weights)
        self.server.receive(Kind.fetch_weights)
        names = block_names(1) + ["norm.weight", "norm.bias", "head.weight", "head.bias"]
        weights = {name: self.numbers["server." + name] for name in names}
        self.server.send(Kind.weights, payloads.pack_weights(weights))
        shapes = {name: x.shape for name, x in weights.items()}
        came = payloads.read_weights(self.client.receive(Kind.weights)[1], shapes)
        for name, x in came.items():
            self.same("server." + name, x)

    def exchange(self, kind: Kind, question: bytes, answer: bytes) -> None:
        self.client.send(kind, question)
        assert self.server.receive(kind)[1] == question
        self.server.send(kind, answer)
        assert self.client.receive(kind)[1] == answer

    def checkpoint(self) -> None:
        question, answer = (struct.pack("<QBQ", self.at_client.last_step, 1, n) for n in (0, 7))
        self.exchange(Kind.checkpoint, question, answer)

    def take_turn(self, request: tuple[int, int], turn: tuple[int, ...], has_weights: bool) -> None:
        names = "cls_token pos_embed patch_embed.proj.weight patch_embed.proj.bias".split()
        names += block_names(0)
        weights = {name: self.numbers["client." + name] for name in names}
        data = payloads.pack_weights(weights) if has_weights else b""
        if has_weights:
            payloads.read_weights(data, {name: x.shape for name, x in weights.items()})
        start = b"".join(x.astype("<f4").tobytes() for x in weights.values())
        request = *request, 0 if request[0] else wire.crc32c(start)
        question, answer = pack_turn(*request, weights=data), pack_turn(*turn, weights=data)
        self.exchange(Kind.turn, question, answer)

    def refuse(self) -> None:
        self.say_hello([])
        refusal = wire.Refused("cut", "1", "2")
        self.server.send(Kind.refuse, refusal.payload)
        try:
            self.client.receive(Kind.welcome, Kind.refuse)
            raise AssertionError("not refused")
        except wire.Refused as came:
            assert str(came) == str(refusal)
        self.end()


def replay(name: str) -> None:
    exchange = Exchange(name)
    if name == "refused":
        return exchange.refuse()
    exchange.connect()
    if name == "turns":
        exchange.take_turn((0, 2), (1, 1, 2, 0), False)
    exchange.step()
    if name == "float32":
        exchange.client.send(Kind.heartbeat)
    exchange.step(is_answered=name != "resumed")
    if name == "resumed":
        exchange.connect(0, 1)
        exchange.step()
        exchange.step()
    if name == "float32":
        exchange.evaluate()
        exchange.checkpoint()
        exchange.fetch_weights()
    if name == "turns":
        exchange.take_turn((1, 0), (2, 1, 0, 1), True)
        exchange.evaluate(payloads.CODED)
    exchange.say_goodbye()


def main() -> None:
    wire.Link._beat = lambda *_: None  # recorded streams have one where they say so
    names = sorted(path.stem for path in FOLDER.glob("*.safetensors"))
    assert len(names) == 9, names
    for name in names:
        replay(name)
    print(f"replayed {', '.join(names)}")


if __name__ == "__main__":
    main()
