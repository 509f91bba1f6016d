// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <cstddef>    // byte, size_t
#include <cstring>    // memcpy
#include <vector>     // vector

#include <splitvit/transport/concepts.hpp>  // Deadline
#include <splitvit/wire/message.hpp>        // MessageReader
#include <splitvit/wire/session.hpp>        // Bytes, Session

// Takes what waits to be written, and gives bytes to a reader, without a link.

namespace splitvit::test {

/// All bytes of an OutputQueue or an Outbox.
std::vector<std::byte> drain(auto& queue) {
  std::vector<std::byte> all;
  for (wire::Bytes out = queue.front(); !out.empty(); out = queue.front()) {
    all.insert(all.end(), out.begin(), out.end());
    queue.written(out.size());
  }
  return all;
}

inline std::vector<std::byte> drain(wire::Session& session, transport::Deadline now = {}) {
  std::vector<std::byte> all;
  for (wire::Bytes out = session.output(); !out.empty(); out = session.output()) {
    all.insert(all.end(), out.begin(), out.end());
    session.written(out.size(), now);
  }
  return all;
}

/// Gives all bytes to the reader and calls `on_message(kind)` whenever `payload` is complete.
void feed(wire::MessageReader& reader, wire::Bytes bytes, std::vector<std::byte>& payload,
          auto&& on_message) {
  while (!bytes.empty()) {
    const std::span<std::byte> into = reader.space(payload);
    const std::size_t n = std::min(into.size(), bytes.size());
    std::memcpy(into.data(), bytes.data(), n);
    bytes = bytes.subspan(n);
    if (const auto kind = reader.filled(n, payload)) on_message(*kind);
  }
}

}  // namespace splitvit::test
