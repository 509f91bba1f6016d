// SPDX-License-Identifier: MIT
#pragma once

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options

namespace split_train {

/// Finds before the first step that a message would be longer than can be sent: activations of a
/// batch that nothing compresses, as in evaluations, or the weights of the server part.
///
/// Errors  UsageError with both sizes, and what would be possible.
void require_messages_fit(const Options& options, const Data& data);

}  // namespace split_train
