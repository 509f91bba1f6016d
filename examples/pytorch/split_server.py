#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The server of split training in PyTorch, for clients that speak PROTOCOL.md, one at a time."""

import argparse
import socket
import struct
import time

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from payloads import CODED, NO_GRADIENT, Activations, Codec, pack_tensor, pack_weights, read_labels
from vit import Model, Part, options
from wire import Kind, Link, Reader, Refused, Session, WireError, compare_settings, need


class Client:
    """A client's session: its part of the model, and what it takes to come back."""

    def __init__(self, model: Model, o: argparse.Namespace, settings: dict[str, str]) -> None:
        self.model, self.o, self.codec = model, o, Codec(settings["codec"])
        self.part = Part(model, o, o.cut, model.sizes["depth"])
        self.session, self.reply = Session(settings=settings), b""
        self.saved = {0: self.part.state()}

    def go_back(self, step: int) -> None:
        self.part.restore(self.saved[step])
        self.saved = {s: state for s, state in self.saved.items() if s <= step}
        self.session.last_step, self.reply = step, b""

    def scores(self, payload: bytes, is_step: bool) -> tuple[Activations, Tensor, Tensor]:
        """What came, the activations, and their class scores."""
        s, limit = self.model.sizes, self.session.largest_message
        came = Activations.parse(payload, self.model.tokens, s["dim"], s["classes"], limit)
        is_coded, wants_gradient = bool(came.flags & CODED), not came.flags & NO_GRADIENT
        need(not (is_step and is_coded), "bad_flags", "forward: a flag of evaluations came")
        fits = is_step or (wants_gradient and not came.sizes and (is_coded or not came.token_sizes))
        need(fits, "malformed", "evaluate: sizes, or a flag of steps, came")
        codec = self.codec if is_step or is_coded else Codec("float32")
        shape = came.samples, came.tokens, s["dim"]
        x = torch.tensor(codec.decode(came.encoded, shape, False), device=self.o.device)
        x.requires_grad_(is_step and wants_gradient)
        bias = None
        if came.token_sizes:
            sizes = np.frombuffer(came.token_sizes, np.uint8).reshape(shape[:2])
            bias = torch.tensor(sizes, dtype=torch.float32, device=self.o.device).log()
        return came, x, self.part.forward(x, bias)[0]

    def loss(self, came: Activations, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss, and the probabilities of the classes."""
        targets = read_labels(came.labels, *scores.shape)
        if came.sizes:
            sizes = np.frombuffer(came.sizes, "<u2")
            targets *= (sizes / sizes.mean())[:, None].astype(np.float32)
        wanted = torch.tensor(targets, device=scores.device)
        return F.cross_entropy(scores, wanted), wanted

    def train(self, payload: bytes) -> bytes:
        """Answers a forward message. Nothing has changed if it raises."""
        begin, last = time.monotonic(), self.session.last_step
        read = Reader(payload, "forward")
        at = read.get("QI")
        if at == (last, 0) and self.reply:
            return self.reply
        read.need(at == (last + 1, 0), "wrong_step", f"{at} came, step {last + 1} was expected")
        came, x, scores = self.scores(read.take(), True)
        loss, _ = self.loss(came, scores)
        self.part.adam.zero_grad()
        loss.backward()
        numbers = [loss, *(p.grad for p in (x, *self.part.weights.values()) if p.grad is not None)]
        finite = all(bool(n.isfinite().all()) for n in numbers)
        need(finite, "not_finite", f"step {last + 1}: a gradient, or the loss")
        encoded = b"" if x.grad is None else self.codec.encode(x.grad.cpu().numpy(), True)
        fits = 28 + len(encoded) <= self.session.largest_message
        need(fits, "too_long", f"backward: a gradient of {len(encoded)} bytes")
        self.part.adam.step()
        self.session.last_step += 1
        seconds = time.monotonic() - begin
        self.reply = struct.pack("<QIdd", *at, loss.item(), seconds) + encoded
        return self.reply

    @torch.no_grad()
    def evaluate(self, payload: bytes) -> bytes:
        came, _, scores = self.scores(payload, False)
        if not came.labels:
            return pack_tensor(scores.cpu().numpy())
        loss, wanted = self.loss(came, scores)
        correct = np.packbits((scores.argmax(1) == wanted.argmax(1)).cpu(), bitorder="little")
        return struct.pack("<d", loss.item() * came.samples) + correct.tobytes()

    def checkpoint(self, payload: bytes) -> bytes:
        read = Reader(payload, "checkpoint")
        step, held, _ = read.get("QBQ")
        read.end()
        read.need(held <= 3, "malformed", f"'held' is {held}")
        read.need(step == self.session.last_step, "wrong_step", f"step {step} came")
        self.saved = dict([*self.saved.items(), (step, self.part.state())][-3:])
        return struct.pack("<QBQ", step, 1, 0)

    def fetch_weights(self, _: bytes) -> bytes:
        return pack_weights({k: x.detach().cpu().numpy() for k, x in self.part.weights.items()})


ANSWERS = {
    Kind.forward: (Kind.backward, Client.train),
    Kind.evaluate: (Kind.evaluated, Client.evaluate),
    Kind.fetch_weights: (Kind.weights, Client.fetch_weights),
    Kind.checkpoint: (Kind.checkpoint, Client.checkpoint),
}


class Server:
    def __init__(self, o: argparse.Namespace) -> None:
        self.o, self.model = o, Model(o.weights, o.model)
        follows = dict.fromkeys(("method", "codec", "data", "compress"), "any")
        self.settings = self.model.settings(o, schedule="constant,0,0", **follows)
        Part(self.model, o, o.cut, self.model.sizes["depth"])  # what is slow only once, or wrong
        self.clients: dict[bytes, Client] = {}
        host, _, port = o.listen.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host.strip("[]"), int(port)), family=family)
        print("listening on {}:{}".format(*self.listener.getsockname()), flush=True)

    def admit(self, link: Link) -> Client:
        hello = Session.of_hello(link.receive(Kind.hello)[1])
        compare_settings(hello.settings, self.settings)
        client = self.clients.get(hello.id) or Client(self.model, self.o, hello.settings)
        own, common = client.session, set(hello.checkpoints) & set(client.saved)
        compare_settings(hello.settings, own.settings)
        if own.last_step - hello.last_step not in ((0, 1) if client.reply else (0,)):
            if not common:
                raise Refused("last step", str(hello.last_step), str(own.last_step))
            client.go_back(max(common))
        own.checkpoints = list(client.saved)
        link.send(Kind.welcome, own.welcome(hello))
        link.open(own)
        self.clients.pop(own.id, None)
        self.clients = dict([*self.clients.items(), (own.id, client)][-8:])
        return client

    def serve(self, link: Link) -> bool:
        """Whether the client has said goodbye."""
        try:
            client = self.admit(link)
            print(f"connected at step {client.session.last_step}", flush=True)
            while (came := link.receive(*ANSWERS, Kind.bye))[0] != Kind.bye:
                kind, answer = ANSWERS[came[0]]
                link.send(kind, answer(client, came[1]))
            del self.clients[client.session.id]
            print(f"finished after {client.session.last_step} steps", flush=True)
            return True
        except OSError as error:
            print(f"link lost: {error}", flush=True)
        except WireError as error:
            link.tell(error)
            print(f"{error.reason}: {error}", flush=True)
        except Exception as error:
            link.tell(WireError("peer_failed", "the server has failed at this step"))
            print(f"failed: {error!r}", flush=True)
        return False

    def run(self) -> None:
        finished = 0
        while finished < self.o.sessions or self.o.sessions == 0:
            link = Link(self.listener.accept()[0])
            finished += self.serve(link)
            link.close()


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT; port 0 is any")
    parser.add_argument("--sessions", type=int, default=0, help="end after so many; 0: never")
    return parser.parse_args(words)


if __name__ == "__main__":
    Server(parse()).run()
