// SPDX-License-Identifier: MIT
// Merging and token selection, with given clusters, against PyTorch. Any adc_merge* file in the
// format of the README is run: cases are found in the files, none is listed here.

#include <algorithm>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/select_tokens.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

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
void check_merge_case(const golden::File& file, const std::string& name) {
  const auto at = [&](const char* tensor) { return name + "/" + tensor; };
  const golden::Tolerance close = golden::tolerance<T>();
  const auto agrees = [&](const char* tensor, const Tensor<T>& ours, const Tensor<double>& theirs) {
    CHECK(golden::difference(file.name() + ": " + at(tensor), ours, theirs, close) == "");
  };
  const Index clusters = file.integer(at("clusters")), kept = file.integer(at("kept"));
  const std::vector<Index> ids = file.indices(at("cluster_ids"));
  const auto x = Variable<T>::parameter(file.get<T>(at("x")));
  const Index N = x.dim(1);

  // 1. The means, of tokens, attention and labels.
  const auto merged = compress::merge_clusters<T>(
      {x, file.get<T>(at("cls_attn")), file.indices(at("labels"))}, ids, clusters);
  CHECK(file.compare(at("centroids"), merged.cls_attention, close) == "");
  CHECK(file.compare(at("merged_labels"),
                     target_rows<T>(merged.labels, file.integer(at("classes"))), close) == "");
  std::vector<Index> sizes(static_cast<std::size_t>(clusters));
  for (const Index id : ids) ++sizes[static_cast<std::size_t>(id)];
  CHECK(file.compare(at("cluster_sizes"), sizes) == "");

  // 2. The choice of tokens, as sets: the order after CLS is free.
  const Tensor<Index> ours = compress::best_tokens(merged.cls_attention, kept);
  const Tensor<Index> theirs{{clusters, kept}, file.indices(at("token_index"))};
  Tensor<Index> sorted = theirs;
  for (Index k = 0; k < clusters; ++k)
    std::sort(sorted.data() + k * kept, sorted.data() + (k + 1) * kept);
  CHECK(golden::difference(file.name() + ": " + at("token_index"), ours, sorted, {}) == "");

  // 3. Both stages, and the way back.
  Rng rng;
  const double keep = kept == N ? 1.0 : (static_cast<double>(kept) + 0.5) / static_cast<double>(N);
  const auto sent = compress::SelectTokens{.keep = keep}(merged, rng);
  agrees("merged", sent.tokens.value(), in_ascending_order(file.get<double>(at("merged")), theirs));
  backward(sent.tokens, in_ascending_order(file.get<T>(at("gmerged")), theirs));
  CHECK(file.compare(at("gx"), x.gradient(), close) == "");
}

bool is_merge_case(const golden::File& file, const std::string& name) {
  for (const char* tensor :
       {"x", "cls_attn", "cluster_ids", "clusters", "kept", "labels", "classes", "token_index",
        "centroids", "merged", "merged_labels", "gmerged", "gx", "cluster_sizes"})
    if (!file.has(name + "/" + tensor)) return false;
  return true;
}

template <class T>
void check_merge_file(const std::string& name) {
  const golden::File file{name};
  const std::vector<std::string> cases = file.cases();
  if (cases.empty()) FAIL(name << ": no case");
  for (const std::string& which : cases) {
    INFO(name << ": " << which);
    if (!is_merge_case(file, which)) {
      FAIL_CHECK("a case without the tensors of a merge case");
      continue;
    }
    check_merge_case<T>(file, which);
  }
}

}  // namespace

TEST_CASE("golden: merging and token selection in double", "[golden][merge]") {
  const auto names = golden::files("adc_merge");
  REQUIRE(std::ranges::count(names, "adc_merge_f64") == 1);
  for (const std::string& name : names)
    if (!name.ends_with("_f32")) check_merge_file<double>(name);
}

TEST_CASE("golden: merging and token selection in float", "[golden][merge]") {
  const auto names = golden::files("adc_merge");
  REQUIRE(std::ranges::count(names, "adc_merge_f32") == 1);
  for (const std::string& name : names) check_merge_file<float>(name);
}

}  // namespace splitvit
