// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>    // uint64_t
#include <exception>  // exception
#include <optional>   // optional
#include <string>     // string
#include <vector>     // vector

#include <splitvit/core/parallel.hpp>    // with_threads
#include <splitvit/core/state.hpp>       // StateVisitor
#include <splitvit/report/progress.hpp>  // Progress
#include <splitvit/report/run.hpp>       // ClientSummary, Run
#include <splitvit/split/client.hpp>     // Client, EpochReport, StepReport, Traffic

#include "split_train/client_side.hpp"  // AnyLoader
#include "split_train/data.hpp"         // Data
#include "split_train/options.hpp"      // Options
#include "split_train/output.hpp"       // Output

namespace split_train {

/// The run of a group of clients while it trains: on the terminal, in --out, and as a Run at the
/// end. Its steps and bytes are sums over the clients that this process trains or serves.
class GroupLog {
 public:
  GroupLog(const Options& options, const std::string& method, const Data& data, Output& output);

  void begin();
  /// The run is at an earlier place: its state was restored.
  void went_back() { output_.begin(run_, steps_); }
  /// What a checkpoint holds of it.
  void each_state(splitvit::StateVisitor& see);
  /// A client has taken a step. `traffic`: the bytes of all training steps until now.
  /// Errors  Interrupted after a signal.
  void took(const splitvit::split::StepReport& step, const splitvit::split::Traffic& traffic);
  /// Lets a client evaluate, and writes a row. Returns whether no evaluation before was as good.
  /// Errors  Interrupted after a signal.
  bool evaluate(splitvit::split::Client<float>& client);
  /// A client of another process has evaluated. Writes a row, too. `training` and `evaluation` are
  /// the traffic so far.
  bool evaluated(const splitvit::split::Evaluation& found, const splitvit::split::Traffic& training,
                 const splitvit::split::Traffic& evaluation);
  /// The run as a whole.
  splitvit::report::Run end(std::vector<splitvit::report::ClientSummary> clients);
  /// The run as far as it came before this error, which the files are told.
  splitvit::report::Run failed(const std::exception& error);

  const splitvit::report::Run& run() const { return run_; }

 private:
  /// How often as many images as there are have been learnt from, the present time included.
  std::uint64_t epoch() const;
  /// Where the run is, without an evaluation.
  splitvit::report::Row present_row() const;
  /// Returns whether no evaluation before was as good.
  bool add(splitvit::report::Row row);
  void stop_if_asked();

  const Options& options_;
  const Data& data_;
  Output& output_;
  splitvit::report::Run run_;
  AnyLoader test_;
  splitvit::report::Progress progress_;
  splitvit::split::EpochReport since_row_;
  splitvit::split::Seconds seconds_;
  splitvit::split::Traffic traffic_;
  std::uint64_t images_ = 0, steps_ = 0;
  std::optional<double> best_accuracy_;  // of all evaluations
};

/// Runs training(), made from these arguments, in which a GroupLog keeps the run; if it throws,
/// training.failed(error) says what came of it.
template <class Training>
splitvit::report::Run run_logged(const Options& options, const std::string& method,
                                 const Data& data, Output& output) {
  return splitvit::with_threads(options.threads, [&] {
    Training training{options, method, data, output};
    try {
      return training();
    } catch (const std::exception& error) {
      return training.failed(error);
    }
  });
}

}  // namespace split_train
