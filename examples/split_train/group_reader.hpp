// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>  // int64_t
#include <string>   // string

#include <CLI/CLI.hpp>

#include "split_train/method.hpp"       // Method
#include "split_train/option_list.hpp"  // OptionList
#include "split_train/options.hpp"      // Options

// The part of the command line that is about several clients.

namespace split_train {

/// Reads the options of clients that train one model together.
class GroupReader {
 public:
  /// Values come into the options, and into this.
  void add_to(OptionList& list, Options& options);

  /// Completes the options after all have been read. Before defaults of the others are filled in.
  ///
  /// Errors  UsageError where they do not fit each other, or other options.
  void check(Options& options);

 private:
  /// Errors  UsageError.
  void read_client(Options& options);

  bool is_in_cluster_ = false;        // --link mpi
  std::string client_;                // "I/N"
  std::string average_every_, turn_;  // steps, or "epoch"
  bool skips_late_ = false;
  std::int64_t deadline_ = 0;  // seconds
  const CLI::Option *of_clients_ = nullptr, *of_client_ = nullptr, *of_sharing_ = nullptr,
                    *of_average_every_ = nullptr, *of_turn_ = nullptr, *of_partition_ = nullptr,
                    *of_per_round_ = nullptr, *of_order_ = nullptr, *of_on_late_ = nullptr,
                    *of_deadline_ = nullptr;
};

/// Errors  std::invalid_argument for a method that a group of clients cannot train with.
void require_fit_for_group(const Method& method);

}  // namespace split_train
