// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte, size_t
#include <cstdint>  // uint32_t, uint64_t
#include <span>     // span
#include <string>   // string, to_string
#include <utility>  // move
#include <vector>   // vector

#include <splitvit/core/error.hpp>          // WireError, TransportError
#include <splitvit/transport/concepts.hpp>  // Transport
#include <splitvit/transport/stream.hpp>    // write_all
#include <splitvit/wire/error_message.hpp>  // error_payload, throw_peer_error
#include <splitvit/wire/message.hpp>        // MessageReader, MessageWriter

// Channel: messages over a link. The only part of wire that does I/O, besides the handshake.

namespace splitvit::wire {

/// Sends one message whose payload is all `parts` in order; long parts are not copied.
///
/// Errors  WireError (too_long) before a byte is sent; TransportError from the link.
template <transport::Transport Link>
void send_message(Link& link, MessageWriter& writer, MessageKind kind,
                  std::span<const Bytes> parts) {
  writer.write(kind, parts, [&](Bytes bytes) { transport::write_all(link, bytes); });
}

/// Waits for one message. Its bytes replace those in `payload`, whose memory is used again.
///
/// Errors  WireError as MessageReader; TransportError from the link, closed if the peer
///         closes first.
template <transport::Transport Link>
MessageKind receive_message(Link& link, MessageReader& reader, std::vector<std::byte>& payload) {
  while (true) {
    const std::span<std::byte> into = reader.space(payload);
    const std::size_t n = link.read_some(into);
    if (n == 0) throw TransportError(Reason::closed, "receive_message: the peer closed the link");
    if (n > into.size())
      throw TransportError(Reason::link_failed, "receive_message: the link stored " +
                                                    std::to_string(n) + " bytes in room for " +
                                                    std::to_string(into.size()));
    if (const auto kind = reader.filled(n, payload)) return *kind;
  }
}

/// A link with its two framers. One thread may send while another receives.
template <transport::Transport Link>
class Channel {
 public:
  explicit Channel(Link link) : link_{std::move(link)} {}

  void send(MessageKind kind, std::span<const Bytes> parts) {
    send_message(link_, writer_, kind, parts);
  }
  void send(MessageKind kind, Bytes payload = {}) { send(kind, std::span{&payload, 1}); }

  MessageKind receive(std::vector<std::byte>& payload) {
    return receive_message(link_, reader_, payload);
  }

  /// Begins an attach in both directions: its number, and the largest message from now on.
  void begin(std::uint32_t attach, std::uint64_t limit) {
    writer_.begin(attach, limit);
    reader_.begin(attach, limit);
  }

  Link& link() { return link_; }
  /// What has been sent and received, by kind, payload and framing apart.
  const Direction& sent() const { return writer_; }
  const Direction& received() const { return reader_; }

 private:
  Link link_;
  MessageWriter writer_;
  MessageReader reader_;
};

template <class Link>
Channel(Link) -> Channel<Link>;

/// Tells the peer why this side gives up.
template <class Link>
void send_error(Channel<Link>& channel, Reason reason, const std::string& text) {
  channel.send(MessageKind::error, error_payload(reason, text));
}

/// Waits for a message that must be of one kind.
///
/// Errors  WireError: peer_failed if an error message comes instead, wrong_message for any
///         other kind; what receive throws.
template <class Link>
void receive_expected(Channel<Link>& channel, MessageKind kind, std::vector<std::byte>& payload) {
  const MessageKind came = channel.receive(payload);
  if (came == kind) return;
  if (came == MessageKind::error) throw_peer_error(payload);
  throw WireError(Reason::wrong_message,
                  std::string{name(came)} + " came where " + name(kind) + " was expected");
}

}  // namespace splitvit::wire
