// SPDX-License-Identifier: MIT
// Models and counter-models of AveragingRule and Sharing.

#include <algorithm>
#include <array>
#include <vector>

#include <splitvit/split/averaging.hpp>
#include <splitvit/split/sharing.hpp>

#include "support/catch.hpp"

// Policies as a stranger writes them: in another namespace, with nothing but the headers.
namespace stranger::sharing {

/// No client moves a weight by more than `most`.
struct ClippedMean {
  double most = 1;

  template <std::floating_point T>
  void add(const splitvit::split::Contribution& from, std::span<const T> values,
           std::span<double> mean) const {
    for (std::size_t i = 0; i < mean.size(); ++i) {
      const double move = static_cast<double>(values[i]) - mean[i];
      mean[i] += from.number == 1 ? move : std::clamp(move, -most, most) / 2;
    }
  }
};

struct FloatOnly {
  void add(const splitvit::split::Contribution&, std::span<const float>, std::span<double>) const {}
};
struct ReturnsSomething {
  int add(const auto&, std::span<const float>, std::span<double>) const { return 0; }
};

/// Each round has the client with the most rounds behind it.
struct MostExperienced {
  ClippedMean averaging = {};

  static constexpr bool has_part_for_each = true;
  std::vector<std::uint32_t> choose(std::span<const splitvit::split::Candidate> candidates,
                                    splitvit::Rng) const {
    return {std::ranges::max_element(candidates, {}, &splitvit::split::Candidate::rounds)->client};
  }
};

struct WithoutAverage {
  int averaging = 0;
  static constexpr bool has_part_for_each = true;
  std::vector<std::uint32_t> choose(std::span<const splitvit::split::Candidate>,
                                    splitvit::Rng) const {
    return {};
  }
};
struct ChangesItself : MostExperienced {
  std::vector<std::uint32_t> choose(std::span<const splitvit::split::Candidate>, splitvit::Rng) {
    return {};
  }
};
struct NoConstant : MostExperienced {
  bool has_part_for_each = true;
};

}  // namespace stranger::sharing

namespace splitvit::split {

static_assert(AveragingRule<SampleMean, float> && AveragingRule<SampleMean, double>);
static_assert(AveragingRule<stranger::sharing::ClippedMean, double>);
static_assert(AveragingRule<stranger::sharing::FloatOnly, float>);
static_assert(!AveragingRule<stranger::sharing::FloatOnly, double>);
static_assert(!AveragingRule<stranger::sharing::ReturnsSomething, float>);
static_assert(!AveragingRule<int, float>);

static_assert(Sharing<Shared<>, float> && Sharing<Averaged<>, double> && Sharing<Relay, float>);
static_assert(Sharing<Shared<stranger::sharing::ClippedMean>, float>);
static_assert(Sharing<stranger::sharing::MostExperienced, float>);
static_assert(!Sharing<Shared<stranger::sharing::FloatOnly>, double>);
static_assert(!Sharing<stranger::sharing::WithoutAverage, float>);
static_assert(!Sharing<stranger::sharing::ChangesItself, float>);
static_assert(!Sharing<stranger::sharing::NoConstant, float>);
static_assert(!Sharing<int, float>);

TEST_CASE("sharing: a stranger's policy with a stranger's average", "[concepts]") {
  const AnySharing<float> sharing{stranger::sharing::MostExperienced{.averaging = {.most = 4}}};
  constexpr std::array ready{Candidate{1, 3}, Candidate{2, 5}, Candidate{3, 4}};
  CHECK(sharing.choose(ready, {}) == std::vector<std::uint32_t>{2});
  CHECK(sharing.has_part_for_each);

  Average<float> average{sharing.averaging};
  const auto weight = [](float value) {
    return optim::NamedParameters<float>{
        {"w", Variable<float>::parameter(Tensor<float>{{1}, std::vector<float>{value}})}};
  };
  average.add(1, 1, weight(1));
  average.add(2, 1, weight(101));
  const auto result = weight(0);
  average.finish(result);
  CHECK(result[0].second.value()[0] == 3);
}

}  // namespace splitvit::split
