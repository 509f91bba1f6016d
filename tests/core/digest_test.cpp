// SPDX-License-Identifier: MIT
#include <span>
#include <string_view>

#include <splitvit/core/digest.hpp>

#include "support/catch.hpp"

using splitvit::Digest;

namespace {

Digest digest_of_bytes(std::string_view text) {
  Digest digest;
  digest.add_bytes(std::as_bytes(std::span{text}));
  return digest;
}

}  // namespace

TEST_CASE("Digest: the published values of FNV-1a", "[digest]") {
  CHECK(Digest{}.value() == 0xCBF29CE484222325);
  CHECK(digest_of_bytes("a").value() == 0xAF63DC4C8601EC8C);
  CHECK(digest_of_bytes("foobar").value() == 0x85944171F73967E8);
  CHECK(digest_of_bytes("foobar").text() == "85944171f73967e8");
}

TEST_CASE("Digest: in parts as at once; texts in a row are told apart", "[digest]") {
  Digest parts = digest_of_bytes("foo");
  parts.add_bytes(std::as_bytes(std::span{std::string_view{"bar"}}));
  CHECK(parts == digest_of_bytes("foobar"));

  Digest one, other;
  one.add_text("ab");
  one.add_text("c");
  other.add_text("a");
  other.add_text("bc");
  CHECK_FALSE(one == other);
}

TEST_CASE("Digest: a number is eight bytes, little-endian", "[digest]") {
  Digest number;
  number.add_number(0x0807060504030201);
  CHECK(number == digest_of_bytes("\1\2\3\4\5\6\7\10"));
}
