#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A client of split training in PyTorch, for servers that speak PROTOCOL.md."""

import argparse
import json
import math
import struct
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from payloads import Activations, Codec, id_type, read_weights
from vit import Model, Part, fnv, options, save, shortest
from wire import Kind, Link, Reader, Session, WireError, connect, need


class Client:
    """Its part of the model, its images as `split_train --data idx:...` has them, and a session."""

    def __init__(self, o: argparse.Namespace) -> None:
        self.o, self.model = o, Model(o.weights, o.model)
        files = [Path(name).read_bytes() for name in o.data.removeprefix("idx:").split(",")]
        self.images, self.labels, self.test_images, self.test_labels = map(self.read_idx, files)
        mean, std = (np.array(x)[:, None] for x in (self.model.mean, self.model.std))
        self.normalised = ((np.arange(256) / 255 - mean) / std).astype(np.float32)
        stage, _, codec = o.compress.partition("@")
        name, _, keep = stage.partition(":")
        self.codec, self.keep = Codec(codec), float(keep or 1)
        select = f"select:{shortest(self.keep)}:score=attention:rest=none"
        more = {"method": select if name == "select" else "none", "codec": self.codec.text}
        more |= {"schedule": "constant,0,0", "compress": o.compress}
        more |= {"data": f"{fnv(*(part for data in files for part in (len(data), data))):016x}"}
        self.session = Session(settings=self.model.settings(o, **more))
        self.part = Part(self.model, o, 0, o.cut)
        self.link: Link | None = None
        self.lines: list[dict[str, object]] = []

    @staticmethod
    def read_idx(data: bytes) -> np.ndarray:
        shape, kind = struct.unpack_from(f">{data[3]}I", data, 4), {8: ">u1", 11: ">i2"}[data[2]]
        return np.frombuffer(data, kind, offset=4 + 4 * data[3]).reshape(shape)

    def connect(self) -> Link:
        link, last = connect(self.o.connect, self.session)
        need(last >= self.session.last_step, "wrong_step", "the server went back")
        return link

    def connected(self) -> Link:
        """The link, made anew if there is none."""
        self.link = self.link or self.connect()
        return self.link

    def ask(self, kind: Kind, payload: bytes, answer: Kind) -> bytes:
        """Sends a message and returns its answer. If the link breaks, dials and sends it again."""
        give_up = math.inf
        while True:
            try:
                link = self.connected()
                link.send(kind, payload)
                return link.receive(answer)[1]
            except OSError as error:
                give_up = min(give_up, time.monotonic() + self.o.reconnect_for)
                if time.monotonic() > give_up:
                    raise
                print(f"{error}; dialling again", flush=True)
                if self.link:
                    self.link.close()
                self.link = None
                time.sleep(0.2)

    def tokens(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """At the cut, for images of bytes, gray or in colour, and the attention of CLS to them."""
        pixels = images.reshape(len(images), -1, *images.shape[-2:])
        x = torch.from_numpy(self.normalised[np.arange(3)[:, None, None], pixels])
        return self.part.forward(x.to(self.o.device))

    def select(self, tokens: Tensor, attention: Tensor) -> Tensor:
        """CLS, and the tokens that it attends to most."""
        order = attention[:, 1:].sort(dim=1, descending=True, stable=True).indices + 1
        best = order[:, : max(1, int(self.keep * tokens.shape[1])) - 1]
        kept = torch.cat([torch.zeros_like(order[:, :1]), best.sort(dim=1).values], 1)
        return tokens.gather(1, kept[..., None].expand(-1, -1, tokens.shape[2]))

    def message(self, x: Tensor, labels: np.ndarray, codec: Codec) -> bytes:
        ids = b"\0" + labels.astype(id_type(self.model.sizes["classes"])).tobytes()
        encoded = codec.encode(x.detach().cpu().numpy(), False)
        return Activations(x.shape[0], x.shape[1], ids, encoded).pack()

    def step(self, which: np.ndarray) -> float:
        x = self.select(*self.tokens(self.images[which]))
        number = struct.pack("<QI", self.session.last_step + 1, 0)
        message = number + self.message(x, self.labels[which], self.codec)
        read = Reader(self.ask(Kind.forward, message, Kind.backward), "backward")
        read.need(read.take(12) == number, "wrong_step", "the answer to another step")
        loss, seconds = read.get("dd")
        finite = math.isfinite(loss) and math.isfinite(seconds) and seconds >= 0
        read.need(finite, "not_finite", f"loss {loss} and {seconds} seconds")
        gradient = self.codec.decode(read.take(), tuple(x.shape), True)
        self.part.adam.zero_grad()
        x.backward(torch.tensor(gradient, device=x.device))
        self.part.adam.step()
        self.session.last_step += 1
        return float(loss)

    @torch.no_grad()
    def evaluate(self) -> float:
        correct, count, size = 0, len(self.test_labels), max(self.o.batch, 32)
        for at in range(0, count, size):
            labels = self.test_labels[at : at + size]
            x, _ = self.tokens(self.test_images[at : at + size])
            message = self.message(x, labels, Codec("float32"))
            read = Reader(self.ask(Kind.evaluate, message, Kind.evaluated), "evaluated")
            _, bits = read.get("d"), read.take((len(labels) + 7) // 8)
            read.end()
            correct += sum(map(int.bit_count, bits))
        return correct / count

    def run(self) -> None:
        batch, count, session = self.o.batch, len(self.labels), self.session
        per_epoch = math.ceil(count / batch)
        while session.last_step < self.o.steps:
            epoch, at = divmod(session.last_step, per_epoch)
            order = np.random.default_rng((self.o.seed, epoch)).permutation(count)
            loss = self.step(order[at * batch : at * batch + batch])
            link = self.connected()
            line = {"record": "step", "step": session.last_step, "loss": loss}
            self.lines.append(line | {"bytes_up": link.bytes_up, "bytes_down": link.bytes_down})
        print(self.lines[-1], f"test accuracy {self.evaluate():.4f}")
        if self.o.out:
            self.save(Path(self.o.out))
        self.connected().send(Kind.bye)

    def save(self, folder: Path) -> None:
        """The joined model, and a line a step."""
        other = Part(self.model, self.o, self.o.cut, self.model.sizes["depth"]).weights
        shapes = {key: tuple(x.shape) for key, x in other.items()}
        came = read_weights(self.ask(Kind.fetch_weights, b"", Kind.weights), shapes)
        weights = self.part.weights | {key: torch.tensor(x) for key, x in came.items()}
        folder.mkdir(parents=True, exist_ok=True)
        save(folder / "model.safetensors", weights, self.model.metadata)
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


def main() -> None:
    client = Client(parse())
    try:
        client.run()
    except WireError as error:
        if client.link:
            client.link.tell(error)
        raise


if __name__ == "__main__":
    main()
