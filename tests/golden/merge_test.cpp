// SPDX-License-Identifier: MIT
// Merging and token selection, with given clusters, against PyTorch.

#include <algorithm>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/select_tokens.hpp>

#include "golden/cases.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

/// y (K, P, D) with each sample's tokens in ascending order of index (K, P).
template <class T>
Tensor<T> in_ascending_order(const Tensor<T>& y, const Tensor<Index>& index) {
  const Index K = y.dim(0), P = y.dim(1), D = y.dim(2);
  Tensor<T> out{y.shape()};
  for (Index k = 0; k < K; ++k)
    for (Index p = 0; p < P; ++p) {
      Index place = 0;
      for (Index other = 0; other < P; ++other)
        if (index[k * P + other] < index[k * P + p]) ++place;
      std::copy_n(y.data() + (k * P + p) * D, D, out.data() + (k * P + place) * D);
    }
  return out;
}

template <class T>
void check_merge_case(const golden::Case<T>& own) {
  const Index clusters = own.integer("clusters"), kept = own.integer("kept");
  const std::vector<Index> ids = own.indices("cluster_ids");
  const auto x = Variable<T>::parameter(own.get("x"));
  const Index N = x.dim(1);

  // 1. The means, of tokens, attention and labels.
  const auto merged =
      compress::merge_clusters<T>({x, own.get("cls_attn"), own.indices("labels")}, ids, clusters);
  own.agrees("centroids", merged.cls_attention);
  own.agrees("merged_labels", target_rows<T>(merged.labels, own.integer("classes")));
  std::vector<Index> sizes(static_cast<std::size_t>(clusters));
  for (const Index id : ids) ++sizes[static_cast<std::size_t>(id)];
  own.agrees("cluster_sizes", sizes);

  // 2. The choice of tokens, as sets: the order after CLS is free.
  const Tensor<Index> ours = compress::best_tokens(merged.cls_attention, kept);
  const Tensor<Index> theirs{{clusters, kept}, own.indices("token_index")};
  Tensor<Index> sorted = theirs;
  for (Index k = 0; k < clusters; ++k)
    std::sort(sorted.data() + k * kept, sorted.data() + (k + 1) * kept);
  CHECK(golden::difference(own.at("token_index"), ours, sorted, {}) == "");

  // 3. Both stages, forward and backward.
  Rng rng;
  const double keep = kept == N ? 1.0 : (static_cast<double>(kept) + 0.5) / static_cast<double>(N);
  const auto sent = compress::SelectTokens{.keep = keep}(merged, rng);
  const auto merged_by_them =
      in_ascending_order(own.file.template get<double>(own.at("merged")), theirs);
  CHECK(golden::difference(own.at("merged"), sent.tokens.value(), merged_by_them, own.close) == "");
  backward(sent.tokens, in_ascending_order(own.get("gmerged"), theirs));
  own.agrees("gx", x.gradient());
}

}  // namespace

TEMPLATE_TEST_CASE("golden: merging and token selection", "[golden][merge]", double, float) {
  golden::each_case<TestType>("adc_merge", [](const golden::Case<TestType>& own) {
    check_merge_case(own);
    return true;
  });
}

}  // namespace splitvit
