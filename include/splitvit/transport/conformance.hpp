// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>           // min
#include <chrono>              // milliseconds, nanoseconds, seconds
#include <condition_variable>  // condition_variable
#include <cstddef>             // byte, size_t
#include <cstdint>             // uint64_t
#include <cstring>             // memcmp, memcpy
#include <exception>           // exception
#include <memory>              // make_shared, shared_ptr
#include <mutex>               // mutex
#include <optional>            // optional
#include <span>                // span
#include <stdexcept>           // runtime_error
#include <string>              // string
#include <thread>              // jthread, thread
#include <utility>             // move, pair
#include <vector>              // vector

#include <splitvit/core/error.hpp>          // TransportError
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/transport/concepts.hpp>  // Transport, HasDeadline, has_deadline
#include <splitvit/transport/stream.hpp>    // read_exactly, write_all

// check_transport: tests whether a link keeps the contract in concepts.hpp.

namespace splitvit::transport {

struct ConformanceOptions {
  std::size_t large_transfer = std::size_t{4} << 20;  ///< bytes; more than any buffer holds
  std::chrono::nanoseconds patience = std::chrono::seconds{30};  ///< for one clause
  Rng rng{.seed = 1};
};

/// Runs every clause of the contract on links that `make_pair()` makes: a std::pair of the two
/// ends of a new link, for each clause at least one. Needs no test framework.
///
/// A clause that hangs is reported, and its thread keeps running: let the program end soon.
///
/// Errors  std::runtime_error naming the clause that is broken, and how.
template <class MakePair>
void check_transport(MakePair make_pair, const ConformanceOptions& options = {});

namespace detail {

inline constexpr std::chrono::milliseconds a_moment{30};  // for the other thread to start waiting

inline void require(bool holds, const std::string& otherwise) {
  if (!holds) throw std::runtime_error(otherwise);
}

/// What the threads of one clause report to the thread that waits for them. A failure is reported
/// at once, because its thread may wait for another one that hangs.
class Verdict {
 public:
  /// Runs all `works` at once, each on its own thread, and reports what they throw.
  template <class... Works>
  void together(Works... works) {
    std::vector<std::jthread> threads;
    (threads.emplace_back([this, works] { guarded(works); }), ...);
  }

  /// Runs `work()` and reports what it throws.
  template <class Work>
  void guarded(Work&& work) {
    try {
      work();
    } catch (const std::exception& error) {
      report(error.what());
    } catch (...) {
      report("threw something that is no std::exception");
    }
  }

  void finish() {
    const std::lock_guard lock{guard_};
    done_ = true;
    changed_.notify_all();
  }

  /// Waits until all is done, something failed, or the time is over. Returns whether all is done,
  /// and what failed.
  std::pair<bool, std::string> wait(std::chrono::nanoseconds patience) {
    std::unique_lock lock{guard_};
    const auto over = [this] { return done_ || !failure_.empty(); };
    if (!changed_.wait_until(lock, deadline_in(patience), over))
      failure_ = "did not finish in time";
    changed_.wait_until(lock, deadline_in(a_moment), [this] { return done_; });
    return {done_, failure_};
  }

 private:
  void report(const std::string& failure) {
    const std::lock_guard lock{guard_};
    if (failure_.empty()) failure_ = failure;
    changed_.notify_all();
  }

