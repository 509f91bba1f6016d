// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <concepts>   // floating_point
#include <cstddef>    // size_t
#include <cstdint>    // uint16_t
#include <vector>     // vector

#include <splitvit/codec/detail/range_quantiser.hpp>  // Extremes, Range, dequantise, quantise
#include <splitvit/core/parallel.hpp>                 // parallel_for, parallel_reduce
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

// RangeGroups: a tensor whose numbers share ranges by sample, token or channel. Letters: R rows
// of D numbers.

namespace splitvit::codec {

/// Which numbers share low and scale.
enum class RangePer {
  tensor,  ///< all
  sample,  ///< those of an entry of the first axis
  token,   ///< those of a row
  channel  ///< those at the same place in their rows
};

namespace detail {

/// Finds the ranges of all groups of a tensor with at least one number, and goes from numbers
/// to codes and back. Codes follow the order of the numbers; groups with scale 0 have none.
class RangeGroups {
 public:
  RangeGroups(const Shape& shape, RangePer per)
      : shape_{shape},
        rows_{shape.rows()},
        width_{shape.back()},
        by_place_{per == RangePer::channel} {
    const Index samples = shape.rank() == 0 ? 1 : shape[0];
    count_ = per == RangePer::tensor   ? 1
             : per == RangePer::sample ? samples
             : per == RangePer::token  ? rows_
                                       : width_;
    // With one axis a sample is a number, shorter than the row.
    if (per == RangePer::sample && shape.rank() == 1) {
      rows_ = samples;
      width_ = 1;
    }
    grain_ = std::max<Index>(1, (Index{1} << 14) / width_);
  }

  /// How many groups there are.
  Index count() const { return count_; }

  template <std::floating_point T>
  std::vector<Range<T>> find(TensorView<const T> x, int bits) const {
    std::vector<Range<T>> ranges(static_cast<std::size_t>(count_));
    const auto ends = by_place_ ? ends_of_places(x) : ends_of_rows(x);
    const std::size_t rows_each = ends.size() / ranges.size();
    for (std::size_t g = 0; g < ranges.size(); ++g) {
      Extremes<T> all = ends[g * rows_each];
      for (std::size_t i = 1; i < rows_each; ++i) all = joined(all, ends[g * rows_each + i]);
      ranges[g] = range_between(all, bits);
    }
    return ranges;
  }

  /// How many codes these ranges leave.
  template <class T>
  Index codes(const std::vector<Range<T>>& ranges) const {
    Index with_codes = 0;
    for (const Range<T>& range : ranges) with_codes += range.scale != T{0} ? 1 : 0;
    return with_codes * (shape_.elements() / count_);
  }

  /// The codes of all numbers. With `draws` each number is rounded by its own draw, in order.
  template <std::floating_point T>
  Tensor<std::uint16_t> quantise(TensorView<const T> x, const std::vector<Range<T>>& ranges,
                                 int bits, const Rng* draws) const {
    auto codes_of_x = Tensor<std::uint16_t>::uninitialised({codes(ranges)});
    const auto places = places_with_codes(ranges, bits);
    for_each_row(ranges, places, [&](Index row, const Range<T>* shared, Index begin) {
      if (shared != nullptr && shared->scale == T{0}) return;
      const T* const from = x.data() + row * width_;
      std::uint16_t* const to = codes_of_x.data() + begin;
      Rng own = draws != nullptr ? *draws : Rng{};
      own.position += static_cast<std::uint64_t>(row * width_);
      if (shared == nullptr) {
        for (std::size_t i = 0; i < places.size(); ++i) {
          const T at = places[i].place_of(from[places[i].at]);
          to[i] = draws != nullptr ? rounded_by(draw_after(own, places[i].at), at) : half_even(at);
        }
      } else if (draws != nullptr) {
        quantise_stochastically<T>({from, width_}, *shared, bits, own, to);
      } else {
        detail::quantise<T>({from, width_}, *shared, bits, to);
      }
    });
    return codes_of_x;
  }

