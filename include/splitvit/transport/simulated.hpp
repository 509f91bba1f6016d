// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max, min
#include <chrono>     // duration
#include <memory>     // make_shared, make_unique, shared_ptr, unique_ptr
#include <mutex>      // lock_guard, mutex, unique_lock
#include <thread>     // sleep_for

#include <splitvit/core/error.hpp>          // Reason, TransportError
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/transport/concepts.hpp>  // HasDeadline, Transport, write_all

namespace splitvit::inline SPLITVIT_BUILD::transport {

/// Whether simulated time is only added up, or also spent.
enum class Pace { computed, slept };

/// The link to imitate, in which one side speaks at a time: every byte takes 8 / bits_per_second,
/// every change of direction latency_seconds. Wrap one end only, or all is counted twice.
struct LinkModel {
  double bits_per_second = std::numeric_limits<double>::infinity();
  double latency_seconds = 0.0;  ///< one way
  Pace pace = Pace::computed;
};

/// What goes wrong, by seed. Positions count from 0 in one direction of this end. What two threads
/// draw, one that reads and one that writes, depends on who comes first.
struct Faults {
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

  std::size_t longest_piece = 0;      ///< calls move 1 to this many bytes, at random; 0: no change
  std::uint64_t cut_sent_at = never;  ///< the link breaks instead of this byte
  std::uint64_t cut_received_at = never;    ///< the same
  std::uint64_t flip_sent_bit = never;      ///< bit b of byte n has number 8 * n + b
  std::uint64_t flip_received_bit = never;  ///< the same
  std::uint64_t twice_sent_at = never;      ///< this byte goes out twice
  std::uint64_t end_received_at = never;  ///< the stream ends before it: half of the link is closed
  double longest_delay_seconds = 0.0;     ///< each call first waits a random time up to this
  Rng rng{};
};

/// How long the traffic of a Simulated link takes on the modelled one. For any thread.
class SimulatedClock {
 public:
  enum class Way { none, in, out };

  explicit SimulatedClock(const LinkModel& model) : model_{model} {}

  /// Units   seconds for all traffic so far.
  double seconds() const {
    const std::lock_guard lock{guard_};
    return elapsed();
  }
  /// Adds traffic in one direction. Returns the seconds that have not been slept yet.
  double add(std::size_t n, Way way) {
    const std::lock_guard lock{guard_};
    bytes_ += n;
    if (last_ != way) turns_ += 1;
    last_ = way;
    return elapsed() - slept_;
  }
  void add_sleep(double seconds) {
    const std::lock_guard lock{guard_};
    slept_ += seconds;
  }

 private:
  double elapsed() const {
    return static_cast<double>(bytes_) * 8.0 / model_.bits_per_second +
           static_cast<double>(turns_) * model_.latency_seconds;
  }

  LinkModel model_;
  mutable std::mutex guard_;
  std::uint64_t bytes_ = 0, turns_ = 0;
  double slept_ = 0.0;
  Way last_ = Way::none;
};

/// A link as slow as the model says, with the given faults.
///
/// Errors  std::invalid_argument for a speed that is not above 0, or a negative time;
///         TransportError (closed) once a fault has cut the link; the errors of the inner link.
template <Transport Link>
class Simulated {
 public:
  explicit Simulated(Link link, const LinkModel& model = {}, const Faults& faults = {})
      : model_{model}, faults_{faults}, state_{std::make_unique<State>()} {
    if (!(model.bits_per_second > 0) || !(model.latency_seconds >= 0) ||
        !(faults.longest_delay_seconds >= 0))
      throw std::invalid_argument("Simulated: bits_per_second must be above 0, times at least 0");
    can_stop_waiting_ = can_stop_waiting(link);
    state_->link = std::make_shared<Link>(std::move(link));
    state_->rng = faults.rng;
  }

  std::size_t read_some(std::span<std::byte> into) {
    const Call call =
        begin(into.size(), state_->received, faults_.cut_received_at, faults_.end_received_at);
    if (call.size == 0) return 0;
    into = into.first(call.size);
    const std::size_t n = call.link->read_some(into);
    flip(into.first(std::min(n, into.size())), call.position, faults_.flip_received_bit);
    end(state_->received, n);
    if (n > 0) account(n, Way::in);
    return n;
  }

