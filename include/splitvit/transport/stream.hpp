// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte, size_t
#include <span>     // span
#include <string>   // to_string

#include <splitvit/core/error.hpp>          // TransportError
#include <splitvit/transport/concepts.hpp>  // Transport

// Whole reads and writes over any Transport, which by itself may move a few bytes at a time.

namespace splitvit::transport {

/// Writes every byte.
///
/// Errors  TransportError from the link; link_failed if it claims to have taken no byte, or
///         more than it was given.
template <Transport T>
void write_all(T& link, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t n = link.write_some(bytes);
    if (n == 0 || n > bytes.size())
      throw TransportError(Reason::link_failed, "write_all: the link took " + std::to_string(n) +
                                                    " of " + std::to_string(bytes.size()) +
                                                    " bytes");
    bytes = bytes.subspan(n);
  }
}

/// Fills `bytes`.
///
/// Errors  TransportError from the link; closed if the peer closes before the last byte.
template <Transport T>
void read_exactly(T& link, std::span<std::byte> bytes) {
  const std::size_t wanted = bytes.size();
  while (!bytes.empty()) {
    const std::size_t n = link.read_some(bytes);
    if (n == 0)
      throw TransportError(Reason::closed, "read_exactly: the peer closed the link after " +
                                               std::to_string(wanted - bytes.size()) + " of " +
                                               std::to_string(wanted) + " bytes");
    if (n > bytes.size())
      throw TransportError(Reason::link_failed, "read_exactly: the link stored " +
                                                    std::to_string(n) + " bytes in room for " +
                                                    std::to_string(bytes.size()));
    bytes = bytes.subspan(n);
  }
}

}  // namespace splitvit::transport
