// SPDX-License-Identifier: MIT
#include <chrono>  // milliseconds, seconds
#include <thread>  // jthread

#include <splitvit/split/service.hpp>          // Listener
#include <splitvit/transport/conformance.hpp>  // check_transport
#include <splitvit/transport/mpi.hpp>

#include "support/catch.hpp"

// Runs as one process, and as several under mpiexec: then each process runs all tests.

using namespace splitvit;
using namespace std::chrono_literals;
using transport::Mpi, transport::MpiLink, transport::MpiListener;

static_assert(transport::Transport<MpiLink> && transport::HasDeadline<MpiLink>);
static_assert(split::Listener<MpiListener>);

namespace {

/// MPI can be started once in a process.
Mpi& mpi() {
  static Mpi one;
  return one;
}

std::pair<MpiLink, MpiLink> pair_with_itself() {
  MpiLink here = mpi().connect(mpi().rank());
  MpiListener listener{mpi()};
  return {std::move(here), listener.accept(transport::deadline_in(10s))};
}

std::vector<std::byte> numbered(std::size_t count, int seed) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::byte>((i * 7 + static_cast<std::size_t>(seed)) & 255);
  return bytes;
}

}  // namespace

// Each process sends every other one more than any buffer holds, and gets as much. The first test:
// in the others each process calls itself only.
TEST_CASE("processes of an MPI job exchange bytes", "[mpi]") {
  constexpr std::size_t many = 3'000'001;
  std::vector<std::jthread> threads;
  for (int peer = 0; peer < mpi().size(); ++peer)
    if (peer != mpi().rank())
      threads.emplace_back([peer] {
        MpiLink link = mpi().connect(peer);
        transport::write_all(link, numbered(many, mpi().rank()));
      });
  MpiListener listener{mpi()};
  for (int i = 1; i < mpi().size(); ++i) {
    MpiLink link = listener.accept(transport::deadline_in(30s));
    const int rank = std::stoi(link.peer().substr(5));
    std::vector<std::byte> came(many);
    transport::read_exactly(link, came);
    CHECK(came == numbered(many, rank));
    std::byte more;
    CHECK(link.read_some({&more, 1}) == 0);
  }
}

TEST_CASE("MPI links keep the contract of transports", "[mpi]") {
  CHECK_NOTHROW(transport::check_transport([] { return pair_with_itself(); }));
}

TEST_CASE("links of MPI that are open at the same time do not meet", "[mpi]") {
  auto [a, b] = pair_with_itself();
  auto [c, d] = pair_with_itself();
  CHECK(a.peer() == "rank " + std::to_string(mpi().rank()));
  transport::write_all(a, numbered(3, 1));
  transport::write_all(c, numbered(3, 2));
  std::vector<std::byte> came(3);
  transport::read_exactly(d, came);
  CHECK(came == numbered(3, 2));
  transport::read_exactly(b, came);
  CHECK(came == numbered(3, 1));
}

TEST_CASE("a listener of MPI waits for links and callers", "[mpi]") {
  MpiListener listener{mpi()};
  const auto soon = [] { return transport::deadline_in(20ms); };
  CHECK(listener.wait({}, soon()) == std::vector<bool>{false});
  CHECK_THROWS_WITH(listener.accept(soon()), ContainsSubstring("accept: the peer was silent"));
  auto [a, b] = pair_with_itself();
  MpiLink* const links[] = {&a};
  CHECK(listener.wait(links, soon()) == std::vector<bool>{false, false});
  transport::write_all(b, numbered(1, 0));
  CHECK(listener.wait(links, transport::deadline_in(10s)) == std::vector<bool>{true, false});
  MpiLink caller = mpi().connect(mpi().rank());
  while (!listener.wait({}, transport::deadline_in(10s))[0]) {
  }
  MpiLink answered = listener.accept();
}

TEST_CASE("MPI: no such rank", "[mpi]") {
  CHECK_THROWS_WITH(mpi().connect(-1), ContainsSubstring("rank -1 of"));
  CHECK_THROWS_WITH(mpi().connect(mpi().size()), ContainsSubstring(" processes"));
}

// The last test: nobody can be accepted afterwards.
TEST_CASE("a listener of MPI that is closed", "[mpi]") {
  MpiListener listener{mpi()};
  std::jthread later{[&] {
    std::this_thread::sleep_for(20ms);
    listener.close();
  }};
  CHECK_THROWS_WITH(listener.accept(), ContainsSubstring("closed"));
}
