// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte
#include <vector>   // vector

#include <splitvit/transport/concepts.hpp>  // Deadline
#include <splitvit/wire/output_queue.hpp>   // Bytes, OutputQueue
#include <splitvit/wire/session.hpp>        // Session

// Takes what waits to be written, without a link.

namespace splitvit::test {

inline std::vector<std::byte> drain(wire::OutputQueue& queue) {
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

}  // namespace splitvit::test