  std::size_t write_some(std::span<const std::byte> from) {
    const Call call = begin(from.size(), state_->sent, faults_.cut_sent_at, Faults::never);
    from = from.first(call.size);
    const std::uint64_t twice = faults_.twice_sent_at - call.position;  // unsigned: huge if passed
    if (twice < from.size()) from = from.first(static_cast<std::size_t>(twice) + 1);
    std::vector<std::byte> changed;
    if (faults_.flip_sent_bit / 8 - call.position < from.size()) {  // unsigned: false if passed
      changed.assign(from.begin(), from.end());
      flip(changed, call.position, faults_.flip_sent_bit);
      from = changed;
    }
    const std::size_t n = call.link->write_some(from);
    if (twice < n) write_all(*call.link, from.last(1));
    end(state_->sent, n);
    account(n, Way::out);
    return n;
  }

  void set_deadline(Deadline when)
    requires HasDeadline<Link>
  {
    const std::lock_guard lock{state_->guard};
    if (state_->link) state_->link->set_deadline(when);
  }
  bool has_deadline() const { return can_stop_waiting_; }

  /// The clock alone, for a caller that gives the link away.
  std::shared_ptr<const SimulatedClock> clock() const { return clock_; }

 private:
  using Way = SimulatedClock::Way;

  /// What the two directions share.
  struct State {
    std::mutex guard;
    std::shared_ptr<Link> link;  // null once it is cut; a call that waits still holds it
    Rng rng;
    std::uint64_t sent = 0, received = 0;
  };
  /// One call that may move up to `size` bytes from `position` on.
  struct Call {
    std::shared_ptr<Link> link;
    std::uint64_t position;
    std::size_t size;
  };

  Call begin(std::size_t size, const std::uint64_t& position, std::uint64_t cut,
             std::uint64_t end) {
    std::unique_lock lock{state_->guard};
    if (position >= cut && state_->link) {  // the peer sees the end
      set_deadline_if_possible(*state_->link, Deadline{});
      state_->link.reset();
    }
    if (!state_->link)
      throw TransportError(Reason::closed, {"Simulated: the link was cut after ", state_->sent,
                                            " bytes sent and ", state_->received, " received"});
    const double delay = faults_.longest_delay_seconds > 0
                             ? state_->rng.uniform(0.0, faults_.longest_delay_seconds)
                             : 0.0;
    const Call call{state_->link, position,
                    piece(size, std::min(cut, std::max(end, position)) - position)};
    lock.unlock();
    if (delay > 0) std::this_thread::sleep_for(std::chrono::duration<double>{delay});
    return call;
  }
  void end(std::uint64_t& position, std::size_t n) {
    const std::lock_guard lock{state_->guard};
    position += n;
  }

  /// How many bytes this call may move.
  std::size_t piece(std::size_t size, std::uint64_t most) {
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, most));
    if (faults_.longest_piece > 0) {
      const auto longest = static_cast<Index>(faults_.longest_piece);
      size = std::min(size, static_cast<std::size_t>(1 + state_->rng.below(longest)));
    }
    if (model_.pace == Pace::slept) {  // short sleeps, so that no deadline is missed
      const double in_10_ms = std::clamp(model_.bits_per_second * 0.01 / 8.0, 1.0, 0x1p40);
      size = std::min(size, static_cast<std::size_t>(in_10_ms));
    }
    return size;
  }

  static void flip(std::span<std::byte> bytes, std::uint64_t position, std::uint64_t bit) {
    const std::uint64_t at = bit / 8 - position;  // unsigned: huge if it has passed
    if (at < bytes.size())
      bytes[static_cast<std::size_t>(at)] ^= static_cast<std::byte>(1u << (bit % 8));
  }

  void account(std::size_t n, Way way) {
    const double owed = clock_->add(n, way);
    // Less than a millisecond is kept for later: a sleep is seldom shorter.
    if (model_.pace == Pace::computed || owed < 1e-3) return;
    const auto start = Clock::now();
    std::this_thread::sleep_for(std::chrono::duration<double>{owed});
    const std::chrono::duration<double> slept = Clock::now() - start;
    clock_->add_sleep(slept.count());
  }

  LinkModel model_;
  Faults faults_;
  std::unique_ptr<State> state_;
  bool can_stop_waiting_ = false;
  std::shared_ptr<SimulatedClock> clock_ = std::make_shared<SimulatedClock>(model_);
};

template <class Link>
Simulated(Link) -> Simulated<Link>;

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