  std::mutex guard_;
  std::condition_variable changed_;
  bool done_ = false;
  std::string failure_;
};

/// Runs `clause(verdict)` on a thread of its own, so that a link which hangs can be reported.
template <class Clause>
void within(std::chrono::nanoseconds patience, const std::string& name, Clause clause) {
  const auto verdict = std::make_shared<Verdict>();
  std::thread thread{[verdict, clause = std::move(clause)]() mutable {
    verdict->guarded([&] { clause(*verdict); });
    verdict->finish();
  }};
  const auto [done, failure] = verdict->wait(patience);
  if (done)
    thread.join();
  else
    thread.detach();
  if (!failure.empty()) throw std::runtime_error("check_transport: " + name + ": " + failure);
}

inline std::vector<std::byte> random_bytes(std::size_t count, Rng& rng) {
  std::vector<std::byte> bytes(count);
  for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
    const std::uint64_t bits = rng.bits();
    std::memcpy(bytes.data() + at, &bits, std::min(sizeof(bits), count - at));
  }
  return bytes;
}

inline std::size_t random_size(std::size_t largest, Rng& rng) {
  return static_cast<std::size_t>(1 + rng.below(static_cast<Index>(largest)));
}

/// Writes everything in calls of random sizes.
template <class Link>
void write_in_pieces(Link& link, std::span<const std::byte> bytes, std::size_t largest, Rng rng) {
  while (!bytes.empty()) {
    const std::size_t asked = std::min(bytes.size(), random_size(largest, rng));
    const std::size_t n = link.write_some(bytes.first(asked));
    require(n >= 1 && n <= asked, "write_some returned " + std::to_string(n) + " for " +
                                      std::to_string(asked) + " bytes");
    bytes = bytes.subspan(n);
  }
}

/// Reads what must be `expected` in calls of random sizes; sees bytes stored out of bounds.
template <class Link>
void read_in_pieces(Link& link, std::span<const std::byte> expected, std::size_t largest, Rng rng) {
  constexpr std::byte untouched{0xA5};
  std::vector<std::byte> room(largest + 1);
  while (!expected.empty()) {
    const std::size_t asked = std::min(expected.size(), random_size(largest, rng));
    room[asked] = untouched;
    const std::size_t n = link.read_some(std::span{room}.first(asked));
    require(n != 0, "read_some returned 0 though the peer has not closed");
    require(n <= asked,
            "read_some returned " + std::to_string(n) + " for " + std::to_string(asked) + " bytes");
    require(room[asked] == untouched, "read_some stored more bytes than there was room");
    require(std::memcmp(room.data(), expected.data(), n) == 0,
            "other bytes arrived than were sent");
    expected = expected.subspan(n);
  }
}

template <class Link>
void require_end(Link& link) {
  std::byte b;
  for (int i = 0; i < 2; ++i)
    require(link.read_some(std::span{&b, 1}) == 0, "no 0 after the peer closed and all was read");
}

/// One end writes and the other reads, at the same time.
template <class From, class To>
void check_delivery(Verdict& verdict, From& from, To& to, std::span<const std::byte> bytes,
                    Rng rng) {
  verdict.together([&, rng] { write_in_pieces(from, bytes, 3000, rng.at(1)); },
                   [&, rng] { read_in_pieces(to, bytes, 2000, rng.at(2)); });
}

template <class A, class B>
void check_full_duplex(Verdict& verdict, A& a, B& b, std::size_t bytes, Rng rng) {
  const auto there = random_bytes(bytes, rng);
  const auto back = random_bytes(bytes, rng);
  constexpr std::size_t piece = 100'000;
  verdict.together([&, rng] { write_in_pieces(a, there, piece, rng.at(1)); },
                   [&, rng] { write_in_pieces(b, back, piece, rng.at(2)); },
                   [&, rng] { read_in_pieces(a, back, piece, rng.at(3)); },
                   [&, rng] { read_in_pieces(b, there, piece, rng.at(4)); });
}

template <class Link>
void require_write_fails(Link& link) {
  const std::vector<std::byte> bytes(65536);
  try {
    while (true) write_all(link, bytes);
  } catch (const TransportError& error) {
    require(error.reason() == Reason::closed,
            std::string{"writing to a closed peer threw for another reason: "} + error.what());
  }
}

template <class Link>
void check_deadline(Link& link) {
  std::byte b;
  const Deadline deadline = deadline_in(a_moment);
  link.set_deadline(deadline);
  try {
    link.read_some(std::span{&b, 1});
    require(false, "read_some returned though nothing was sent");
  } catch (const TransportError& error) {
    require(error.reason() == Reason::timed_out,
            std::string{"read_some threw for another reason: "} + error.what());
  }
  require(Clock::now() >= deadline, "read_some gave up before the deadline");
  link.set_deadline(no_deadline);
}

}  // namespace detail

