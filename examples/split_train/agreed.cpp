// SPDX-License-Identifier: MIT
#include "split_train/agreed.hpp"

#include <splitvit/report/format.hpp>  // shortest

#include "split_train/schedule.hpp"  // schedule_setting

namespace split_train {

namespace sv = splitvit;

sv::wire::Settings agreed_settings(const Options& options, const std::string& method,
                                   const std::string& schedule, const std::string& data) {
  return {{"seed", std::to_string(options.seed)},
          {"lr", sv::report::shortest(options.lr)},
          {"weight_decay", sv::report::shortest(options.weight_decay)},
          {schedule_setting, schedule},
          {"start", options.file ? "weights with digest " + options.weights_digest : "random"},
          {data_setting, data},
          {method_setting, method}};
}

StartedPart started_part(const Options& options, const sv::nn::VitConfig& vit, Index first,
                         Index last, const Method& method) {
  StartedPart started{sv::nn::make_part<float>(vit, first, last, {.seed = options.seed})};
  auto& part = started.part;
  if (options.recompute) part.blocks.recompute(last - first);
  part.use(options.compute);
  if (method.bottleneck && first == 0)
    part.encoder = sv::nn::make_encoder<float>(vit.dim, *method.bottleneck, {.seed = options.seed});
  else if (method.bottleneck && first == options.cut)
    part.decoder = sv::nn::make_decoder<float>(vit.dim, *method.bottleneck, {.seed = options.seed});
  if (options.file) started.loaded = sv::nn::load_weights<float>(part, vit, *options.file);
  return started;
}

Index end_of_server(const Options& options, const sv::nn::VitConfig& vit) {
  return options.second_cut > 0 ? options.second_cut : vit.depth;
}

sv::nn::Part<float> server_part(const Options& options, const sv::nn::VitConfig& vit,
                                const Method& method) {
  auto part = started_part(options, vit, options.cut, end_of_server(options, vit), method).part;
  if (options.second_cut > 0) part.classifier.reset();  // the client has it
  return part;
}

std::optional<sv::nn::Part<float>> client_tail(const Options& options, const sv::nn::VitConfig& vit,
                                               const Method& method) {
  if (options.second_cut == 0) return std::nullopt;
  return started_part(options, vit, options.second_cut, vit.depth, method).part;
}

}  // namespace split_train
