// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // copy, copy_n, fill_n, max, min_element
#include <array>        // array
#include <atomic>       // atomic
#include <bit>          // countr_zero
#include <concepts>     // same_as
#include <cstddef>      // size_t
#include <cstdint>      // int32_t, int64_t, uint16_t
#include <limits>       // numeric_limits
#include <numeric>      // iota
#include <span>         // span
#include <type_traits>  // conditional_t, integral_constant
#include <utility>      // exchange
#include <vector>       // vector

#include <splitvit/codec/detail/planes.hpp>      // Planes
#include <splitvit/codec/detail/with_width.hpp>  // with_width
#include <splitvit/core/parallel.hpp>            // parallel_for
#include <splitvit/core/shape.hpp>               // Index
#include <splitvit/kernel/simd.hpp>  // absolute, lanes, larger, load, multiply_add, Pack, smaller, store

// The nearest of some words for each of very many short pieces.

namespace splitvit::codec::detail {

/// Numbers of the same size as T, so that both fill equally many lanes.
template <class T>
using NumberLike = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

/// Some words, one after the other, and their numbers.
template <class T>
struct OfferedWords {
  const T* words;
  const std::uint16_t* numbers;
  Index count;

  OfferedWords from(Index k, Index width) const {
    return {words + k * width, numbers + k, count - k};
  }
};

/// All words, in both layouts: one after the other, and first numbers first like Planes, so that
/// many are compared at once; these are padded with words that are infinitely far.
template <class T>
struct WordPlanes {
  static constexpr Index together = 16;

  /// words (W, d), one after the other, which must outlive it.
  WordPlanes(const std::vector<T>& words, Index d)
      : count{static_cast<Index>(words.size()) / d},
        width{d},
        stride{(count + together - 1) / together * together},
        rows{words.data()},
        numbers(static_cast<std::size_t>(count)),
        values(static_cast<std::size_t>(width * stride), std::numeric_limits<T>::infinity()) {
    std::iota(numbers.begin(), numbers.end(), std::uint16_t{0});
    for (Index k = 0; k < count; ++k)
      for (Index j = 0; j < width; ++j)
        values[static_cast<std::size_t>(j * stride + k)] = rows[k * width + j];
  }

  OfferedWords<T> all() const { return {rows, numbers.data(), count}; }
  const T* row(Index k) const { return rows + k * width; }

  Index count;
  Index width;
  Index stride;
  const T* rows;
  std::vector<std::uint16_t> numbers;
  std::vector<T> values;
};

/// The words of a block's pieces, where they are known to be few.
struct FewWords {
  static constexpr std::size_t most = 8;

  FewWords() = default;
  explicit FewWords(std::span<const std::uint16_t> numbers) {
    if (numbers.size() > most) return;
    std::ranges::copy(numbers, all_.begin());
    count_ = numbers.size();
  }

  bool known() const { return count_ > 0; }
  /// All pieces have the first one.
  bool alone() const { return count_ == 1; }
  std::span<const std::uint16_t> numbers() const { return {all_.data(), count_}; }

 private:
  std::array<std::uint16_t, most> all_{};
  std::size_t count_ = 0;
};

/// Which word each place of Planes belongs to.
struct Assignment {
  template <class T>
  explicit Assignment(const Planes<T>& x)
      : codes(static_cast<std::size_t>(x.count)),
        words_of_block(static_cast<std::size_t>(x.blocks())) {}

  std::vector<std::uint16_t> codes;      ///< (count)
  std::vector<FewWords> words_of_block;  ///< (blocks): the codes that occur are among them
};

/// The words that may be the nearest of some piece in a block, in their order.
template <class T>
class NearWords {
 public:
  /// Looks at the pieces of block b, by the box around them.
  void find(const Planes<T>& x, const WordPlanes<T>& words, Index b) {
    // A word is out if all of the box is nearer to another one. A little slack is for steps that
    // round otherwise than those of a distance.
    using P = kernel::Pack<T>;
    static_assert(WordPlanes<T>::together % kernel::lanes<T> == 0);
    nearest_.resize(static_cast<std::size_t>(words.stride));
    P least(std::numeric_limits<T>::infinity());
    for (Index k = 0; k < words.stride; k += kernel::lanes<T>) {
      P near(T{0}), far(T{0});
      for (Index j = 0; j < x.width; ++j) {
        const auto& box = x.summary(b, j);
        const P w = kernel::load<T>(words.values.data() + j * words.stride + k);
        const P below = P(box.least) - w, above = w - P(box.largest);
        const P gap = kernel::larger(P(T{0}), kernel::larger(below, above));
        const P reach = kernel::larger(kernel::absolute(below), kernel::absolute(above));
        near = kernel::multiply_add(gap, gap, near);
        far = kernel::multiply_add(reach, reach, far);
      }
      kernel::store<T>(nearest_.data() + k, near);
      least = kernel::smaller(least, far);
    }
    std::array<T, static_cast<std::size_t>(kernel::lanes<T>)> limits;
    kernel::store<T>(limits.data(), least);
    const T limit =
        *std::ranges::min_element(limits) * (1 + 64 * std::numeric_limits<T>::epsilon());

    numbers_.clear();
    words_.clear();
    constexpr auto together = static_cast<std::size_t>(WordPlanes<T>::together);
    for (std::size_t first = 0; first < nearest_.size(); first += together) {
      unsigned near = 0;  // a bit for each word: no branch on each, which would be a guess
      for (std::size_t lane = 0; lane < together; ++lane)
        near |= (nearest_[first + lane] <= limit ? 1u : 0u) << lane;
      // Where a box is endless, what fills the last pack is no farther than the words.
      const std::size_t left = static_cast<std::size_t>(words.count) - first;
      if (left < together) near &= (1u << left) - 1;
      for (; near != 0; near &= near - 1) {
        const std::size_t k = first + static_cast<std::size_t>(std::countr_zero(near));
        numbers_.push_back(static_cast<std::uint16_t>(k));
        const T* const word = words.row(static_cast<Index>(k));
        words_.insert(words_.end(), word, word + x.width);
      }
    }
  }