template <class MakePair>
void check_transport(MakePair make_pair, const ConformanceOptions& options) {
  using A = typename decltype(make_pair())::first_type;
  using B = typename decltype(make_pair())::second_type;
  static_assert(Transport<A> && Transport<B>);
  using detail::Verdict;
  using EndA = std::optional<A>;
  using EndB = std::optional<B>;
  // A clause owns all it uses: a thread that keeps running must not use this stack frame.
  const auto make = std::make_shared<MakePair>(std::move(make_pair));
  const auto clause = [&](const char* name, auto body) {
    detail::within(options.patience, name, [make, body](Verdict& verdict) {
      auto ends = (*make)();
      EndA a{std::move(ends.first)};
      EndB b{std::move(ends.second)};
      body(verdict, a, b);
    });
  };
  const auto a_moment_later = [](auto act) {
    return [act] {
      std::this_thread::sleep_for(detail::a_moment);
      act();
    };
  };

  clause("bytes arrive once, in order, for calls of any size",
         [rng = options.rng](Verdict& verdict, EndA& a, EndB& b) {
           Rng draw = rng;
           for (const std::size_t size : {1u, 2u, 1000u, 65537u}) {
             const auto bytes = detail::random_bytes(size, draw);
             detail::check_delivery(verdict, *a, *b, bytes, rng);
             detail::check_delivery(verdict, *b, *a, bytes, rng);
           }
         });
  clause("read_some waits for the first byte", [=](Verdict& verdict, EndA& a, EndB& b) {
    const std::vector<std::byte> sent{std::byte{42}};
    verdict.together(a_moment_later([&] { write_all(*a, sent); }),
                     [&] { detail::read_in_pieces(*b, sent, 8, Rng{}); });
  });
  clause("both directions at once, more than any buffer holds",
         [bytes = options.large_transfer, rng = options.rng](Verdict& verdict, EndA& a, EndB& b) {
           detail::check_full_duplex(verdict, *a, *b, bytes, rng);
         });
  clause("what was written before closing is read, then 0",
         [rng = options.rng](Verdict& verdict, EndA& a, EndB& b) {
           Rng draw = rng;
           const auto bytes = detail::random_bytes(1000, draw);
           verdict.together(
               [&] {
                 write_all(*a, bytes);
                 a.reset();
               },
               [&] {
                 detail::read_in_pieces(*b, bytes, 300, rng);
                 detail::require_end(*b);
               });
         });
  clause("destruction wakes a peer that reads", [=](Verdict& verdict, EndA& a, EndB& b) {
    verdict.together(a_moment_later([&] { b.reset(); }), [&] { detail::require_end(*a); });
  });
  clause("destruction ends a peer that writes", [=](Verdict& verdict, EndA& a, EndB& b) {
    verdict.together(a_moment_later([&] { a.reset(); }), [&] { detail::require_write_fails(*b); });
  });
  clause("a link that was moved still works",
         [rng = options.rng](Verdict& verdict, EndA& a, EndB& b) {
           A moved{std::move(*a)};
           a.reset();
           const std::vector<std::byte> sent{std::byte{7}};
           detail::check_delivery(verdict, moved, *b, sent, rng);
         });
  if constexpr (HasDeadline<A>)
    clause("a deadline ends the wait, and the link can still be used",
           [rng = options.rng](Verdict& verdict, EndA& a, EndB& b) {
             if (!has_deadline(*a)) return;
             detail::check_deadline(*a);
             const std::vector<std::byte> sent{std::byte{9}};
             detail::check_delivery(verdict, *b, *a, sent, rng);
           });
}

}  // namespace splitvit::transport
