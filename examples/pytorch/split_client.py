#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A client of split training in PyTorch, for servers that speak PROTOCOL.md."""

from __future__ import annotations

import argparse
import json
import math
import struct
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import payloads
from vit import Model, Part, fnv, options, save, shortest
from wire import LARGEST_FRAME, Kind, Link, Session, WireError, connect, need


class Images:
    """Images and labels in the IDX format, normalised as for the training of these weights."""

    def __init__(self, images: bytes, labels: bytes, model: Model) -> None:
        rank = images[3]
        shape = struct.unpack_from(f">{rank}I", images, 4)
        x = np.frombuffer(images, np.uint8, offset=4 + 4 * rank).reshape(shape[0], -1, *shape[-2:])
        self.images = np.broadcast_to(x, (shape[0], 3, *shape[-2:]))
        self.labels = np.frombuffer(labels, ">u1" if labels[2] == 8 else ">u2", offset=8)
        values = [(np.arange(256) / 255 - m) / s for m, s in zip(model.mean, model.std)]
        self.values = np.array(values, np.float32)

    def __getitem__(self, which: np.ndarray) -> tuple[Tensor, np.ndarray]:
        x = self.images[which]
        return torch.from_numpy(self.values[np.arange(3)[:, None, None], x]), self.labels[which]


