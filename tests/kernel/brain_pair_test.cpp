// SPDX-License-Identifier: MIT
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <splitvit/kernel/brain_pair.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {

using test::at;

TEST_CASE("brain_pair: bfloat16 is the nearest, halves go to even", "[kernel][brain_pair]") {
  using Limits = std::numeric_limits<float>;
  CHECK(brain_bits(1.0f) == 0x3F80);
  CHECK(brain_bits(1.0f + 0x1p-8f) == 0x3F80);      // half a unit, down to even
  CHECK(brain_bits(1.0f + 3 * 0x1p-8f) == 0x3F82);  // half a unit, up to even
  CHECK(brain_bits(1.0f + 0x1p-8f + 0x1p-23f) == 0x3F81);
  CHECK(brain_bits(-0.0f) == 0x8000);
  CHECK(brain_bits(Limits::infinity()) == 0x7F80);
  CHECK(brain_bits(1e38f) == 0x7E96);
  CHECK(brain_bits(std::nextafter(0x1.FFp127f, 0.0f)) == 0x7F7F);  // the largest finite one
  CHECK(brain_bits(0x1.FFp127f) == 0x7F80);
  CHECK(brain_bits(-Limits::max()) == 0xFF80);
  CHECK(brain_bits(Limits::min()) == 0x0080);
  CHECK(brain_bits(std::nextafter(Limits::min(), 0.0f)) == 0);
  CHECK(brain_bits(-Limits::denorm_min()) == 0x8000);
  CHECK((brain_bits(Limits::quiet_NaN()) & 0x7FFF) > 0x7F80);
  CHECK((brain_bits(std::bit_cast<float>(0x7F800001u)) & 0x7FFF) > 0x7F80);  // stays NaN
}

TEST_CASE("brain_pair: a pair is added second number first, each sum rounded",
          "[kernel][brain_pair]") {
  const BrainPair ones{0x3F80, 0x3F80}, up_down{0x3F80, 0xBF80};
  CHECK(add_pair(ones, ones, 0.5f) == 2.5f);
  CHECK(add_pair(ones, ones, 0x1p24f) == 0x1p24f);     // not 2^24 + 2
  CHECK(add_pair(ones, up_down, 0x1p24f) == 0x1p24f);  // the other order gives 2^24 - 1
  const BrainPair large{0, brain_bits(0x1p100f)}, small{0, brain_bits(-0x1p-100f)};
  CHECK(add_pair(large, large, 0.0f) == std::numeric_limits<float>::infinity());
  CHECK(add_pair(large, small, 1.0f) == 0.0f);
  CHECK(add_pair(small, small, 0.0f) == 0.0f);  // below 2^-126
  CHECK(add_pair(small, small, 0x1p-130f) == 0.0f);
  const BrainPair infinite{0, 0x7F80}, zero{0, 0};
  CHECK(std::isnan(add_pair(infinite, zero, 1.0f)));
}

TEST_CASE("brain_pair: packs of pairs give the bits of plain code", "[kernel][brain_pair]") {
  Rng rng{.seed = 12};
  const auto bits = [&] { return static_cast<std::uint16_t>(rng.bits() >> 40); };
  const auto near_zero = [&] { return static_cast<std::uint16_t>((bits() & 0x83FF) + 0x1E00); };
  const auto same = [](float a, float b) {
    return (std::isnan(a) && std::isnan(b)) ||
           std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  };
  const auto as_float = [](std::uint32_t high, std::uint32_t low) {
    return std::bit_cast<float>(high << 16 | low);
  };
  int wrong = 0;
  for (int round = 0; round < 4000; ++round) {
    std::vector<BrainPair> a, b;
    std::vector<float> sums, low, high;
    for (Index i = 0; i < lanes<float>; ++i) {
      const bool tiny = round % 2 == 1;  // else any bits: infinities, NaN, all sizes
      a.push_back(tiny ? BrainPair{near_zero(), near_zero()} : BrainPair{bits(), bits()});
      b.push_back(tiny ? BrainPair{near_zero(), near_zero()} : BrainPair{bits(), bits()});
      sums.push_back(as_float(tiny ? bits() & 0x83FFu : bits(), bits()));
      low.push_back(as_float(bits(), bits()));
      high.push_back(as_float(bits(), round % 3 == 0 ? 0x8000u : bits()));
    }
    std::vector<float> in_place(sums.size()), from_memory(sums.size());
    store<float>(in_place.data(),
                 multiply_add_in_place(load(a.data()), load(b.data()), load<float>(sums.data())));
    store<float>(from_memory.data(),
                 multiply_add_at(a.data(), load(b.data()), load<float>(sums.data())));
    std::vector<BrainPair> beside(a.size()), between(a.size()), same_pair(a.size());
    store(beside.data(), neighbours(load<float>(low.data()), load<float>(high.data())));
    store(between.data(), interleaved(load<float>(low.data()), load<float>(high.data())));
    store(same_pair.data(), spread(a[0]));
    std::vector<float> both = low;
    both.insert(both.end(), high.begin(), high.end());
    for (std::size_t i = 0; i < a.size(); ++i) {
      wrong += !same(in_place[i], add_pair(a[i], b[i], sums[i]));
      wrong += !same(from_memory[i], add_pair(a[0], b[i], sums[i]));
      wrong += beside[i].first != brain_bits(both[2 * i]);
      wrong += beside[i].second != brain_bits(both[2 * i + 1]);
      wrong += between[i].first != brain_bits(low[i]);
      wrong += between[i].second != brain_bits(high[i]);
      wrong += same_pair[i].first != a[0].first || same_pair[i].second != a[0].second;
    }
  }
  CHECK(wrong == 0);
  for (Index count = 0; count <= lanes<float>; ++count) {
    const std::vector<float> x(at(count), 3.0f);  // what is read beyond is found by the sanitizer
    std::vector<float> y(at(lanes<float>), -1.0f);
    store<float>(y.data(), load_first(x.data(), count));
    for (Index i = 0; i < lanes<float>; ++i) CHECK(y[at(i)] == (i < count ? 3.0f : 0.0f));
  }
}

TEST_CASE("brain_pair: a square of pairs is transposed", "[kernel][brain_pair]") {
  constexpr Index L = lanes<float>;
  std::array<PairPack, static_cast<std::size_t>(L)> square;
  for (Index i = 0; i < L; ++i) {
    std::vector<BrainPair> row;
    for (Index j = 0; j < L; ++j)
      row.push_back({static_cast<std::uint16_t>(i), static_cast<std::uint16_t>(j)});
    square[at(i)] = load(row.data());
  }
  transpose(square);
  for (Index i = 0; i < L; ++i) {
    std::vector<BrainPair> row(at(L));
    store(row.data(), square[at(i)]);
    for (Index j = 0; j < L; ++j) CHECK((row[at(j)].first == j && row[at(j)].second == i));
  }
}

}  // namespace splitvit::kernel
