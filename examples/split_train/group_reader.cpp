// SPDX-License-Identifier: MIT
#include "split_train/group_reader.hpp"

#include <algorithm>  // min
#include <chrono>     // seconds
#include <cstddef>    // size_t
#include <cstdint>    // int64_t, uint64_t
#include <optional>   // nullopt, optional
#include <stdexcept>  // invalid_argument

#include <splitvit/core/error.hpp>      // joined
#include <splitvit/core/text.hpp>       // counted, number_from
#include <splitvit/data/partition.hpp>  // parse_partition
#include <splitvit/split/rounds.hpp>    // Order

#include "split_train/cluster.hpp"  // join_cluster

namespace split_train {

namespace sv = splitvit;

namespace {

constexpr std::int64_t most_clients = 100'000;

void require_that(bool holds, const std::string& text) {
  if (!holds) throw UsageError(text);
}

/// Steps, or nothing for an epoch. Errors  UsageError naming the option.
std::optional<std::uint64_t> steps_from(const std::string& option, const std::string& text) {
  constexpr std::uint64_t most = 1'000'000'000;
  if (text == "epoch") return std::nullopt;
  const auto steps = sv::number_from<std::uint64_t>(text);
  if (!steps || *steps < 1 || *steps > most)
    OptionList::refuse(option, text,
                       sv::joined({"epoch, or a whole number of steps from 1 to ", most}));
  return steps;
}

}  // namespace

void GroupReader::add_to(OptionList& list, Options& o) {
  list.choice<bool>("--link", is_in_cluster_, {{"tcp", false}, {"mpi", true}},
                    "mpi: the processes of an MPI job train one model, rank 0 as the server, each "
                    "other one as a client");
  of_clients_ = list.whole(
      "--clients", o.clients, 1, most_clients,
      "clients that train one model together, each with its share of the images; with "
      "--role both all of them are simulated in this process; --steps and --epochs count "
      "each client's own");
  of_client_ = list.text("--client", client_,
                         "I/N: with --role client, the number of this client, from 1, and how many "
                         "there are");
  of_sharing_ = list.choice<std::string>(
      "--sharing", o.sharing, {{"shared", "shared"}, {"averaged", "averaged"}, {"relay", "relay"}},
      "shared, which is the default: one server part for all clients, whose parts are averaged; "
      "averaged: a server part for each, averaged, too; relay: one client after the other, which "
      "hands its weights on");
  of_average_every_ =
      list.text("--average-every", average_every_,
                "steps of each client between two averages, or epoch, which is the default");
  of_turn_ =
      list.text("--turn", turn_,
                "with --sharing relay: steps of a client before it hands its weights on, or epoch, "
                "which is the default");
  of_partition_ =
      list.text("--partition", o.partition,
                "which client has which images: iid, which is the default, dirichlet:ALPHA, or "
                "by-class:N for images of N classes each");
  of_per_round_ = list.whole(
      "--per-round", o.per_round, 1, most_clients,
      "clients that take part in a round, drawn from all that have steps left; all unless "
      "given");
  of_order_ = list.choice<sv::split::Order>(
      "--order", o.order,
      {{"fixed", sv::split::Order::fixed}, {"arrival", sv::split::Order::arrival}},
      "of the steps of several clients at the server; fixed: always the same; arrival: as they "
      "come, which is faster where clients differ, and not repeatable");
  of_on_late_ = list.choice<bool>(
      "--on-late", skips_late_, {{"wait", false}, {"skip", true}},
      "a client for which the others wait; wait, which is the default: without end; skip: after "
      "--deadline they go on without it until it comes again, which is not repeatable");
  of_deadline_ = list.whole("--deadline", deadline_, 1, 1'000'000,
                            "with --on-late skip: seconds that the others wait for a client");
}

void GroupReader::check(Options& o) {
  const auto is_given = [](const CLI::Option* option) { return option->count() > 0; };
  for (const CLI::Option* const option : {of_sharing_, of_average_every_, of_turn_, of_partition_,
                                          of_per_round_, of_order_, of_on_late_, of_deadline_})
    require_that(
        is_given(of_clients_) || is_given(of_client_) || is_in_cluster_ || !is_given(option),
        option->get_name() + " goes with --clients, or with --client");
  require_that(o.role == Role::client || !is_given(of_client_), "--client goes with --role client");
  require_that(o.role != Role::client || !is_given(of_clients_),
               "--clients does not go with --role client: --client I/N says which client this is");
  require_that(o.role != Role::client || !is_given(of_order_),
               "--order is for the server, which applies the steps");
  require_that(o.role != Role::client || (!is_given(of_on_late_) && !is_given(of_deadline_)),
               "--on-late and --deadline are for the server, which waits");
  require_that(skips_late_ == is_given(of_deadline_),
               skips_late_ ? "--on-late skip needs --deadline SECONDS"
                           : "--deadline goes with --on-late skip");
  if (skips_late_) o.deadline = std::chrono::seconds{deadline_};
  if (is_given(of_client_)) read_client(o);
  if (is_in_cluster_) join_cluster(o);
  if (o.clients == 0) return;
  require_that(
      o.role != Role::server || o.sessions == 0,
      "--sessions does not go with --clients: the server ends when all of them have finished");
  if (!is_given(of_sharing_)) o.sharing = "shared";
  const bool is_relay = o.sharing == "relay";
  require_that(is_relay || !is_given(of_turn_), "--turn goes with --sharing relay");
  require_that(
      !is_relay || (!is_given(of_average_every_) && !is_given(of_per_round_)),
      "--average-every and --per-round do not go with --sharing relay, which has no average: "
      "--turn says how many steps a client takes");
  std::string& turn = is_relay ? turn_ : average_every_;
  const CLI::Option* const of_turn = is_relay ? of_turn_ : of_average_every_;
  if (!is_given(of_turn)) turn = "epoch";
  o.steps_of_turn = steps_from(of_turn->get_name(), turn);
  require_that(o.per_round <= o.clients, sv::joined({"--per-round ", o.per_round, ": there are ",
                                                     sv::counted(o.clients, "client")}));
  if (!is_given(of_partition_)) o.partition = "iid";
  try {
    sv::data::parse_partition(o.partition);
  } catch (const std::invalid_argument& error) {
    throw UsageError("--partition: " + without_operation(error));
  }
  require_that(
      !o.mpi || (!o.resume && o.checkpoint.empty()),
      "--resume and --checkpoint do not go with --link mpi: its job ends with any process");
  require_that(o.role != Role::server || !o.resume || !o.checkpoint.empty(),
               "--resume of a server with --clients needs --checkpoint, as its clients do");
  require_that(o.role != Role::both || !skips_late_,
               "--on-late skip is for a server: nobody is late who is simulated in one process");
  require_that(!skips_late_ || (!o.resume && o.checkpoint.empty()),
               "--on-late skip does not go with --checkpoint and --resume, which promise the same "
               "bits");
  require_that(
      o.role == Role::client || !o.checkpoint_every,
      "--checkpoint-every is for a client of several; the others keep checkpoints whenever "
      "clients get their turns");
  require_that(o.role == Role::both || o.evaluate == Options{}.evaluate,
               "--evaluate goes with --clients in --role both only");
  require_that(!o.budget_mib,
               "--clients needs to know the steps: --epochs or --steps, not --budget-mib");
  require_that(!o.cosine && o.warmup == 0,
               "--schedule and --warmup do not go with --clients: the learning rate is constant");
  require_that(!o.eval_only && !o.dry_run && o.predict.empty(),
               "--eval-only, --dry-run and --predict do not go with --clients");
}

void GroupReader::read_client(Options& o) {
  const std::size_t slash = std::min(client_.find('/'), client_.size());
  const auto number = sv::number_from<Index>(client_.substr(0, slash));
  const auto all = sv::number_from<Index>(client_.substr(std::min(slash + 1, client_.size())));
  if (!number || !all || *number < 1 || *number > *all || *all > most_clients)
    OptionList::refuse("--client", client_,
                       sv::joined({"I/N, such as 2/5, with 1 <= I <= N <= ", most_clients}));
  o.client = *number;
  o.clients = *all;
}

void require_fit_for_group(const Method& method) {
  if (method.bottleneck && method.bottleneck->start == sv::nn::BottleneckStart::pca)
    throw std::invalid_argument(
        "start=pca looks at the images of one client, and does not go with --clients");
  if (method.feedback.needs_head())
    throw std::invalid_argument(method.feedback.description() +
                                " needs a local head, which clients do not share; it does not go "
                                "with --clients");
}

}  // namespace split_train
