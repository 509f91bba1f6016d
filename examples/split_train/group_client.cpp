// SPDX-License-Identifier: MIT
#include "split_train/group_client.hpp"

#include <chrono>     // nanoseconds, seconds
#include <cstddef>    // size_t
#include <cstdint>    // uint32_t, uint64_t
#include <cstdio>     // fprintf
#include <exception>  // exception
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/error.hpp>          // Reason, ReasonedError
#include <splitvit/data/endless.hpp>        // Endless
#include <splitvit/split/client.hpp>        // Client
#include <splitvit/transport/any_link.hpp>  // AnyLink

#include "split_train/dialling.hpp"   // dial, first_patience, is_of_connection
#include "split_train/group.hpp"      // client_options_of, client_role_of, shares_of, work_of
#include "split_train/group_log.hpp"  // GroupLog, run_logged

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
                client_options_of(options, method, data, number())} {}

  sv::report::Run operator()() {
    log_.begin();
    std::chrono::nanoseconds patience = first_patience;
    while (true) {
      try {
        dial(
            options_, options_.endpoint, patience,
            [this](sv::transport::AnyLink link) { client_.reconnect(std::move(link)); }, [] {});
        was_connected_ = true;
        train();
        client_.close();
        return log_.end({});
      } catch (const sv::ReasonedError& error) {
        if (is_over_) {  // the goodbye was lost
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

  /// Goes on where the last connection was lost, until the training is over.
  void train() {
    sv::data::Endless next{work_.batches, static_cast<Index>(client_.steps())};
    while (!is_over_) {
      while (client_.steps() < end_of_turn_) {
        auto batch = next();
        const auto step = client_.train_step(std::move(batch.images), batch.labels);
        log_.took(step, client_.traffic(sv::split::Column::training));
      }
      if (evaluates_) log_.evaluate(client_);
      evaluates_ = false;
      client_.request_turn(work_.plan.next(client_.steps()));
      const sv::split::Turn turn = client_.await_turn();
      end_of_turn_ = client_.steps() + turn.steps;
      evaluates_ = turn.what == sv::split::Turn::What::evaluate;
      is_over_ = turn.what == sv::split::Turn::What::over;
    }
  }

  const Options& options_;
  GroupLog log_;
  ClientWork work_;
  sv::split::Client<float> client_;
  std::uint64_t end_of_turn_ = 0;  // the last step of its turn
  bool evaluates_ = false;         // an evaluation is due
  bool is_over_ = false;
  bool was_connected_ = false;
};

}  // namespace

sv::report::Run run_group_client(const Options& options, const std::string& method,
                                 const Data& data, Output& output) {
  return run_logged<GroupClient>(options, method, data, output);
}

}  // namespace split_train
