// SPDX-License-Identifier: MIT
#pragma once

#include <numeric>  // iota

#include <splitvit/autograd/variable.hpp>   // NoGrad, Variable
#include <splitvit/codec/any_codec.hpp>     // AnyCodec
#include <splitvit/compress/any_stage.hpp>  // AnyStage
#include <splitvit/core/labels.hpp>         // Labels
#include <splitvit/nn/part.hpp>             // AtCut, Part
#include <splitvit/split/cut.hpp>           // CutReceiver, CutSender, StepId
#include <splitvit/split/messages.hpp>      // ForwardMessage
#include <splitvit/wire/labels.hpp>         // read_labels

namespace splitvit::inline SPLITVIT_BUILD::leakage {

/// What a server sees of a batch.
template <std::floating_point T>
struct Seen {
  Tensor<T> tokens;                         ///< (K, P, w), decoded
  std::vector<std::vector<Index>> members;  ///< for each of the K rows, the samples it stands for

  /// For each of so many samples its row, or -1 if it was not sent.
  std::vector<Index> rows_of(Index samples) const {
    std::vector<Index> rows(static_cast<std::size_t>(samples), -1);
    for (std::size_t row = 0; row < members.size(); ++row)
      for (const Index sample : members[row])
        rows[static_cast<std::size_t>(sample)] = static_cast<Index>(row);
    return rows;
  }
};

/// Sends batches over a cut as training does, stage, encoder and codec included, and shows what
/// arrives: the attacker's side of an experiment, who also knows which samples a row was made of.
template <std::floating_point T>
class Tap {
 public:
  Tap(nn::Part<T> part, compress::AnyStage<T> stage, codec::AnyCodec<T> codec,
      std::uint64_t seed = 0)
      : part_{std::move(part)},
        sender_{std::move(stage), codec, seed},
        receiver_{std::move(codec), seed} {}

  const nn::Part<T>& part() const { return part_; }
  /// What the stage needs; see Part::to_cut.
  kernel::TokenStatistic required_statistic() const { return sender_.required_statistic(); }

  /// Each call is a step of training: new draws, and codecs with tables learn.
  /// Shapes  images (B, channels, image, image). Errors  those of the part, the stage and the
  /// codec.
  Seen<T> operator()(const Tensor<T>& images) {
    const NoGrad no_grad;
    return send(part_.to_cut(Variable<T>{images}, NeedWeights::cls, required_statistic()));
  }
  /// The same of what the part has computed.
  Seen<T> send(nn::AtCut<T> at_cut) {
    const Index B = at_cut.tokens.dim(0);
    std::vector<Index> numbers(static_cast<std::size_t>(B));
    std::iota(numbers.begin(), numbers.end(), Index{0});
    // Each sample has a class of its own, so the labels of a row tell its members.
    nn::Part<T> numbered = part_;
    numbered.config.classes = B;
    split::ForwardMessage message;
    const split::StepId id{.step = ++step_};
    sender_.send(id, numbered, std::move(at_cut), Labels{std::move(numbers)}, message);
    const auto labels = wire::read_labels(message.labels, message.samples, B);
    numbered.config.dim = part_.output_width();  // nothing decodes what an encoder has made
    auto came = receiver_.receive(id, numbered, message);
    sender_.commit();
    receiver_.commit();
    Seen<T> seen{.tokens = came.tokens.value(), .members = {}};
    for (Index row = 0; row < message.samples; ++row) {
      const auto classes = labels.row(row).classes;
      seen.members.emplace_back(classes.begin(), classes.end());
    }
    return seen;
  }

 private:
  nn::Part<T> part_;
  split::CutSender<T> sender_;
  split::CutReceiver<T> receiver_;
  std::uint64_t step_ = 0;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::leakage
