// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>  // duration, steady_clock
#include <tuple>   // tie

#include <splitvit/core/labels.hpp>         // Labels
#include <splitvit/core/shape.hpp>          // Index
#include <splitvit/wire/frame.hpp>          // MessageKind, message_kinds
#include <splitvit/wire/session_state.hpp>  // Count, SessionState, Tally

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Bytes in one direction. `framing` is what the protocol adds: headers and checksums.
struct Bytes {
  std::uint64_t payload = 0, framing = 0;

  std::uint64_t total() const { return payload + framing; }
  Bytes& operator+=(const Bytes& other) {
    payload += other.payload;
    framing += other.framing;
    return *this;
  }
  friend Bytes operator-(const Bytes& a, const Bytes& b) {
    return {a.payload - b.payload, a.framing - b.framing};
  }
  friend bool operator==(const Bytes&, const Bytes&) = default;
};

/// What has crossed the link, seen from the client.
struct Traffic {
  Bytes up;    ///< to the server
  Bytes down;  ///< back

  std::uint64_t total() const { return up.total() + down.total(); }
  Traffic& operator+=(const Traffic& other) {
    up += other.up;
    down += other.down;
    return *this;
  }
  friend Traffic operator-(const Traffic& a, const Traffic& b) {
    return {a.up - b.up, a.down - b.down};
  }
  friend bool operator==(const Traffic&, const Traffic&) = default;
};

/// What bytes are for. All columns together are the bytes of the link, but for heartbeats that
/// cross the goodbye.
enum class Column : std::uint8_t {
  training,    ///< the first handshake, every step once, an initial decoder, the goodbye
  evaluation,  ///< evaluations
  weights,     ///< fetching the server's weights, and turns: weights that several clients share
  upkeep,      ///< heartbeats, errors, checkpoints, later handshakes, steps that were sent again
};

constexpr Column column_of(wire::MessageKind kind, bool sent_by_client) {
  using enum wire::MessageKind;
  if (kind == evaluate || kind == evaluated) return Column::evaluation;
  if (kind == fetch_weights || kind == turn || (kind == weights && !sent_by_client))
    return Column::weights;
  if (kind == heartbeat || kind == error || kind == checkpoint) return Column::upkeep;
  return Column::training;
}

/// The bytes that have crossed the link for one purpose, seen from the client. The state is that of
/// the client, or `of_server`.
inline Traffic traffic_of(const wire::SessionState& session, Column column,
                          bool of_server = false) {
  const auto bytes = [&](const wire::Tally& tally, bool sent) {
    wire::Count sum = column == Column::upkeep ? tally.repeats() : wire::Count{};
    for (std::size_t i = 1; i < wire::message_kinds; ++i)
      if (const auto kind = static_cast<wire::MessageKind>(i); column_of(kind, sent) == column)
        sum += tally.of(kind);
    return Bytes{.payload = sum.payload, .framing = sum.framed - sum.payload};
  };
  const auto& [from_client, from_server] = of_server ? std::tie(session.received, session.sent)
                                                     : std::tie(session.sent, session.received);
  return {.up = bytes(from_client, true), .down = bytes(from_server, false)};
}

/// Measures seconds.
class Timer {
 public:
  /// Seconds since the last call, or since the timer was made.
  double lap() {
    const auto before = std::exchange(last_, std::chrono::steady_clock::now());
    return std::chrono::duration<double>(last_ - before).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// How the time was spent, in seconds.
struct Seconds {
  double client = 0;       ///< its part, forward and backward, and its optimiser
  double compression = 0;  ///< stages, encoder and codec at the client, forward, and decoding the
                           ///< gradient; their backward pass counts as the client's
  double server = 0;       ///< everything between a message's arrival and its answer; with local
                           ///< feedback or micro-batches the client computes at the same time
  double link = 0;         ///< the rest of the wait for the answer

  double total() const { return client + compression + server + link; }
  Seconds& operator+=(const Seconds& other) {
    client += other.client;
    compression += other.compression;
    server += other.server;
    link += other.link;
    return *this;
  }
};

/// One training step.
struct StepReport {
  std::uint64_t step = 0;  ///< from 1
  double loss = 0;         ///< mean over the rows that were sent
  Index samples = 0;       ///< images in the batch
  Index sent_samples = 0;  ///< rows that crossed the cut
  Index sent_tokens = 0;   ///< tokens in each of them
  Index saturated = 0;     ///< activations too large for the codec, sent as its largest number
  std::string codec = {};  ///< what the codec has chosen, see codec::log_of
  Traffic traffic;
  Seconds seconds;
};

/// Several training steps. The accuracy of training is not defined for merged samples.
struct EpochReport {
  std::uint64_t steps = 0;
  double loss = 0;  ///< mean over the steps
  Index samples = 0, saturated = 0;
  Traffic traffic;
  Seconds seconds;

  void add(const StepReport& step) {
    ++steps;
    loss += (step.loss - loss) / static_cast<double>(steps);
    samples += step.samples;
    saturated += step.saturated;
    traffic += step.traffic;
    seconds += step.seconds;
  }
};

/// What happens at the cut in an evaluation. A bottleneck is always on.
enum class EvaluationMode : std::uint8_t {
  uncompressed,  ///< no stage, and numbers as they are
  compressed,    ///< as a model is deployed: stages that keep all samples, and the codec
};

/// How good the model is on data that it was not trained on.
struct Evaluation {
  /// The samples of one class; of soft labels, the most probable class counts.
  struct Class {
    Index correct = 0, samples = 0;
    friend bool operator==(const Class&, const Class&) = default;
  };

  double loss = 0;  ///< mean over samples
  Index correct = 0, samples = 0;
  Traffic traffic;
  std::vector<Class> classes = {};  ///< one for each class of the model

  /// Adds a batch; `loss` is then a sum. There are as many classes as the labels need.
  void add(double loss_sum, const std::vector<bool>& recognised, const Labels& labels) {
    loss += loss_sum;
    for (Index i = 0; i < labels.row_count(); ++i) {
      const Index one = recognised[static_cast<std::size_t>(i)] ? 1 : 0;
      Class& of_class = classes[static_cast<std::size_t>(labels.row(i).argmax())];
      of_class.correct += one;
      ++of_class.samples;
      correct += one;
    }
    samples += labels.row_count();
  }

  /// In [0, 1]; correct over samples.
  double accuracy() const {
    return samples == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(samples);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
