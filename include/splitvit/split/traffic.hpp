// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // size_t
#include <cstdint>  // uint8_t

#include <splitvit/split/report.hpp>  // Bytes, Traffic
#include <splitvit/wire/frame.hpp>    // MessageKind, message_kinds
#include <splitvit/wire/session.hpp>  // SessionState
#include <splitvit/wire/tally.hpp>    // Count, Tally

// traffic_of: the bytes that have crossed a client's link, by purpose.

namespace splitvit::split {

/// What bytes are for. All columns together are the bytes of the link.
enum class Column : std::uint8_t {
  training,    ///< the first handshake, every step once, an initial decoder, the goodbye
  evaluation,  ///< evaluations
  weights,     ///< fetching the server's weights
  upkeep,      ///< heartbeats, errors, later handshakes, and steps that were sent again
};

constexpr Column column_of(wire::MessageKind kind, bool sent_by_client) {
  using wire::MessageKind;
  switch (kind) {
    case MessageKind::hello:
    case MessageKind::welcome:
    case MessageKind::refuse:
    case MessageKind::forward:
    case MessageKind::backward:
    case MessageKind::bye:
      return Column::training;
    case MessageKind::evaluate:
    case MessageKind::evaluated:
      return Column::evaluation;
    case MessageKind::fetch_weights:
      return Column::weights;
    case MessageKind::weights:
      return sent_by_client ? Column::training : Column::weights;
    case MessageKind::heartbeat:
    case MessageKind::error:
      return Column::upkeep;
  }
  return Column::upkeep;
}

/// Seen from the client of the session.
inline Traffic traffic_of(const wire::SessionState& session, Column column) {
  const auto bytes = [&](const wire::Tally& tally, bool sent) {
    wire::Count sum;
    for (std::size_t i = 1; i < wire::message_kinds; ++i)
      if (const auto kind = static_cast<wire::MessageKind>(i); column_of(kind, sent) == column)
        sum += tally.of(kind);
    if (column == Column::upkeep) sum += tally.repeats();
    return Bytes{.payload = sum.payload, .framing = sum.framed - sum.payload};
  };
  return {.up = bytes(session.sent, true), .down = bytes(session.received, false)};
}

}  // namespace splitvit::split
