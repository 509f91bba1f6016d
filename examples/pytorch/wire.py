# SPDX-License-Identifier: MIT
"""PROTOCOL.md over a socket: frames, handshake, heartbeats, timeouts. Needs numpy, not torch."""

import contextlib
import re
import secrets
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

MAGIC, VERSION, UNADMITTED_LIMIT, CEILING, LARGEST_FRAME = 0x54565053, 1, 4096, 1 << 28, 1 << 20
HANDSHAKE_TIMEOUT, STEP_TIMEOUT, HEARTBEAT_MS = 10.0, 600.0, 5000  # seconds, seconds, ms
HEADER = struct.Struct("<IBBHIIQI")  # and the CRC of these 28 bytes
Kind = IntEnum(
    "Kind",
    "hello welcome refuse forward backward evaluate evaluated fetch_weights weights bye error "
    "heartbeat checkpoint turn",
)
REASONS = (
    "bad_magic bad_version bad_kind bad_flags bad_checksum too_long malformed truncated wrong_step "
    "wrong_message wrong_shape not_finite refused peer_failed superseded closed timed_out"
).split()


class WireError(Exception):
    """What came is not as PROTOCOL.md says, or the peer has given up. A link fails by OSError."""

    kind = Kind.error  # of the message that tells the peer

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason, self.payload = reason, bytes([REASONS.index(reason)]) + pack_text(text)


class Refused(WireError):
    """The server does not admit the client: a field, and its value on both sides."""

    kind = Kind.refuse

    def __init__(self, what: str, client: str, server: str) -> None:
        text = f"handshake refused: {what}: the client has {client}, the server has {server}"
        super().__init__("refused", text)
        self.payload = pack_text(what, 64) + pack_text(client) + pack_text(server)


def need(holds: bool | np.bool_, reason: str, text: str) -> None:
    if not holds:
        raise WireError(reason, text)


def _followed(crc: np.ndarray, zeros: np.ndarray) -> np.ndarray:
    """Registers of checksums after zeros. `zeros` has what they do to each byte of a register."""
    return np.bitwise_xor.reduce([zeros[i][crc >> 8 * i & 255] for i in range(4)])


_ZEROS = [np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], np.uint32)]
for _ in range(32):
    _ZEROS[0] = np.where(_ZEROS[0] & 1, _ZEROS[0] >> 1 ^ np.uint32(0x82F63B78), _ZEROS[0] >> 1)
for _ in range(18):  # of 4 zero bytes, 8, 16, ...
    _ZEROS.append(_followed(_ZEROS[-1], _ZEROS[-1]))


def crc32c(data: bytes | memoryview) -> int:
    """Of at most a frame. Its words are joined in pairs, all pairs at once."""
    start = b"Td\x1fd"  # makes the register 0xFFFFFFFF; zeros before it change nothing
    words = np.frombuffer(bytes(-len(data) % 4) + start + data, "<u4")
    for zeros in _ZEROS:
        if len(words) > 1:
            words = np.concatenate([np.zeros(len(words) % 2, np.uint32), words])
            words = _followed(words[0::2], zeros) ^ words[1::2]
    return int(_followed(words, _ZEROS[0])[0]) ^ 0xFFFFFFFF


class Reader:
    """Takes numbers and texts from bytes that may be hostile."""

    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.at, self.what = data, 0, what

    def need(self, holds: bool | np.bool_, reason: str, text: str) -> None:
        need(holds, reason, f"{self.what}: {text}")

    def take(self, count: int | None = None) -> bytes:
        left = len(self.data) - self.at
        count = left if count is None else count
        self.need(count <= left, "truncated", f"{count} bytes wanted, {left} are left")
        self.at += count
        return self.data[self.at - count : self.at]

    def get(self, form: str) -> tuple[Any, ...]:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def text(self, limit: int = 1024) -> str:
        (size,) = self.get("I")
        self.need(size <= limit, "too_long", f"a text of {size} characters, at most {limit}")
        return re.sub("[^ -~]", "?", self.take(size).decode("latin-1"))

    def end(self) -> None:
        self.need(self.take() == b"", "malformed", "bytes too many at its end")


def pack_text(text: str, limit: int = 1024) -> bytes:
    data = text.encode("latin-1", "replace")[:limit]
    return struct.pack("<I", len(data)) + data


