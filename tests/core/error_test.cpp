// SPDX-License-Identifier: MIT
#include <stdexcept>
#include <type_traits>

#include <splitvit/core/error.hpp>

#include "support/catch.hpp"

namespace sv = splitvit;
using sv::Reason;

TEST_CASE("errors: a reason comes with the text", "[core]") {
  const sv::StorageError error{Reason::damaged_file, "weights: cut off"};
  CHECK(error.reason() == Reason::damaged_file);
  CHECK(std::string{error.what()} == "weights: cut off");
}

TEST_CASE("errors: callers' mistakes and the world's are told apart by base", "[core]") {
  STATIC_REQUIRE(std::is_base_of_v<std::invalid_argument, sv::ShapeError>);
  STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, sv::WireError>);
  STATIC_REQUIRE(std::is_base_of_v<sv::ReasonedError, sv::TransportError>);
  STATIC_REQUIRE(std::is_base_of_v<sv::ReasonedError, sv::StorageError>);
  STATIC_REQUIRE(!std::is_base_of_v<sv::WireError, sv::StorageError>);
}

TEST_CASE("errors: only what time can heal may be tried again", "[core]") {
  CHECK(sv::may_retry(Reason::timed_out));
  CHECK(sv::may_retry(Reason::cannot_connect));
  CHECK(sv::may_retry(Reason::cannot_write));
  CHECK(sv::may_retry(Reason::in_use));
  for (const Reason reason : {Reason::bad_magic, Reason::bad_checksum, Reason::truncated,
                              Reason::refused, Reason::damaged_file, Reason::wrong_content})
    CHECK_FALSE(sv::may_retry(reason));
}
