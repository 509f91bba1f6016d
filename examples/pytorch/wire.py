# SPDX-License-Identifier: MIT
"""PROTOCOL.md over a socket: frames, handshake, heartbeats, timeouts. Needs numpy, not torch."""

from __future__ import annotations

import re
import secrets
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

MAGIC, VERSION, UNADMITTED_LIMIT, CEILING, LARGEST_FRAME = 0x54565053, 1, 4096, 1 << 28, 1 << 20
HANDSHAKE_TIMEOUT, STEP_TIMEOUT = 10.0, 600.0  # seconds
HEADER = struct.Struct("<IBBHIIQI")  # and the CRC of these 28 bytes
_KINDS = "hello welcome refuse forward backward evaluate evaluated fetch_weights weights bye error"
Kind = IntEnum("Kind", _KINDS + " heartbeat checkpoint")
REASONS = (
    "bad_magic bad_version bad_kind bad_flags bad_checksum too_long malformed truncated wrong_step "
    "wrong_message wrong_shape not_finite refused peer_failed superseded closed timed_out "
    "cannot_connect link_failed cannot_open cannot_write damaged_file foreign_file wrong_content "
    "in_use"
).split()


class WireError(Exception):
    """What came, or the link, is not as PROTOCOL.md says; or the peer has given up."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.is_of_link = reason in ("closed", "timed_out", "link_failed", "in_use")


class Refused(WireError):
    """The server does not admit the client: a field, and its value on both sides."""

    def __init__(self, what: str, client: str, server: str) -> None:
        text = f"handshake refused: {what}: the client has {client}, the server has {server}"
        busy = what == "busy" and not client
        super().__init__("in_use" if busy else "refused", "busy: " + server if busy else text)
        self.payload = pack_text(what, 64) + pack_text(client) + pack_text(server)


def need(holds: bool, reason: str, text: str) -> None:
    if not holds:
        raise WireError(reason, text)


# CRC-32C of many bytes at once: the checksums of single bytes are joined pairwise. _ZEROS[k] is
# what 2^k zero bytes behind it do to each byte of a checksum.
_BYTE = np.arange(256, dtype=np.uint32)
for _ in range(8):
    _BYTE = np.where(_BYTE & 1, _BYTE >> 1 ^ np.uint32(0x82F63B78), _BYTE >> 1)


def _followed(crc: np.ndarray, zeros: np.ndarray) -> np.ndarray:
    low = zeros[0][crc & 255] ^ zeros[1][crc >> 8 & 255]
    return low ^ zeros[2][crc >> 16 & 255] ^ zeros[3][crc >> 24]


_ZEROS = [np.stack([_BYTE, *(np.arange(256, dtype=np.uint32) << s for s in (0, 8, 16))])]
for _ in range(20):
    _ZEROS.append(_followed(_ZEROS[-1], _ZEROS[-1]))
_PAIR = _followed(_BYTE, _ZEROS[0])[np.arange(65536) & 255] ^ _BYTE[np.arange(65536) >> 8]


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """Of at most a frame."""
    count, level, start = len(data), 1, np.uint32(0xFFFFFFFF)
    padded = np.zeros(count + count % 2, np.uint8)  # zeros in front do not change it
    padded[count % 2 :] = np.frombuffer(data, np.uint8)
    crc = _PAIR[padded.view("<u2")]
    while len(crc) > 1:
        crc = np.concatenate([np.zeros(len(crc) % 2, np.uint32), crc])
        crc = _followed(crc[0::2], _ZEROS[level]) ^ crc[1::2]
        level += 1
    for k in range(count.bit_length()):
        start = _followed(start, _ZEROS[k]) if count >> k & 1 else start
    return int(start) ^ 0xFFFFFFFF ^ (int(crc[0]) if count else 0)


class Reader:
    """Takes numbers and texts from bytes that may be hostile."""

    def __init__(self, data: bytes | bytearray, what: str) -> None:
        self.data, self.at, self.what = memoryview(data), 0, what

    def need(self, holds: bool, reason: str, text: str) -> None:
        need(holds, reason, f"{self.what}: {text}")

    def take(self, count: int | None = None) -> bytes:
        left = len(self.data) - self.at
        count = left if count is None else count
        self.need(count <= left, "truncated", f"{count} bytes wanted, {left} are left")
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def get(self, form: str) -> tuple:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def text(self, limit: int) -> str:
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
    heartbeat_ms: int = 5000
    id: tuple[int, int] = (0, 0)
    connection: int = 0
    client: int = 0
    last_step: int = 0
    generations: list[int] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def hello(self) -> bytes:
        numbers = self.largest_message, self.heartbeat_ms, *self.id
        numbers += self.connection, self.client, self.last_step, len(self.generations)
        form = f"<HHIIQIQQIIQH{len(self.generations)}QH"
        texts = b"".join(pack_text(k) + pack_text(v) for k, v in self.settings.items())
        count = len(self.settings)
        return struct.pack(form, VERSION, VERSION, 0, 0, *numbers, *self.generations, count) + texts

    @staticmethod
    def of_hello(payload: bytes) -> Session:
        read = Reader(payload, "hello")
        oldest, newest = read.get("HH")
        read.need(oldest <= newest, "malformed", f"versions {oldest} to {newest}")
        if not oldest <= VERSION <= newest:
            raise Refused("protocol version", f"{oldest} to {newest}", f"{VERSION} to {VERSION}")
        required, _ = read.get("II")
        if required:
            raise Refused("required capabilities", str(required), "0")
        largest, heartbeat, s0, s1, *place = read.get("QIQQIIQ")
        hello = Session(largest, heartbeat, (s0, s1), *place)
        hello.generations = list(read.get(f"{read.get('H')[0]}Q"))
        for _ in range(read.get("H")[0]):
            key = read.text(64)
            read.need(key not in ("", *hello.settings), "malformed", f"setting '{key}'")
            hello.settings[key] = read.text(1024)
        read.end()
        read.need(UNADMITTED_LIMIT <= largest <= CEILING, "malformed", f"{largest} bytes")
        read.need(len(hello.generations) <= 64, "malformed", "too many generations")
        return hello

    def admit(self, hello: Session, has_reply: bool) -> bytes:
        """A server's welcome. `has_reply`: it can answer its last step again."""
        common = max(set(hello.generations) & set(self.generations), default=None)
        goes_on = self.last_step == hello.last_step + 1 and has_reply
        if not goes_on and self.last_step not in (hello.last_step, common):
            raise Refused("last step", str(hello.last_step), str(self.last_step))
        number = max(self.connection, hello.connection) + 1
        if number >= 1 << 32:
            raise Refused("connection", str(hello.connection), str(self.connection))
        known = [id_ for id_ in (self.id, hello.id) if id_ != (0, 0)]
        self.id = known[0] if known else (secrets.randbits(64), secrets.randbits(64) | 1)
        self.connection, self.client = number, hello.client
        self.largest_message = hello.largest_message
        self.heartbeat_ms = min(hello.heartbeat_ms, Session.heartbeat_ms)
        numbers = self.largest_message, self.heartbeat_ms, *self.id, number, self.last_step
        return struct.pack("<HIQIQQIQBQ", 1, 0, *numbers, common is not None, common or 0)

    def welcomed(self, payload: bytes) -> int:
        """A client's reading of the welcome. Returns the server's last step."""
        read, offered = Reader(payload, "welcome"), Session.heartbeat_ms
        version, capabilities, largest, heartbeat, s0, s1, *place = read.get("HIQIQQIQBQ")
        read.end()
        connection, last, common, step = place
        fits = version == VERSION and capabilities == 0 and connection > self.connection
        fits &= UNADMITTED_LIMIT <= largest <= CEILING and heartbeat <= offered
        fits &= (s0, s1) != (0, 0) and self.id in ((0, 0), (s0, s1))
        fits &= common <= 1 and (step in self.generations if common else step == 0)
        read.need(fits, "malformed", "not what hello offered")
        known = last - self.last_step in (0, 1) or (common == 1 and last == step)
        read.need(known, "wrong_step", f"step {last} there, step {self.last_step} here")
        self.largest_message, self.heartbeat_ms, self.id = largest, heartbeat, (s0, s1)
        self.connection = connection
        return last