class Client:
    def __init__(self, o: argparse.Namespace) -> None:
        self.o, self.model = o, Model(o.weights, o.model)
        files = [Path(name).read_bytes() for name in o.data.removeprefix("idx:").split(",")]
        self.train, self.test = (Images(*files[i : i + 2], self.model) for i in (0, 2))
        stage, _, codec = o.compress.partition("@")
        name, _, keep = stage.partition(":")
        self.codec, self.keep = payloads.Codec(codec or "float32"), float(keep or 1)
        select = f"select:{shortest(self.keep)}:score=attention:rest=none"
        more = {"method": select if name == "select" else "none", "codec": self.codec.text}
        more |= {"schedule": "constant,0,0", "compress": o.compress}
        more |= {"data": f"{fnv(*(part for data in files for part in (len(data), data))):016x}"}
        self.session, self.link = Session(settings=self.model.settings(o, **more)), None
        self.part = Part(self.model, 0, o.cut, o.device)
        self.bytes: Counter[str] = Counter()  # of training, each step once
        self.lines: list[dict] = []

    def connect(self) -> Link:
        """Dials until a server answers."""
        give_up, is_new = time.monotonic() + self.o.reconnect_for, self.session.connection == 0
        hello = self.session.hello()
        while True:
            try:
                link, last = connect(self.o.connect, self.session)
                break
            except WireError as error:
                if not error.is_of_link or time.monotonic() > give_up:
                    raise
                time.sleep(0.2)
        need(last >= self.session.last_step, "wrong_step", "the server went back")
        if is_new:
            self.count(hello, bytes(55))
        return link

    def count(self, up: bytes, down: bytes) -> None:
        for way, payload in (("up", up), ("down", down)):
            framing = 32 * max(1, math.ceil(len(payload) / LARGEST_FRAME))
            self.bytes[f"bytes_{way}"] += len(payload) + framing
            self.bytes[f"payload_{way}"] += len(payload)

    def ask(self, kind: Kind, payload: bytes, answer: Kind) -> bytes:
        """Sends a message and returns its answer; once more if the link breaks meanwhile."""
        while True:
            try:
                self.link = self.link or self.connect()
                self.link.send(kind, payload)
                return self.link.receive(answer)[1]
            except WireError as error:
                if self.link:
                    self.link.tell(error)
                    self.link.close()
                if not error.is_of_link:
                    raise
                print(f"{error}; dialling again", flush=True)
                self.link = None

    def at_cut(self, images: Tensor) -> Tensor:
        """The tokens to send: CLS and those that it attends to most."""
        tokens, attention = self.part(images.to(self.o.device))
        count = max(1, int(self.keep * tokens.shape[1]))
        order = attention[:, 1:].sort(dim=1, descending=True, stable=True).indices + 1
        best = order[:, : count - 1]
        kept = torch.cat([torch.zeros_like(best[:, :1]), best.sort(dim=1).values], 1)
        return tokens.gather(1, kept[..., None].expand(-1, -1, tokens.shape[2]))

    def message(self, x: Tensor, labels: np.ndarray, codec: payloads.Codec) -> bytes:
        ids = b"\0" + labels.astype(payloads.id_type(self.model.sizes["classes"])).tobytes()
        encoded = codec.encode(x.detach().cpu().numpy(), False)
        return payloads.Activations(x.shape[0], x.shape[1], ids, encoded).pack()

    def step(self, images: Tensor, labels: np.ndarray) -> float:
        x, number = self.at_cut(images), struct.pack("<QI", self.session.last_step + 1, 0)
        message = number + self.message(x, labels, self.codec)
        came = self.ask(Kind.forward, message, Kind.backward)
        self.count(message, came)
        read = payloads.Reader(came, "backward")
        need(read.take(12) == number, "wrong_step", "backward: the answer to another step")
        loss, seconds = read.get("dd")
        finite = math.isfinite(loss) and math.isfinite(seconds) and seconds >= 0
        need(finite, "not_finite", f"backward: loss {loss} and {seconds} seconds")
        gradient = self.codec.decode(read.take(), tuple(x.shape), True)
        x.backward(torch.tensor(gradient, device=x.device))
        self.part.apply_gradients(self.o.lr, self.o.weight_decay)
        self.session.last_step += 1
        return loss

    @torch.no_grad()
    def evaluate(self) -> float:
        correct, count, size = 0, len(self.test.labels), max(self.o.batch, 32)
        for at in range(0, count, size):
            images, labels = self.test[np.arange(at, min(at + size, count))]
            x = self.part(images.to(self.o.device))[0]
            message = self.message(x, labels, payloads.Codec("float32"))
            came = self.ask(Kind.evaluate, message, Kind.evaluated)
            fits = len(came) == 8 + (len(labels) + 7) // 8
            need(fits, "malformed", f"evaluated: {len(came)} bytes")
            correct += int(np.unpackbits(np.frombuffer(came, np.uint8, offset=8)).sum())
        return correct / count

    def run(self) -> None:
        batch, count, session = self.o.batch, len(self.train.labels), self.session
        per_epoch = math.ceil(count / batch)
        while session.last_step < self.o.steps:
            epoch, at = divmod(session.last_step, per_epoch)
            order = np.random.default_rng((self.o.seed, epoch)).permutation(count)
            loss = self.step(*self.train[order[at * batch : at * batch + batch]])
            line = {"record": "step", "step": session.last_step, "loss": loss}
            self.lines.append(line | self.bytes)
        self.lines.append({"record": "end", "test_accuracy": self.evaluate()})
        print(self.lines[-2], self.lines[-1])
        if self.o.out:
            self.save(Path(self.o.out))
        self.link.send(Kind.bye)

    def save(self, folder: Path) -> None:
        """The joined model, and a line a step."""
        other = Part(self.model, self.o.cut, self.model.sizes["depth"], "cpu").state_dict()
        shapes = {key: tuple(x.shape) for key, x in other.items()}
        came = payloads.read_weights(self.ask(Kind.fetch_weights, b"", Kind.weights), shapes)
        weights = {key: torch.tensor(x) for key, x in came.items()}
        folder.mkdir(parents=True, exist_ok=True)
        save(folder / "model.safetensors", self.part.state_dict() | weights, self.model.metadata)
        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        (folder / "metrics.jsonl").write_text(text)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--connect", required=True, help="HOST:PORT")
    parser.add_argument("--data", required=True, help="idx: and four files, as split_train has it")
    parser.add_argument("--compress", default="none", help="none or select:R, then @CODEC")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--reconnect-for", type=float, default=600, help="seconds")
    parser.add_argument("--out", help="folder for model.safetensors and metrics.jsonl")
    return parser.parse_args(words)


if __name__ == "__main__":
    Client(parse()).run()
