// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // max, sort, unique
#include <cmath>        // abs, isfinite
#include <concepts>     // floating_point, same_as
#include <cstdint>      // int64_t
#include <cstdlib>      // getenv
#include <filesystem>   // directory_iterator, path
#include <span>         // span
#include <sstream>      // ostringstream
#include <stdexcept>    // runtime_error
#include <string>       // string
#include <string_view>  // string_view
#include <utility>      // pair
#include <vector>       // vector

#include <splitvit/io/safetensors.hpp>  // read_safetensors
#include <splitvit/tensor/tensor.hpp>   // Tensor

// Golden files: values saved from PyTorch, to compare ours with. They lie in the folder that
// the environment variable SPLITVIT_GOLDEN_DIR names, or else in tests/golden. Their format and
// tolerances are described in the README there.
//
//   const golden::File file{"ops_f64"};
//   for (const std::string& name : file.cases()) {                // "linear", "layernorm", ...
//     const auto x = file.get<float>(name + "/x");                // F64 is rounded
//     CHECK(file.compare(name + "/y", ours, golden::tolerance<float>()) == "");
//   }

#ifndef SPLITVIT_GOLDEN_DEFAULT_DIR
#define SPLITVIT_GOLDEN_DEFAULT_DIR "tests/golden"
#endif

namespace splitvit::golden {

inline std::filesystem::path folder() {
  const char* const chosen = std::getenv("SPLITVIT_GOLDEN_DIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : SPLITVIT_GOLDEN_DEFAULT_DIR;
}

/// Names, without ".safetensors", of the golden files that begin with `prefix`, sorted.
inline std::vector<std::string> files(std::string_view prefix = "") {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator{folder()})
    if (entry.path().extension() == ".safetensors" &&
        entry.path().stem().string().starts_with(prefix))
      found.push_back(entry.path().stem().string());
  std::ranges::sort(found);
  return found;
}

/// How far ours may be from theirs: |a - b| <= atol + rtol * max |b|.
struct Tolerance {
  double rtol = 0.0;
  double atol = 0.0;
  bool per_row = false;                    ///< the maximum of each row, not of the whole tensor
  std::pair<Index, Index> left_out{0, 0};  ///< elements [first, second) are not compared
};

/// What the README allows for operators, merging and codecs.
template <std::floating_point T>
Tolerance tolerance() {
  if constexpr (std::same_as<T, double>)
    return {.rtol = 1e-12, .atol = 1e-14};
  else
    return {.rtol = 5e-6, .atol = 1e-6};
}

/// Which of `known` a case is of: `name` itself, or followed by "_"; the longest one wins.
/// Empty if none fits, and then the test must fail.
inline std::string kind_of(const std::string& name, const std::vector<std::string>& known) {
  std::string best;
  for (const std::string& kind : known)
    if ((name == kind || name.starts_with(kind + "_")) && kind.size() > best.size()) best = kind;
  return best;
}

/// Says where two tensors differ most; empty if they agree within the tolerance.
template <class A, class B>
std::string difference(const std::string& what, const Tensor<A>& ours, const Tensor<B>& theirs,
                       const Tolerance& allowed) {
  if (!(ours.shape() == theirs.shape()))
    return what + ": ours is " + ours.shape().text() + ", wanted " + theirs.shape().text();
  const auto number = [](auto value) { return static_cast<double>(value); };
  const Index row = allowed.per_row ? std::max<Index>(1, ours.shape().back()) : ours.size();
  const auto compared = [&](Index i) {
    return i < allowed.left_out.first || i >= allowed.left_out.second;
  };
  double worst = 1.0;  // in units of what is allowed
  Index where = -1;
  std::string text;
  for (Index begin = 0; begin < ours.size(); begin += row) {
    double largest = 0.0;
    for (Index i = begin; i < begin + row; ++i)
      if (compared(i)) largest = std::max(largest, std::abs(number(theirs[i])));
    const double limit = allowed.atol + allowed.rtol * largest;
    for (Index i = begin; i < begin + row; ++i) {
      if (!compared(i)) continue;
      const double off = std::abs(number(ours[i]) - number(theirs[i]));
      if (off <= limit) continue;
      const double units = limit > 0.0 ? off / limit : 2.0;
      if (where >= 0 && units <= worst) continue;
      if (std::isfinite(units)) worst = std::max(worst, units);
      where = i;
      std::ostringstream out;
      out.precision(17);
      out << what << ": element " << i << " of " << ours.shape().text() << " is " << number(ours[i])
          << ", wanted " << number(theirs[i]) << ": off by ";
      out.precision(3);
      out << off << ", allowed " << limit;
      text = out.str();
      if (!std::isfinite(off)) return text;  // nothing is worse
    }
  }
  return text;
}

/// One golden file. Tensors are named "case/tensor".
class File {
 public:
  /// `name` without ".safetensors". Errors  StorageError if it is missing or damaged.
  explicit File(const std::string& name)
      : name_{name}, content_{io::read_safetensors(folder() / (name + ".safetensors"))} {}

  const std::string& name() const { return name_; }
  const std::vector<std::string>& names() const { return content_.names(); }
  bool has(const std::string& tensor) const { return content_.contains(tensor); }
  const Shape& shape(const std::string& tensor) const { return content_.shape(tensor); }
  const io::SafeTensors& content() const { return content_; }

  /// What stands before the first "/" of the names, each once, sorted; names without "/" are
  /// no case.
  std::vector<std::string> cases() const {
    std::vector<std::string> found;
    for (const std::string& name : names())
      if (const auto end = name.find('/'); end != std::string::npos)
        found.push_back(name.substr(0, end));
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  /// T is float or double for F32 and F64, std::int64_t for I64.
  template <class T>
  Tensor<T> get(const std::string& tensor) const {
    return content_.get<T>(tensor);
  }
  /// An I64 tensor as positions and counts.
  std::vector<Index> indices(const std::string& tensor) const {
    const auto stored = get<std::int64_t>(tensor);
    return {stored.span().begin(), stored.span().end()};
  }
  double real(const std::string& tensor) const { return single<double>(tensor); }
  Index integer(const std::string& tensor) const {
    return static_cast<Index>(single<std::int64_t>(tensor));
  }

  /// Says how `ours` differs from a tensor of the file, which is read as double; empty if it
  /// agrees.
  template <class T>
  std::string compare(const std::string& tensor, const Tensor<T>& ours,
                      const Tolerance& allowed) const {
    const std::string what = name_ + ": " + tensor;
    if constexpr (std::floating_point<T>)
      return difference(what, ours, get<double>(tensor), allowed);
    else
      return difference(what, ours, get<std::int64_t>(tensor), allowed);
  }
  /// The same for counts and positions, which must be equal.
  std::string compare(const std::string& tensor, std::span<const Index> ours) const {
    return compare(tensor, Tensor<Index>{{static_cast<Index>(ours.size())}, ours}, Tolerance{});
  }
  /// The same for a single number.
  std::string compare(const std::string& tensor, double ours, const Tolerance& allowed) const {
    return compare(tensor, Tensor<double>::full({1}, ours), allowed);
  }

 private:
  template <class T>
  T single(const std::string& tensor) const {
    const auto stored = get<T>(tensor);
    if (stored.size() != 1)
      throw std::runtime_error(name_ + ": " + tensor + " has " + stored.shape().text() +
                               ", wanted one number");
    return stored[0];
  }

  std::string name_;
  io::SafeTensors content_;
};

}  // namespace splitvit::golden
