// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>           // min
#include <chrono>              // milliseconds, nanoseconds, seconds
#include <condition_variable>  // condition_variable
#include <cstring>             // memcmp, memcpy
#include <exception>           // exception
#include <memory>              // make_shared, shared_ptr
#include <mutex>               // mutex
#include <thread>              // jthread, thread

#include <splitvit/core/error.hpp>          // joined, Reason, TransportError
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/transport/concepts.hpp>  // Transport, HasDeadline

namespace splitvit::inline SPLITVIT_BUILD::transport {

struct ConformanceOptions {
  std::size_t large_transfer = std::size_t{4} << 20;  ///< bytes; more than any buffer holds
  std::chrono::nanoseconds patience = std::chrono::seconds{30};  ///< for one clause
  Rng rng{.seed = 1};
};

namespace detail {
inline constexpr std::chrono::milliseconds a_moment{30};  // for the other thread to start waiting

inline void require(bool holds, const std::string& otherwise) {
  if (!holds) throw std::runtime_error(otherwise);
}

/// Runs a call that must throw TransportError for this reason.
template <class Call>
void require_error(Reason reason, const char* what, Call call) {
  try {
    call();
  } catch (const TransportError& error) {
    require(error.reason() == reason, joined({what, " threw for another reason: ", error.what()}));
    return;
  }
  throw std::runtime_error(joined({what, " returned where it must throw"}));
}

/// What the threads of one clause report: a failure at once, since other threads may hang.
class Verdict {
 public:
  /// Runs all `works` at once, each on its own thread, and reports what they throw.
  template <class... Works>
  void together(Works... works) {
    std::vector<std::jthread> threads;
    (threads.emplace_back([this, works] { guarded(works); }), ...);
  }

  /// Runs `work()` and reports what it throws.
  void guarded(const auto& work) {
    std::string failure = "threw something that is no std::exception";
    try {
      return work();
    } catch (const std::exception& error) {
      failure = error.what();
    } catch (...) {
    }
    const std::lock_guard lock{guard_};
    if (failure_.empty()) failure_ = failure;
    changed_.notify_all();
  }

  void finish() {
    const std::lock_guard lock{guard_};
    done_ = true;
    changed_.notify_all();
  }

  /// Waits for the end or a failure. Returns whether all is done, and what failed.
  std::pair<bool, std::string> wait(std::chrono::nanoseconds patience) {
    std::unique_lock lock{guard_};
    const auto over = [this] { return done_ || !failure_.empty(); };
    if (!changed_.wait_until(lock, deadline_in(patience), over))
      failure_ = "did not finish in time";
    changed_.wait_until(lock, deadline_in(a_moment), [this] { return done_; });
    return {done_, failure_};
  }