@dataclass
class Session:
    """What a side knows of a session, and proposes; after the handshake, what was agreed."""

    largest_message: int = CEILING
    heartbeat_ms: int = HEARTBEAT_MS
    id: bytes = bytes(16)
    connection: int = 0
    client: int = 0
    last_step: int = 0
    checkpoints: list[int] = field(default_factory=list)  # their steps
    settings: dict[str, str] = field(default_factory=dict)

    def hello(self) -> bytes:
        numbers = self.largest_message, self.heartbeat_ms, self.id, self.connection, self.client
        steps = self.last_step, len(self.checkpoints), *self.checkpoints
        form = f"<HHIIQI16sIIQH{len(self.checkpoints)}QH"
        texts = b"".join(pack_text(text) for pair in self.settings.items() for text in pair)
        return struct.pack(form, 1, VERSION, 0, 0, *numbers, *steps, len(self.settings)) + texts

    @staticmethod
    def of_hello(payload: bytes) -> "Session":
        read = Reader(payload, "hello")
        oldest, newest = read.get("HH")
        read.need(oldest <= newest, "malformed", f"versions {oldest} to {newest}")
        if not oldest <= VERSION <= newest:
            raise Refused("protocol version", f"{oldest} to {newest}", f"{VERSION} to {VERSION}")
        required, _ = read.get("II")
        if required:
            raise Refused("required capabilities", str(required), "0")
        largest, interval, id_, connection, client, last, count = read.get("QI16sIIQH")
        steps = list(read.get(f"{count}Q"))
        hello = Session(largest, interval, id_, connection, client, last, steps)
        for _ in range(read.get("H")[0]):
            key, value = read.text(64), read.text()
            read.need(key not in ("", *hello.settings), "malformed", f"setting '{key}'")
            hello.settings[key] = value
        read.end()
        fits = UNADMITTED_LIMIT <= hello.largest_message <= CEILING and count <= 64
        read.need(fits, "malformed", f"{hello.largest_message} bytes, {count} checkpoints")
        return hello

    def welcome(self, hello: "Session") -> bytes:
        """Server: the answer to a hello that it can go on with."""
        common = max(set(hello.checkpoints) & set(self.checkpoints), default=None)
        newest = max(self.connection, hello.connection)
        if newest >= 0xFFFFFFFF:
            raise Refused("connection", str(hello.connection), str(self.connection))
        ids = self.id, hello.id, secrets.token_bytes(16)
        self.id, self.connection = next(id_ for id_ in ids if any(id_)), newest + 1
        self.client, self.largest_message = hello.client, hello.largest_message
        self.heartbeat_ms = min(hello.heartbeat_ms, HEARTBEAT_MS)
        numbers = self.largest_message, self.heartbeat_ms, self.id, self.connection, self.last_step
        return struct.pack("<HIQI16sIQ?Q", VERSION, 0, *numbers, common is not None, common or 0)

    def welcomed(self, payload: bytes) -> int:
        """A client's reading of the welcome. Returns the server's last step."""
        read = Reader(payload, "welcome")
        version, used, largest, interval, id_, number, last, common, step = read.get("HIQI16sIQBQ")
        read.end()
        fits = version == VERSION and used == 0 and number > self.connection and any(id_)
        fits &= UNADMITTED_LIMIT <= largest <= self.largest_message
        fits &= interval <= self.heartbeat_ms and self.id in (bytes(16), id_)
        fits &= common <= 1 and (step in self.checkpoints if common else step == 0)
        read.need(fits, "malformed", "not what hello offered")
        known = last - self.last_step in (0, 1) or (common == 1 and last == step)
        read.need(known, "wrong_step", f"step {last} there, step {self.last_step} here")
        self.largest_message, self.heartbeat_ms = largest, interval
        self.id, self.connection = id_, number
        return last


def compare_settings(client: dict[str, str], server: dict[str, str]) -> None:
    """Refuses the first difference. A server's "any" fits every value."""
    for key in [*server, *client]:
        theirs, mine = client.get(key), server.get(key)
        if theirs is None or mine is None or mine not in ("any", theirs):
            raise Refused(key, theirs or "no such setting", mine or "no such setting")


