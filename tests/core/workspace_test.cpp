// SPDX-License-Identifier: MIT
#include <cstdint>
#include <limits>
#include <utility>

#include <splitvit/core/parallel.hpp>
#include <splitvit/core/workspace.hpp>

#include "support/catch.hpp"

namespace splitvit {

namespace {

using Block = Memory<std::byte>;

Block take(std::size_t bytes) { return Block{bytes}; }

}  // namespace

TEST_CASE("workspace: sizes are rounded up by a quarter at most", "[core][workspace]") {
  for (std::size_t bytes = 0; bytes < 100'000; bytes += bytes < 3000 ? 1 : 37) {
    const std::size_t got = detail::bytes_of_class(detail::size_class_of(bytes));
    REQUIRE(got >= bytes);
    REQUIRE(4 * got <= 5 * bytes + 4 * 256);
  }
  for (std::size_t bits = 9; bits < 47; ++bits)
    for (const std::size_t bytes :
         {(std::size_t{1} << bits) - 1, std::size_t{1} << bits, (std::size_t{1} << bits) + 1}) {
      const std::size_t got = detail::bytes_of_class(detail::size_class_of(bytes));
      CHECK(got >= bytes);
      CHECK(got - bytes <= bytes / 4 + 1);
    }
}

TEST_CASE("workspace: what was given back is taken again", "[core][workspace]") {
  const Workspace workspace;
  const Workspace::Use use{workspace};
  const auto place = [](const Block& memory) {
    return reinterpret_cast<std::uintptr_t>(memory.data());
  };
  const auto first = place(take(1000));
  CHECK(place(take(1001)) == first);
  const std::size_t held = workspace.held();
  for (int i = 0; i < 10; ++i) {
    const Block a = take(1000), b = take(900'000);
    CHECK(place(a) % 64 == 0);
    CHECK(place(b) % 64 == 0);
    CHECK(a.data() != b.data());
    if (i > 0)
      CHECK(workspace.held() == held + detail::bytes_of_class(detail::size_class_of(900'000)));
  }
}

TEST_CASE("workspace: only while it is used, the innermost one first", "[core][workspace]") {
  const Workspace outer, inner;
  take(5000);
  CHECK(outer.held() == 0);
  {
    const Workspace::Use use{outer};
    {
      const Workspace::Use within{inner};
      take(5000);
    }
    CHECK(outer.held() == 0);
    CHECK(inner.held() > 0);
    take(5000);
  }
  const std::size_t held = outer.held();
  CHECK(held > 0);
  take(500'000);
  CHECK(outer.held() == held);
}

TEST_CASE("workspace: memory may outlive it, and be given back anywhere", "[core][workspace]") {
  RecycledVector<int> numbers;
  {
    const Workspace workspace;
    const Workspace::Use use{workspace};
    numbers.assign(1000, 7);
    const Block gone = take(100);
  }
  CHECK(numbers[999] == 7);
  const Workspace other;
  const Workspace::Use use{other};
  numbers = {};  // goes to the heap, not to the other one
  CHECK(other.held() == 0);
}

TEST_CASE("workspace: loops take from that of their caller", "[core][workspace]") {
  const Workspace workspace;
  const Workspace::Use use{workspace};
  const auto loop = [] {
    parallel_for(64, 1, [](Index, Index) { RecycledVector<double> scratch(5000); });
  };
  loop();
  const std::size_t most = 64 * detail::bytes_of_class(detail::size_class_of(40'000));
  CHECK(workspace.held() > 0);
  CHECK(workspace.held() < most);
}

TEST_CASE("workspace: moves", "[core][workspace]") {
  Workspace first;
  const Block kept = [&] {
    const Workspace::Use use{first};
    return take(10);
  }();
  const std::size_t held = first.held();
  Workspace second{std::move(first)};
  CHECK(second.held() == held);
  Workspace third;
  third = std::move(second);
  CHECK(third.held() == held);
}

TEST_CASE("workspace: more than there can be is refused", "[core][workspace]") {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  CHECK_THROWS_AS(take(most), std::bad_alloc);
  CHECK_THROWS_AS(allocate(most), std::bad_alloc);
  CHECK_THROWS_AS(Recycled<double>{}.allocate(most / 8), std::bad_alloc);
  const Workspace workspace;
  const Workspace::Use use{workspace};
  CHECK_THROWS_AS(take(most), std::bad_alloc);
  CHECK_THROWS_AS(take(most / 8), std::bad_alloc);
  CHECK(workspace.held() == 0);
}

TEST_CASE("workspace: memory is moved, not copied", "[core][workspace]") {
  Memory<int> first{3}, second;
  const int* const place = first.data();
  first.data()[2] = 5;
  second = std::move(first);
  CHECK(second.data() == place);
  const Memory<int> third{std::move(second)};
  CHECK(third.data() == place);
  CHECK(third.data()[2] == 5);
}

TEST_CASE("workspace: a vector of numbers does what std::vector does", "[core][workspace]") {
  RecycledVector<int> ours{3, 1, 2};
  std::vector<int> theirs{3, 1, 2};
  CHECK(ours == theirs);
  for (int i = 0; i < 100; ++i) {
    ours.push_back(ours[0] + i);
    theirs.push_back(theirs[0] + i);
    CHECK(ours.back() == theirs.back());
  }
  CHECK(ours == theirs);
  RecycledVector<int> copy = ours;
  copy[1] = 7;
  CHECK_FALSE(copy == ours);
  CHECK(ours == theirs);
  copy = ours;
  CHECK(copy == ours);
  RecycledVector<int> moved = std::move(copy);
  CHECK(moved == theirs);
  copy = std::move(moved);
  CHECK(copy == theirs);
  CHECK(moved.empty());
  copy.resize(2);
  copy.resize(4, copy[0]);
  CHECK(copy == std::vector<int>{3, 1, 3, 3});
  copy.assign(2, copy[1]);
  CHECK(copy == std::vector<int>{1, 1});
  copy.clear();
  CHECK(copy.empty());
  const std::vector<short> few{4, 5};
  CHECK(RecycledVector<int>(few.begin(), few.end()) == std::vector<int>{4, 5});
  CHECK(RecycledVector<int>(2, 6) == std::vector<int>{6, 6});
  CHECK(RecycledVector<int>(2) == std::vector<int>{0, 0});
  CHECK(std::span<const int>{ours}.size() == ours.size());
}

}  // namespace splitvit
