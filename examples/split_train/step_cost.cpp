// SPDX-License-Identifier: MIT
#include "split_train/step_cost.hpp"

#include <cstdint>   // uint64_t
#include <optional>  // nullopt, optional
#include <utility>   // exchange, move

#include <splitvit/core/parallel.hpp>       // with_threads
#include <splitvit/transport/any_link.hpp>  // AnyLink

#include "split_train/client_side.hpp"  // ClientSide
#include "split_train/dialling.hpp"     // dial, first_patience

namespace split_train {

namespace sv = splitvit;

namespace {

/// A source of one batch.
struct OneBatch {
  std::optional<sv::data::Batch<float>> batch;
  std::optional<sv::data::Batch<float>> next() { return std::exchange(batch, std::nullopt); }
};

/// Means of a few steps. The first one is not counted: it takes memory that later ones use again.
StepCost measure(ClientSide& side, const Options& options) {
  constexpr Index wanted = 3;
  StepCost cost{.steps_of_epoch = side.train.batches_per_epoch()};
  sv::split::EpochReport sum;
  for (Index epoch = 0; cost.measured < wanted; ++epoch)
    side.client.train_epoch(side.train.epoch(epoch), [&](const sv::split::StepReport& step) {
      if (step.step > 1) {
        sum.add(step);
        ++cost.measured;
      }
      return cost.measured < wanted;
    });
  const auto mean = [&](sv::split::Bytes& bytes) {
    bytes = {bytes.payload / sum.steps, bytes.framing / sum.steps};
  };
  cost.traffic = sum.traffic;
  mean(cost.traffic.up);
  mean(cost.traffic.down);
  const auto n = static_cast<double>(sum.steps);
  const sv::split::Seconds& all = sum.seconds;
  cost.seconds = {all.client / n, all.compression / n, all.server / n, all.link / n};
  for (const sv::split::EvaluationMode mode : options.evaluate)
    cost.evaluation += side.client.evaluate(OneBatch{side.test.epoch(0).next()}, mode).traffic;
  const auto times = static_cast<std::uint64_t>(side.test.batches_per_epoch());
  for (sv::split::Bytes* const bytes : {&cost.evaluation.up, &cost.evaluation.down})
    *bytes = {bytes->payload * times, bytes->framing * times};
  return cost;
}

}  // namespace

StepCost measure_steps(const Options& options, const std::string& method,
                       const sv::transport::Endpoint& server, const Data& data,
                       const std::function<void()>& before_goodbye) {
  return sv::with_threads(options.threads, [&] {
    ClientSide side{options, method, data};
    dial(
        options, server, first_patience,
        [&](sv::transport::AnyLink link) { side.client.reconnect(std::move(link)); }, [] {});
    const StepCost cost = measure(side, options);
    before_goodbye();
    side.client.close();
    return cost;
  });
}

}  // namespace split_train
