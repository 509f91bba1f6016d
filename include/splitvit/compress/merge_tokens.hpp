// SPDX-License-Identifier: MIT
#pragma once

#include <array>      // array
#include <concepts>   // floating_point
#include <cstdint>    // uint8_t
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move

#include <splitvit/autograd/variable.hpp>            // record
#include <splitvit/compress/cut_batch.hpp>           // CutBatch
#include <splitvit/compress/detail/finite.hpp>       // finite
#include <splitvit/compress/detail/groups.hpp>       // Groups, groups_of
#include <splitvit/compress/detail/like_tokens.hpp>  // group_like_tokens
#include <splitvit/compress/gather_tokens.hpp>       // gather_tokens
#include <splitvit/compress/kept_count.hpp>          // kept_count, require_fraction
#include <splitvit/core/parallel.hpp>                // parallel_for
#include <splitvit/core/random.hpp>                  // Rng
#include <splitvit/core/text.hpp>                    // exact_text, Named, name_of
#include <splitvit/core/workspace.hpp>               // RecycledVector
#include <splitvit/kernel/merge.hpp>                 // mean_of_groups, spread_to_groups
#include <splitvit/kernel/token_statistic.hpp>       // TokenStatistic
#include <splitvit/tensor/reduce.hpp>                // all_finite

// MergeTokens: averages tokens of a sample that are alike, where SelectTokens drops the ones
// that CLS looks at least. Letter: P tokens that are sent, CLS included.

namespace splitvit::compress {

/// By what tokens are compared.
enum class TokenFeatures : std::uint8_t {
  tokens,  ///< themselves
  keys,    ///< their keys in the last block of the client, mean over heads
};

/// Merges like tokens until few enough are left.
///
/// In a round, the patches at even places look for the most similar patch at an odd place (cosine
/// of their features), and the most similar pairs merge, at most half of the patches. Features of
/// zeros are like nothing. CLS is never merged.
///
/// Shapes  tokens (B, N, D) -> (B, P, D), cls_attention (B, N) -> (B, P), token_sizes (B, P) where
///         they are sent, labels as they are,
///         with P = max(1, floor(keep * N)), CLS included. P = 1 keeps CLS alone and drops the
///         patches; P = N returns the batch as it is, bit for bit. Order: CLS, then by the
///         lowest member.
/// Units   cls_attention: the sum over the members, so that each row keeps its sum.
/// Grad    tokens only. A token in a group of s gets 1/s of its gradient.
/// Errors  std::invalid_argument if keep is outside (0, 1], a feature is not finite, the batch has
///         no keys to compare, or tokens that already stand for several are to be merged;
///         ShapeError if the batch's parts do not describe one batch.
/// Source  after Bolya et al., "Token Merging: Your ViT But Faster", arXiv:2210.09461.
/// Differs It compares keys and merges within every block; this merges once, at the cut.
struct MergeTokens {
  double keep = 0.5;  ///< fraction of the tokens that remains, CLS included, in (0, 1]
  TokenFeatures features = TokenFeatures::tokens;
  /// Tells the server how many of the tokens that this stage gets each one stands for, in a byte a
  /// token: it then attends to it as to so many.
  bool send_sizes = false;

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const;

  kernel::TokenStatistic required_statistic() const {
    return features == TokenFeatures::keys ? kernel::TokenStatistic::keys
                                           : kernel::TokenStatistic::none;
  }