  OfferedWords<T> offered() const {
    return {words_.data(), numbers_.data(), static_cast<Index>(numbers_.size())};
  }
  std::span<const std::uint16_t> numbers() const { return numbers_; }

 private:
  std::vector<T> nearest_, words_;
  std::vector<std::uint16_t> numbers_;
};

/// The best word so far of each piece of a block, and how far it is (squared).
template <class T>
struct Nearest {
  std::array<T, static_cast<std::size_t>(Planes<T>::block)> distance;
  std::array<NumberLike<T>, static_cast<std::size_t>(Planes<T>::block)> word;
};

/// Offers the first `count` words to the pieces of a block, whose numbers are `width`.
template <Index count, Index width, class T>
void offer_short(const T* x, Index stride, const OfferedWords<T>& offered, Nearest<T>& best) {
  std::array<T, static_cast<std::size_t>(count * width)> w;
  std::copy_n(offered.words, count * width, w.begin());
  std::array<NumberLike<T>, static_cast<std::size_t>(count)> numbers;
  std::copy_n(offered.numbers, count, numbers.begin());
  T* const distance = best.distance.data();
  NumberLike<T>* const word = best.word.data();
  for (Index i = 0; i < Planes<T>::block; ++i) {
    T least = distance[i];
    NumberLike<T> nearest = word[i];
    for (Index k = 0; k < count; ++k) {
      T sum = 0;
      for (Index j = 0; j < width; ++j) {
        const T gap = x[j * stride + i] - w[static_cast<std::size_t>(k * width + j)];
        sum += gap * gap;
      }
      nearest = sum < least ? numbers[static_cast<std::size_t>(k)] : nearest;
      least = sum < least ? sum : least;
    }
    distance[i] = least;
    word[i] = nearest;
  }
}

/// Offers all words, as many at once as there are registers for.
template <Index width, class T>
void offer_all_short(const T* x, Index stride, const OfferedWords<T>& offered, Nearest<T>& best) {
  Index k = 0;
  const auto offer = [&](auto count) {
    offer_short<count(), width>(x, stride, offered.from(k, width), best);
    k += count();
  };
  while (offered.count - k >= 4) offer(std::integral_constant<Index, 4>{});
  if (offered.count - k >= 2) offer(std::integral_constant<Index, 2>{});
  if (offered.count - k >= 1) offer(std::integral_constant<Index, 1>{});
}

/// The same for words of any width.
template <class T>
void offer_all_long(const T* x, Index stride, Index width, const OfferedWords<T>& offered,
                    Nearest<T>& best) {
  for (Index k = 0; k < offered.count; ++k) {
    std::array<T, static_cast<std::size_t>(Planes<T>::block)> sum{};
    for (Index j = 0; j < width; ++j) {
      const T w = offered.words[k * width + j];
      const T* const from = x + j * stride;
      for (std::size_t i = 0; i < sum.size(); ++i) {
        const T gap = from[i] - w;
        sum[i] += gap * gap;
      }
    }
    const NumberLike<T> number = offered.numbers[k];
    for (std::size_t i = 0; i < sum.size(); ++i) {
      best.word[i] = sum[i] < best.distance[i] ? number : best.word[i];
      best.distance[i] = sum[i] < best.distance[i] ? sum[i] : best.distance[i];
    }
  }
}

/// Finds the nearest word (the first one of several) for each place of blocks [begin, end) of x.
/// Says whether a code is not the one that was there.
template <class T>
bool find_nearest(const Planes<T>& x, const WordPlanes<T>& words, Index begin, Index end,
                  Assignment& found) {
  constexpr Index block = Planes<T>::block;
  std::atomic<bool> is_new = false;
  const auto work = std::max<Index>(1, words.count * x.width / 64);
  parallel_for(end - begin, std::max<Index>(1, 64 / work), [&](Index first, Index last) {
    Nearest<T> best;
    NearWords<T> near;
    NumberLike<T> differs = 0;
    for (Index b = begin + first; b < begin + last; ++b) {
      std::uint16_t* const codes = found.codes.data() + b * block;
      const Index n = x.filled(b);
      if (x.sorted()) {
        near.find(x, words, b);
        FewWords& few = found.words_of_block[static_cast<std::size_t>(b)];
        const FewWords before = std::exchange(few, FewWords{near.numbers()});
        if (few.alone()) {
          if (before.alone() && before.numbers()[0] == few.numbers()[0]) continue;
          const std::uint16_t code = few.numbers()[0];
          for (Index i = 0; i < n; ++i) differs |= code ^ codes[i];
          std::fill_n(codes, n, code);
          continue;
        }
      }
      const T* const from = x.plane(0) + b * block;
      best.distance.fill(std::numeric_limits<T>::infinity());
      best.word.fill(0);
      const OfferedWords<T> offered = x.sorted() ? near.offered() : words.all();
      with_width(x.width, [&](auto width) {
        if constexpr (std::same_as<decltype(width), Index>)
          offer_all_long(from, x.stride, width, offered, best);
        else
          offer_all_short<width()>(from, x.stride, offered, best);
      });
      for (Index i = 0; i < n; ++i) {
        const auto code = static_cast<std::uint16_t>(best.word[static_cast<std::size_t>(i)]);
        differs |= code ^ codes[i];
        codes[i] = code;
      }
    }
    if (differs != 0) is_new = true;
  });
  return is_new;
}

}  // namespace splitvit::codec::detail
