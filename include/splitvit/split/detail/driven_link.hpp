// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // copy_n, min
#include <functional>  // function
#include <memory>      // make_shared, shared_ptr

#include <splitvit/core/error.hpp>          // Reason, TransportError
#include <splitvit/transport/concepts.hpp>  // Transport

namespace splitvit::inline SPLITVIT_BUILD::split::detail {

/// One end of a link between two parties that one thread drives. A write never waits. A read that
/// finds nothing first calls what drive_by() was given, which lets the other party go on.
///
/// Errors  std::logic_error for a read that finds nothing even then: nobody else could write.
class DrivenLink {
 public:
  /// Both ends of a new link.
  static std::pair<DrivenLink, DrivenLink> pair() {
    const auto there = std::make_shared<Queue>(), back = std::make_shared<Queue>();
    return {DrivenLink{back, there}, DrivenLink{there, back}};
  }
  void drive_by(std::function<void()> drive) { drive_ = std::move(drive); }

  DrivenLink(DrivenLink&&) = default;
  DrivenLink& operator=(DrivenLink&&) = default;
  ~DrivenLink() {
    for (const auto& queue : {in_, out_})
      if (queue) queue->is_closed = true;
  }

  std::size_t read_some(std::span<std::byte> into) {
    if (in_->is_empty() && !in_->is_closed && drive_) drive_();
    if (in_->is_empty() && in_->is_closed) return 0;
    if (in_->is_empty())
      throw std::logic_error("DrivenLink: a party waits for bytes that nobody can write");
    const std::size_t n = std::min(into.size(), in_->bytes.size() - in_->read);
    std::copy_n(in_->bytes.begin() + static_cast<std::ptrdiff_t>(in_->read), n, into.begin());
    in_->read += n;
    if (in_->is_empty()) *in_ = {.is_closed = in_->is_closed};  // keeps no memory
    return n;
  }
  std::size_t write_some(std::span<const std::byte> from) {
    if (out_->is_closed)
      throw TransportError(Reason::closed, "DrivenLink: write: the peer closed the link");
    out_->bytes.insert(out_->bytes.end(), from.begin(), from.end());
    return from.size();
  }

 private:
  struct Queue {
    std::vector<std::byte> bytes = {};
    std::size_t read = 0;  // of them
    bool is_closed = false;

    bool is_empty() const { return read == bytes.size(); }
  };

  DrivenLink(std::shared_ptr<Queue> in, std::shared_ptr<Queue> out)
      : in_{std::move(in)}, out_{std::move(out)} {}

  std::shared_ptr<Queue> in_, out_;
  std::function<void()> drive_;
};

static_assert(transport::Transport<DrivenLink>);

}  // namespace splitvit::inline SPLITVIT_BUILD::split::detail
