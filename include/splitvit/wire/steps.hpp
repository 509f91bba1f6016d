// SPDX-License-Identifier: MIT
#pragma once

#include <compare>  // operator<=>

#include <splitvit/core/bytes.hpp>  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>  // joined, Reason, WireError
#include <splitvit/core/state.hpp>  // show_u32
#include <splitvit/wire/frame.hpp>  // message_ceiling

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// The number of a forward message and of its reply. A step has one part or several.
struct StepNumber {
  std::uint64_t step = 0;   ///< from 1
  std::uint32_t micro = 0;  ///< part of the step, from 0

  std::string text() const {
    return micro > 0 ? joined({"step ", step, " (part ", micro, ")"}) : joined({"step ", step});
  }
  friend auto operator<=>(const StepNumber&, const StepNumber&) = default;
};

/// What a step's number takes in a message: u64 step and u32 part.
inline constexpr std::size_t step_number_bytes = 12;

/// The newest part of a step that has passed in one direction.
struct StepMark {
  std::uint64_t step = 0;
  std::uint32_t parts = 0;  ///< of that step

  bool has_passed(StepNumber at) const {
    return at.step < step || (at.step == step && at.micro < parts);
  }
  /// Remembers that `at` passes now. Returns whether it had passed before.
  bool pass(StepNumber at) {
    if (has_passed(at)) return true;
    step = at.step;
    parts = at.micro + 1;
    return false;
  }
  /// See core/state.hpp.
  void each_state(const std::string& prefix, auto&& see) {
    see(prefix + "step", step);
    show_u32(see, prefix + "parts", parts);
  }
};

/// A step has at most so many parts.
inline constexpr std::uint32_t most_parts = 64;

/// Counts the parts of a client's step that are sent and, in order, answered. `last` is the last
/// step that the client has applied.
class ClientStep {
 public:
  /// The number of the part that is sent next.
  StepNumber next(std::uint64_t last) const { return {last + 1, sent_}; }
  void sent() { ++sent_; }

  /// Errors  WireError (wrong_step) unless it answers the first part that waits for one.
  void answered(StepNumber at, std::uint64_t last) {
    const StepNumber expected{last + 1, answered_};
    if (answered_ == sent_ || at != expected)
      throw WireError(Reason::wrong_step,
                      {"backward: an answer to ", at.text(), " came, ",
                       answered_ == sent_ ? "none" : "one to " + expected.text(), " was expected"});
    ++answered_;
  }

  /// Errors  std::logic_error unless parts are sent and all of them are answered.
  void require_answers(std::uint64_t last) const {
    if (sent_ == 0 || answered_ != sent_)
      throw std::logic_error(joined(
          {"commit: ", answered_, " of ", sent_, " parts of step ", last + 1, " are answered"}));
  }

 private:
  std::uint32_t sent_ = 0, answered_ = 0;
};

/// Numbers the steps of a server from 1, and keeps the replies to the current and the last one, so
/// that a step is applied once even if the client sends it again. Memory of replies is reused, as
/// long as those of a step have no more than a message.
class ReplyCache {
 public:
  enum class Verdict {
    compute,  ///< new: compute it and store the reply
    resend,   ///< a part of the last step: send reply_to() again, compute nothing
    ignore,   ///< a further part of a step that was dropped
  };

  /// What to do with a message of this number.
  ///
  /// Errors  WireError (wrong_step) unless it is the next part of most_parts, or one of the last
  ///         step whose reply is kept.
  Verdict check(StepNumber at) const {
    if (dropped_ && at.step == last_ + 1 && at.micro > 0) return Verdict::ignore;
    if (at == next() && at.micro < most_parts) return Verdict::compute;
    if (at.step == last_ && last_ > 0 && at.micro < replies_.used) return Verdict::resend;
    throw WireError(Reason::wrong_step, {at.text(), " came, ", next().text(), " was expected"});
  }

  /// The number that is computed next.
  StepNumber next() const { return {last_ + 1, static_cast<std::uint32_t>(current_.used)}; }
  /// The last step that is committed; 0: none.
  std::uint64_t last() const { return last_; }
  /// Whether the last step can be answered again.
  bool has_replies() const { return replies_.used > 0; }
  /// For a party that continues from a checkpoint. It has no replies.
  void restart(std::uint64_t last) {
    last_ = last;
    replies_.used = 0;
    discard();
  }

  /// An empty buffer for the reply to next(). Call keep() when the reply is complete.
  std::vector<std::byte>& new_reply() {
    if (current_.used == 0 && current_.memory() > message_ceiling) current_.buffers.clear();
    if (current_.used == current_.buffers.size()) current_.buffers.emplace_back();
    replying_ = true;
    dropped_ = false;
    current_.buffers[current_.used].clear();
    return current_.buffers[current_.used];
  }
  /// The reply in new_reply() before keep(); else null.
  const std::vector<std::byte>* begun_reply() const {
    return replying_ ? &current_.buffers[current_.used] : nullptr;
  }
  /// Errors  WireError (too_long) if the replies to the current step, with that in new_reply(),
  ///         have more than `most` bytes.
  void require_room(std::uint64_t most) const {
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i <= current_.used; ++i) bytes += current_.buffers[i].size();
    if (bytes > most)
      throw WireError(Reason::too_long, {"backward: the replies to ", next().text(), " have ",
                                         bytes, " bytes, at most ", most, " are agreed"});
  }
  /// The reply in new_reply() is complete.
  void keep() {
    ++current_.used;
    replying_ = false;
  }
  /// All parts of the current step are applied. Its replies replace the replies to the last step.
  void commit() {
    std::swap(replies_, current_);
    discard();
    ++last_;
  }
  /// Forgets the current step. The client sends it again from its first part.
  void discard() {
    current_.used = 0;
    replying_ = dropped_ = false;
  }
  /// The same, and the client knows: it may have sent further parts before, and nothing else comes
  /// than its first part.
  void drop() {
    discard();
    dropped_ = true;
  }

  /// The reply to a part of the last step, or to an earlier part of the current step.
  std::span<const std::byte> reply_to(StepNumber at) const {
    return (at.step == last_ ? replies_ : current_).buffers.at(at.micro);
  }

  /// What a checkpoint must keep. See core/state.hpp.
  void each_state(auto&& see) {
    see("last_step", last_);
    std::vector<std::byte> bytes;  // all replies, each after its length
    for (std::size_t i = 0; i < replies_.used; ++i) {
      ByteWriter{bytes}.put(std::uint64_t{replies_.buffers[i].size()});
      ByteWriter{bytes}.put_bytes(replies_.buffers[i]);
    }
    see("replies", bytes);
    Replies shown;
    for (ByteReader in{bytes, "replies"}; in.left() > 0; ++shown.used) {
      const auto size = in.get<std::uint64_t>();
      if (size > in.left()) throw WireError(Reason::truncated, "replies: a reply ends too early");
      const auto reply = in.get_bytes(static_cast<std::size_t>(size));
      shown.buffers.emplace_back(reply.begin(), reply.end());
    }
    replies_ = std::move(shown);
  }

 private:
  struct Replies {
    std::vector<std::vector<std::byte>> buffers;
    std::size_t used = 0;

    std::uint64_t memory() const {
      std::uint64_t bytes = 0;
      for (const auto& reply : buffers) bytes += reply.capacity();
      return bytes;
    }
  };

  std::uint64_t last_ = 0;
  Replies replies_;        // of the last step
  Replies current_;        // of the current step
  bool replying_ = false;  // between new_reply() and keep()
  bool dropped_ = false;   // the step was, and its first part has not come again
};

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
