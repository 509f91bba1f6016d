// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // size_t
#include <cstdint>  // uint64_t

#include <splitvit/report/run.hpp>    // Row, Run
#include <splitvit/split/client.hpp>  // Client, Evaluation, EvaluationMode

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options

namespace split_train {

/// Keeps what an evaluation has found of each class.
inline void keep_classes(const splitvit::split::Evaluation& found, const Data& data,
                         splitvit::report::Run& run) {
  run.classes.clear();
  for (std::size_t i = 0; i < found.classes.size(); ++i)
    run.classes.push_back({.name = data.class_name(i),
                           .samples = static_cast<std::uint64_t>(found.classes[i].samples),
                           .correct = static_cast<std::uint64_t>(found.classes[i].correct)});
}

/// Evaluates as --evaluate says, each time with the batches of new_source(), and tells the row and
/// the run. The first of the evaluations is the row's test accuracy.
void evaluate(splitvit::split::Client<float>& client, const Options& options, const Data& data,
              const auto& new_source, splitvit::report::Run& run, splitvit::report::Row& row) {
  for (const splitvit::split::EvaluationMode mode : options.evaluate) {
    const splitvit::split::Evaluation result = client.evaluate(new_source(), mode);
    run.evaluation_traffic += result.traffic;
    if (mode == splitvit::split::EvaluationMode::compressed) {
      row.compressed_accuracy = result.accuracy();
      row.compressed_bytes = result.traffic.total();
    }
    if (row.test_accuracy) continue;
    row.test_accuracy = result.accuracy();
    keep_classes(result, data, run);
  }
}

}  // namespace split_train
