// SPDX-License-Identifier: MIT

// Fuzz target: bytes from a hostile peer as frames, and their payloads as tensors and errors.
// Only our own errors may come out, and memory must follow what has come.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Itests
//       tests/fuzz/frame.cpp -o frame
//   ./frame -malloc_limit_mb=4 -max_len=65536 <a new folder> tests/fuzz/corpus/frame
//
// An input is a test::Recording; bit 2 of its choice is the limit.
// corpus/make_corpus.cpp makes the first inputs.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <splitvit/core/bytes.hpp>
#include <splitvit/core/error.hpp>
#include <splitvit/core/shape.hpp>
#include <splitvit/wire/handshake.hpp>
#include <splitvit/wire/message.hpp>
#include <splitvit/wire/tensor_payload.hpp>

#include "fuzz/recording.hpp"
#include "support/drain.hpp"

namespace {

using namespace splitvit;

template <class T>
void read_tensors(std::span<const std::byte> payload) {
  try {
    ByteReader in{payload};
    in.get<std::uint64_t>();
    std::vector<T> values(24);
    for (const Shape& agreed : {Shape{2, 3, 4}, Shape{24}})
      wire::get_tensor<T>(in, agreed, values, "fuzz");
  } catch (const WireError&) {
  }
}

void read_payload(std::span<const std::byte> payload) {
  read_tensors<float>(payload);
  read_tensors<double>(payload);
  read_tensors<std::uint8_t>(payload);
  try {
    wire::throw_peer_error(payload);
  } catch (const WireError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const test::Recording came{data, size};
  const std::span bytes{came.bytes};
  const std::size_t piece = came.piece();

  wire::MessageReader reader;
  reader.begin(0, (came.choice & 4) != 0 ? wire::message_ceiling : wire::unadmitted_limit);
  std::vector<std::byte> payload;
  try {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const std::size_t n = std::min(piece, bytes.size() - at);
      test::feed(reader, bytes.subspan(at, n), payload,
                 [&](wire::MessageKind) { read_payload(payload); });
      if (payload.capacity() > 2 * (at + n) + 65536) std::abort();
    }
  } catch (const WireError&) {
  }
  return 0;
}
