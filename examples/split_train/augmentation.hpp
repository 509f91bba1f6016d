// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string
#include <vector>  // vector

#include <splitvit/data/transform.hpp>  // AnyTransform

// What --augment names.

namespace split_train {

/// Its transforms, in order; none for "none".
///
/// Errors  UsageError for a name that does not exist, is given twice, or stands beside none.
std::vector<splitvit::data::AnyTransform> augmentation_of(const std::string& text);

/// Whether they need images at their own size: they choose parts of them, or are made for photos.
bool wants_own_size(const std::string& text);

}  // namespace split_train
