// SPDX-License-Identifier: MIT
#include <atomic>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/core/random.hpp>

#include "support/catch.hpp"

using namespace splitvit;

namespace {

constexpr int thread_counts[] = {1, 2, 3, 8};

/// Half of the smallest full-precision float, or zero where such numbers are flushed.
float half_of_the_smallest() {
  volatile float smallest = std::numeric_limits<float>::min();
  return smallest * 0.5f;
}

}  // namespace

TEST_CASE("parallel_for: each index once, pieces as the grain says", "[core]") {
  for (const int threads : thread_counts)
    for (const Index n : {0, 1, 9, 10, 11, 1000}) {
      std::vector<int> visits(static_cast<std::size_t>(n));
      std::atomic<int> wrong{0};
      with_threads(threads, [&] {
        parallel_for(n, 10, [&](Index begin, Index end) {
          if (begin % 10 != 0 || end - begin > 10 || (end - begin < 10 && end != n)) ++wrong;
          for (Index i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
      });
      CHECK(wrong == 0);
      for (const int v : visits) REQUIRE(v == 1);
    }
}

TEST_CASE("parallel_reduce: the same bits for any number of threads", "[core]") {
  Rng rng{.seed = 5};
  std::vector<float> values(100003);
  for (float& v : values) v = static_cast<float>(rng.normal());
  const auto sum = [&] {
    return parallel_reduce(
        static_cast<Index>(values.size()), 1000, 0.0f,
        [&](Index begin, Index end) {
          float part = 0.0f;
          for (Index i = begin; i < end; ++i) part += values[static_cast<std::size_t>(i)];
          return part;
        },
        [](float a, float b) { return a + b; });
  };
  const float wanted = with_threads(1, sum);
  for (const int threads : thread_counts)
    for (int repeat = 0; repeat < 20; ++repeat) REQUIRE(with_threads(threads, sum) == wanted);
}

TEST_CASE("parallel_reduce: nothing gives zero, and order is kept", "[core]") {
  const auto text = [](Index n) {
    return parallel_reduce(
        n, 1, std::string{},
        [](Index begin, Index) { return std::string(1, static_cast<char>('a' + begin)); },
        [](const std::string& a, const std::string& b) { return a + b; });
  };
  CHECK(text(0).empty());
  CHECK(text(1) == "a");
  CHECK(text(7) == "abcdefg");
}

TEST_CASE("parallel_for: an error of a body comes out", "[core]") {
  for (const int threads : thread_counts) {
    const auto work = [&] {
      parallel_for(100, 1, [](Index begin, Index) {
        if (begin == 63) throw std::runtime_error("piece 63");
      });
    };
    CHECK_THROWS_WITH(with_threads(threads, work), "piece 63");
    // and the next loop runs as ever
    std::atomic<int> count{0};
    with_threads(threads, [&] { parallel_for(100, 1, [&](Index, Index) { ++count; }); });
    CHECK(count == 100);
  }
}

TEST_CASE("parallel_for: loops may stand within loops", "[core]") {
  std::atomic<int> count{0};
  parallel_for(10, 1, [&](Index, Index) {
    parallel_for(10, 3, [&](Index begin, Index end) { count += static_cast<int>(end - begin); });
  });
  CHECK(count == 100);
}

TEST_CASE("with_threads: limits, returns, restores", "[core]") {
  const int before = available_threads();
  CHECK(with_threads(3, [] { return available_threads(); }) == 3);
  CHECK(with_threads(0, [] { return available_threads(); }) == 1);
  CHECK(available_threads() == before);
  CHECK_THROWS_AS(with_threads(2, []() -> int { throw std::logic_error("x"); }), std::logic_error);
  CHECK(available_threads() == before);
}

TEST_CASE("FlushDenormals: only while it lives", "[core]") {
  const float before = half_of_the_smallest();
  {
    const FlushDenormals flush;
#if defined(__SSE2__) || defined(__aarch64__)
    CHECK(half_of_the_smallest() == 0.0f);
#endif
  }
  CHECK(half_of_the_smallest() == before);
  for (const int threads : thread_counts) {
    std::atomic<int> kept{0};
    with_threads(threads, [&] {
      parallel_for(8, 1, [&](Index, Index) {
        if (half_of_the_smallest() != 0.0f) ++kept;
      });
    });
#if defined(__SSE2__) || defined(__aarch64__)
    CHECK(kept == 0);
#endif
    CHECK(half_of_the_smallest() == before);
  }
}
