// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// What token_statistics.hpp computes about tokens. A_h is the attention of head h. All except keys
/// are one number for each token.
enum class TokenStatistic : std::uint8_t {
  none,
  received,  ///< the attention of all tokens to token j: the mean of A_h[i, j] over heads and i
  value,     ///< the contribution of token j to CLS: the sum over heads of A_h[0, j] |v_hj|
  rollout,   ///< row 0 of the product over blocks of (mean_h A_h + 1) / 2 (arXiv:2005.00928)
  keys,      ///< the mean over heads of its keys: D / H numbers
};

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
