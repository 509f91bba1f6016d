// SPDX-License-Identifier: MIT
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <splitvit/images/gzip.hpp>

#include "support/catch.hpp"
#include "support/compressed_bytes.hpp"
#include "support/storage_error.hpp"

using namespace splitvit;
using support::fails_with;
using support::PlainBytes;

namespace {

PlainBytes sample_bytes(std::size_t size) {
  PlainBytes out;
  for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<std::byte>(i * i / 7 & 255));
  return out;
}

}  // namespace

TEST_CASE("gunzip: gives back what was compressed, several members too", "[images]") {
  for (const std::size_t size : {0u, 1u, 1000u, 600000u}) {
    const PlainBytes plain = sample_bytes(size);
    PlainBytes packed = support::gzipped(plain);
    CHECK(images::is_gzip(packed));
    CHECK(images::gunzip(packed, size, "file") == plain);
    PlainBytes twice = packed;
    twice.insert(twice.end(), packed.begin(), packed.end());
    CHECK(images::gunzip(twice, 2 * size, "file").size() == 2 * size);
    CHECK(images::inflate_raw(support::deflated(plain, -15), size, "file") == plain);
  }
  CHECK_FALSE(images::is_gzip(sample_bytes(100)));
  CHECK(images::zip_checksum(std::as_bytes(std::span{"123456789", 9})) == 0xCBF43926);
}

TEST_CASE("gunzip: cut anywhere, damaged or too long, it is refused", "[images]") {
  const PlainBytes plain = sample_bytes(300);
  const PlainBytes packed = support::gzipped(plain);
  for (std::size_t size = 0; size < packed.size(); ++size)
    CHECK(fails_with(Reason::damaged_file,
                     [&] { images::gunzip(std::span{packed}.first(size), 1000, "file"); }));
  for (std::size_t at = packed.size() - 8; at < packed.size(); ++at) {  // checksum and size
    PlainBytes damaged = packed;
    damaged[at] ^= std::byte{1};
    CHECK(fails_with(Reason::damaged_file, [&] { images::gunzip(damaged, 1000, "file"); }));
  }
  PlainBytes longer = packed;
  longer.push_back(std::byte{7});
  CHECK(fails_with(Reason::damaged_file, [&] { images::gunzip(longer, 1000, "file"); }));
  CHECK(fails_with(Reason::too_long, [&] { images::gunzip(packed, 299, "file"); }));
  PlainBytes raw = support::deflated(plain, -15);
  raw.push_back(std::byte{0});
  const auto said = support::complaint_of([&] { images::inflate_raw(raw, 1000, "file"); });
  REQUIRE(said);
  CHECK(said->text == "file: bytes behind the end");
}
