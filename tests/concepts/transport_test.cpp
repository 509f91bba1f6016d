// SPDX-License-Identifier: MIT
#include <splitvit/transport/concepts.hpp>
#include <splitvit/transport/memory.hpp>
#include <splitvit/transport/metered.hpp>
#include <splitvit/transport/simulated.hpp>
#include <splitvit/transport/tcp.hpp>

#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit::transport;
using splitvit::test::DefectiveLink;
using splitvit::test::ScriptLink;
using splitvit::test::TrickleLink;

namespace {

struct ReturnsInt {
  int read_some(std::span<std::byte>);
  std::size_t write_some(std::span<const std::byte>);
};
struct CannotWrite {
  std::size_t read_some(std::span<std::byte>);
};
struct WantsMutableBytes {
  std::size_t read_some(std::span<std::byte>);
  std::size_t write_some(std::span<std::byte>);
};
struct CannotMove {
  CannotMove(CannotMove&&) = delete;
  std::size_t read_some(std::span<std::byte>);
  std::size_t write_some(std::span<const std::byte>);
};

static_assert(Transport<TrickleLink>);
static_assert(Transport<ScriptLink>);
static_assert(Transport<DefectiveLink>);
static_assert(Transport<MemoryLink>);
static_assert(Transport<TcpLink>);
static_assert(Transport<Metered<TrickleLink>>);
static_assert(Transport<Simulated<Metered<MemoryLink>>>);
static_assert(!Transport<ReturnsInt>);
static_assert(!Transport<CannotWrite>);
static_assert(!Transport<WantsMutableBytes>);
static_assert(!Transport<CannotMove>);
static_assert(!Transport<TcpListener>);

// Decorators have a deadline exactly if what they decorate has one.
static_assert(HasDeadline<MemoryLink>);
static_assert(HasDeadline<TcpLink>);
static_assert(HasDeadline<Metered<MemoryLink>>);
static_assert(HasDeadline<Simulated<MemoryLink>>);
static_assert(!HasDeadline<TrickleLink>);
static_assert(!HasDeadline<Metered<TrickleLink>>);
static_assert(!HasDeadline<Simulated<TrickleLink>>);

}  // namespace

TEST_CASE("Transport: models and counter-models", "[concepts]") {
  SUCCEED("checked by the compiler");
}
