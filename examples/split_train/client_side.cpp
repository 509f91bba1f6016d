// SPDX-License-Identifier: MIT
#include "split_train/client_side.hpp"

#include <algorithm>  // max, min
#include <chrono>     // minutes
#include <cstdint>    // uint64_t
#include <optional>   // optional
#include <utility>    // move

#include <splitvit/autograd/variable.hpp>     // NoGrad, Variable
#include <splitvit/nn/part.hpp>               // Part
#include <splitvit/nn/principal_axes.hpp>     // pca_bottleneck, TokenMoments
#include <splitvit/optim/adam.hpp>            // AdamW
#include <splitvit/wire/session_options.hpp>  // SessionOptions

#include "split_train/agreed.hpp"        // agreed_settings, no_files, started_part
#include "split_train/augmentation.hpp"  // augmentation_of
#include "split_train/limits.hpp"        // largest_batch
#include "split_train/method.hpp"        // method_of
#include "split_train/schedule.hpp"      // schedule_of, schedule_text

namespace split_train {

namespace sv = splitvit;

sv::data::LoaderOptions loader_options(const Options& options, const sv::nn::VitConfig& vit,
                                       const Data& data, bool training) {
  const Index of_test = std::min(std::max<Index>(options.batch, 32), largest_batch(vit));
  return {.batch = training ? options.batch : of_test,
          .image = vit.image,
          .shuffle = training,
          .augment = augmentation_of(training ? options.augment : "none"),
          .normalise = data.statistics,
          .seed = options.seed};
}

namespace {

std::string schedule_for(const Options& options, const AnyLoader& train) {
  return schedule_text(
      options.cosine,
      options.steps.value_or(static_cast<std::uint64_t>(options.epochs) *
                             static_cast<std::uint64_t>(train.batches_per_epoch())),
      options.warmup);
}

/// Of some batches of training images.
sv::nn::TokenMoments tokens_at_cut(const sv::nn::Part<float>& part, const AnyLoader& train) {
  constexpr int batches = 8;
  const sv::NoGrad no_grad;
  sv::nn::TokenMoments moments{part.config.dim};
  auto source = train.epoch(0);
  for (int i = 0; i < batches; ++i)
    if (const auto batch = source.next())
      moments.add(
          part.to_cut(sv::Variable<float>{batch->images}, sv::NeedWeights::none).tokens.value());
  return moments;
}

/// The role before the first step.
sv::split::ClientRole<float> start_role(const Options& options, const Method& method,
                                        const sv::nn::VitConfig& vit, const AnyLoader& train) {
  auto [part, loaded] = started_part(options, vit, 0, options.cut, method);
  const bool from_file = !options.weights.empty() && !loaded.bottleneck_kept;
  const bool by_pca = method.bottleneck && method.bottleneck->start == sv::nn::BottleneckStart::pca;
  std::optional<sv::nn::Decoder<float>> decoder;  // for the server to start with
  if (by_pca && !from_file) {
    auto pair = sv::nn::pca_bottleneck<float>(tokens_at_cut(part, train), *method.bottleneck);
    part.encoder = std::move(pair.encoder);
    decoder = std::move(pair.decoder);
  }
  sv::split::ClientRole<float> role{
      sv::split::Learner<float>{
          std::move(part),
          sv::optim::AdamW{.lr = options.lr, .weight_decay = options.weight_decay},
          {.schedule = schedule_of(schedule_for(options, train), options.lr)},
          method.feedback,
          client_tail(options, vit, method)},
      sv::split::CutSender<float>{method.stage, method.codec, options.seed}, options.drop_patches,
      options.distance_correlation};
  if (decoder) role.give_decoder(*decoder);
  return role;
}

/// In role both the link closes if either process ends. So silence means nothing there but that a
/// busy machine gave one of them no time.
sv::wire::SessionOptions session_options(Role role) {
  if (role != Role::both) return {};
  return {.handshake_timeout = std::chrono::minutes{10}, .heartbeat = {}};
}

}  // namespace

ClientSide::ClientSide(const Options& options, const std::string& method, const Data& data)
    : vit{options.vit(data.train.classes())},
      train{data.train, loader_options(options, vit, data, true)},
      test{data.test, loader_options(options, vit, data, false)},
      client{start_role(options, method_of(method), vit, train),
             {.seed = options.seed,
              .micro_batches = options.micro_batches,
              .session = session_options(options.role),
              .agreed = agreed_settings(options, method, schedule_for(options, train),
                                        data.digest.empty() ? no_files : data.digest)}} {}

}  // namespace split_train
