#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pairs.py SPLIT_TRAIN [PART...]: PyTorch and C++ train with each other as the C++ pair does; a
client that is killed comes back; garbage ends in a typed error, and the next client is served."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"skipped: {error}; it needs pip install torch==2.13.0 numpy")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "pytorch"))
import payloads  # noqa: E402
import split_client  # noqa: E402
import split_server  # noqa: E402
import vit  # noqa: E402
import wire  # noqa: E402

PROGRAM = str(Path(sys.argv[1]).resolve())
DATA = "idx:train-images,train-labels,test-images,test-labels"
CLIENT = ["--data", DATA, "--batch", "96"]
SERVED = ["none", "select:0.5", "adc:0.3", "merge-tokens:0.5@q:8", "none@float16"]
SERVED += ["merge-tokens:0.5:send_sizes=yes@bfloat16", "select:0.5,feedback:every:2@float16"]
SENT = ["none", "select:0.5", "none@float16", "none@q:8"]
QUANTISED = [SERVED[3], "none@q:8"]
# Which tokens are merged, and to which code a number is rounded, may hang on its last bit; see
# answers_alike. With small steps such bits differ seldom.
RATES = dict.fromkeys([*QUANTISED, SERVED[5]], "1e-05")


def write_inputs() -> None:
    """Images whose class is a dark column, and a vit_micro."""
    draws = np.random.default_rng(0)
    for name, count in (("train", 96), ("test", 40)):
        images = draws.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        labels = draws.integers(0, 10, count).astype(np.uint8)
        for image, label in zip(images, labels):
            image[:, :, 3 * label : 3 * label + 3] //= 4
        head = struct.pack(">IIIII", 0x804, *images.shape)
        Path(f"{name}-images").write_bytes(head + images.tobytes())
        Path(f"{name}-labels").write_bytes(struct.pack(">II", 0x801, count) + labels.tobytes())
    torch.manual_seed(0)
    D, weights = 64, {}
    layers = {"norm1": (D,), "attn.qkv": (3 * D, D), "attn.proj": (D, D), "norm2": (D,)}
    layers |= {"mlp.fc1": (4 * D, D), "mlp.fc2": (D, 4 * D)}
    shapes = {"patch_embed.proj": (D, 3, 8, 8)}
    shapes |= {f"blocks.{i}.{layer}": shape for i in range(4) for layer, shape in layers.items()}
    for layer, shape in (shapes | {"norm": (D,), "head": (10, D)}).items():
        scale = np.prod(shape[1:]) ** -0.5
        is_norm = len(shape) == 1
        weights[layer + ".weight"] = torch.ones(shape) if is_norm else torch.randn(shape) * scale
        weights[layer + ".bias"] = torch.zeros(shape[0])
    weights["cls_token"] = torch.randn(1, 1, D) * 0.02
    weights["pos_embed"] = torch.randn(1, 17, D) * 0.02
    vit.save(Path("start.safetensors"), weights, {"format": "pt"})


def both(method: str, rate: str = "") -> list[str]:
    rate = rate or RATES.get(method, "1e-04")
    return ["--weights", "start.safetensors", "--model", "vit_micro", "--cut", "2", "--lr", rate]


