// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max, min
#include <chrono>     // duration
#include <memory>     // make_shared, shared_ptr
#include <mutex>      // lock_guard, mutex
#include <thread>     // sleep_for

#include <splitvit/core/error.hpp>          // Reason, TransportError
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/transport/concepts.hpp>  // Transport, HasDeadline

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

/// What goes wrong, by seed. Positions count from 0 in one direction of this end. One thread at a
/// time may use a link with faults.
struct Faults {
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

  std::size_t longest_piece = 0;      ///< calls move 1 to this many bytes, at random; 0: no change
  std::uint64_t cut_sent_at = never;  ///< the link breaks instead of this byte
  std::uint64_t cut_received_at = never;    ///< the same
  std::uint64_t flip_sent_bit = never;      ///< bit b of byte n has number 8 * n + b
  std::uint64_t flip_received_bit = never;  ///< the same
  double longest_delay_seconds = 0.0;       ///< each call first waits a random time up to this
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
      : link_{std::move(link)}, model_{model}, faults_{faults} {
    if (!(model.bits_per_second > 0) || !(model.latency_seconds >= 0) ||
        !(faults.longest_delay_seconds >= 0))
      throw std::invalid_argument("Simulated: bits_per_second must be above 0, times at least 0");
  }

  std::size_t read_some(std::span<std::byte> into) {
    before_call(received_, faults_.cut_received_at);
    into = into.first(piece(into.size(), faults_.cut_received_at - received_));
    const std::size_t n = link_->read_some(into);
    flip(into.first(std::min(n, into.size())), received_, faults_.flip_received_bit);
    received_ += n;
    if (n > 0) account(n, Way::in);
    return n;
  }

  std::size_t write_some(std::span<const std::byte> from) {
    before_call(sent_, faults_.cut_sent_at);
    from = from.first(piece(from.size(), faults_.cut_sent_at - sent_));
    std::vector<std::byte> changed;
    if (faults_.flip_sent_bit / 8 - sent_ < from.size()) {  // unsigned: false if it has passed
      changed.assign(from.begin(), from.end());
      flip(changed, sent_, faults_.flip_sent_bit);
      from = changed;
    }
    const std::size_t n = link_->write_some(from);
    sent_ += n;
    account(n, Way::out);
    return n;
  }

  void set_deadline(Deadline when)
    requires HasDeadline<Link>
  {
    if (link_) link_->set_deadline(when);
  }

  /// The clock alone, for a caller that gives the link away.
  std::shared_ptr<const SimulatedClock> clock() const { return clock_; }

 private:
  using Way = SimulatedClock::Way;

  void before_call(std::uint64_t position, std::uint64_t cut) {
    if (position >= cut) link_.reset();  // the peer sees the end
    if (!link_)
      throw TransportError(Reason::closed, {"Simulated: the link was cut after ", sent_,
                                            " bytes sent and ", received_, " received"});
    if (faults_.longest_delay_seconds > 0)
      std::this_thread::sleep_for(
          std::chrono::duration<double>{faults_.rng.uniform(0.0, faults_.longest_delay_seconds)});
  }

  /// How many bytes this call may move.
  std::size_t piece(std::size_t size, std::uint64_t until_cut) {
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, until_cut));
    if (faults_.longest_piece > 0) {
      const auto longest = static_cast<Index>(faults_.longest_piece);
      size = std::min(size, static_cast<std::size_t>(1 + faults_.rng.below(longest)));
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

  std::optional<Link> link_;
  LinkModel model_;
  Faults faults_;
  std::uint64_t sent_ = 0, received_ = 0;
  std::shared_ptr<SimulatedClock> clock_ = std::make_shared<SimulatedClock>(model_);
};

template <class Link>
Simulated(Link) -> Simulated<Link>;

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
