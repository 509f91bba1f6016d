// SPDX-License-Identifier: MIT
#include "split_train/client_role.hpp"

#include <algorithm>   // max
#include <chrono>      // nanoseconds, seconds
#include <cmath>       // pow
#include <cstdio>      // fprintf, stderr
#include <functional>  // function
#include <limits>      // numeric_limits
#include <memory>      // make_shared
#include <optional>    // nullopt, optional
#include <utility>     // exchange, move
#include <vector>      // vector

#include <splitvit/core/error.hpp>            // Reason, ReasonedError, StorageError
#include <splitvit/core/parallel.hpp>         // with_threads
#include <splitvit/core/state.hpp>            // show_whole_numbers, StateVisitor
#include <splitvit/io/checkpoint_policy.hpp>  // EveryN
#include <splitvit/nn/weights.hpp>            // joined_weights
#include <splitvit/report/progress.hpp>       // Progress
#include <splitvit/split/checkpoints.hpp>     // Checkpoints
#include <splitvit/split/client.hpp>          // Client
#include <splitvit/transport/any_link.hpp>    // AnyLink

#include "split_train/checkpointing.hpp"    // checkpoint_folder, checkpoint_options, tell_found
#include "split_train/client_side.hpp"      // ClientSide
#include "split_train/dialling.hpp"         // dial, first_patience, is_of_connection
#include "split_train/evaluation.hpp"       // evaluate
#include "split_train/interruption.hpp"     // Interrupted, remember_signals, signal_that_came
#include "split_train/now.hpp"              // now_text
#include "split_train/progress.hpp"         // make_progress, note_saturated
#include "split_train/run_description.hpp"  // describe_run
#include "split_train/run_state.hpp"        // RunState
#include "split_train/weights.hpp"          // saved_metadata

namespace split_train {

namespace sv = splitvit;

namespace {

/// Parts of a budget at which to look at the accuracy, so that methods can be compared all along.
std::vector<double> budget_marks(const Options& options) {
  if (!options.evaluate_at) return {0.01, 1.0 / 30, 0.1, 1.0 / 3, 1.0};
  std::vector<double> marks;
  const Index last = *options.evaluate_at - 1;
  for (Index i = last; i >= 0; --i)
    marks.push_back(
        std::pow(1000.0, -static_cast<double>(i) / static_cast<double>(std::max<Index>(last, 1))));
  return marks;
}

/// Training with one method, one row of the log an epoch.
class Training {
 public:
  Training(const Options& options, const std::string& method, const sv::transport::Endpoint& server,
           const Data& data, Output& output)
      : options_{options},
        server_{server},
        data_{data},
        output_{output},
        run_{describe_run(options, method, data)},
        side_{options, method, data},
        client_{side_.client},
        marks_{budget_marks(options)},
        progress_{make_progress(options)} {
    if (options.checkpoint.empty()) return;
    try {
      keep_checkpoints();
    } catch (const sv::StorageError& error) {
      throw UsageError(error.what());
    }
  }

  sv::report::Run operator()() {
    run_.program.push_back({"started", now_text()});
    output_.begin(run_, client_.steps());
    if (had_ended_ && is_complete()) {
      std::fprintf(stderr, "split_train: the run had come to its end at step %s\n",
                   std::to_string(client_.steps()).c_str());
      output_.end(run_);
      return std::move(run_);
    }
    remember_signals();
    std::chrono::seconds patience = first_patience;
    while (true) {
      try {
        connect(patience);
        work();
        return std::move(run_);
      } catch (const sv::ReasonedError& error) {
        progress_.finish();
        if (is_saved_) return say_goodbye(error);
        if (!is_worth_dialling(error)) throw;
        patience = std::chrono::seconds{options_.reconnect_for};
        std::fprintf(stderr, "split_train: %s; dialling again\n", error.what());
      }
    }
  }

  /// Tells the server of an error.
  void give_up(const std::exception& error) {
    progress_.finish();
    const auto* const reasoned = dynamic_cast<const sv::ReasonedError*>(&error);
    client_.give_up(reasoned != nullptr
                        ? *reasoned
                        : sv::ReasonedError{sv::Reason::peer_failed, std::string{error.what()}});
  }

  /// The run as far as it came before this error, which the log is told.
  sv::report::Run failed(const std::exception& error) {
    sv::report::Row row = present_row();
    if (since_row_.steps == 0) row.loss = std::numeric_limits<double>::quiet_NaN();
    output_.fail(run_, row, error);
    return std::move(run_);
  }

 private:
  /// A source that a signal stops between two batches.
  struct Stoppable {
    Training& training;
    sv::data::Loader<float, sv::data::AnyDataset>::Epoch epoch;
    auto next() {
      training.stop_if_asked();
      return epoch.next();
    }
  };

