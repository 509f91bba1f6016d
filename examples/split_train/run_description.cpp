// SPDX-License-Identifier: MIT
#include "split_train/run_description.hpp"

#include <algorithm>   // min
#include <filesystem>  // path

#include <splitvit/core/text.hpp>      // counted
#include <splitvit/report/format.hpp>  // shortest

#include "split_train/build_info.hpp"  // build_info
#include "split_train/method.hpp"      // method_of

namespace split_train {

namespace sv = splitvit;

namespace {

/// When to stop, as people read it.
std::string length_text(const Options& o) {
  if (o.eval_only) return "evaluation only";
  const std::string steps = o.steps ? sv::counted(*o.steps, "step") : "";
  if (o.budget_mib)
    return sv::report::shortest(*o.budget_mib) + " MiB" + (o.steps ? " or " + steps : "");
  return o.steps ? steps : sv::counted(o.epochs, "epoch");
}

std::string evaluation_text(const Options& o, bool has_bottleneck) {
  using enum sv::split::EvaluationMode;
  const std::string compressed_text =
      has_bottleneck ? "token stages, bottleneck and codec" : "token stages and codec";
  if (o.evaluate.front() == compressed) return compressed_text;
  return (has_bottleneck ? "no stages or codec, but the bottleneck" : "uncompressed") +
         (o.evaluate.size() > 1 ? "; and with " + compressed_text : "");
}

std::string augmentation_text(const Options& o) {
  if (o.drop_patches == 0) return o.augment;
  return o.augment + ", share of patches dropped " + sv::report::shortest(o.drop_patches);
}

std::string optimiser_text(const Options& o) {
  std::string text = "Adam, lr " + sv::report::shortest(o.lr);
  if (o.weight_decay > 0) text += ", weight decay " + sv::report::shortest(o.weight_decay);
  if (o.warmup > 0) text += ", rising for " + std::to_string(o.warmup) + " steps";
  if (o.cosine) text += ", falling as a cosine";
  if (o.distance_correlation > 0)
    text += ", distance correlation times " + sv::report::shortest(o.distance_correlation);
  return text;
}

}  // namespace

sv::report::Run describe_run(const Options& o, const std::string& method, const Data& data) {
  const auto number = [](auto n) { return std::to_string(n); };
  const sv::nn::VitConfig vit = o.vit(data.train.classes());
  sv::report::Run run{
      .method = method,
      .seed = o.seed,
      .settings = {{"data", data.name},
                   {"training images", number(data.train.size())},
                   {"test images", number(data.test.size())},
                   {"classes", number(data.train.classes())},
                   {"model", o.model},
                   {"image", number(vit.image)},
                   {"blocks", number(vit.depth)},
                   {"cut after block", cuts_text(o)},
                   {"start", o.weights.empty()
                                 ? "random"
                                 : std::filesystem::path{o.weights}.filename().string()},
                   {"batch", number(std::min(o.batch, data.train.size()))},
                   {"length", length_text(o)},
                   {"evaluation", evaluation_text(o, method_of(method).bottleneck.has_value())},
                   {"optimiser", optimiser_text(o)},
                   {"augmentation", augmentation_text(o)},
                   {o.role == Role::both     ? "compute"
                    : o.role == Role::server ? "compute of the server"
                                             : "compute of the client",
                    compute_text(o.compute)}},
      .rows = {},
      .test_samples = static_cast<std::uint64_t>(data.test.size()),
      .evaluation_traffic = {}};
  if (o.clients > 0) {
    const std::string turn = o.steps_of_turn ? sv::counted(*o.steps_of_turn, "step") : "an epoch";
    run.settings.push_back({"clients", number(o.clients)});
    if (o.client > 0) run.settings.push_back({"number of the client", number(o.client)});
    run.settings.push_back(
        {"sharing", o.sharing +
                        (o.sharing == "relay" ? ", handed on after " : ", averaged after ") + turn +
                        " of a client"});
    if (o.sharing != "relay")
      run.settings.push_back({"clients in a round", o.per_round > 0 ? number(o.per_round) : "all"});
    if (o.client == 0) {
      if (o.deadline.count() > 0)
        run.settings.push_back(
            {"late clients", "skipped after " + number(o.deadline.count()) + " s: not repeatable"});
      run.settings.push_back({"order of steps", o.order == sv::split::Order::fixed
                                                    ? "fixed"
                                                    : "as they arrive: not repeatable"});
    }
    run.settings.push_back({"partition", o.partition});
  }
  if (o.micro_batches > 1) run.settings.push_back({"parts of a batch", number(o.micro_batches)});
  if (!data.digest.empty()) run.settings.push_back({"digest of the data", data.digest});
  if (o.start) {
    run.settings.push_back({"weights", data.weights_notes});
    run.settings.push_back({"digest of the weights", o.weights_digest});
  }
  if (!data.skipped.empty()) run.settings.push_back({"files skipped", number(data.skipped.size())});
  run.program = build_info();
  run.options = o.effective;
  return run;
}

}  // namespace split_train
