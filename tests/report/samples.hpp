// SPDX-License-Identifier: MIT
#pragma once

#include <clocale>  // setlocale
#include <cstdint>  // uint64_t
#include <limits>   // numeric_limits
#include <locale>   // locale, numpunct
#include <string>   // string
#include <vector>   // vector

#include <splitvit/report/run.hpp>  // Row, Run

// Invented runs, and a locale in which numbers look different.

namespace samples {

inline constexpr double infinite = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// A run of `epochs` epochs of 10 steps; each step sends `bytes` up and half of that down.
inline splitvit::report::Run run(const std::string& method, std::uint64_t seed, std::uint64_t bytes,
                                 double accuracy, std::uint64_t epochs = 3) {
  splitvit::report::Run out{
      .method = method, .seed = seed, .settings = {{"model", "tiny"}, {"cut", "2"}}};
  for (std::uint64_t e = 1; e <= epochs; ++e) {
    const auto t = static_cast<double>(e);
    out.rows.push_back({.epoch = e,
                        .step = 10 * e,
                        .loss = 2.0 / t,
                        .test_accuracy = accuracy - 0.1 * static_cast<double>(epochs - e),
                        .traffic = {{bytes * 10 * e, 240 * e}, {bytes * 5 * e, 240 * e}},
                        .seconds = {1.5 * t, 0.25 * t, 2 * t, 0.5 * t}});
  }
  return out;
}

/// A decimal comma and grouped thousands for all streams while it lives; where the system has
/// a German locale, for the C library too.
class CommaLocale {
 public:
  CommaLocale() : before_{std::locale::global(std::locale{std::locale::classic(), new Comma})} {
    for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "de_DE"})
      if (std::setlocale(LC_ALL, name) != nullptr) break;
  }
  CommaLocale(const CommaLocale&) = delete;
  CommaLocale& operator=(const CommaLocale&) = delete;
  ~CommaLocale() {
    std::locale::global(before_);
    std::setlocale(LC_ALL, "C");
  }

 private:
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  std::locale before_;
};

}  // namespace samples
