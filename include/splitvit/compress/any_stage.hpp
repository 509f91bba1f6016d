// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function

#include <splitvit/compress/concepts.hpp>  // CompressionStage
#include <splitvit/core/options.hpp>       // describe

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// Any stage for element type T, chosen while the program runs. Costs one indirect call a batch.
///
///   AnyStage<float> stage = compressed ? AnyStage<float>{adc(0.1)} : Identity{};
template <std::floating_point T>
class AnyStage {
 public:
  // CompressionStage is checked in the body: as a constraint it would depend on itself.
  template <class Stage>
    requires(!std::same_as<Stage, AnyStage>)
  AnyStage(Stage stage)
      : description_{describe(stage)},
        required_{required_statistic_of(stage)},
        evaluation_{[stage] { return AnyStage{compress::in_evaluation(stage)}; }},
        stage_{std::move(stage)} {
    static_assert(CompressionStage<Stage, T>, "AnyStage holds a compression stage");
  }

  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const {
    return stage_(std::move(batch), rng);
  }

  kernel::TokenStatistic required_statistic() const { return required_; }

  /// See compress/concepts.hpp.
  AnyStage in_evaluation() const { return evaluation_(); }

  std::string description() const { return description_; }

 private:
  std::string description_;
  kernel::TokenStatistic required_;
  std::function<AnyStage()> evaluation_;
  std::function<CutBatch<T>(CutBatch<T>, Rng&)> stage_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
