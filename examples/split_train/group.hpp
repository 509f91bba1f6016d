// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>     // uint32_t
#include <functional>  // function
#include <memory>      // shared_ptr, unique_ptr
#include <string>      // string
#include <vector>      // vector

#include <splitvit/data/any_dataset.hpp>   // AnyDataset
#include <splitvit/report/run.hpp>         // ClientSummary, Run
#include <splitvit/split/checkpoints.hpp>  // Checkpoints, ShowState
#include <splitvit/split/client.hpp>       // Client
#include <splitvit/split/client_role.hpp>  // ClientRole
#include <splitvit/split/options.hpp>      // ClientOptions
#include <splitvit/split/server.hpp>       // GroupOptions, Server
#include <splitvit/split/turn.hpp>         // TurnPlan

#include "split_train/client_side.hpp"  // AnyLoader
#include "split_train/data.hpp"         // Data
#include "split_train/options.hpp"      // Options
#include "split_train/output.hpp"       // Output

// The parties of a group of clients that train one model, before they are connected.

namespace split_train {

/// The images of each client, by their places in the training images.
///
/// Errors  UsageError where they cannot be shared out so.
std::vector<std::vector<Index>> shares_of(const Options& options, const Data& data);

/// What a client trains with, and for how long.
struct ClientWork {
  std::unique_ptr<const splitvit::data::AnyDataset> images;
  AnyLoader batches;
  splitvit::split::TurnPlan plan;
};

/// Of client `number`, whose images are `share`. Order and augmentation are its own. `ahead`: how
/// many batches another thread keeps ready; 0: there is no thread.
ClientWork work_of(const Options& options, const Data& data, std::uint32_t number,
                   std::vector<Index> share, Index ahead);

/// What every client begins with.
splitvit::split::ClientRole<float> client_role_of(const Options& options, const std::string& method,
                                                  const Data& data);
splitvit::split::ClientOptions client_options_of(const Options& options, const std::string& method,
                                                 const Data& data, std::uint32_t number);

/// Lets a client or a server keep checkpoints, in the folder of this party, and go on from there.
/// `more` is saved with them. One is written whenever turns are given, and at a client also after
/// --checkpoint-every steps. `on_went_back`, `share`: see Server.
///
/// Errors  UsageError where the folder cannot be used, or holds another run.
std::shared_ptr<const splitvit::split::Checkpoints> keep_checkpoints(
    splitvit::split::Client<float>& client, const Options& options,
    const splitvit::report::Run& run, const std::string& party, splitvit::split::ShowState more);
std::shared_ptr<const splitvit::split::Checkpoints> keep_checkpoints(
    splitvit::split::Server<float>& server, const Options& options,
    const splitvit::report::Run& run, const std::string& party, splitvit::split::ShowState more,
    std::function<void()> on_went_back = {}, double share = 1);

/// Client 1 evaluates about once an epoch and at the end. Errors  As shares_of.
splitvit::split::GroupOptions group_options(const Options& options, const Data& data);
/// The options must outlive the server.
splitvit::split::Server<float> group_server(const Options& options, const std::string& method,
                                            const Data& data,
                                            const splitvit::split::GroupOptions& group);

/// Saves the joined model, the average of all clients, if models are saved.
void save_average(const Options& options, const Data& data,
                  const splitvit::split::Server<float>& server, const splitvit::report::Run& run,
                  bool is_best, Output& output);

/// The images of each client by class; its steps and bytes are still to be told.
std::vector<splitvit::report::ClientSummary> summaries_of(const Options& options, const Data& data);

}  // namespace split_train
