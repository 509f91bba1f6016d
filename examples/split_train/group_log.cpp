// SPDX-License-Identifier: MIT
#include "split_train/group_log.hpp"

#include <limits>   // numeric_limits
#include <utility>  // move

#include <splitvit/core/error.hpp>  // joined
#include <splitvit/core/state.hpp>  // show_whole_numbers, StateVisitor

#include "split_train/evaluation.hpp"       // evaluate, keep_classes
#include "split_train/interruption.hpp"     // Interrupted, signal_that_came
#include "split_train/now.hpp"              // now_text
#include "split_train/progress.hpp"         // make_progress, note_saturated
#include "split_train/run_description.hpp"  // describe_run
#include "split_train/run_state.hpp"        // RunState

namespace split_train {

namespace sv = splitvit;

GroupLog::GroupLog(const Options& options, const std::string& method, const Data& data,
                   Output& output)
    : options_{options},
      data_{data},
      output_{output},
      run_{describe_run(options, method, data)},
      test_{data.test, loader_options(options, options.vit(data.train.classes()), data, false)},
      progress_{make_progress(options)} {}

void GroupLog::begin() {
  run_.program.push_back({"started", now_text()});
  output_.begin(run_, steps_);
}

void GroupLog::each_state(sv::StateVisitor& see) {
  RunState state{.run = run_,
                 .since_row = since_row_,
                 .seconds = seconds_,
                 .images = images_,
                 .best_accuracy = best_accuracy_};
  state.each_state(see, data_);
  sv::show_whole_numbers(see, "steps", [this](const auto& use) {
    use(steps_);
    for (sv::split::Bytes* const bytes : {&traffic_.up, &traffic_.down}) {
      use(bytes->payload);
      use(bytes->framing);
    }
  });
}

void GroupLog::took(const sv::split::StepReport& step, const sv::split::Traffic& traffic) {
  since_row_.add(step);
  seconds_ += step.seconds;
  traffic_ = traffic;
  images_ += static_cast<std::uint64_t>(step.samples);
  ++steps_;
  progress_.update({.epoch = epoch(),
                    .epochs = 0,
                    .step = steps_,
                    .steps = 0,
                    .loss = step.loss,
                    .images = images_,
                    .traffic = traffic_});
  if (options_.log_steps) {
    sv::report::Row row = present_row();
    row.loss = step.loss;
    row.codec = step.codec;
    output_.append_step(run_, row);
  }
  stop_if_asked();
}

bool GroupLog::evaluate(sv::split::Client<float>& client) {
  /// A source that a signal stops between two batches.
  struct Stoppable {
    GroupLog& log;
    AnyLoader::Epoch epoch;
    auto next() {
      log.stop_if_asked();
      return epoch.next();
    }
  };
  note_saturated(progress_, since_row_);
  sv::report::Row row = present_row();
  split_train::evaluate(
      client, options_, data_, [&] { return Stoppable{*this, test_.epoch(0)}; }, run_, row);
  return add(std::move(row));
}

bool GroupLog::evaluated(const sv::split::Evaluation& found, const sv::split::Traffic& training,
                         const sv::split::Traffic& evaluation) {
  traffic_ = training;
  run_.evaluation_traffic = evaluation;
  keep_classes(found, data_, run_);
  sv::report::Row row = present_row();
  row.test_accuracy = found.accuracy();
  return add(std::move(row));
}

bool GroupLog::add(sv::report::Row row) {
  const bool is_best = !best_accuracy_ || *row.test_accuracy > *best_accuracy_;
  if (is_best) best_accuracy_ = row.test_accuracy;
  run_.rows.push_back(std::move(row));
  since_row_ = {};
  output_.append(run_, run_.rows.back());
  return is_best;
}

sv::report::Run GroupLog::end(std::vector<sv::report::ClientSummary> clients) {
  progress_.finish();
  if (since_row_.steps > 0) {  // the client does not evaluate
    run_.rows.push_back(present_row());
    output_.append(run_, run_.rows.back());
  }
  run_.clients = std::move(clients);
  if (!run_.clients.empty()) output_.save_clients(run_);
  output_.end(run_);
  return std::move(run_);
}

sv::report::Run GroupLog::failed(const std::exception& error) {
  progress_.finish();
  sv::report::Row row = present_row();
  if (since_row_.steps == 0) row.loss = std::numeric_limits<double>::quiet_NaN();
  output_.fail(run_, row, error);
  return std::move(run_);
}

std::uint64_t GroupLog::epoch() const {
  const auto all = static_cast<std::uint64_t>(data_.train.size());
  return (images_ + all - 1) / all;
}

sv::report::Row GroupLog::present_row() const {
  return {.epoch = epoch(),
          .step = steps_,
          .loss = since_row_.loss,
          .test_accuracy = {},
          .traffic = traffic_,
          .seconds = seconds_};
}

void GroupLog::stop_if_asked() {
  if (signal_that_came() == 0) return;
  progress_.finish();
  throw Interrupted{signal_that_came(),
                    sv::joined({"stopped after ", steps_, " steps of all clients; ",
                                options_.checkpoint.empty()
                                    ? "nothing is kept without --out or --checkpoint"
                                    : "the same command with --resume goes on from the beginning "
                                      "of the round"})};
}

}  // namespace split_train
