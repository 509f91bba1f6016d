// SPDX-License-Identifier: MIT
#include "split_train/group_client.hpp"

#include <chrono>     // nanoseconds, seconds
#include <cstddef>    // size_t
#include <cstdint>    // uint32_t, uint64_t
#include <cstdio>     // fprintf
#include <exception>  // exception
#include <string>     // to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/error.hpp>          // Reason, ReasonedError, WireError
#include <splitvit/core/labels.hpp>         // Labels
#include <splitvit/core/state.hpp>          // StateVisitor
#include <splitvit/data/endless.hpp>        // Endless
#include <splitvit/split/client.hpp>        // Client
#include <splitvit/tensor/tensor.hpp>       // Tensor
#include <splitvit/transport/any_link.hpp>  // AnyLink

#include "split_train/dialling.hpp"      // dial, first_patience, is_of_connection
#include "split_train/group.hpp"         // client_options_of, client_role_of, keep_checkpoints, ...
#include "split_train/group_log.hpp"     // GroupLog, run_logged
#include "split_train/interruption.hpp"  // end_at_signals

namespace split_train {

namespace sv = splitvit;

namespace {

std::vector<Index> share_of_client(const Options& options, const Data& data) {
  return std::move(shares_of(options, data).at(static_cast<std::size_t>(options.client - 1)));
}

class GroupClient {
 public:
  GroupClient(const Options& options, const std::string& method, const Data& data, Output& output)
      : options_{options},
        log_{options, method, data, output},
        work_{work_of(options, data, number(), share_of_client(options, data), 2)},
        client_{client_role_of(options, method, data),
                client_options_of(options, method, data, number())} {
    if (options.checkpoint.empty()) return;
    keep_checkpoints(client_, options, log_.run(), "client-" + std::to_string(number()),
                     [this](sv::StateVisitor& see) { log_.each_state(see); });
  }

  sv::report::Run operator()() {
    end_at_signals(!options_.checkpoint.empty());
    log_.begin();
    std::chrono::nanoseconds patience = first_patience;
    while (true) {
      try {
        connect(patience);
        train();
        client_.close();
        return log_.end({});
      } catch (const sv::ReasonedError& error) {
        if (is_over()) {  // the goodbye was lost
          std::fprintf(stderr, "split_train: the server was not told of the end: %s\n",
                       error.what());
          return log_.end({});
        }
        if (!was_connected_ || options_.reconnect_for == 0 || !is_of_connection(error)) throw;
        patience = std::chrono::seconds{options_.reconnect_for};
        std::fprintf(stderr, "split_train: %s; dialling again\n", error.what());
      }
    }
  }

  /// Called where the error was caught. Tells the server of it.
  /// Errors  Those of is_of_connection again: there is no other method to go on with.
  sv::report::Run failed(const std::exception& error) {
    const auto* const reasoned = dynamic_cast<const sv::ReasonedError*>(&error);
    client_.give_up(reasoned != nullptr
                        ? *reasoned
                        : sv::ReasonedError{sv::Reason::peer_failed, std::string{error.what()}});
    if (is_of_connection(error)) throw;
    return log_.failed(error);
  }

 private:
  std::uint32_t number() const { return static_cast<std::uint32_t>(options_.client); }

  bool is_over() const {
    const sv::split::Turn& turn = client_.role().turn();
    return turn.number > 0 && turn.what == sv::split::Turn::What::over;
  }

  /// Connects for the first time or again. Errors  As dial.
  void connect(std::chrono::nanoseconds patience) {
    const std::uint64_t steps = client_.steps();
    dial(
        options_, options_.endpoint, patience,
        [this](sv::transport::AnyLink link) { client_.reconnect(std::move(link)); }, [] {});
    was_connected_ = true;
    if (client_.steps() == steps) return;
    std::fprintf(stderr, "split_train: back to step %s, at the beginning of the round\n",
                 std::to_string(client_.steps()).c_str());
    log_.went_back();
  }

  /// Goes on where it is, until the training is over.
  void train() {
    sv::data::Endless next{work_.batches, static_cast<Index>(client_.steps())};
    while (!is_over()) {
      while (client_.role().steps_left() > 0) {
        auto batch = next();
        if (!take_step(std::move(batch.images), batch.labels)) break;
        client_.checkpoint_if_due();
      }
      if (client_.role().turn().what == sv::split::Turn::What::evaluate) log_.evaluate(client_);
      client_.request_turn(work_.plan.next(client_.steps()));
      client_.await_turn();
    }
  }

  /// Returns false if the other clients have gone on without this one.
  bool take_step(sv::Tensor<float> images, const sv::Labels& labels) {
    try {
      const auto step = client_.train_step(std::move(images), labels);
      log_.took(step, client_.traffic(sv::split::Column::training));
      return true;
    } catch (const sv::WireError& error) {
      if (error.reason() != sv::Reason::late) throw;
      std::fprintf(stderr, "split_train: %s\n", error.what());
      return false;
    }
  }

  const Options& options_;
  GroupLog log_;
  ClientWork work_;
  sv::split::Client<float> client_;
  bool was_connected_ = false;
};

}  // namespace

sv::report::Run run_group_client(const Options& options, const std::string& method,
                                 const Data& data, Output& output) {
  return run_logged<GroupClient>(options, method, data, output);
}

}  // namespace split_train
