// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max
#include <numeric>    // iota

#include <splitvit/core/error.hpp>         // ArgumentError
#include <splitvit/core/labels.hpp>        // Labels
#include <splitvit/core/shape.hpp>         // Index
#include <splitvit/core/workspace.hpp>     // RecycledVector
#include <splitvit/split/client_role.hpp>  // ClientRole
#include <splitvit/split/options.hpp>      // ClientOptions
#include <splitvit/split/report.hpp>       // StepReport, Timer
#include <splitvit/tensor/tensor.hpp>      // Tensor
#include <splitvit/wire/connection.hpp>    // Connection, MessageKind

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Part i of a batch that is cut into n contiguous parts, whose sizes differ by at most one.
///
/// Shapes  images (B, ...), labels: B rows, n at most B -> (b, ...) and b rows, at least one.
template <std::floating_point T>
std::pair<Tensor<T>, Labels> batch_part(const Tensor<T>& images, const Labels& labels, Index i,
                                        Index n) {
  const Index begin = images.dim(0) * i / n, end = images.dim(0) * (i + 1) / n;
  RecycledVector<Index> rows(static_cast<std::size_t>(end - begin));
  std::iota(rows.begin(), rows.end(), begin);
  const TensorView<const T> some = images.view().slice(begin, end);
  return {Tensor<T>{some.shape(), some.span()}, labels.gather(rows)};
}

/// Errors  std::invalid_argument for a number of micro-batches that a client cannot have.
inline void require_micro_batches(Index count, bool has_tail) {
  if (count < 1 || count > wire::most_parts)
    throw ArgumentError({"Client: micro_batches ", count, ", wanted 1 to ", wire::most_parts});
  if (count > 1 && has_tail)
    throw ArgumentError({"Client: ", count, " micro_batches of a client with a tail, wanted 1"});
}

/// The messages of one step, at a client. While the server has a part, the next one is computed and
/// sent, where a thread reads meanwhile; elsewhere it is computed only. The role is asked in the
/// same order everywhere: for each part but the first its forward pass, then the answer to the part
/// before it.
template <std::floating_point T>
class Exchange {
 public:
  /// All but `options` must outlive it.
  /// Errors  As ClientRole::forward, for images or labels that do not fit.
  Exchange(ClientRole<T>& role, wire::Connection& connection, Tensor<T> images,
           const Labels& labels, const ClientOptions& options, StepReport& report)
      : role_{role},
        connection_{connection},
        images_{std::move(images)},
        labels_{labels},
        client_{options.client},
        parts_{std::clamp<Index>(labels.row_count(), 1, options.micro_batches)},
        report_{report} {
    if (parts_ > 1) role.require_batch("train_step", images_, labels);
  }

  /// The payload of the first forward message. Errors  As ClientRole::forward.
  auto first() { return forward(0); }

  /// After the first message was queued: sends the others, and takes all answers. Returns false if
  /// the server has answered that the other clients of the group have gone on; both sides have
  /// dropped the step then.
  /// Errors  As ClientRole's functions, and Connection's.
  bool finish() {
    const bool sends_ahead = connection_.reads_ahead();
    for (Index i = 1; i < parts_; ++i) {
      write();
      const auto payload = forward(i);
      if (!sends_ahead && !take_answer()) return false;
      connection_.session()->send_step(payload);
      if (!sends_ahead) continue;
      write();
      if (!take_answer()) return false;
    }
    if (role_.learner().local_head()) write();
    if (!take_answer()) return false;
    report_.seconds.link = std::max(0.0, waited_ - report_.seconds.server);
    return true;
  }

 private:
  auto forward(Index i) {
    const StepId id{
        .client = client_, .step = report_.step, .micro = static_cast<std::uint32_t>(i)};
    if (parts_ == 1) return role_.forward(id, std::move(images_), labels_, report_);
    auto [images, labels] = batch_part(images_, labels_, i, parts_);
    return role_.forward(id, std::move(images), labels, report_, labels_.row_count());
  }

  /// Then the server computes meanwhile.
  void write() {
    Timer timer;
    connection_.flush();
    waited_ += timer.lap();
    role_.learn_locally(report_);
  }

  bool take_answer() {
    Timer timer;
    const wire::Event answer = connection_.next();
    waited_ += timer.lap();
    if (answer.kind == wire::MessageKind::turn) {
      role_.miss_turn(answer.payload);
      connection_.session()->drop_step();
      return false;
    }
    wire::require_kind(answer, wire::MessageKind::backward);
    if (role_.has_tail() && !has_loss_) {
      has_loss_ = true;
      const StepId id{.client = client_, .step = report_.step};
      connection_.session()->send_step(role_.take_loss(id, answer.payload, report_));
      return take_answer();
    }
    role_.backward(answer.payload, report_);
    return true;
  }

  ClientRole<T>& role_;
  wire::Connection& connection_;
  Tensor<T> images_;
  const Labels& labels_;
  std::uint32_t client_;
  Index parts_;
  StepReport& report_;
  double waited_ = 0;      // seconds
  bool has_loss_ = false;  // with a tail: the second message is sent
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
