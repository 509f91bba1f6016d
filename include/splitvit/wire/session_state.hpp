// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte
#include <cstdint>  // uint32_t, uint64_t
#include <span>     // span
#include <string>   // string
#include <vector>   // vector

#include <splitvit/core/bytes.hpp>         // ByteReader, ByteWriter
#include <splitvit/core/crc32c.hpp>        // crc32c
#include <splitvit/wire/handshake.hpp>     // SessionId
#include <splitvit/wire/output_queue.hpp>  // Bytes
#include <splitvit/wire/reply_cache.hpp>   // ReplyCache, StepNumber
#include <splitvit/wire/tally.hpp>         // Tally

// SessionState: what outlives a connection, and what a checkpoint must keep of a session.

namespace splitvit::wire {

/// The newest part of a step that has passed in one direction.
struct StepMark {
  std::uint64_t step = 0;
  std::uint32_t parts = 0;  ///< of that step

  bool has_passed(StepNumber at) const {
    return at.step < step || (at.step == step && at.micro < parts);
  }
  void set(StepNumber at) {
    step = at.step;
    parts = at.micro + 1;
  }
  /// See core/state.hpp.
  void each_state(const std::string& prefix, auto&& see) {
    std::uint64_t count = parts;
    see(prefix + "step", step);
    see(prefix + "parts", count);
    parts = static_cast<std::uint32_t>(count);
  }
};

/// A checksum of the contents of one part of a step, however they are split into pieces.
inline std::uint32_t digest_of(std::span<const Bytes> pieces) {
  std::uint32_t digest = 0;
  for (const Bytes piece : pieces) digest = crc32c(piece, digest);
  return digest;
}

/// What a party keeps of a session between connections. A checkpoint stores all of it.
struct SessionState {
  SessionId id{};                ///< zero until the session has one
  std::uint32_t client = 0;      ///< number of the client
  std::uint32_t connection = 0;  ///< number of the newest connection; an older one is refused
  ReplyCache steps = {};         ///< a client has no replies, only the last step
  Tally sent = {}, received = {};
  StepMark sent_steps = {}, received_steps = {};  ///< a message up to these is a repeat
  std::vector<std::uint32_t> digests = {};  ///< client: of the parts of sent_steps.step, in order

  /// See core/state.hpp.
  void each_state(auto&& see) {
    std::uint64_t client_number = client, connections = connection;
    see("session.0", id[0]);
    see("session.1", id[1]);
    see("client", client_number);
    see("connection", connections);
    client = static_cast<std::uint32_t>(client_number);
    connection = static_cast<std::uint32_t>(connections);
    steps.each_state(see);
    sent.each_state("sent.", see);
    received.each_state("received.", see);
    sent_steps.each_state("sent.", see);
    received_steps.each_state("received.", see);
    std::vector<std::byte> digest_bytes;
    for (const std::uint32_t digest : digests) ByteWriter{digest_bytes}.put(digest);
    see("digests", digest_bytes);
    digests.resize(digest_bytes.size() / sizeof(std::uint32_t));
    ByteReader{digest_bytes, "digests"}.get_array(std::span{digests});
  }
};

}  // namespace splitvit::wire