  void keep_checkpoints() {
    auto how = checkpoint_options(options_);
    how.more = [this](sv::StateVisitor& see) { each_state(see); };
    how.settings = {{"compute of the client", compute_name(options_.compute)}};
    for (const auto& [key, value] : run_.settings)
      if (key != "length" && !key.starts_with("compute")) how.settings.push_back({key, value});
    const std::uint64_t steps = options_.checkpoint_every.value_or(steps_of_epoch());
    const auto checkpoints = std::make_shared<sv::split::Checkpoints>(
        checkpoint_folder(options_, run_.method, "client-0"), sv::io::EveryN{.steps = steps}, how);
    client_.keep_checkpoints(checkpoints);
    tell_found(*checkpoints, options_);
    had_ended_ = checkpoints->had_ended();
  }

  /// What a checkpoint holds besides the client. The position in the data follows from the number
  /// of steps.
  void each_state(sv::StateVisitor& see) {
    RunState state{.run = run_,
                   .since_row = since_row_,
                   .seconds = seconds_,
                   .images = images_,
                   .best_accuracy = best_accuracy_};
    state.each_state(see, data_);
    sv::show_whole_numbers(see, "next row", [this](const auto& use) {
      use(mark_);
      use(row_is_due_);
    });
  }

  /// Connects for the first time or again. Errors  As dial; Interrupted.
  void connect(std::chrono::nanoseconds patience) {
    const std::uint64_t steps = client_.steps();
    dial(
        options_, server_, patience,
        [&](sv::transport::AnyLink link) { client_.reconnect(std::move(link)); },
        [&] {
          if (signal_that_came() == 0) return;
          client_.checkpoint();
          interrupt();
        });
    was_connected_ = true;
    if (client_.steps() == steps) return;
    std::fprintf(stderr, "split_train: back to step %s, the last that both parties hold\n",
                 std::to_string(client_.steps()).c_str());
    output_.begin(run_, client_.steps());
  }

  /// Whether to dial again: when the link was lost; and, once at each step, when the server reports
  /// a failure, since only the link may have been at fault.
  bool is_worth_dialling(const sv::ReasonedError& error) {
    if (!was_connected_ || options_.reconnect_for == 0 || options_.role == Role::both) return false;
    if (is_of_connection(error)) return true;
    const bool may_be_other =
        error.reason() == sv::Reason::peer_failed || error.reason() == sv::Reason::bad_checksum;
    return may_be_other && std::exchange(failed_at_, client_.steps()) != client_.steps();
  }

  [[noreturn]] void interrupt() {
    progress_.finish();
    throw Interrupted{
        signal_that_came(),
        "stopped at step " + std::to_string(client_.steps()) +
            (options_.checkpoint.empty() ? "; nothing is kept without --out or --checkpoint"
                                         : "; the same command with --resume goes on from there")};
  }
  /// After a signal: saves what there is, and ends the run.
  void stop_if_asked() {
    if (signal_that_came() == 0) return;
    client_.checkpoint();
    save_model(false);
    interrupt();
  }

  /// The goodbye was lost: once more, so that the server need not wait.
  sv::report::Run say_goodbye(const sv::ReasonedError& lost) {
    try {
      connect(first_patience);
      client_.close();
    } catch (const sv::ReasonedError&) {
      std::fprintf(stderr, "split_train: the server was not told of the end: %s\n", lost.what());
    }
    return std::move(run_);
  }

  /// Trains, and writes the end of the run before the goodbye.
  void work() {
    if (options_.eval_only)
      log();
    else
      train();
    progress_.finish();
    output_.end(run_);
    is_saved_ = true;
    client_.close();
  }

  void train() {
    const std::uint64_t per_epoch = steps_of_epoch();
    if (row_is_due_) log();
    while (!is_complete()) {
      const std::uint64_t done = client_.steps();
      auto batches = side_.train.epoch(static_cast<Index>(done / per_epoch),
                                       static_cast<Index>(done % per_epoch));
      while (auto batch = is_complete() ? std::nullopt : batches.next()) {
        const auto step = client_.train_step(std::move(batch->images), batch->labels);
        since_row_.add(step);
        seconds_ += step.seconds;
        images_ += static_cast<std::uint64_t>(step.samples);
        show(step);
        if (options_.log_steps) log_step(step);
        const bool looks = options_.budget_mib ? past_mark() : step.step % per_epoch == 0;
        row_is_due_ = looks || enough();
        if (row_is_due_) log();
        client_.checkpoint_if_due();
        stop_if_asked();
      }
    }
    if (run_.rows.empty()) log();  // the budget did not last for a step
  }