def compare_settings(client: dict[str, str], server: dict[str, str]) -> None:
    """Refuses the first difference. A server's "any" fits every value."""
    for key in [*server, *client]:
        theirs, mine = client.get(key), server.get(key)
        if theirs is None or mine is None or mine not in ("any", theirs):
            raise Refused(key, theirs or "no such setting", mine or "no such setting")


class Link:
    """Messages over a socket. One thread uses it; another one, of its own, sends heartbeats."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(HANDSHAKE_TIMEOUT)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.lock, self.over = sock, threading.Lock(), threading.Event()
        self.connection, self.limit, self.heartbeat, self.is_open = 0, UNADMITTED_LIMIT, 0.0, False
        self.sent = self.received = 0  # frames of this connection
        self.begun = self.spoke = time.monotonic()

    def open(self, agreed: Session) -> None:
        """Both sides, after welcome: frames carry its connection and are counted from 0 again."""
        self.connection, self.limit = agreed.connection, agreed.largest_message
        self.heartbeat, self.is_open = agreed.heartbeat_ms / 1000, True
        self.sent = self.received = 0
        self.sock.settimeout(2 * self.heartbeat + 1 if self.heartbeat else STEP_TIMEOUT)
        if self.heartbeat:
            threading.Thread(target=self._beat, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self.sock.close()

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        need(len(payload) <= self.limit, "too_long", f"{kind.name}: {len(payload)} bytes")
        begins = range(0, max(len(payload), 1), LARGEST_FRAME)
        with self.lock:
            for at in begins:
                part, more = memoryview(payload)[at : at + LARGEST_FRAME], at != begins[-1]
                numbers = len(part), self.connection, self.sent, crc32c(part)
                head = HEADER.pack(MAGIC, 1, kind, more, *numbers)
                left = memoryview(head + struct.pack("<I", crc32c(head)) + part)
                self.sent += 1
                while left:
                    left = left[self._call(self.sock.send, left) :]
                    self.spoke = time.monotonic()

    def tell(self, error: WireError) -> None:
        """Says why this side gives up, if the peer still hears it."""
        try:
            self.send(Kind.error, bytes([REASONS.index(error.reason)]) + pack_text(str(error)))
        except WireError:
            pass

    def receive(self, *wanted: Kind) -> tuple[Kind, bytes]:
        """The next message, of one of these kinds."""
        kind, payload, more = None, bytearray(), True
        while more:
            came, goes_on, length, crc = self._header(self._read(32))
            where = Reader(b"", came.name)
            if came == Kind.heartbeat:
                where.need(not (length or goes_on or crc), "malformed", "it is not empty")
                where.need(self.is_open, "wrong_message", "it came before the answer to hello")
                continue
            where.need(kind in (None, came), "wrong_message", "in the middle of another one")
            where.need(length > 0 or not goes_on, "malformed", "an empty frame that continues")
            size = len(payload) + length
            where.need(size <= self.limit, "too_long", f"{size} bytes, at most {self.limit}")
            body = self._read(length)
            where.need(crc32c(body) == crc, "bad_checksum", "damaged on the way")
            kind, payload, more = came, payload + body, goes_on
        read = Reader(payload, kind.name)
        if kind == Kind.error:
            _, text = read.get("B"), read.text(1024)
            raise WireError("peer_failed", f"the peer gave up: {text}")
        need(kind in wanted, "wrong_message", f"{kind.name} must not come now")
        if kind == Kind.refuse:
            raise Refused(read.text(64), read.text(1024), read.text(1024))
        return kind, bytes(payload)

    def _header(self, head: bytes) -> tuple[Kind, bool, int, int]:
        magic, version, number, flags, length, *place, crc = HEADER.unpack(head[:28])
        where, expected = Reader(b"", "frame header"), [self.connection, self.received]
        where.need(magic == MAGIC, "bad_magic", "these bytes are not from splitvit")
        where.need(head[28:] == struct.pack("<I", crc32c(head[:28])), "bad_checksum", "damaged")
        where.need(version == 1, "bad_version", f"version {version}")
        where.need(flags <= 1, "bad_flags", f"flags {flags}")
        where.need(1 <= number <= 13, "bad_kind", f"message kind {number} does not exist")
        where.need(length <= LARGEST_FRAME, "too_long", f"{length} bytes")
        where.need(place == expected, "wrong_step", f"{place} came, {expected} was expected")
        self.received += 1
        return Kind(number), bool(flags), length, crc

    def _beat(self) -> None:
        while not self.over.wait(max(0.01, self.spoke + self.heartbeat - time.monotonic())):
            if time.monotonic() >= self.spoke + self.heartbeat and not self.lock.locked():
                try:
                    self.send(Kind.heartbeat)
                except WireError:  # the other thread gets it, too
                    return

    def _read(self, count: int) -> bytes:
        """So many bytes. Once they have begun, they come at 1 KiB a second at least."""
        out, slow_at = bytearray(), float("inf")
        while len(out) < count:
            if not self.is_open:  # the handshake has one limit
                left = self.begun + HANDSHAKE_TIMEOUT - time.monotonic()
                self.sock.settimeout(max(1e-3, left))
            part = self._call(self.sock.recv, min(count - len(out), 1 << 18))
            need(part != b"", "closed", "the peer closed the link")
            slow_at = min(slow_at, time.monotonic() + 30 + count / 1024)
            need(time.monotonic() < slow_at, "timed_out", "a frame came too slowly")
            out += part
        return bytes(out)

    @staticmethod
    def _call(function, argument):  # type: ignore[no-untyped-def]
        try:
            return function(argument)
        except TimeoutError as error:
            raise WireError("timed_out", "the peer was silent for too long") from error
        except OSError as error:
            raise WireError("link_failed", str(error)) from error


def connect(address: str, session: Session) -> tuple[Link, int]:
    """A client's handshake over a new connection to HOST:PORT. Returns the server's last step."""
    host, _, port = address.rpartition(":")
    link = Link(Link._call(socket.create_connection, (host.strip("[]"), int(port))))
    link.send(Kind.hello, session.hello())
    last = session.welcomed(link.receive(Kind.welcome, Kind.refuse)[1])
    link.open(session)
    return link, last
