// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, clamp, max, min

#include <splitvit/codec/concepts.hpp>              // Pass
#include <splitvit/codec/detail/range_coder.hpp>    // RangeDecoder, RangeEncoder
#include <splitvit/codec/detail/symbol_counts.hpp>  // SymbolCounts
#include <splitvit/core/bytes.hpp>                  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                  // Reason
#include <splitvit/core/parallel.hpp>               // parallel_for
#include <splitvit/core/shape.hpp>                  // Index

// A message of symbols: streams, which threads code side by side, and how both sides notice that
// their tables differ.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// What was seen in the symbols of a message, or of a part of it.
struct SymbolsSeen {
  SymbolsSeen(std::size_t contexts, std::size_t columns) : counts(contexts), sums(columns) {}

  std::vector<SymbolCounts> counts;  ///< by context
  std::vector<std::uint64_t> sums;   ///< of the values in each column
  std::uint64_t check = 0;           ///< depends on all values and their order
  bool sound = true;                 ///< false if symbols came that are never written

  void mix(std::uint64_t value) { check = (check ^ value) * 0x9E3779B97F4A7C15u; }
  void add(const SymbolsSeen& part) {
    for (std::size_t c = 0; c < counts.size(); ++c)
      for (std::size_t s = 0; s < alphabet; ++s) counts[c][s] += part.counts[c][s];
    for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += part.sums[j];
    mix(part.check >> 32);
    sound = sound && part.sound;
  }
};

/// The messages since a side's tables began: how many, and a check of all values in them.
struct MessageChain {
  std::uint64_t messages = 0;
  std::uint64_t check = 0;

  /// Appends the message whose symbols were seen; returns the check that it carries.
  std::uint32_t append(const SymbolsSeen& seen) {
    ++messages;
    check = (check ^ seen.check) * 0x9E3779B97F4A7C15u;
    return static_cast<std::uint32_t>(check >> 32);
  }

  /// Reads the number of a message. Errors  WireError (wrong_step).
  void expect_number(ByteReader& reader) const {
    const auto number = reader.get<std::uint32_t>();
    if (number != static_cast<std::uint32_t>(messages))
      reader.refuse(Reason::wrong_step,
                    {"coded after ", number, " messages, ", messages, " have been read"});
  }
  /// Appends a message and reads its check. Errors  WireError (bad_checksum).
  void expect_check(ByteReader& reader, const SymbolsSeen& seen) {
    if (reader.get<std::uint32_t>() != append(seen))
      reader.refuse(Reason::bad_checksum, {"other numbers than those that were written"});
  }

  /// See core/state.hpp.
  void each_state(auto&& see, const std::string& prefix) {
    see(prefix + "messages", messages);
    see(prefix + "check", check);
  }
};

/// What a party keeps of the messages that it has sent and received. Empty before the first step.
template <class State>
struct SessionStates {
  struct Pair {
    State sent, received;
  };
  Pair activations, gradients;

  State& sent(Pass pass) { return of(pass).sent; }
  State& received(Pass pass) { return of(pass).received; }

  /// See core/state.hpp.
  void each_state(auto&& see) {
    activations.sent.each_state(see, "sent.");
    activations.received.each_state(see, "received.");
    gradients.sent.each_state(see, "gradient_sent.");
    gradients.received.each_state(see, "gradient_received.");
  }

 private:
  Pair& of(Pass pass) { return pass == Pass::forward ? activations : gradients; }
};

/// How many bytes a message of so many values has at least, so that no short one asks for much.
inline std::size_t least_bytes(Index values) { return static_cast<std::size_t>(values) / 2048; }

/// Fills a message that began at `begin` with zeros.
inline void put_padding(std::vector<std::byte>& out, std::size_t begin, Index values) {
  out.resize(std::max(out.size(), begin + least_bytes(values)));
}

/// Asked for before memory is taken. Errors  WireError (truncated).
inline void require_least(const ByteReader& reader, Index values) {
  if (reader.left() < least_bytes(values))
    reader.refuse(Reason::truncated, {reader.left(), " bytes for ", values, " values, at least ",
                                      least_bytes(values)});
}

/// Reads the zeros behind a message that began at `begin`, and expects the end.
/// Errors  WireError (malformed).
inline void expect_padding(ByteReader& reader, std::size_t begin, Index values) {
  const std::size_t used = reader.position() - begin, least = least_bytes(values);
  const auto zeros = reader.get_bytes(used < least ? least - used : 0);
  if (std::ranges::any_of(zeros, [](std::byte one) { return one != std::byte{0}; }))
    reader.refuse(Reason::malformed, {"padding that is not zero"});
  reader.expect_end();
}

/// How many streams so many symbols are worth, in at most `parts` of equal size.
inline Index stream_count(Index symbols, Index parts) {
  constexpr Index symbols_a_stream = 1 << 15, most = 16;
  return std::min(parts, std::clamp<Index>(symbols / symbols_a_stream, 1, most));
}

/// Appends for each stream u32 how many bytes it has, then all streams. `code(coder, stream, seen)`
/// codes a stream and adds to `seen`, which begins as `nothing`.
SymbolsSeen put_streams(Index streams, const SymbolsSeen& nothing, std::vector<std::byte>& out,
                        const auto& code) {
  const auto count = static_cast<std::size_t>(streams);
  std::vector<std::vector<std::byte>> bytes(count);
  std::vector<SymbolsSeen> parts(count, nothing);
  parallel_for(streams, 1, [&](Index stream, Index) {
    const auto i = static_cast<std::size_t>(stream);
    RangeEncoder coder{bytes[i]};
    code(coder, stream, parts[i]);
    coder.finish();
  });
  ByteWriter writer{out};
  for (const auto& stream : bytes) writer.put(static_cast<std::uint32_t>(stream.size()));
  for (const auto& stream : bytes) writer.put_bytes(stream);
  SymbolsSeen all = nothing;
  for (const SymbolsSeen& part : parts) all.add(part);
  return all;
}

/// Reads what put_streams wrote. Sound symbols may be others than those that were written: compare
/// the check.
///
/// Errors  WireError: truncated, or malformed.
SymbolsSeen get_streams(ByteReader& reader, Index streams, const SymbolsSeen& nothing,
                        const auto& code) {
  const auto count = static_cast<std::size_t>(streams);
  std::vector<std::uint32_t> sizes(count);
  reader.get_array(std::span{sizes});
  std::vector<std::span<const std::byte>> bytes;
  for (const std::uint32_t size : sizes) bytes.push_back(reader.get_bytes(size));
  std::vector<SymbolsSeen> parts(count, nothing);
  parallel_for(streams, 1, [&](Index stream, Index) {
    const auto i = static_cast<std::size_t>(stream);
    RangeDecoder coder{bytes[i]};
    code(coder, stream, parts[i]);
    parts[i].sound = parts[i].sound && coder.at_end();
  });
  SymbolsSeen all = nothing;
  for (const SymbolsSeen& part : parts) all.add(part);
  if (!all.sound) reader.refuse(Reason::malformed, {"symbols that are never written"});
  return all;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
