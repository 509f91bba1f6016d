// SPDX-License-Identifier: MIT
#include "split_train/group.hpp"

#include <algorithm>  // max
#include <cstddef>    // size_t
#include <cstdint>    // uint64_t
#include <cstdio>     // fprintf
#include <memory>     // make_shared, make_unique, shared_ptr
#include <stdexcept>  // invalid_argument
#include <utility>    // move

#include <splitvit/core/error.hpp>               // joined, StorageError, WireError
#include <splitvit/core/random.hpp>              // Rng
#include <splitvit/data/partition.hpp>           // labels_of, make_shares, parse_partition
#include <splitvit/data/subset.hpp>              // Subset
#include <splitvit/io/checkpoint_policy.hpp>     // EveryN
#include <splitvit/nn/weights.hpp>               // joined_weights
#include <splitvit/optim/adam.hpp>               // AdamW
#include <splitvit/split/aggregator.hpp>         // Aggregator
#include <splitvit/split/group_checkpoints.hpp>  // GroupCheckpoints

#include "split_train/agreed.hpp"         // agreed_settings, client_tail, no_files, ...
#include "split_train/checkpointing.hpp"  // checkpoint_folder, checkpoint_options, tell_found
#include "split_train/method.hpp"         // method_of
#include "split_train/schedule.hpp"       // schedule_text
#include "split_train/weights.hpp"        // saved_metadata

