// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include <splitvit/data/prefetch.hpp>

#include "support/catch.hpp"

using splitvit::Index;
using splitvit::data::Prefetch;

TEST_CASE("Prefetch: all items, in order, then nothing", "[data]") {
  for (const Index ahead : {0, 1, 2, 100}) {
    Prefetch<Index> items{3, 20, ahead, [](Index i) { return i * i; }};
    for (Index i = 3; i < 20; ++i) CHECK(items.next() == i * i);
    CHECK(items.next() == std::nullopt);
    CHECK(items.next() == std::nullopt);
    Prefetch<Index> none{5, 5, ahead, [](Index i) { return i; }};
    CHECK(none.next() == std::nullopt);
  }
}

TEST_CASE("Prefetch: works ahead, but not further than told", "[data]") {
  std::atomic<Index> made{0};
  Prefetch<Index> items{0, 100, 3, [&](Index i) {
                          ++made;
                          return i;
                        }};
  while (made < 3) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds{20});
  CHECK(made == 3);
  items.next();
  while (made < 4) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds{20});
  CHECK(made == 4);
}

TEST_CASE("Prefetch: an error comes in the place of its item, and stays", "[data]") {
  for (const Index ahead : {0, 2}) {
    Prefetch<Index> items{0, 10, ahead, [](Index i) -> Index {
                            if (i == 2) throw std::runtime_error("item 2");
                            return i;
                          }};
    CHECK(items.next() == 0);
    CHECK(items.next() == 1);
    CHECK_THROWS_WITH(items.next(), "item 2");
    CHECK_THROWS_WITH(items.next(), "item 2");
  }
}

TEST_CASE("Prefetch: ends when dropped, at any moment", "[data]") {
  for (int round = 0; round < 200; ++round) {
    Prefetch<Index> items{0, 1000, 2, [](Index i) { return i; }};
    for (int i = 0; i < round % 5; ++i) items.next();
  }
}

TEST_CASE("Prefetch: can be moved while its thread runs", "[data]") {
  Prefetch<Index> first{0, 50, 2, [](Index i) { return i; }};
  CHECK(first.next() == 0);
  Prefetch<Index> second = std::move(first);
  for (Index i = 1; i < 50; ++i) CHECK(second.next() == i);
  second = Prefetch<Index>{7, 8, 1, [](Index i) { return i; }};
  CHECK(second.next() == 7);
}
