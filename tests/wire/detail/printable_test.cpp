// SPDX-License-Identifier: MIT
#include <splitvit/wire/detail/printable.hpp>

#include "support/catch.hpp"

using splitvit::wire::detail::printable;

TEST_CASE("printable: only plain characters are left", "[wire]") {
  CHECK(printable("cut = 6 ~ ok!") == "cut = 6 ~ ok!");
  CHECK(printable(std::string{"a\0b\n\x1b[31m\x7f\xc3\xa9", 12}) == "a?b??[31m???");
  CHECK(printable("") == "");
}