def cpp(*words: str) -> subprocess.Popen:
    command = [PROGRAM, "--threads", "1", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def cpp_client(
    method: str, out: str, *words: str, steps: int = 20, rate: str = ""
) -> subprocess.Popen:
    more = ["--steps", str(steps), "--compress", method, "--out", out, "--log-steps"]
    return cpp(
        *both(method, rate), *CLIENT, *more, "--evaluate", "both", "--progress", "none", *words
    )


def ends_well(process: subprocess.Popen) -> None:
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, f"{process.args}: {process.returncode}\n{out}\n{errors}"


class PythonServer:
    """The server of examples/pytorch, until its first session has finished."""

    def __init__(self, method: str) -> None:
        server = split_server.Server(split_server.parse([*both(method), "--sessions", "1"]))
        self.address = "127.0.0.1:{}".format(server.listener.getsockname()[1])
        self.thread = threading.Thread(target=server.run, daemon=True)
        self.thread.start()

    def ends(self) -> None:
        self.thread.join(60)
        assert not self.thread.is_alive(), "the server does not end"


def lines_of(out: str, record: str) -> list[dict]:
    lines = map(json.loads, (Path(out) / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["record"] == record]


def compare(what: str, ours: str, theirs: str, steps: int = 20, fewer: int | None = 0) -> None:
    """`fewer`: bytes that ours sends less than theirs; None: bytes are not compared."""
    mine, wanted = lines_of(ours, "step"), lines_of(theirs, "step")
    assert len(mine) == len(wanted) == steps, f"{what}: {len(mine)} and {len(wanted)} steps"
    loss = max(abs(a["loss"] - b["loss"]) / b["loss"] for a, b in zip(mine, wanted))
    a, b = (vit.Model(f"{out}/model.safetensors", "vit_micro").weights for out in (ours, theirs))
    assert a.keys() == b.keys()
    weights = max(float((a[name] - b[name]).abs().max()) for name in b)
    moved = vit.Model("start.safetensors", "vit_micro").weights
    moved = max(float((a[name] - moved[name]).abs().max()) for name in b)
    counts = [[[line["bytes_up"], line["bytes_down"]] for line in all_] for all_ in (mine, wanted)]
    counts[1] = [[up - (fewer or 0), down] for up, down in counts[1]]
    print(f"{what}: losses {loss:.1e}, weights {weights:.1e} of {moved:.1e}, bytes {counts[0][-1]}")
    sys.stdout.flush()
    assert loss <= 1e-4 and weights <= 1e-3 and moved > 1e-4, what
    assert fewer is None or counts[0] == counts[1], f"{what}: {counts[0][0]}, {counts[1][0]}"


def train_with_each_other() -> None:
    for method in dict.fromkeys(SERVED + SENT):
        ends_well(cpp_client(method, f"both-{method}"))
    for method in SERVED:
        server = PythonServer(method)
        out = f"served-{method}"
        ends_well(cpp_client(method, out, "--role", "client", "--connect", server.address))
        server.ends()
        compare(f"C++ client, PyTorch server, {method}", out, f"both-{method}")
        for key in ("test_accuracy", "compressed_accuracy"):
            a, b = (lines_of(name, "epoch")[-1][key] for name in (out, f"both-{method}"))
            assert abs(a - b) <= 1 / 40, f"{method}: {key} {a} and {b}"
    for method in SENT:
        words = ["--listen", "127.0.0.1:0", "--classes", "10", "--sessions", "1"]
        server = cpp(*both(method), "--role", "server", *words)
        address = server.stdout.readline().split()[-1]
        more = ["--steps", "20", "--compress", method, "--out", f"sent-{method}"]
        words = [*both(method), *CLIENT, *more, "--connect", address]
        split_client.Client(split_client.parse(words)).run()
        ends_well(server)
        what = f"PyTorch client, C++ server, {method}"
        # split_train offers a checkpoint in its hello, a u64; the client in PyTorch has none.
        compare(what, f"sent-{method}", f"both-{method}", fewer=8)


def messages(data: bytes, wanted: wire.Kind) -> list[bytes]:
    """The payloads of one kind in a stream."""
    out, payload, at = [], b"", 0
    while at < len(data):
        _, _, kind, continues, length, *_ = wire.HEADER.unpack(data[at : at + 28])
        payload, at = payload + data[at + 32 : at + 32 + length], at + 32 + length
        if not continues:
            out += [payload] if kind == wanted else []
            payload = b""
    return out


def recorded_pair(method: str, rate: str) -> tuple[bytes, bytes]:
    """What a C++ client and a C++ server say to each other."""
    words = ["--role", "server", "--listen", "127.0.0.1:0", "--classes", "10", "--sessions", "1"]
    server = cpp(*both(method, rate), *words)
    host, port = server.stdout.readline().split()[-1].split(":")
    listener = socket.create_server(("127.0.0.1", 0))
    words = ["--role", "client", "--connect", "127.0.0.1:{}".format(listener.getsockname()[1])]
    client = cpp_client(method, f"recorded-{method}", *words, rate=rate)
    ends = listener.accept()[0], socket.create_connection((host, int(port)))
    streams = bytearray(), bytearray()

    def pass_on(source: socket.socket, target: socket.socket, stream: bytearray) -> None:
        while part := source.recv(1 << 16):
            stream += part
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)

    ways = zip(ends, reversed(ends), streams)
    threads = [threading.Thread(target=pass_on, args=way) for way in ways]
    for thread in threads:
        thread.start()
    ends_well(client)
    ends_well(server)
    for thread in threads:
        thread.join(60)
    return bytes(streams[0]), bytes(streams[1])


def answers_alike() -> None:
    """Given the same forward messages, both servers answer alike in every step. At this rate small
    differences would add up if each pair went on with its own answers."""
    for method in QUANTISED:
        up, down = recorded_pair(method, "1e-04")
        hello = wire.Session.of_hello(messages(up, wire.Kind.hello)[0])
        o = split_server.parse(both(method, "1e-04"))
        client = split_server.Client(vit.Model(o.weights, o.model), o, hello.settings)
        questions, answers = messages(up, wire.Kind.forward), messages(down, wire.Kind.backward)
        assert len(questions) == len(answers) == 20
        worst, most, count = 0.0, 0, 0
        for question, theirs in zip(questions, answers):
            ours, rows = client.train(question), struct.unpack_from("<II", question, 12)
            losses = [struct.unpack_from("<d", answer, 12)[0] for answer in (ours, theirs)]
            worst = max(worst, abs(losses[0] / losses[1] - 1))
            skip = 28 + 8 * rows[0] * rows[1]  # behind the ranges there is a byte for each code
            codes = [np.frombuffer(answer, np.uint8, offset=skip) for answer in (ours, theirs)]
            apart = np.abs(codes[0].astype(int) - codes[1])
            assert apart.max() <= 1, f"{method}: a code differs by {apart.max()}"
            most, count = max(most, int(apart.sum())), apart.size
        print(f"same messages, {method}: losses {worst:.1e}, {most} of {count} codes by 1")
        assert worst <= 1e-6 and most <= count / 1000, method


def comes_back_after_kill() -> None:
    """Killed between two checkpoints, so that the server has to go back, too."""
    ends_well(cpp_client("none", "whole", steps=60))
    server = PythonServer("none")
    words = ["--role", "client", "--connect", server.address, "--checkpoint-every", "7"]
    client = cpp_client("none", "killed", *words, steps=60)
    log = Path("killed/metrics.jsonl")
    while client.poll() is None and (not log.exists() or log.read_text().count('"step",') < 17):
        time.sleep(0.01)
    client.send_signal(signal.SIGKILL)
    _, errors = client.communicate()
    assert client.returncode == -signal.SIGKILL, f"it was not killed: {errors}"
    ends_well(cpp_client("none", "killed", *words, "--resume", steps=60))
    server.ends()
    compare("killed and resumed", "killed", "whole", steps=60, fewer=None)


def survives_garbage() -> None:
    server = PythonServer("none")
    host, port = server.address.split(":")

    def told(*parts: bytes) -> str:
        """The server's answer to these bytes, which it must not like."""
        link = wire.Link(socket.create_connection((host, int(port))))
        for part in parts:
            link.sock.sendall(part)
        try:
            link.receive(wire.Kind.welcome, wire.Kind.refuse)
        except (wire.WireError, OSError) as error:
            return str(error)
        finally:
            link.close()
        return "welcome"

    assert "these bytes are not from splitvit" in told(bytes(32))
    assert "damaged" in told(struct.pack("<I", wire.MAGIC) + os.urandom(28))
    assert "refused" in told(framed(wire.Kind.hello, wire.Session(settings={"cut": "1"}).hello()))
    assert "must not come now" in told(framed(wire.Kind.forward, bytes(64)))
    assert "wanted" in told(framed(wire.Kind.hello, wire.Session().hello()[:40]))

    words = [*both("none"), *CLIENT, "--steps", "1", "--connect", server.address]
    client = split_client.Client(split_client.parse(words))
    good = struct.pack("<QI", 1, 0) + payloads.Activations(1, 17, b"\0\0", bytes(17 * 256)).pack()
    wrong = {"wrong_shape": payloads.Activations(1 << 31, 17).pack(), "truncated": b"\1\2"}
    message, size = good[12:], 17 * 256
    wrong |= {"wrong_step": bytes(12)}
    wrong |= {"malformed": message[: -size - 1] + b"\xff" + message[-size:]}
    wrong |= {"not_finite": message[:-4] + struct.pack("<f", float("nan"))}
    for reason, payload in wrong.items():
        link = client.connect()
        number = b"" if reason in ("wrong_step", "truncated") else good[:12]
        link.send(wire.Kind.forward, number + payload)
        link.limit, answer = wire.CEILING, b""
        while len(answer) < 33:
            answer += link.sock.recv(4096)
        assert answer[5] == wire.Kind.error, answer
        assert wire.REASONS[answer[32]] == reason, (reason, answer[32:])
        link.close()
    client.run()
    server.ends()
    print("garbage: typed errors, and the next client was served")


def framed(kind: wire.Kind, payload: bytes) -> bytes:
    head = wire.HEADER.pack(wire.MAGIC, 1, kind, 0, len(payload), 0, 0, wire.crc32c(payload))
    return head + struct.pack("<I", wire.crc32c(head)) + payload


def main() -> None:
    parts = [survives_garbage, comes_back_after_kill, answers_alike, train_with_each_other]
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    try:
        torch.set_num_threads(1)
        write_inputs()
        for part in parts:
            if len(sys.argv) == 2 or part.__name__ in sys.argv[2:]:
                part()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