 private:
  std::mutex guard_;
  std::condition_variable changed_;
  bool done_ = false;
  std::string failure_;
};

/// Runs `clause(verdict)` on a thread of its own, so that a link which hangs can be reported.
template <class Clause>
void within(std::chrono::nanoseconds patience, const std::string& name, Clause clause) {
  const auto verdict = std::make_shared<Verdict>();
  std::thread thread{[verdict, clause = std::move(clause)] {
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

/// A random size of the next call, while `left` bytes are left.
inline std::size_t random_size(std::size_t largest, std::size_t left, Rng& rng) {
  return std::min(left, static_cast<std::size_t>(1 + rng.below(static_cast<Index>(largest))));
}

/// Writes everything in calls of random sizes.
void write_in_pieces(auto& link, std::span<const std::byte> bytes, std::size_t largest, Rng rng) {
  while (!bytes.empty()) {
    const std::size_t asked = random_size(largest, bytes.size(), rng);
    const std::size_t n = link.write_some(bytes.first(asked));
    require(n >= 1 && n <= asked, joined({"write_some returned ", n, " for ", asked, " bytes"}));
    bytes = bytes.subspan(n);
  }
}

/// Reads what must be `expected` in calls of random sizes; sees bytes stored out of bounds.
void read_in_pieces(auto& link, std::span<const std::byte> expected, std::size_t largest, Rng rng) {
  constexpr std::byte untouched{0xA5};
  std::vector<std::byte> room(largest + 1);
  while (!expected.empty()) {
    const std::size_t asked = random_size(largest, expected.size(), rng);
    room[asked] = untouched;
    const std::size_t n = link.read_some(std::span{room}.first(asked));
    require(n != 0, "read_some returned 0 though the peer has not closed");
    require(n <= asked, joined({"read_some returned ", n, " for ", asked, " bytes"}));
    require(room[asked] == untouched, "read_some stored more bytes than there was room");
    require(std::memcmp(room.data(), expected.data(), n) == 0,
            "other bytes arrived than were sent");
    expected = expected.subspan(n);
  }
}

void require_end(auto& link) {
  std::byte b;
  for (int i = 0; i < 2; ++i)
    require(link.read_some(std::span{&b, 1}) == 0, "no 0 after the peer closed and all was read");
}

/// One end writes and the other reads, at the same time.
void check_delivery(Verdict& verdict, auto& from, auto& to, std::span<const std::byte> bytes,
                    Rng rng) {
  verdict.together([&] { write_in_pieces(from, bytes, 3000, rng.at(1)); },
                   [&] { read_in_pieces(to, bytes, 2000, rng.at(2)); });
}
}  // namespace detail

/// Runs every clause of the contract in concepts.hpp on links that `make_pair()` makes, a std::pair
/// of the two ends. The thread of a clause that hangs keeps running: let the program end soon.
///
/// Errors  std::runtime_error naming the clause that is broken, and how.
template <class MakePair>
void check_transport(MakePair make_pair, const ConformanceOptions& options = {}) {
  using namespace detail;
  using A = typename decltype(make_pair())::first_type;
  using B = typename decltype(make_pair())::second_type;
  static_assert(Transport<A> && Transport<B>);
  using EndA = std::optional<A>;
  using EndB = std::optional<B>;
  // A clause owns all it uses: a thread that keeps running must not use this stack frame.
  const auto make = std::make_shared<MakePair>(std::move(make_pair));
  const auto clause = [&](const char* name, auto body) {
    within(options.patience, name, [make, body](Verdict& verdict) {
      auto ends = (*make)();
      EndA a{std::move(ends.first)};
      EndB b{std::move(ends.second)};
      body(verdict, a, b);
    });
  };
  const auto later = [](auto act) {
    return [act] {
      std::this_thread::sleep_for(a_moment);
      act();
    };
  };
  Rng draw = options.rng;

  for (const std::size_t size : {1u, 2u, 1000u, 65537u})
    clause(
        "bytes arrive once, in order, for calls of any size",
        [rng = options.rng, bytes = random_bytes(size, draw)](Verdict& verdict, EndA& a, EndB& b) {
          check_delivery(verdict, *a, *b, bytes, rng);
          check_delivery(verdict, *b, *a, bytes, rng);
        });
  const std::vector<std::byte> one(1, std::byte{42}), some = random_bytes(1000, draw);
  clause("read_some waits for the first byte", [=](Verdict& verdict, EndA& a, EndB& b) {
    verdict.together(later([&] { write_all(*a, one); }),
                     [&] { read_in_pieces(*b, one, 8, Rng{}); });
  });
  clause("both directions at once, more than any buffer holds",
         [rng = options.rng, there = random_bytes(options.large_transfer, draw),
          back = random_bytes(options.large_transfer, draw)](Verdict& verdict, EndA& a, EndB& b) {
           constexpr std::size_t piece = 100'000;
           verdict.together([&] { write_in_pieces(*a, there, piece, rng.at(1)); },
                            [&] { write_in_pieces(*b, back, piece, rng.at(2)); },
                            [&] { read_in_pieces(*a, back, piece, rng.at(3)); },
                            [&] { read_in_pieces(*b, there, piece, rng.at(4)); });
         });
  clause("what was written before closing is read, then 0",
         [=, rng = options.rng](Verdict& verdict, EndA& a, EndB& b) {
           const auto write_and_close = [&] {
             write_all(*a, some);
             a.reset();
           };
           const auto read = [&] {
             read_in_pieces(*b, some, 300, rng);
             require_end(*b);
           };
           verdict.together(write_and_close, read);
         });
  clause("destruction wakes a peer that reads", [=](Verdict& verdict, EndA& a, EndB& b) {
    verdict.together(later([&] { b.reset(); }), [&] { require_end(*a); });
  });
  clause("destruction ends a peer that writes", [=](Verdict& verdict, EndA& a, EndB& b) {
    const auto write_for_ever = [&] {
      while (true) write_all(*b, some);
    };
    verdict.together(later([&] { a.reset(); }), [&] {
      require_error(Reason::closed, "writing to a closed peer", write_for_ever);
    });
  });
  clause("a link that was moved still works", [=](Verdict& verdict, EndA& a, EndB& b) {
    A moved{std::move(*a)};
    a.reset();
    check_delivery(verdict, moved, *b, one, Rng{});
  });
  if constexpr (HasDeadline<A>)
    clause("a deadline ends the wait, and the link can still be used", [=](Verdict& verdict,
                                                                           EndA& a, EndB& b) {
      if constexpr (requires { a->has_deadline(); })
        if (!a->has_deadline()) return;
      std::byte room;
      const Deadline deadline = deadline_in(a_moment);
      a->set_deadline(deadline);
      require_error(Reason::timed_out, "read_some", [&] { a->read_some(std::span{&room, 1}); });
      require(Clock::now() >= deadline, "read_some gave up before the deadline");
      a->set_deadline(no_deadline);
      check_delivery(verdict, *b, *a, one, Rng{});
    });
}

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
