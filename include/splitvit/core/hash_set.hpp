// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <bit>        // bit_ceil

#include <splitvit/core/workspace.hpp>  // RecycledVector

namespace splitvit::inline SPLITVIT_BUILD {

/// A set of whole numbers below 2^64 - 1, which may stand for something else: `hash(number)`, and
/// `equal(a, b)` for numbers of equal hashes, say what counts once. Its memory comes from the
/// workspace in use. It takes compilers less time and memory than std::unordered_set.
template <class Hash, class Equal>
class HashSet {
 public:
  HashSet(std::size_t expected, Hash hash, Equal equal)
      : hash_{std::move(hash)},
        equal_{std::move(equal)},
        slots_(std::bit_ceil(std::max<std::size_t>(2 * expected, 16)), empty) {}

  /// Returns whether it was not there.
  bool insert(std::uint64_t number) {
    if (2 * ++size_ > slots_.size()) grow();
    std::uint64_t& slot = slots_[place_of(number)];
    if (slot != empty) {
      --size_;
      return false;
    }
    slot = number;
    return true;
  }
  bool contains(std::uint64_t number) const { return slots_[place_of(number)] != empty; }

 private:
  static constexpr std::uint64_t empty = ~std::uint64_t{0};

  /// Where the number is, or would be.
  std::size_t place_of(std::uint64_t number) const {
    const std::size_t last = slots_.size() - 1;
    const std::uint64_t mixed = std::uint64_t{hash_(number)} * 0x9E3779B97F4A7C15u;
    std::size_t at = mixed >> 32 & last;
    while (slots_[at] != empty && !equal_(slots_[at], number)) at = (at + 1) & last;
    return at;
  }
  void grow() {
    const auto before =
        std::exchange(slots_, RecycledVector<std::uint64_t>(2 * slots_.size(), empty));
    for (const std::uint64_t number : before)
      if (number != empty) slots_[place_of(number)] = number;
  }

  Hash hash_;
  Equal equal_;
  RecycledVector<std::uint64_t> slots_;
  std::size_t size_ = 0;
};

}  // namespace splitvit::inline SPLITVIT_BUILD
