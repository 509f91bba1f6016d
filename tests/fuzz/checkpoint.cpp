// SPDX-License-Identifier: MIT
// A checkpoint from a stranger. The first byte, modulo 3, says what the rest is:
//
//   0  a file: it is refused with a StorageError, or all of it can be written and read again
//   1  a file whose sizes and checksums are made right before
//   2  a section of a whole file: its state is refused, or stored again to the same bytes
//
// -malloc_limit_mb=4

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include <splitvit/core/bytes.hpp>
#include <splitvit/core/crc32c.hpp>
#include <splitvit/core/error.hpp>
#include <splitvit/io/checkpoint.hpp>

#include "support/some_state.hpp"

namespace {

using namespace splitvit;

void check(bool fine) {
  if (!fine) std::abort();
}

/// Makes what a file says of its size right, and the checksums of head and file.
std::vector<std::byte> repaired(std::span<const std::byte> bytes) {
  std::vector<std::byte> out{bytes.begin(), bytes.end()};
  if (out.size() < 32) return out;
  const auto put = [&out](std::size_t at, auto number) {
    std::vector<std::byte> little;
    ByteWriter{little}.put(number);
    std::ranges::copy(little, out.begin() + static_cast<std::ptrdiff_t>(at));
  };
  const std::size_t most = out.size() - 4;
  const std::size_t head =
      std::clamp<std::size_t>(ByteReader{bytes.subspan(12)}.get<std::uint32_t>(), 28, most);
  put(12, static_cast<std::uint32_t>(head));
  put(16, std::uint64_t{out.size()});
  put(head - 4, crc32c(std::span{out}.first(head - 4)));
  put(most, crc32c(std::span{out}.first(most)));
  return out;
}

void read_file_of(std::span<const std::byte> bytes) {
  const io::Checkpoint checkpoint = io::parse_checkpoint(bytes, "input");
  check(static_cast<const io::CheckpointHead&>(checkpoint) == io::check_checkpoint(bytes, "input"));
  std::size_t size = 0;
  for (const auto& [name, section] : checkpoint.sections) size += section.size();
  check(size < bytes.size());
  // Settings and sections of a file may be in any order; we write them sorted.
  const auto again = io::format_checkpoint(checkpoint);
  check(io::format_checkpoint(io::parse_checkpoint(again, "again")) == again);
  check(again.size() == bytes.size());
}

void restore_from(std::span<const std::byte> bytes) {
  test::SomeState party;
  const std::vector<std::byte> before = state_bytes(party);
  io::Checkpoint checkpoint;
  checkpoint.sections["party"].assign(bytes.begin(), bytes.end());
  try {
    io::parse_checkpoint(io::format_checkpoint(checkpoint), "input").restore("party", party);
  } catch (const StorageError&) {
    check(state_bytes(party) == before);
    throw;
  }
  check(std::ranges::equal(state_bytes(party), bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span{data, size}.subspan(1));
  try {
    if (data[0] % 3 == 2)
      restore_from(bytes);
    else if (data[0] % 3 == 1)
      read_file_of(repaired(bytes));
    else
      read_file_of(bytes);
  } catch (const StorageError&) {
    // what a bad file must give
  }
  return 0;
}
