// SPDX-License-Identifier: MIT
#include "split_train/group_run.hpp"

#include <cstdint>    // uint32_t
#include <exception>  // exception
#include <memory>     // shared_ptr
#include <optional>   // optional
#include <stdexcept>  // runtime_error
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/state.hpp>        // StateVisitor
#include <splitvit/data/any_dataset.hpp>  // AnyDataset
#include <splitvit/data/endless.hpp>      // Endless
#include <splitvit/split/simulation.hpp>  // Client, Server, Simulation

#include "split_train/group.hpp"         // client_role_of, group_server, save_average, ...
#include "split_train/group_log.hpp"     // GroupLog, run_logged
#include "split_train/interruption.hpp"  // remember_signals

namespace split_train {

namespace sv = splitvit;

namespace {

/// What every client trains with.
std::vector<ClientWork> all_work(const Options& options, const Data& data) {
  std::vector<ClientWork> all;
  for (std::vector<Index>& share : shares_of(options, data))
    all.push_back(
        work_of(options, data, static_cast<std::uint32_t>(all.size() + 1), std::move(share), 0));
  return all;
}

/// The training of a group with one method, simulated.
class GroupTraining {
 public:
  GroupTraining(const Options& options, const std::string& method, const Data& data, Output& output)
      : options_{options},
        data_{data},
        output_{output},
        log_{options, method, data, output},
        all_{all_work(options, data)},
        server_{group_server(options, method, data, group_options(options, data))},
        simulation_{server_} {
    for (std::uint32_t number = 1; number <= all_.size(); ++number)
      simulation_.add(client_role_of(options, method, data),
                      client_options_of(options, method, data, number),
                      {all_[number - 1].plan, [this, number, next = Batches{}]() mutable {
                         if (!next) next.emplace(all_[number - 1].batches, steps_of(number));
                         return (*next)();
                       }});
    if (options.checkpoint.empty()) return;
    const auto show = [this](sv::StateVisitor& see) {
      log_.each_state(see);
      simulation_.each_state(see);
    };
    kept_ = keep_checkpoints(server_, options, log_.run(), "group", show, {}, most_of_time);
  }

  sv::report::Run operator()() {
    log_.begin();
    if (!kept_ || !kept_->had_ended()) train();
    auto clients = summaries_of(options_, data_);
    for (auto& summary : clients) {
      const Client& client = simulation_.client(summary.client);
      summary.steps = client.steps();
      summary.cut = client.traffic(sv::split::Column::training);
      summary.weights = client.traffic(sv::split::Column::weights);
    }
    auto run = log_.end(std::move(clients));
    server_.end_checkpoints();
    return run;
  }

  sv::report::Run failed(const std::exception& error) { return log_.failed(error); }

 private:
  using Client = sv::split::Client<float>;
  static constexpr double most_of_time = 0.05;  // for checkpoints
  using Batches = std::optional<sv::data::Endless<float, sv::data::AnyDataset>>;

  Index steps_of(std::uint32_t client) {
    return static_cast<Index>(simulation_.client(client).steps());
  }

  void train() {
    remember_signals();
    simulation_.connect();
    for (std::uint32_t number = 1; number <= all_.size(); ++number)
      traffic_ += simulation_.client(number).traffic(sv::split::Column::training);
    simulation_.run(
        [&](Client&, const sv::split::StepReport& step) {
          traffic_ += step.traffic;
          log_.took(step, traffic_);
        },
        [&](Client& client, std::uint64_t) {
          const bool is_best = log_.evaluate(client);
          save_average(options_, data_, server_, log_.run(), is_best, output_);
        });
    if (log_.run().rows.empty())
      throw std::runtime_error("the weights of all clients were left out of every average");
  }

  const Options& options_;
  const Data& data_;
  Output& output_;
  GroupLog log_;
  std::vector<ClientWork> all_;  // of client i at i - 1
  sv::split::Server<float> server_;
  sv::split::Simulation<float> simulation_;
  std::shared_ptr<const sv::split::Checkpoints> kept_;  // null: none
  sv::split::Traffic traffic_;                          // of all clients' training
};

}  // namespace

sv::report::Run run_group(const Options& options, const std::string& method, const Data& data,
                          Output& output) {
  return run_logged<GroupTraining>(options, method, data, output);
}

}  // namespace split_train
