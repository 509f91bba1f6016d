// SPDX-License-Identifier: MIT
#include "split_train/group_server.hpp"

#include <algorithm>   // max
#include <atomic>      // atomic
#include <chrono>      // seconds, steady_clock
#include <cstddef>     // size_t
#include <cstdint>     // uint32_t, uint64_t
#include <cstdio>      // fflush, fprintf, printf
#include <exception>   // exception
#include <functional>  // function
#include <map>         // map
#include <memory>      // shared_ptr
#include <stdexcept>   // runtime_error
#include <string>      // string, to_string
#include <utility>     // move
#include <vector>      // vector

#include <splitvit/core/error.hpp>         // WireError
#include <splitvit/core/state.hpp>         // StateVisitor
#include <splitvit/split/aggregator.hpp>   // Aggregator
#include <splitvit/split/checkpoints.hpp>  // Checkpoints
#include <splitvit/split/server.hpp>       // Server
#include <splitvit/split/service.hpp>      // Service
#include <splitvit/transport/tcp.hpp>      // TcpListener

#include "split_train/cluster.hpp"    // serve_cluster
#include "split_train/group.hpp"      // group_options, group_server, keep_checkpoints, save_average
#include "split_train/group_log.hpp"  // GroupLog, run_logged
#include "split_train/interruption.hpp"  // end_at_signals
#include "split_train/now.hpp"           // now_text
#include "split_train/protection.hpp"    // serve
#include "split_train/server_log.hpp"    // ServerLog

namespace split_train {

namespace sv = splitvit;

namespace {

class GroupServing {
 public:
  GroupServing(const Options& options, const std::string& method, const Data& data, Output& output)
      : options_{options},
        data_{data},
        output_{output},
        log_{options, method, data, output},
        server_{group_server(options, method, data, hooks())} {
    if (options.checkpoint.empty()) return;
    kept_ = keep_checkpoints(
        server_, options, log_.run(), "server",
        [this](sv::StateVisitor& see) { log_.each_state(see); }, [this] { went_back(); });
  }

  sv::report::Run operator()() {
    end_at_signals(!options_.checkpoint.empty());
    log_.begin();
    if (!kept_ || !kept_->had_ended()) serve_clients();
    auto all = summaries_of(options_, data_);
    for (auto& summary : all) {
      const auto session = server_.session_of(summary.client);
      summary.left_out = left_out_[summary.client];
      if (!session) continue;
      summary.steps = server_.group()->rounds().all_taken(summary.client);
      summary.cut = sv::split::traffic_of(*session, sv::split::Column::training, true);
      summary.weights = sv::split::traffic_of(*session, sv::split::Column::weights, true);
    }
    auto run = log_.end(std::move(all));
    server_.end_checkpoints();
    return run;
  }

  sv::report::Run failed(const std::exception& error) { return log_.failed(error); }

 private:
  using Clock = std::chrono::steady_clock;

  /// Until all clients have said goodbye. Where the training was over before this process began,
  /// some may have done so already: it waits a minute for the others.
  void serve_clients() {
    const bool was_over = server_.group()->is_over();
    const auto end_of_patience = Clock::now() + std::chrono::minutes{1};
    ServerLog sessions{options_.progress == "none"};
    const auto clients = static_cast<std::size_t>(options_.clients);
    sv::split::Service<float> service{
        server_,
        {.at_once = clients,
         .most_unadmitted = std::max<std::size_t>(64, clients),
         .on_event = [&](const std::string& peer, const sv::split::SessionEvent& event) {
           sessions.add(peer, event);
         }}};
    serve_all(service, [&] {
      sessions.answer_signal(service);
      say_who_is_awaited();
      if (was_over && Clock::now() > end_of_patience) return false;
      return sessions.finished() + sv::Index{server_.away_at_end()} < options_.clients;
    });
    if (!server_.group()->is_over())
      throw std::runtime_error("clients have left before the training was over");
  }

  void went_back() {
    log_.went_back();
    std::fprintf(stderr,
                 "split_train: a client has come back to an earlier step; all go back to "
                 "the beginning of the round\n");
  }

  void serve_all(sv::split::Service<float>& service, const std::function<bool()>& goes_on) {
    if (options_.mpi) return serve_cluster(service, options_, goes_on);
    sv::transport::TcpListener listener{options_.endpoint};
    std::printf("listening on %s\n", listener.endpoint().text().c_str());
    std::fflush(stdout);
    serve(service, listener, options_, goes_on);
  }

  /// One thread at a time calls them.
  sv::split::GroupOptions hooks() {
    auto group = group_options(options_, data_);
    group.on_left_out = [this, tell = group.on_left_out](std::uint32_t client, std::uint64_t round,
                                                         const sv::WireError& why) {
      ++events_;
      tell(client, round, why);
      left_out_[client].push_back("round " + std::to_string(round) + ", " + now_text() + ": " +
                                  why.what());
    };
    group.on_step = [this](std::uint32_t, const sv::split::StepReport& step) {
      ++events_;
      log_.took(step, server_.traffic(sv::split::Column::training));
    };
    group.on_evaluated = [this](std::uint64_t, const sv::split::Evaluation& found) {
      ++events_;
      const bool is_best = log_.evaluated(found, server_.traffic(sv::split::Column::training),
                                          server_.traffic(sv::split::Column::evaluation));
      save_average(options_, data_, server_, log_.run(), is_best, output_);
    };
    return group;
  }

  /// After ten seconds in which nothing has happened, and every ten seconds from then on.
  void say_who_is_awaited() {
    if (const std::uint64_t now = events_; now != seen_ || seen_at_ == Clock::time_point{}) {
      seen_ = now;
      seen_at_ = Clock::now();
    }
    if (Clock::now() - seen_at_ < std::chrono::seconds{10}) return;
    seen_at_ = Clock::now();
    std::string text;
    const auto awaited = server_.awaited();
    for (const std::uint32_t number : awaited)
      text += (text.empty() ? " " : ", ") + std::to_string(number);
    if (!awaited.empty())
      std::fprintf(stderr, "split_train: waiting for client%s%s\n", awaited.size() == 1 ? "" : "s",
                   text.c_str());
  }

  const Options& options_;
  const Data& data_;
  Output& output_;
  GroupLog log_;
  sv::split::Server<float> server_;
  std::shared_ptr<const sv::split::Checkpoints> kept_;          // null: none
  std::map<std::uint32_t, std::vector<std::string>> left_out_;  // by client
  std::atomic<std::uint64_t> events_ = 0;                       // steps and evaluations
  std::uint64_t seen_ = 0;  // of them, when it was last asked who is awaited
  Clock::time_point seen_at_ = {};
};

}  // namespace

sv::report::Run run_group_server(const Options& options, const std::string& method,
                                 const Data& data, Output& output) {
  return run_logged<GroupServing>(options, method, data, output);
}

}  // namespace split_train
