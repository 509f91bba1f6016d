// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/nn/vit.hpp>  // VitConfig

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options

namespace split_train {

/// The most images whose activations can be sent in one message as they are, without compression.
Index largest_batch(const splitvit::nn::VitConfig& vit);

/// Finds before the first step that a message would be longer than can be sent: activations of a
/// batch that nothing compresses, or the weights of the server part.
///
/// Errors  UsageError with both sizes, and what would be possible.
void require_messages_fit(const Options& options, const Data& data);

}  // namespace split_train