  std::uint64_t steps_of_epoch() const {
    return static_cast<std::uint64_t>(side_.train.batches_per_epoch());
  }
  /// Of the last step, from 1; 0 before the first step.
  std::uint64_t epoch() const {
    return (client_.steps() + steps_of_epoch() - 1) / steps_of_epoch();
  }

  double spent_mib() const {
    return static_cast<double>(client_.traffic(sv::split::Column::training).total()) /
           (1024.0 * 1024.0);
  }

  /// The step that goes past the budget is applied and is the last.
  bool enough() const {
    return (options_.steps && client_.steps() >= *options_.steps) ||
           (options_.budget_mib && spent_mib() >= *options_.budget_mib);
  }

  bool is_complete() const {
    return enough() ||
           client_.steps() / steps_of_epoch() >= static_cast<std::uint64_t>(options_.epochs);
  }

  /// Whether a part of the budget is spent for the first time.
  bool past_mark() {
    bool past = false;
    while (options_.budget_mib && mark_ < marks_.size() &&
           spent_mib() >= marks_[mark_] * *options_.budget_mib) {
      past = true;
      ++mark_;
    }
    return past;
  }

  void show(const sv::split::StepReport& step) {
    const bool known = !options_.steps && !options_.budget_mib;
    progress_.update({.epoch = epoch(),
                      .epochs = known ? static_cast<std::uint64_t>(options_.epochs) : 0,
                      .step = (step.step - 1) % steps_of_epoch() + 1,
                      .steps = steps_of_epoch(),
                      .loss = step.loss,
                      .images = images_,
                      .traffic = client_.traffic(sv::split::Column::training)});
  }

  void log_step(const sv::split::StepReport& step) {
    sv::report::Row row = present_row();
    row.loss = step.loss;
    row.codec = step.codec;
    output_.append_step(run_, row);
  }

  /// Where the run is, without an evaluation.
  sv::report::Row present_row() const {
    return {.epoch = epoch(),
            .step = client_.steps(),
            .loss = since_row_.loss,
            .test_accuracy = {},
            .traffic = client_.traffic(sv::split::Column::training),
            .seconds = seconds_};
  }

  /// Evaluates, saves the model, and writes a row for the steps since the row before. If the link
  /// breaks meanwhile, the row is still due.
  void log() {
    note_saturated(progress_, since_row_);
    sv::report::Row row = present_row();
    evaluate(
        client_, options_, data_, [&] { return Stoppable{*this, side_.test.epoch(0)}; }, run_, row);
    const double accuracy = *row.test_accuracy;
    save_model(!best_accuracy_ || accuracy > *best_accuracy_);
    best_accuracy_ = std::max(accuracy, best_accuracy_.value_or(accuracy));
    run_.rows.push_back(std::move(row));
    since_row_ = {};
    row_is_due_ = false;
    output_.append(run_, run_.rows.back());
  }

  void save_model(bool is_best) {
    if (!output_.saves_models()) return;
    const auto parts = sv::split::all_parts(client_.role().parts(), client_.fetch_server_part());
    output_.save_model(run_, sv::nn::joined_weights<float>(parts),
                       saved_metadata(options_, run_.method, data_), is_best);
  }

  const Options& options_;
  sv::transport::Endpoint server_;
  const Data& data_;
  Output& output_;
  sv::report::Run run_;
  ClientSide side_;
  sv::split::Client<float>& client_;  ///< of that side
  std::vector<double> marks_;
  sv::report::Progress progress_;
  sv::split::Seconds seconds_;
  sv::split::EpochReport since_row_;
  std::uint64_t images_ = 0;
  std::uint64_t mark_ = 0;               ///< the next of marks_
  bool row_is_due_ = false;              ///< for the last step
  std::optional<double> best_accuracy_;  ///< of all evaluations
  bool was_connected_ = false;
  bool had_ended_ = false;                       ///< an earlier process had come to the end
  bool is_saved_ = false;                        ///< model and metrics are written
  std::uint64_t failed_at_ = ~std::uint64_t{0};  ///< the step after which the server failed
};

}  // namespace

sv::report::Run run_client(const Options& options, const std::string& method,
                           const sv::transport::Endpoint& server, const Data& data, Output& output,
                           const std::function<void()>& on_interrupted) {
  return sv::with_threads(options.threads, [&] {
    Training training{options, method, server, data, output};
    try {
      return training();
    } catch (const Interrupted&) {
      on_interrupted();
      throw;
    } catch (const std::exception& error) {
      training.give_up(error);
      if (options.role == Role::client && is_of_connection(error)) throw;
      return training.failed(error);
    }
  });
}

}  // namespace split_train
