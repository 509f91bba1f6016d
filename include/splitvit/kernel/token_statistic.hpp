// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>  // uint8_t

// TokenStatistic: what a model can compute about its tokens, besides the attention of CLS to them.
// token_statistics.hpp computes it.

namespace splitvit::kernel {

/// A_h is the attention of head h. All except keys are one number for each token.
enum class TokenStatistic : std::uint8_t {
  none,
  received,  ///< how all tokens look at token j: the mean of A_h[i, j] over heads and i
  value,     ///< what CLS gets from token j: the sum over heads of A_h[0, j] |v_hj|
  rollout,   ///< row 0 of the product over blocks of (mean_h A_h + 1) / 2 (arXiv:2005.00928)
  keys,      ///< the mean over heads of its keys: D / H numbers
};

}  // namespace splitvit::kernel