namespace split_train {

namespace sv = splitvit;

namespace {

sv::split::AnySharing<float> sharing_of(const Options& o) {
  if (o.sharing == "relay") return sv::split::Relay{};
  if (o.sharing == "averaged") return sv::split::Averaged<>{.per_round = o.per_round};
  return sv::split::Shared<>{.per_round = o.per_round};
}

sv::optim::AdamW rule_of(const Options& o) { return {.lr = o.lr, .weight_decay = o.weight_decay}; }

/// What all parties must have alike besides what the library compares.
sv::wire::Settings group_settings(const Options& o, const std::string& method, const Data& data) {
  auto all = agreed_settings(o, method, schedule_text(false, 0, 0),
                             data.digest.empty() ? no_files : data.digest);
  all.push_back({"clients", std::to_string(o.clients)});
  all.push_back({"sharing", o.sharing});
  all.push_back({"partition", o.partition});
  all.push_back({"per_round", std::to_string(o.per_round)});
  all.push_back({"turn", o.steps_of_turn ? std::to_string(*o.steps_of_turn) : "epoch"});
  return all;
}

/// Rounds in which all images are learnt from about once.
std::uint64_t rounds_of_epoch(const Options& o, const Data& data) {
  double of_epoch = 0, of_turns = 0;  // steps of all clients
  const auto shares = shares_of(o, data);
  for (const std::vector<Index>& share : shares) {
    const double steps = static_cast<double>((std::ssize(share) + o.batch - 1) / o.batch);
    of_epoch += steps;
    of_turns += o.steps_of_turn ? static_cast<double>(*o.steps_of_turn) : steps;
  }
  const auto clients = static_cast<double>(shares.size());
  const double members = o.sharing == "relay" ? 1
                         : o.per_round > 0    ? static_cast<double>(o.per_round)
                                              : clients;
  return static_cast<std::uint64_t>(std::max(1.0, of_epoch / (of_turns * members / clients)));
}

void tell_left_out(std::uint32_t client, std::uint64_t round, const sv::WireError& why) {
  if (why.reason() == sv::Reason::late) {
    std::fprintf(stderr, "split_train: client %u is late; the others go on without it\n",
                 static_cast<unsigned>(client));
    return;
  }
  const std::string of = client == 0 ? "" : "client " + std::to_string(client) + ": ";
  std::fprintf(stderr, "split_train: left out of the average of round %s: %s%s\n",
               std::to_string(round).c_str(), of.c_str(), why.what());
}

}  // namespace

std::vector<std::vector<Index>> shares_of(const Options& o, const Data& data) {
  try {
    return sv::data::make_shares(sv::data::labels_of(data.train), o.clients,
                                 sv::data::parse_partition(o.partition), o.seed);
  } catch (const std::invalid_argument& error) {
    throw UsageError(sv::joined(
        {"--clients ", o.clients, " --partition ", o.partition, ": ", without_operation(error)}));
  }
}

ClientWork work_of(const Options& o, const Data& data, std::uint32_t number,
                   std::vector<Index> share, Index ahead) {
  constexpr std::uint64_t purpose = 0x636c69656e74;  // "client"
  auto images =
      std::make_unique<const sv::data::AnyDataset>(sv::data::Subset{data.train, std::move(share)});
  auto how = loader_options(o, o.vit(data.train.classes()), data, true);
  how.seed = sv::Rng{.seed = o.seed}.at(purpose, number).bits();
  how.ahead = ahead;
  AnyLoader batches{*images, how};
  const auto epoch = static_cast<std::uint64_t>(batches.batches_per_epoch());
  return {.images = std::move(images),
          .batches = std::move(batches),
          .plan = {.steps = o.steps.value_or(static_cast<std::uint64_t>(o.epochs) * epoch),
                   .per_turn = o.steps_of_turn.value_or(epoch)}};
}

sv::split::ClientRole<float> client_role_of(const Options& o, const std::string& text,
                                            const Data& data) {
  const Method method = method_of(text);
  const sv::nn::VitConfig vit = o.vit(data.train.classes());
  return {sv::split::Learner<float>{started_part(o, vit, 0, o.cut, method).part,
                                    rule_of(o),
                                    {},
                                    {},
                                    client_tail(o, vit, method)},
          sv::split::CutSender<float>{method.stage, method.codec, o.seed}, o.drop_patches,
          o.distance_correlation};
}

sv::split::ClientOptions client_options_of(const Options& o, const std::string& method,
                                           const Data& data, std::uint32_t number) {
  return {.seed = o.seed,
          .client = number,
          .micro_batches = o.micro_batches,
          .agreed = group_settings(o, method, data)};
}

namespace {

/// Makes the checkpoints of a party, and calls use(checkpoints). Errors  As keep_checkpoints.
std::shared_ptr<const sv::split::Checkpoints> make_checkpoints(const Options& o,
                                                               const sv::report::Run& run,
                                                               const std::string& party,
                                                               sv::split::ShowState more,
                                                               const auto& use) try {
  auto how = checkpoint_options(o);
  how.more = std::move(more);
  for (const auto& [key, value] : run.settings) how.settings.push_back({key, value});
  const sv::io::EveryN policy{.steps =
                                  o.checkpoint_every.value_or(o.steps_of_turn.value_or(1'000))};
  const auto kept = std::make_shared<sv::split::Checkpoints>(
      checkpoint_folder(o, run.method, party), policy, how);
  use(kept);
  tell_found(*kept, o, o.role == Role::client ? "step" : "turn");
  return kept;
} catch (const sv::StorageError& error) {
  throw UsageError(error.what());
}

}  // namespace

std::shared_ptr<const sv::split::Checkpoints> keep_checkpoints(sv::split::Client<float>& client,
                                                               const Options& o,
                                                               const sv::report::Run& run,
                                                               const std::string& party,
                                                               sv::split::ShowState more) {
  return make_checkpoints(o, run, party, std::move(more),
                          [&](const auto& kept) { client.keep_checkpoints(kept); });
}

std::shared_ptr<const sv::split::Checkpoints> keep_checkpoints(
    sv::split::Server<float>& server, const Options& o, const sv::report::Run& run,
    const std::string& party, sv::split::ShowState more, std::function<void()> on_went_back,
    double share) {
  return make_checkpoints(o, run, party, std::move(more), [&](const auto& kept) {
    server.keep_group_checkpoints(kept, std::move(on_went_back), share);
  });
}

sv::split::GroupOptions group_options(const Options& o, const Data& data) {
  return {.clients = static_cast<std::uint32_t>(o.clients),
          .order = o.order,
          .seed = o.seed,
          .deadline = o.deadline,
          .evaluator = 1,
          .evaluate_every = rounds_of_epoch(o, data),
          .on_left_out = tell_left_out};
}

sv::split::Server<float> group_server(const Options& o, const std::string& text, const Data& data,
                                      const sv::split::GroupOptions& group) {
  const Method method = method_of(text);
  const sv::nn::VitConfig vit = o.vit(data.train.classes());
  return {sharing_of(o),
          group,
          [&o, vit, method] { return server_part(o, vit, method); },
          rule_of(o),
          method.codec,
          {.seed = o.seed,
           .method = method.stage.description(),
           .agreed = group_settings(o, text, data)}};
}

void save_average(const Options& o, const Data& data, const sv::split::Server<float>& server,
                  const sv::report::Run& run, bool is_best, Output& output) {
  if (!output.saves_models()) return;
  const auto parts = sv::split::all_parts(server.group()->client_parts(), server.part());
  output.save_model(run, sv::nn::joined_weights<float>(parts), saved_metadata(o, run.method, data),
                    is_best);
}

std::vector<sv::report::ClientSummary> summaries_of(const Options& o, const Data& data) {
  std::vector<sv::report::ClientSummary> all;
  for (const std::vector<Index>& share : shares_of(o, data)) {
    auto& one = all.emplace_back();
    one.client = static_cast<std::uint32_t>(all.size());
    one.images.resize(static_cast<std::size_t>(data.train.classes()));
    for (const Index i : share) ++one.images[static_cast<std::size_t>(data.train.label(i))];
  }
  return all;
}

}  // namespace split_train