class Link:
    """Messages over a TCP socket. One thread uses it; another, of its own, sends heartbeats."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.lock, self.over = sock, threading.Lock(), threading.Event()
        self.connection, self.limit, self.patience = 0, UNADMITTED_LIMIT, HANDSHAKE_TIMEOUT
        self.give_up = time.monotonic() + HANDSHAKE_TIMEOUT
        self.sent = self.received = 0  # frames since hello and welcome
        self.bytes_up = self.bytes_down = 0  # sent and received, without heartbeats

    def open(self, agreed: Session) -> None:
        """Both sides, after welcome: frames carry its connection and are counted from 0 again."""
        self.connection, self.limit = agreed.connection, agreed.largest_message
        self.sent, self.received, self.give_up = 0, 0, float("inf")
        interval = agreed.heartbeat_ms / 1000
        self.patience = 2 * interval + 1 if interval else STEP_TIMEOUT
        if interval:
            threading.Thread(target=self._beat, args=[interval], daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self.sock.close()

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        need(len(payload) <= self.limit, "too_long", f"{kind.name}: {len(payload)} bytes")
        begins = range(0, max(len(payload), 1), LARGEST_FRAME)
        with self.lock:
            for at in begins:
                part, more = payload[at : at + LARGEST_FRAME], at != begins[-1]
                numbers = len(part), self.connection, self.sent, crc32c(part)
                head = HEADER.pack(MAGIC, 1, kind, more, *numbers)
                left = memoryview(head + struct.pack("<I", crc32c(head)) + part)
                self.sent += 1
                self.bytes_up += len(left) if kind != Kind.heartbeat else 0
                while left:
                    left = left[self.sock.send(left) :]

    def tell(self, error: WireError) -> None:
        """Says why this side gives up, if the peer still hears it."""
        with contextlib.suppress(OSError):
            self.send(error.kind, error.payload)

    def receive(self, *wanted: Kind) -> tuple[Kind, bytes]:
        """The next message, of one of these kinds."""
        kind, payload, more = Kind.heartbeat, b"", True
        while more:
            came, part, goes_on = self._frame(len(payload))
            if came == Kind.heartbeat:
                continue
            need(kind in (Kind.heartbeat, came), "wrong_message", f"{came.name} within another")
            kind, payload, more = came, payload + part, goes_on
            self.bytes_down += 32 + len(part)
        read = Reader(payload, kind.name)
        if kind == Kind.error:
            self.close()  # it must not be answered
            raise WireError("peer_failed", f"the peer gave up: {read.get('B') and read.text()}")
        need(kind in wanted, "wrong_message", f"{kind.name} must not come now")
        if kind == Kind.refuse:
            what, client, server = read.text(64), read.text(), read.text()
            if what == "busy" and not client:
                raise ConnectionError(f"busy: {server}")  # dial again later
            raise Refused(what, client, server)
        return kind, payload

    def _frame(self, before: int) -> tuple[Kind, bytes, bool]:
        """The next frame, behind so many bytes of its message; whether another one follows."""
        head = self._read(32)
        magic, version, number, flags, length, *place, crc = HEADER.unpack(head[:28])
        where, expected = Reader(b"", "header"), [self.connection, self.received]
        where.need(magic == MAGIC, "bad_magic", "these bytes are not from splitvit")
        where.need(head[28:] == struct.pack("<I", crc32c(head[:28])), "bad_checksum", "damaged")
        where.need(version == 1, "bad_version", f"version {version}")
        where.need(flags <= 1, "bad_flags", f"flags {flags}")
        where.need(1 <= number <= len(Kind), "bad_kind", f"message kind {number} does not exist")
        where.need(length <= LARGEST_FRAME, "too_long", f"{length} bytes")
        where.need(place == expected, "wrong_step", f"{place} came, {expected} was expected")
        self.received += 1
        if number == Kind.heartbeat:
            where.need(self.connection > 0, "wrong_message", "a heartbeat before the welcome")
            where.need(length + flags == 0, "malformed", "a heartbeat that is not empty")
        where.need(length > 0 or flags == 0, "malformed", "an empty frame that continues")
        where.need(before + length <= self.limit, "too_long", f"more than {self.limit} bytes")
        payload = self._read(length)
        where.need(crc32c(payload) == crc, "bad_checksum", "the payload is damaged")
        return Kind(number), payload, flags == 1

    def _beat(self, interval: float) -> None:
        while not self.over.wait(interval):
            with contextlib.suppress(OSError):  # the other thread gets it, too
                self.send(Kind.heartbeat)

    def _read(self, count: int) -> bytes:
        """So many bytes. Once they have begun, they come at 1 KiB a second at least."""
        out, give_up = bytearray(), self.give_up
        while len(out) < count:
            self.sock.settimeout(max(1e-3, min(self.patience, give_up - time.monotonic())))
            part = self.sock.recv(min(count - len(out), 1 << 18))
            if not part:
                raise ConnectionError("the peer closed the link")
            give_up = min(give_up, time.monotonic() + 30 + count / 1024)
            out += part
        return bytes(out)


def connect(address: str, session: Session) -> tuple[Link, int]:
    """A client's handshake over a new link to HOST:PORT. Returns the server's last step."""
    host, _, port = address.rpartition(":")
    link = Link(socket.create_connection((host.strip("[]"), int(port)), HANDSHAKE_TIMEOUT))
    link.send(Kind.hello, session.hello())
    last = session.welcomed(link.receive(Kind.welcome, Kind.refuse)[1])
    link.open(session)
    return link, last
