// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>  // uint64_t
#include <string>   // string

#include <splitvit/data/concepts.hpp>  // TrainTest

// The data sets that split_train knows by name.

namespace split_train {

/// Reads or draws what --data names.
///
/// Errors  UsageError for a text that names no data set; StorageError for files that cannot
///         be trusted.
splitvit::data::TrainTest load_data(const std::string& text, std::uint64_t seed);

/// The number of classes that --data tells without reading a file; 0 if it does not.
splitvit::Index classes_of(const std::string& text);

}  // namespace split_train
