// SPDX-License-Identifier: MIT
// Targets from a stranger: refused with WireError, or decoded to rows that can be sent on.
// Input: u8 element type, u8 rows, u16 classes, then the bytes that came.

#include <cstdint>  // uint8_t
#include <cstdlib>  // abort
#include <cstring>  // memcmp
#include <span>     // as_bytes, span

#include <splitvit/codec/targets.hpp>  // decode_targets, encode_targets

namespace {

template <class T>
void decode(std::span<const std::byte> in, splitvit::Index rows, splitvit::Index classes) {
  namespace codec = splitvit::codec;
  splitvit::Tensor<T> targets;
  try {
    targets = codec::decode_targets<T>(in, rows, classes);
  } catch (const splitvit::WireError&) {
    return;
  }
  // What was accepted can be written, and comes back bit for bit.
  std::vector<std::byte> out;
  codec::encode_targets<T>(targets.view(), out);
  const auto again = codec::decode_targets<T>(out, rows, classes);
  if (std::memcmp(again.data(), targets.data(), targets.span().size_bytes()) != 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const splitvit::Index rows = data[1], classes = data[2] + 256 * data[3];
  const auto in = std::as_bytes(std::span{data + 4, size - 4});
  if (data[0] % 2 == 0)
    decode<float>(in, rows, classes);
  else
    decode<double>(in, rows, classes);
  return 0;
}
