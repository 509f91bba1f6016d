#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The server of split training in PyTorch, for clients that speak PROTOCOL.md, one at a time."""

from __future__ import annotations

import argparse
import socket
import struct
import time

import numpy as np
import torch
from torch.nn import functional as F

import payloads
from vit import Model, Part, options, rate
from wire import Kind, Link, Refused, Session, WireError, compare_settings, need


class Client:
    """A client's session: its part of the model, and what it takes to come back."""

    def __init__(self, model: Model, o: argparse.Namespace, settings: dict[str, str]) -> None:
        self.model, self.o, self.schedule = model, o, settings["schedule"]
        try:
            self.codec, _ = payloads.Codec(settings["codec"]), rate(self.schedule, o.lr, 0)
        except ValueError as error:
            raise Refused("codec, or schedule", str(error), "whole numbers") from error
        self.session, self.reply = Session(), b""
        self.part = Part(model, o.cut, model.sizes["depth"], o.device)
        self.saved = {0: self.part.state()}

    def go_back(self, step: int) -> None:
        self.part.restore(self.saved[step])
        self.saved = {s: state for s, state in self.saved.items() if s <= step}
        self.session.last_step, self.reply = step, b""

    def scores(self, payload: bytes, codec: payloads.Codec) -> tuple:
        """Takes the activations of a message to the class scores."""
        s, limit = self.model.sizes, self.session.largest_message
        came = payloads.Activations.parse(payload, self.model.tokens, s["dim"], s["classes"], limit)
        shape = came.samples, came.tokens, s["dim"]
        x = torch.tensor(codec.decode(came.encoded, shape, False), device=self.o.device)
        x.requires_grad_()
        bias = None
        if came.token_sizes is not None:
            bias = torch.tensor(came.token_sizes, dtype=torch.float32, device=self.o.device).log()
        return came, x, self.part(x, bias)[0]

    def targets(self, came: payloads.Activations) -> np.ndarray:
        return payloads.read_labels(came.labels, came.samples, self.model.sizes["classes"])

    def train(self, payload: bytes) -> bytes:
        """Answers a forward message. Nothing has changed if it raises."""
        begin, last = time.monotonic(), self.session.last_step
        read = payloads.Reader(payload, "forward")
        at = read.get("QI")
        if at == (last, 0) and self.reply:
            return self.reply
        text = f"step {at} came, step {last + 1} was expected"
        need(at == (last + 1, 0), "wrong_step", text)
        came, x, scores = self.scores(read.take(), self.codec)
        targets = self.targets(came)
        if came.sizes is not None:
            targets *= (came.sizes / came.sizes.mean())[:, None].astype(np.float32)
        loss = F.cross_entropy(scores, torch.tensor(targets, device=scores.device))
        self.part.zero_grad()
        loss.backward()
        numbers = [loss, x.grad, *(p.grad for p in self.part.parameters())]
        finite = all(bool(n.isfinite().all()) for n in numbers)
        need(finite, "not_finite", f"step {last + 1}: a gradient, or the loss")
        encoded = self.codec.encode(x.grad.cpu().numpy(), True)
        self.part.apply_gradients(rate(self.schedule, self.o.lr, last), self.o.weight_decay)
        self.session.last_step += 1
        times = loss.item(), time.monotonic() - begin
        self.reply = struct.pack("<QIdd", *at, *times) + encoded
        return self.reply

    @torch.no_grad()
    def evaluate(self, payload: bytes) -> bytes:
        came, _, scores = self.scores(payload, payloads.Codec("float32"))
        plain = came.sizes is None and came.token_sizes is None
        need(plain, "malformed", "evaluate: sizes of samples or tokens came")
        if not came.labels:
            return payloads.pack_tensor(scores.cpu().numpy())
        targets = torch.tensor(self.targets(came), device=scores.device)
        loss = F.cross_entropy(scores, targets).item() * came.samples
        correct = (scores.argmax(1) == targets.argmax(1)).cpu().numpy()
        return struct.pack("<d", loss) + np.packbits(correct, bitorder="little").tobytes()

    def answer(self, kind: Kind, payload: bytes) -> tuple[Kind, bytes]:
        if kind == Kind.forward:
            return Kind.backward, self.train(payload)
        if kind == Kind.evaluate:
            return Kind.evaluated, self.evaluate(payload)
        if kind == Kind.fetch_weights:
            weights = {name: x.cpu().numpy() for name, x in self.part.state_dict().items()}
            return Kind.weights, payloads.pack_weights(weights)
        need(kind == Kind.checkpoint, "wrong_message", "there is no bottleneck here")
        read = payloads.Reader(payload, "checkpoint")
        step, held = read.get("QB")
        read.end()
        fits = step == self.session.last_step and held <= 2
        need(fits, "wrong_step", f"checkpoint: step {step} came")
        self.saved = dict([*self.saved.items(), (step, self.part.state())][-3:])
        return Kind.checkpoint, struct.pack("<QB", step, 1)


class Server:
    def __init__(self, o: argparse.Namespace) -> None:
        self.o, self.model = o, Model(o.weights, o.model)
        any_ = dict.fromkeys(("method", "codec", "schedule", "data", "compress"), "any")
        self.settings, self.clients = self.model.settings(o, **any_), {}
        host, _, port = o.listen.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host.strip("[]"), int(port)), family=family)
        print("listening on {}:{}".format(*self.listener.getsockname()), flush=True)

    def admit(self, link: Link) -> Client:
        hello = Session.of_hello(link.receive(Kind.hello)[1])
        try:
            compare_settings(hello.settings, self.settings)
            client = self.clients.get(hello.id) or Client(self.model, self.o, hello.settings)
            own, last = client.session, client.session.last_step
            common = set(hello.generations) & set(client.saved)
            if hello.last_step not in (last, last - 1 if client.reply else last) and common:
                client.go_back(max(common))
            own.generations = list(client.saved)
            link.send(Kind.welcome, own.admit(hello, bool(client.reply)))
        except Refused as refusal:
            link.send(Kind.refuse, refusal.payload)
            raise
        link.open(own)
        self.clients = {k: c for k, c in self.clients.items() if c is not client}
        self.clients = dict([*self.clients.items(), (own.id, client)][-8:])
        return client

    def serve(self, link: Link) -> bool:
        """Whether the client has said goodbye."""
        try:
            client = self.admit(link)
            print(f"connected at step {client.session.last_step}", flush=True)
            kinds = Kind.forward, Kind.evaluate, Kind.fetch_weights, Kind.weights, Kind.checkpoint
            while (came := link.receive(*kinds, Kind.bye))[0] != Kind.bye:
                link.send(*client.answer(*came))
            del self.clients[client.session.id]
            print(f"finished after {client.session.last_step} steps", flush=True)
            return True
        except WireError as error:
            if not isinstance(error, Refused):
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