  /// The numbers that codes, as many as these ranges leave, mean.
  template <std::floating_point T>
  Tensor<T> dequantise(const Tensor<std::uint16_t>& codes_of_x, const std::vector<Range<T>>& ranges,
                       int bits) const {
    auto x = Tensor<T>::uninitialised(shape_);
    const auto places = places_with_codes(ranges, bits);
    for_each_row(ranges, places, [&](Index row, const Range<T>* shared, Index begin) {
      T* const to = x.data() + row * width_;
      const std::uint16_t* const from = codes_of_x.data() + begin;
      if (shared != nullptr) {
        detail::dequantise<T>(from, *shared, bits, {to, width_});
        return;
      }
      for (Index d = 0; d < width_; ++d) to[d] = ranges[static_cast<std::size_t>(d)].low;
      for (std::size_t i = 0; i < places.size(); ++i) to[places[i].at] = places[i].value(from[i]);
    });
    return x;
  }

 private:
  /// A channel that has codes.
  template <class T>
  struct Place {
    Index at;
    Range<T> range;
    T top;
    bool wide;

    T place_of(T value) const {
      return wide ? place_in<true>(range, value, top) : place_in<false>(range, value, top);
    }
    T value(std::uint16_t code) const {
      return wide ? value_of<true>(range, code) : value_of<false>(range, code);
    }
  };

  template <class T>
  std::vector<Place<T>> places_with_codes(const std::vector<Range<T>>& ranges, int bits) const {
    std::vector<Place<T>> places;
    if (!by_place_) return places;
    const T top = top_code<T>(bits);
    for (std::size_t d = 0; d < ranges.size(); ++d)
      if (ranges[d].scale != T{0})
        places.push_back({static_cast<Index>(d), ranges[d], top, is_wide(ranges[d], top)});
    return places;
  }

  /// Calls body(row, its range or null where each place has one, where its codes begin), on
  /// several threads.
  template <class T, class Body>
  void for_each_row(const std::vector<Range<T>>& ranges, const std::vector<Place<T>>& places,
                    const Body& body) const {
    const Index rows_each = by_place_ ? rows_ : rows_ / count_;
    std::vector<Index> begins;  // of each group
    if (!by_place_) {
      Index begin = 0;
      begins.reserve(ranges.size());
      for (const Range<T>& range : ranges) {
        begins.push_back(begin);
        begin += range.scale != T{0} ? rows_each * width_ : 0;
      }
    }
    parallel_for(rows_, grain_, [&](Index first, Index last) {
      for (Index row = first; row < last; ++row) {
        if (by_place_) {
          body(row, nullptr, row * static_cast<Index>(places.size()));
        } else {
          const auto group = static_cast<std::size_t>(row / rows_each);
          const bool has_codes = ranges[group].scale != T{0};
          body(row, &ranges[group],
               begins[group] + (has_codes ? row % rows_each * width_ : Index{0}));
        }
      }
    });
  }

  template <class T>
  std::vector<Extremes<T>> ends_of_rows(TensorView<const T> x) const {
    std::vector<Extremes<T>> ends(static_cast<std::size_t>(rows_));
    parallel_for(rows_, grain_, [&](Index first, Index last) {
      for (Index row = first; row < last; ++row)
        ends[static_cast<std::size_t>(row)] = find_extremes<T>({x.data() + row * width_, width_});
    });
    return ends;
  }

  template <class T>
  std::vector<Extremes<T>> ends_of_places(TensorView<const T> x) const {
    const auto of_rows = [&](Index first, Index last) {
      std::vector<Extremes<T>> ends(static_cast<std::size_t>(width_));
      for (Index d = 0; d < width_; ++d) {
        const T v = flush_tiny(x[first * width_ + d]);
        ends[static_cast<std::size_t>(d)] = {v, v};
      }
      for (Index row = first + 1; row < last; ++row)
        for (Index d = 0; d < width_; ++d) {
          const T v = flush_tiny(x[row * width_ + d]);
          Extremes<T>& own = ends[static_cast<std::size_t>(d)];
          own = joined(own, Extremes<T>{v, v});
        }
      return ends;
    };
    return parallel_reduce(rows_, grain_, std::vector<Extremes<T>>{}, of_rows,
                           [](std::vector<Extremes<T>> a, const std::vector<Extremes<T>>& b) {
                             for (std::size_t d = 0; d < a.size(); ++d) a[d] = joined(a[d], b[d]);
                             return a;
                           });
  }

  Shape shape_;
  Index rows_;
  Index width_;
  bool by_place_;
  Index count_ = 1;
  Index grain_ = 1;
};

}  // namespace detail

}  // namespace splitvit::codec
