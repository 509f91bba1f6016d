// SPDX-License-Identifier: MIT
#include <string>

#include <splitvit/images/library_calls.hpp>

#include "support/catch.hpp"

namespace splitvit::images {

TEST_CASE("library_calls: a step ends as its call does", "[images]") {
  const std::string source = "file";
  detail::LibraryCalls calls{source, "PNG"};
  int done = 0;
  calls.step([&] { ++done; });
  const auto text_of = [&](const std::string& why) {
    try {
      calls.step([&] {
        ++done;
        calls.fail(why);
      });
    } catch (const StorageError& error) {
      CHECK(error.reason() == Reason::damaged_file);
      return std::string{error.what()};
    }
    return std::string{"no error"};
  };
  CHECK(text_of("cut off") == "file: PNG: cut off");
  CHECK(text_of(std::string(500, 'x')) == "file: PNG: " + std::string(199, 'x'));
  calls.step([&] { ++done; });
  CHECK(done == 4);
}

}  // namespace splitvit::images
