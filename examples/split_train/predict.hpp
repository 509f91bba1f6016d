// SPDX-License-Identifier: MIT
#pragma once

#include "split_train/options.hpp"  // Options

// split_train --predict IMAGES...: what a model sees in pictures. The server gets no labels.

namespace split_train {

/// Prints the five most probable classes of each image, as a table or as JSON.
///
/// Returns the exit code.
/// Errors  UsageError without a classifier in --weights, or if this program was built without JPEG
///         and PNG; StorageError for files that cannot be read.
int predict(const Options& options);

}  // namespace split_train
