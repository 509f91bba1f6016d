// SPDX-License-Identifier: MIT
#include <string>
#include <type_traits>

#include <splitvit/kernel/compute.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {

TEST_CASE("compute: the type of factors, where the build has instructions for it",
          "[kernel][compute]") {
  int calls = 0;
  with_stored<double>(Compute::float32,
                      [&]<class Stored>() { calls += std::is_same_v<Stored, double>; });
  with_stored<float>(Compute::float32,
                     [&]<class Stored>() { calls += std::is_same_v<Stored, float>; });
  CHECK(calls == 2);
  const auto text = [](auto&& work) { return test::text_of<std::invalid_argument>(work); };
  CHECK_THAT(text([] { require_compute<double>(Compute::bf16); }),
             ContainsSubstring("wanted a model of float"));
  const auto use = [&] {
    with_stored<float>(Compute::bf16,
                       [&]<class Stored>() { calls += std::is_same_v<Stored, BrainPair>; });
  };
  if (has_brain_unit) {
    use();
    CHECK(calls == 3);
  } else {
    CHECK_THAT(text(use), ContainsSubstring("without AVX512_BF16; wanted xsimd and -march=native"));
    CHECK(calls == 2);
  }
}

TEST_CASE("compute: its text names the unit in use", "[kernel][compute]") {
  const std::string text = compute_text(Compute::bf16);
  CHECK(text == (detail::may_use_matrix_unit() ? "bf16 by AMX" : "bf16 by VDPBF16PS"));
  CHECK(compute_text(Compute::float32) == std::string{"float32"});
}

}  // namespace splitvit::kernel
