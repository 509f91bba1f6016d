// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/transport/any_link.hpp>
#include <splitvit/transport/concepts.hpp>
#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/metered.hpp>
#include <splitvit/transport/simulated.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/links.hpp"

// A link as a stranger writes it: in another namespace, with nothing but the concept.
namespace stranger {

struct Refuses {
  std::size_t read_some(std::span<std::byte>) { throw std::domain_error("Refuses: no reading"); }
  std::size_t write_some(std::span<const std::byte> from) { return from.size() < 3 ? 1 : 2; }
};

}  // namespace stranger

namespace splitvit::transport {

static_assert(Transport<AnyLink> && HasDeadline<AnyLink>);
static_assert(Transport<Metered<AnyLink>> && HasDeadline<Metered<AnyLink>>);
static_assert(!std::copy_constructible<AnyLink> && !std::is_default_constructible_v<AnyLink>);

TEST_CASE("AnyLink: keeps the contract as the link within does", "[transport]") {
  check_transport([] {
    auto ends = memory_pair();
    return std::pair{AnyLink{std::move(ends.first)}, AnyLink{std::move(ends.second)}};
  });
  check_transport([] {
    auto ends = memory_pair();
    return std::pair{Metered{AnyLink{std::move(ends.first)}},
                     AnyLink{Metered{std::move(ends.second)}}};
  });
}

TEST_CASE("AnyLink: without a deadline that clause of the contract does not apply", "[transport]") {
  struct Patient {  // a memory link that hides its deadline
    MemoryLink link;
    std::size_t read_some(std::span<std::byte> into) { return link.read_some(into); }
    std::size_t write_some(std::span<const std::byte> from) { return link.write_some(from); }
  };
  check_transport([] {
    auto ends = memory_pair();
    return std::pair{AnyLink{Patient{std::move(ends.first)}},
                     AnyLink{Patient{std::move(ends.second)}}};
  });
  CHECK(!AnyLink{Patient{memory_pair().first}}.has_deadline());
  CHECK(AnyLink{memory_pair().first}.has_deadline());
  // Decorators say what holds for the link within, whatever their types say.
  CHECK(!AnyLink{Metered{Simulated{AnyLink{Patient{memory_pair().first}}}}}.has_deadline());
  CHECK(AnyLink{Metered{Simulated{AnyLink{memory_pair().first}}}}.has_deadline());
}

TEST_CASE("AnyLink: passes a deadline on to a link that has one", "[transport]") {
  auto ends = memory_pair();
  AnyLink with{Metered{AnyLink{Simulated{std::move(ends.first)}}}};
  with.set_deadline(Clock::now());
  std::byte byte{};
  CHECK(test::reason_of([&] { with.read_some(std::span{&byte, 1}); }) == Reason::timed_out);

  std::deque<std::byte> queue{std::byte{5}};
  AnyLink without{test::TrickleLink{queue}};
  without.set_deadline(Clock::now());
  CHECK(without.read_some(std::span{&byte, 1}) == 1);
  CHECK(byte == std::byte{5});
}

TEST_CASE("AnyLink: knows the peer if the link within does", "[transport]") {
  struct Proved : MemoryLink {
    std::string identity() const { return "CN=alice"; }
  };
  CHECK(AnyLink{Proved{memory_pair().first}}.identity() == "CN=alice");
  CHECK(AnyLink{memory_pair().first}.identity().empty());
}

TEST_CASE("AnyLink: assignment closes what it held", "[transport]") {
  auto old = memory_pair(), other = memory_pair();
  AnyLink link{std::move(old.first)};
  link = std::move(other.first);
  std::byte byte{1};
  CHECK(old.second.read_some(std::span{&byte, 1}) == 0);
  write_all(link, std::span{&byte, 1});
  CHECK(other.second.read_some(std::span{&byte, 1}) == 1);
}

TEST_CASE("AnyLink: a stranger's link, whose errors pass through", "[transport]") {
  AnyLink link{stranger::Refuses{}};
  std::vector<std::byte> bytes(5);
  CHECK(link.write_some(bytes) == 2);
  CHECK_THROWS_AS(link.read_some(bytes), std::domain_error);
  auto ends = memory_pair();
  std::optional<AnyLink> gone{std::move(ends.second)};
  AnyLink left{std::move(ends.first)};
  gone.reset();
  CHECK(test::reason_of([&] { left.write_some(bytes); }) == Reason::closed);
}

}  // namespace splitvit::transport
