// SPDX-License-Identifier: MIT
#pragma once

#include <compare>  // operator<=>
#include <cstddef>  // byte, size_t
#include <cstdint>  // uint32_t, uint64_t
#include <span>     // span
#include <string>   // string, to_string
#include <utility>  // move, swap
#include <vector>   // vector

#include <splitvit/core/bytes.hpp>  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>  // WireError

// ReplyCache: a server applies every step exactly once, even if the client sends it again.

namespace splitvit::wire {

/// The number of a forward message and of its reply. A step has one part or several.
struct StepNumber {
  std::uint64_t step = 0;   ///< from 1
  std::uint32_t micro = 0;  ///< part of the step, from 0

  std::string text() const {
    return "step " + std::to_string(step) +
           (micro > 0 ? " (part " + std::to_string(micro) + ")" : "");
  }
  friend auto operator<=>(const StepNumber&, const StepNumber&) = default;
};

/// Numbers steps from 1 and keeps the replies to the last one.
///
/// The current step has replies of its own. When it is committed, they replace the replies to the
/// last step. The memory of replies is reused.
class ReplyCache {
 public:
  enum class Verdict {
    compute,  ///< new: compute it and store the reply
    resend,   ///< a part of the last step: send reply_to() again, compute nothing
  };

  /// What to do with a message of this number.
  ///
  /// Errors  WireError (wrong_step) unless it is the next part of the current step, or a part of
  ///         the last step whose reply is kept.
  Verdict check(StepNumber at) const {
    if (at == next() && at.micro < most_parts) return Verdict::compute;
    if (at.step == last_ && last_ > 0 && at.micro < replies_.used) return Verdict::resend;
    throw WireError(Reason::wrong_step, at.text() + " came, " + next().text() + " was expected");
  }

  /// The number that is computed next.
  StepNumber next() const { return {last_ + 1, static_cast<std::uint32_t>(under_way_.used)}; }
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
    if (under_way_.used == under_way_.buffers.size()) under_way_.buffers.emplace_back();
    std::vector<std::byte>& reply = under_way_.buffers[under_way_.used];
    reply.clear();
    replying_ = true;
    return reply;
  }
  /// The reply in new_reply() before keep(); else null.
  const std::vector<std::byte>* begun_reply() const {
    return replying_ ? &under_way_.buffers[under_way_.used] : nullptr;
  }
  /// The reply in new_reply() is complete.
  void keep() {
    ++under_way_.used;
    replying_ = false;
  }
  /// All parts of the current step are applied. Its replies replace the replies to the last step.
  void commit() {
    std::swap(replies_, under_way_);
    discard();
    ++last_;
  }
  /// Forgets the current step. The client sends it again from its first part.
  void discard() {
    under_way_.used = 0;
    replying_ = false;
  }

  /// The reply to a part of the last step, or to an earlier part of the current step.
  std::span<const std::byte> reply_to(StepNumber at) const {
    const Replies& from = at.step == last_ ? replies_ : under_way_;
    return from.buffers.at(at.micro);
  }

  /// What a checkpoint must keep. See core/state.hpp.
  void each_state(auto&& see) {
    see("last_step", last_);
    std::vector<std::byte> bytes;  // all replies, each behind its length
    ByteWriter out{bytes};
    for (std::size_t i = 0; i < replies_.used; ++i) {
      out.put(std::uint64_t{replies_.buffers[i].size()});
      out.put_bytes(replies_.buffers[i]);
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
  static constexpr std::uint64_t most_parts = 65536;

  struct Replies {
    std::vector<std::vector<std::byte>> buffers;
    std::size_t used = 0;
  };

  std::uint64_t last_ = 0;
  Replies replies_;        // of the last step
  Replies under_way_;      // of the current step
  bool replying_ = false;  // between new_reply() and keep()
};

}  // namespace splitvit::wire
