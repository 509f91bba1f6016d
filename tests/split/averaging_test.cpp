// SPDX-License-Identifier: MIT
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <splitvit/split/averaging.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using split::Average;
using split::Contribution;

namespace {

template <class T>
optim::NamedParameters<T> weights_of(std::vector<T> first, std::vector<T> second = {0}) {
  const auto parameter = [](const std::vector<T>& values) {
    return Variable<T>::parameter(Tensor<T>{{static_cast<Index>(values.size())}, values});
  };
  return {{"first", parameter(first)}, {"second", parameter(second)}};
}

/// Every client counts the same.
struct EqualMean {
  template <std::floating_point T>
  void add(const Contribution& from, std::span<const T> values, std::span<double> mean) const {
    for (std::size_t i = 0; i < mean.size(); ++i)
      mean[i] += (static_cast<double>(values[i]) - mean[i]) / static_cast<double>(from.number);
  }
};
static_assert(split::AveragingRule<EqualMean, float> && split::AveragingRule<EqualMean, double>);

struct LargestClient {
  void add(const Contribution& from, std::span<const float> values, std::span<double> mean) const {
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = from.client + 0.0 * values[i];
  }
};

template <class T>
T bits_kept(T value) {
  Average<T> average{split::SampleMean{}};
  for (const std::uint32_t client : {1u, 2u, 3u})
    average.add(client, 7 * client, weights_of<T>({value}));
  const auto result = weights_of<T>({T{1}});
  average.finish(result);
  return result[0].second.value()[0];
}

}  // namespace

TEST_CASE("average: every sample counts the same", "[split]") {
  Average<float> average{split::SampleMean{}};
  CHECK(average.count() == 0);
  average.add(1, 30, weights_of<float>({1, -2}, {8}));
  average.add(4, 10, weights_of<float>({5, 2}, {0}));
  average.add(9, 60, weights_of<float>({0, 1}, {4}));
  CHECK(average.count() == 3);
  const auto result = weights_of<float>({0, 0}, {0});
  average.finish(result);
  CHECK(result[0].second.value()[0] == Approx(0.8));
  CHECK(result[0].second.value()[1] == Approx(0.2));
  CHECK(result[1].second.value()[0] == Approx(4.8));
  CHECK(average.count() == 0);
}

TEST_CASE("average: equal weights keep their bits", "[split]") {
  const auto value = GENERATE(0.1f, -0.0f, 3e38f, 1e-45f, 16777217.0f, -1.0f / 3.0f);
  CHECK(std::bit_cast<std::uint32_t>(bits_kept(value)) == std::bit_cast<std::uint32_t>(value));
  const double same = static_cast<double>(value) / 3;
  CHECK(std::bit_cast<std::uint64_t>(bits_kept(same)) == std::bit_cast<std::uint64_t>(same));
}

TEST_CASE("average: a client without samples does not count beside others", "[split]") {
  Average<float> average{split::SampleMean{}};
  average.add(1, 0, weights_of<float>({1}));
  average.add(2, 5, weights_of<float>({3}));
  average.add(3, 0, weights_of<float>({9}));
  const auto result = weights_of<float>({0});
  average.finish(result);
  CHECK(result[0].second.value()[0] == 3);
}

TEST_CASE("average: of nobody changes nothing", "[split]") {
  Average<float> average{split::SampleMean{}};
  const auto weights = weights_of<float>({2});
  average.finish(weights);
  CHECK(weights[0].second.value()[0] == 2);
}

TEST_CASE("average: one that is not finite is refused by name, and the next one begins",
          "[split]") {
  constexpr double most = std::numeric_limits<double>::max();
  Average<double> average{split::SampleMean{}};
  average.add(1, 1, weights_of<double>({1}, {most}));
  average.add(2, 1, weights_of<double>({1}, {-most}));
  const auto weights = weights_of<double>({5}, {6});
  CHECK_THROWS_WITH(average.finish(weights), "the average of second is not finite");
  CHECK(weights[0].second.value()[0] == 5);
  average.add(1, 1, weights_of<double>({1}, {2}));
  average.finish(weights);
  CHECK(weights[1].second.value()[0] == 2);
}

TEST_CASE("average: a rule of one's own", "[split]") {
  Average<float> equal{EqualMean{}};
  equal.add(1, 1, weights_of<float>({1}));
  equal.add(2, 1000, weights_of<float>({2}));
  equal.add(3, 5, weights_of<float>({6}));
  const auto result = weights_of<float>({0});
  equal.finish(result);
  CHECK(result[0].second.value()[0] == Approx(3));
  CHECK(split::AnyAveraging<float>{EqualMean{}}.description() == "custom");
  CHECK(split::AnyAveraging<float>{split::SampleMean{}}.description() == "samples");

  Average<float> largest{LargestClient{}};
  largest.add(3, 1, weights_of<float>({1}));
  largest.add(8, 1, weights_of<float>({1}));
  largest.finish(result);
  CHECK(result[0].second.value()[0] == 8);
}
