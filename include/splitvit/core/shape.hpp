// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>         // equal, max
#include <initializer_list>  // initializer_list

#include <splitvit/core/error.hpp>  // joined, ShapeError

namespace splitvit::inline SPLITVIT_BUILD {

/// Counts and positions. Signed, so that differences may be negative.
using Index = std::ptrdiff_t;

/// The extents of a row-major tensor. A value: cheap to copy, no heap.
///
/// Errors  ShapeError for more than `max_rank` extents, a negative extent, or a product
///         of extents that an Index cannot hold.
class Shape {
 public:
  static constexpr std::size_t max_rank = 6;

  Shape() = default;
  Shape(std::initializer_list<Index> extents)
      : Shape(std::span<const Index>{extents.begin(), extents.size()}) {}
  explicit Shape(std::span<const Index> extents) {
    if (extents.size() > max_rank)
      throw ShapeError(
          {"Shape: ", extents.size(), " extents, at most ", max_rank, " are possible"});
    for (const Index extent : extents) extents_[rank_++] = extent;
    elements_ = checked_product();
  }

  std::size_t rank() const { return rank_; }
  Index elements() const { return elements_; }
  Index operator[](std::size_t axis) const { return extents_[axis]; }
  /// The last extent; 1 for a scalar.
  Index back() const { return rank_ == 0 ? 1 : extents_[rank_ - 1]; }
  /// The number of rows: the product of all extents except the last.
  Index rows() const {
    Index n = 1;
    for (std::size_t i = 0; i + 1 < rank_; ++i) n *= extents_[i];
    return n;
  }
  std::span<const Index> extents() const { return {extents_.data(), rank_}; }

  /// The same shape with one extent changed.
  Shape with(std::size_t axis, Index extent) const {
    Shape changed = *this;
    changed.extents_.at(axis) = extent;
    changed.elements_ = changed.checked_product();
    return changed;
  }

  /// For messages: "(64, 197, 192)".
  std::string text() const {
    std::string out;
    for (const Index extent : extents()) out += joined({out.empty() ? "(" : ", ", extent});
    return rank_ == 0 ? "()" : out + ")";
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    const auto x = a.extents(), y = b.extents();
    return std::equal(x.begin(), x.end(), y.begin(), y.end());
  }

 private:
  Index checked_product() const {
    Index product = 1;  // of the extents that are not 0
    bool has_zero = false;
    for (const Index extent : extents()) {
      if (extent < 0) throw ShapeError({"Shape: negative extent in ", text()});
      if (extent > 0 && product > std::numeric_limits<Index>::max() / extent)
        throw ShapeError({"Shape: ", text(), " has more elements than can be counted"});
      product *= std::max(extent, Index{1});
      has_zero = has_zero || extent == 0;
    }
    return has_zero ? 0 : product;
  }

  std::array<Index, max_rank> extents_{};
  std::size_t rank_ = 0;
  Index elements_ = 1;
};

}  // namespace splitvit::inline SPLITVIT_BUILD
