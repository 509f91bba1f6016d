// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // size_t
#include <string>   // string, to_string
#include <vector>   // vector

#include <splitvit/data/any_dataset.hpp>  // AnyDataset
#include <splitvit/data/concepts.hpp>     // TrainTest
#include <splitvit/data/normalise.hpp>    // ChannelStatistics

#include "split_train/options.hpp"  // Options

// The data sets that split_train knows by name.

namespace split_train {

/// What --data names, to train with and to test with.
struct Data {
  splitvit::data::AnyDataset train;
  splitvit::data::AnyDataset test;
  std::string name;
  std::vector<std::string> class_names = {};  ///< in the order of the labels; empty: not known
  std::vector<std::string> skipped = {};      ///< files that were left out, and why
  /// Of the training images, or what --weights ask for.
  splitvit::data::ChannelStatistics statistics = {};
  std::string digest = {};         ///< see data_digest
  std::string weights_notes = {};  ///< what happens when --weights are loaded; empty without them

  /// Its number if the name is not known.
  std::string class_name(std::size_t label) const {
    return label < class_names.size() ? class_names[label] : std::to_string(label);
  }
};

/// Reads what --data names, or draws it: the same images whatever the seed.
///
/// Errors  UsageError for a text that names no data set; StorageError for files that cannot
///         be trusted.
Data load_data(const Options& options);

/// Says on stderr how many files were left out of the data, and why the first of them was; nothing
/// if none was.
void tell_skipped(const std::vector<std::string>& skipped);

/// The number of classes that --data tells without reading a file; 0 if it does not.
splitvit::Index classes_of(const std::string& text);

/// The parts of a text between commas, of which there is always one.
std::vector<std::string> split_at_commas(const std::string& text);

/// The files behind the colon of --data, which must be `count`.
///
/// Errors  UsageError that says what was wanted.
std::vector<std::string> files_of(const std::string& text, std::size_t count,
                                  const std::string& wanted);

/// Sets in memory, with their statistics.
Data data_from(splitvit::data::TrainTest pair);

}  // namespace split_train