  /// What it does and with which options, on one line.
  std::string description() const;
};

/// For each sample which tokens MergeTokens would merge: the number of each token's group, 0 for
/// CLS alone, groups numbered by their lowest members.
///
/// Shapes  features (B, N, W) -> (B, N), 2 <= P <= N groups in each row.
/// Errors  ShapeError for another rank or number of groups; std::invalid_argument if a feature is
///         not finite.
template <std::floating_point T>
Tensor<Index> like_tokens(const Tensor<T>& features, Index P) {
  const Shape& shape = features.shape();
  if (shape.rank() != 3 || P < 2 || P > shape[1])
    throw ShapeError("like_tokens: " + std::to_string(P) + " groups of tokens " + shape.text() +
                     ": wanted 2 to N of (B, N, W)");
  if (!all_finite<T>(features.view()))
    throw std::invalid_argument("like_tokens: a feature is not finite");
  const Index N = shape[1], W = shape[2];
  Tensor<Index> ids = Tensor<Index>::uninitialised({shape[0], N});
  parallel_for(shape[0], 1, [&](Index b, Index) {
    detail::group_like_tokens(features.data() + b * N * W, N, W, P, ids.data() + b * N);
  });
  return ids;
}

/// Averages the tokens of each group, with groups that you choose: token j of sample b goes to
/// merged token ids[b, j].
///
/// Members are added in ascending order in double precision, with one division and one rounding
/// at the end; a group of one is copied.
///
/// Shapes  ids (B, N), each row with the numbers 0..P-1; tokens (B, N, D) -> (B, P, D),
///         cls_attention (B, N) -> (B, P), added up; token_sizes (B, P) get the numbers of members
///         if `with_sizes`. Traits are lost.
/// Grad    tokens only, 1/s to each of the s members of a group.
/// Errors  ShapeError if ids is no (B, N); std::invalid_argument if a number is outside 0..P-1
///         or missing, or if CLS is not alone in group 0, or if tokens already stand for several.
template <std::floating_point T>
CutBatch<T> merge_token_groups(CutBatch<T> batch, const Tensor<Index>& ids, Index P,
                               bool with_sizes = false);

namespace detail {

inline constexpr std::array<Named<TokenFeatures>, 2> feature_names{
    {{"tokens", TokenFeatures::tokens}, {"keys", TokenFeatures::keys}}};

/// Errors  as merge_token_groups says.
inline void require_token_groups(const Tensor<Index>& ids, Index B, Index N, Index P) {
  if (ids.shape() != Shape{B, N})
    throw ShapeError("merge_token_groups: ids " + ids.shape().text() + " for " + std::to_string(B) +
                     " samples of " + std::to_string(N) + " tokens");
  const auto refuse = [](Index b, const std::string& text) {
    throw std::invalid_argument("merge_token_groups: sample " + std::to_string(b) + ": " + text);
  };
  if (P < 1 || P > N) refuse(0, std::to_string(P) + " groups of " + std::to_string(N) + " tokens");
  for (Index b = 0; b < B; ++b) {
    RecycledVector<Index> members(static_cast<std::size_t>(P));
    for (Index j = 0; j < N; ++j) {
      const Index id = ids[b * N + j];
      if (id < 0 || id >= P)
        refuse(b,
               "group " + std::to_string(id) + " does not exist, there are " + std::to_string(P));
      ++members[static_cast<std::size_t>(id)];
    }
    for (Index p = 0; p < P; ++p)
      if (members[static_cast<std::size_t>(p)] == 0)
        refuse(b, "group " + std::to_string(p) + " is empty");
    if (ids[b * N] != 0 || members[0] != 1) refuse(b, "CLS must be alone in group 0");
  }
}

/// The groups of all samples together: member b N + j is token j of sample b.
inline Groups groups_of_tokens(const Tensor<Index>& ids, Index P) {
  const Index B = ids.dim(0), N = ids.dim(1);
  RecycledVector<Index> of_all(static_cast<std::size_t>(B * N));
  for (Index i = 0; i < B * N; ++i) of_all[static_cast<std::size_t>(i)] = i / N * P + ids[i];
  return groups_of(of_all, B * P);
}

}  // namespace detail

template <std::floating_point T>
CutBatch<T> merge_token_groups(CutBatch<T> batch, const Tensor<Index>& ids, Index P,
                               bool with_sizes) {
  require_consistent("merge_token_groups", batch);
  if (!batch.token_sizes.empty())
    throw std::invalid_argument(
        "merge_token_groups: tokens that already stand for several cannot be merged again");
  const Index B = batch.samples(), N = batch.token_count(), D = batch.width();
  detail::require_token_groups(ids, B, N, P);
  detail::Groups groups = detail::groups_of_tokens(ids, P);
  Tensor<double> attention{{B, P}};
  if (with_sizes) batch.token_sizes = Tensor<T>{{B, P}};
  for (Index i = 0; i < B * N; ++i) {
    const Index group = i / N * P + ids[i];
    attention[group] += static_cast<double>(batch.cls_attention[i]);
    if (with_sizes) batch.token_sizes[group] += 1;
  }
  batch.statistics = {};
  batch.cls_attention = Tensor<T>::uninitialised({B, P});
  for (Index i = 0; i < B * P; ++i) batch.cls_attention[i] = detail::finite<T>(attention[i]);
  const Variable<T> x = batch.tokens;
  Tensor<T> y = Tensor<T>::uninitialised({B, P, D});
  kernel::mean_of_groups<T>(x.value().span(), y.span(), D, groups.starts, groups.members);
  // forward: y_p = (x_i + ... + x_j) / s over the s members of group p, so dx_i = dy_p / s
  auto share_out = [x, D, groups = std::move(groups)](const Tensor<T>&, const Tensor<T>& dy) {
    Tensor<T> dx = Tensor<T>::uninitialised(x.shape());
    kernel::spread_to_groups<T>(dy.span(), dx.span(), D, groups.starts, groups.members);
    x.add_gradient(std::move(dx));
  };
  batch.tokens = record<T>(std::move(y), {x}, std::move(share_out));
  return batch;
}

template <std::floating_point T>
CutBatch<T> MergeTokens::operator()(CutBatch<T> batch, Rng&) const {
  require_consistent("MergeTokens", batch);
  require_fraction("MergeTokens", keep);
  const Index N = batch.token_count();
  const Index P = kept_count(keep, N, 1);
  if (P == N) return batch;
  if (P == 1) return gather_tokens(std::move(batch), RecycledVector<Index>{0});
  if (features == TokenFeatures::keys && batch.statistics.empty())
    throw std::invalid_argument("MergeTokens: no keys to compare: the batch has no statistics");
  const Tensor<Index> ids =
      like_tokens(features == TokenFeatures::keys ? batch.statistics : batch.tokens.value(), P);
  return merge_token_groups(std::move(batch), ids, P, send_sizes);
}

inline std::string MergeTokens::description() const {
  return "merge_tokens keep=" + exact_text(keep) +
         " features=" + name_of(detail::feature_names, features) +
         " send_sizes=" + name_of(yes_or_no, send_sizes);
}

}  // namespace splitvit::compress
