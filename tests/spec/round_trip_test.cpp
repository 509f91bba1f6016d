// SPDX-License-Identifier: MIT
// Takes the list of options of every policy apart and puts it together again.

#include <limits>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <splitvit/spec/method.hpp>

#include "support/catch.hpp"

using namespace splitvit;

namespace {

using FloatCodec = codec::AnyCodec<float>;

/// How often one text stands in another.
int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// Values of an option. Some of them are outside of its bounds.
template <class Value>
std::vector<Value> candidates(const Value&, const auto& kind) {
  using Limits = std::numeric_limits<Value>;
  if constexpr (requires { kind.all; }) {  // all names, and a value without name
    std::vector<Value> all;
    for (const auto& one : kind.all) all.push_back(static_cast<Value>(one.value));
    if (!std::is_same_v<Value, bool>) all.push_back(static_cast<Value>(99));
    return all;
  } else if constexpr (std::is_integral_v<Value>) {
    return {Limits::lowest(), 0, 1, 2, 3, 7, 16, 17, 64, 65, 65537, 1'000'001, Limits::max()};
  } else if constexpr (std::is_floating_point_v<Value>) {
    return {-1,
            0,
            1e-300,
            1.0 / 3,
            1,
            1 + 1e-15,
            8,
            8.1,
            1e6,
            1e7,
            Limits::infinity(),
            Limits::quiet_NaN()};
  } else if constexpr (std::is_same_v<Value, std::optional<int>>) {
    return {0, 1, 5, 16, 17};
  } else if constexpr (std::is_same_v<Value, std::optional<double>>) {
    return {-1.0, 1e-300, 0.5, 8.0, 1e7};
  } else if constexpr (std::is_same_v<Value, std::optional<codec::TokenGrid>>) {
    using Grid = codec::TokenGrid;
    return {Grid{0, 3}, Grid{14, 7}, Grid{1, 65536}, Grid{65537, 1}, std::nullopt};
  } else if constexpr (std::is_same_v<Value, codec::Quantise>) {
    return {{}, {.bits = 3, .range = codec::RangePer::channel}};
  } else {
    static_assert(std::is_same_v<Value, FloatCodec>);
    return {codec::Quantise{.bits = 3}, codec::Float16{},
            codec::TwoWay<codec::Quantise, codec::Float32>{}};
  }
}

template <class Policy>
Policy read_back(const std::string& text) {
  return spec::read_policy<Policy>({"test", text}, [](std::string_view part, const auto&) {
    return spec::parse_codec<float>(part);
  });
}

/// Calls use(option, value, kind) for option `wanted` of the list. Returns whether there is one.
template <class Policy>
bool at_option(Policy& policy, int wanted, const auto& use) {
  int number = 0;
  Policy::each_option(policy, [&](std::string_view option, auto& value, const auto& kind) {
    if (number++ == wanted) use(option, value, kind);
  });
  return number > wanted;
}

template <class Policy>
bool is_refused(const Policy& policy) {
  try {
    require_options("test", policy);
  } catch (const std::invalid_argument&) {
    return true;
  }
  return false;
}

template <class Policy>
void check_round_trip(const Policy& defaults) {
  const std::string before = describe_options(defaults);
  INFO(before);
  CHECK(!is_refused(defaults));
  CHECK(describe_options(read_back<Policy>(before)) == before);
  const std::string usage = spec::usage<Policy>();
  CHECK(usage.starts_with(Policy::name));

  bool exists = true;
  for (int number = 0; exists; ++number) {
    std::set<std::string> changed;
    std::size_t tries = 1;
    for (std::size_t i = 0; exists && i < tries; ++i) {
      Policy policy = defaults;
      bool allowed = true;
      exists = at_option(policy, number, [&](auto option, auto& value, const auto& kind) {
        if (!option.empty()) CHECK(count(usage, ":" + std::string{option} + "=") == 1);
        const auto values = candidates(value, kind);
        tries = values.size();
        value = values[i];
        allowed = kind.allows(value);
      });
      const std::string text = describe_options(policy);
      INFO(text);
      const bool refused = is_refused(policy);  // also if it is now too small a bound for another
      CHECK((allowed || refused));
      if (refused) {
        CHECK_THROWS_AS(read_back<Policy>(text), std::invalid_argument);
      } else {
        CHECK(describe_options(read_back<Policy>(text)) == text);
        changed.insert(text);
      }
    }
    CHECK((!exists || changed.size() >= 2));  // each option can be changed, and is described
  }
}

template <class... Policies>
void check_all(spec::PolicyList<Policies...>) {
  (check_round_trip(Policies{}), ...);
}

}  // namespace

TEST_CASE("options: every policy comes back from its description, with each option changed",
          "[spec]") {
  check_all(spec::Stages{});
  check_all(spec::Codecs<FloatCodec>{});
  check_round_trip(nn::BottleneckOptions{.layers = 1});  // pca takes no more
}

TEST_CASE("options: stages, codecs and methods come back from their descriptions", "[spec]") {
  for (const char* const text : {"none", "adc:0.1:split=fifth:score=norm", "drop:0.3,merge:0.5"}) {
    const std::string described = spec::parse_stage<float>(text).description();
    CHECK(spec::parse_stage<float>(described).description() == described);
  }
  for (const char* const text : {"q:4/float16", "cls-exact(scaled(q:4/q:8)),cls=(topk:0.2)"}) {
    const std::string described = spec::parse_codec<float>(text).description();
    CHECK(spec::parse_codec<float>(described).description() == described);
  }
}
