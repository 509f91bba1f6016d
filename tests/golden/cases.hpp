// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // count
#include <concepts>     // floating_point, same_as
#include <span>         // span
#include <string>       // string
#include <string_view>  // string_view
#include <vector>       // vector

#include "support/catch.hpp"
#include "support/golden.hpp"

// Runs a test on all golden files, and on all cases in them, that it is for. None is listed in the
// tests: files and cases are found by their names.

namespace splitvit::golden {

/// Calls check(file) for each file that begins with `prefix`. Files of floats are left out where T
/// is double. There must be a file `prefix` or one `prefix`_f64 (or _f32, where T is float).
template <std::floating_point T>
void each_file(const std::string& prefix, const auto& check) {
  constexpr bool exact = std::same_as<T, double>;
  const std::vector<std::string> names = files(prefix);
  REQUIRE(std::ranges::count(names, prefix) +
              std::ranges::count(names, prefix + (exact ? "_f64" : "_f32")) ==
          1);
  for (const std::string& name : names) {
    if (exact && name.ends_with("_f32")) continue;
    INFO(name);
    check(File{name});
  }
}

/// A case of a file, compared within a tolerance.
template <std::floating_point T>
struct Case {
  const File& file;
  std::string name;
  Tolerance close = tolerance<T>();

  std::string at(std::string_view tensor) const { return name + "/" + std::string{tensor}; }
  bool has(std::string_view tensor) const { return file.has(at(tensor)); }
  Tensor<T> get(std::string_view tensor) const { return file.get<T>(at(tensor)); }
  std::vector<Index> indices(std::string_view tensor) const { return file.indices(at(tensor)); }
  double real(std::string_view tensor) const { return file.real(at(tensor)); }
  Index integer(std::string_view tensor) const { return file.integer(at(tensor)); }

  /// Numbers within the tolerance, counts and positions exactly.
  template <class U>
  void agrees(std::string_view tensor, const Tensor<U>& ours) const {
    CHECK(file.compare(at(tensor), ours, std::floating_point<U> ? close : Tolerance{}) == "");
  }
  void agrees(std::string_view tensor, std::span<const Index> ours) const {
    CHECK(file.compare(at(tensor), ours) == "");
  }
  void agrees(std::string_view tensor, double ours) const {
    CHECK(file.compare(at(tensor), ours, close) == "");
  }
};

/// Calls check(case), which returns whether it knows the case, for each case of each file. Every
/// file must have one that it knows.
template <std::floating_point T>
void each_case(const std::string& prefix, const auto& check) {
  each_file<T>(prefix, [&](const File& file) {
    int known = 0;
    for (const std::string& name : file.cases()) {
      INFO(name);
      known += check(Case<T>{file, name}) ? 1 : 0;
    }
    CHECK(known > 0);
  });
}

}  // namespace splitvit::golden
