// SPDX-License-Identifier: MIT
#include "split_train/group_run.hpp"

#include <cstdint>    // uint32_t
#include <exception>  // exception
#include <stdexcept>  // runtime_error
#include <utility>    // move
#include <vector>     // vector

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
    for (std::uint32_t number = 1; number <= all_.size(); ++number) {
      const ClientWork& work = all_[number - 1];
      const Client& client = simulation_.add(client_role_of(options, method, data),
                                             client_options_of(options, method, data, number),
                                             {work.plan, sv::data::Endless{work.batches}});
      traffic_ += client.traffic(sv::split::Column::training);
    }
  }

  sv::report::Run operator()() {
    log_.begin();
    remember_signals();
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
    auto clients = summaries_of(options_, data_);
    for (auto& summary : clients) {
      const Client& client = simulation_.client(summary.client);
      summary.steps = client.steps();
      summary.cut = client.traffic(sv::split::Column::training);
      summary.weights = client.traffic(sv::split::Column::weights);
    }
    return log_.end(std::move(clients));
  }

  sv::report::Run failed(const std::exception& error) { return log_.failed(error); }

 private:
  using Client = sv::split::Client<float>;

  const Options& options_;
  const Data& data_;
  Output& output_;
  GroupLog log_;
  std::vector<ClientWork> all_;  // of client i at i - 1
  sv::split::Server<float> server_;
  sv::split::Simulation<float> simulation_;
  sv::split::Traffic traffic_;  // of all clients' training
};

}  // namespace

sv::report::Run run_group(const Options& options, const std::string& method, const Data& data,
                          Output& output) {
  return run_logged<GroupTraining>(options, method, data, output);
}

}  // namespace split_train
