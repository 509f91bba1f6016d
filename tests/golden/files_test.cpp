// SPDX-License-Identifier: MIT
// Every golden file belongs to a test here, and the comparison itself can fail.

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace splitvit {

TEST_CASE("golden: every file has a test", "[golden]") {
  const std::vector<std::string> tested{"adc_merge",  "baselines",       "clients",
                                        "deit_tiny",  "kmeans",          "ops",
                                        "split_step", "split_deit_tiny", "tiny_vit"};
  const auto names = golden::files();
  REQUIRE(!names.empty());
  for (const std::string& name : names)
    if (golden::kind_of(name, tested).empty()) FAIL_CHECK(name << ": no test knows such a file");
}

TEST_CASE("golden: a missing file and a missing tensor are errors", "[golden]") {
  CHECK_THROWS_AS(golden::File{"no_such_file"}, StorageError);
  CHECK_THROWS_AS(golden::File{"kmeans"}.get<double>("no_such_case/x"), StorageError);
}

TEST_CASE("golden: kinds are beginnings of names", "[golden]") {
  const std::vector<std::string> known{"adam", "adamw", "patch_embed"};
  CHECK(golden::kind_of("adam", known) == "adam");
  CHECK(golden::kind_of("adam_l2", known) == "adam");
  CHECK(golden::kind_of("adamw_l2", known) == "adamw");
  CHECK(golden::kind_of("patch_embed_wide", known) == "patch_embed");
  CHECK(golden::kind_of("adams", known).empty());
  CHECK(golden::kind_of("patch", known).empty());
}

TEST_CASE("golden: the comparison sees every deviation", "[golden]") {
  const Tensor<double> theirs{{2, 3}, std::vector<double>{1, 2, 3, 100, 200, -300}};
  const auto with = [&](Index i, double value) {
    Tensor<double> ours = theirs;
    ours[i] = value;
    return ours;
  };
  const golden::Tolerance close{.rtol = 1e-3, .atol = 1e-3};  // 0.301, from the largest
  CHECK(golden::difference("t", theirs, theirs, {}) == "");
  CHECK(golden::difference("t", with(0, 1.3), theirs, close) == "");
  CHECK_THAT(golden::difference("t", with(0, 1.4), theirs, close),
             ContainsSubstring("t: element 0 of (2, 3) is 1.3999999999999999, wanted 1"));
  CHECK(golden::difference("t", with(5, 300.0), theirs, close) != "");
  CHECK(golden::difference("t", with(5, std::numeric_limits<double>::quiet_NaN()), theirs, close) !=
        "");
  CHECK(golden::difference("t", with(5, -std::numeric_limits<double>::infinity()), theirs, close) !=
        "");
  CHECK_THAT(golden::difference("t", Tensor<double>{{3, 2}}, theirs, close),
             ContainsSubstring("ours is (3, 2), wanted (2, 3)"));
  // The worst element is named, not the first.
  Tensor<double> two = with(0, 1.4);
  two[4] = 210;
  CHECK_THAT(golden::difference("t", two, theirs, close), ContainsSubstring("element 4"));
  // Per row, the first row allows 0.004 only.
  golden::Tolerance rows = close;
  rows.per_row = true;
  CHECK(golden::difference("t", with(0, 1.3), theirs, rows) != "");
  CHECK(golden::difference("t", with(0, 1.003), theirs, rows) == "");
  golden::Tolerance partly = close;
  partly.left_out = {0, 2};
  CHECK(golden::difference("t", with(1, 99.0), theirs, partly) == "");
  CHECK(golden::difference("t", with(2, 99.0), theirs, partly) != "");
}

}  // namespace splitvit
