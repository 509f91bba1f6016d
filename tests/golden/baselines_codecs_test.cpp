// SPDX-License-Identifier: MIT
// Quantisation and Top-K against PyTorch. Every case called quantise, topk or random_topk of
// every baselines* file is run.

#include <cstdint>
#include <string>
#include <vector>

#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/top_k.hpp>

#include "golden/cases.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

using golden::Case;

/// Low, scale and codes of one direction.
template <class T>
void check_range(const Case<T>& own, const Tensor<T>& x, int bits, const std::string& prefix) {
  const auto range = codec::detail::range_between(codec::detail::find_extremes(x.span()), bits);
  own.agrees(prefix + "low", Tensor<T>::full({1}, range.low));
  own.agrees(prefix + "scale", Tensor<T>::full({1}, range.scale));
  std::vector<std::uint16_t> codes(static_cast<std::size_t>(x.size()));
  codec::detail::quantise<T>(x.span(), range, bits, codes.data(), codec::detail::to_nearest);
  const Tensor<Index> ours{x.shape(), std::vector<Index>(codes.begin(), codes.end())};
  own.agrees(prefix + "code", ours);
}

template <class T>
void check_quantise(const Case<T>& own) {
  const auto bits = static_cast<int>(own.integer("bits"));
  const Tensor<T> x = own.get("x"), gy = own.get("gy");
  check_range(own, x, bits, "");
  check_range(own, gy, bits, "g");

  const codec::Quantise quantise{
      .bits = bits, .range = codec::RangePer::tensor, .gradient_range = codec::RangePer::tensor};
  Rng rng;
  std::vector<std::byte> up, down;
  const auto sent = codec::encode<T>(quantise, x.view(), up, rng);
  const auto came = codec::decode<T>(quantise, up, x.shape());
  codec::encode_gradient<T>(quantise, gy.view(), came.context, down, rng);
  own.agrees("y", came.values);
  own.agrees("gx", codec::decode_gradient<T>(quantise, down, sent, x.shape()));
}

/// What arrives of x and gy when the values at `indices` are sent.
template <class T>
void check_kept(const Case<T>& own, const std::vector<std::uint32_t>& indices, Index k) {
  const Tensor<T> x = own.get("x"), gy = own.get("gy");
  codec::Float32 values;
  Rng rng;
  std::vector<std::byte> up, down;
  const auto sent = codec::detail::encode_kept<T>(x.view(), indices, k, values, up, rng);
  const auto came = codec::detail::decode_kept<T>(up, x.shape(), k, values, "golden");
  codec::detail::encode_kept_gradient<T>(gy.view(), came.context, values, down, rng, "golden");
  own.agrees("y", came.values);
  own.agrees("gx", codec::detail::decode_kept_gradient<T>(down, sent, x.shape(), values, "golden"));
}

template <class T>
std::vector<std::uint32_t> kept_indices(const Case<T>& own) {
  const std::vector<Index> stored = own.indices("kept_index");
  return {stored.begin(), stored.end()};
}

/// The k of the file, which must be ours, too.
template <class T>
Index check_count(const Case<T>& own, const Tensor<T>& x) {
  const Index k = own.integer("k");
  CHECK(kernel::kept_entries(own.real("rate"), x.size() / x.dim(0)) == k);
  return k;
}

template <class T>
void check_top_k(const Case<T>& own) {
  const Tensor<T> x = own.get("x");
  const Index k = check_count(own, x);
  const auto ours = codec::detail::largest_of_samples<T>(x.view(), k);
  CHECK(ours == kept_indices(own));
  check_kept(own, ours, k);
  // The codec as a whole.
  codec::TopK<> top_k{.rate = own.real("rate")};
  Rng rng;
  std::vector<std::byte> up;
  codec::encode<T>(top_k, x.view(), up, rng);
  own.agrees("y", codec::decode<T>(top_k, up, x.shape()).values);
}

template <class T>
void check_random_top_k(const Case<T>& own) {
  const Tensor<T> x = own.get("x");
  const Index k = check_count(own, x), n = x.size() / x.dim(0);
  const auto weights = codec::detail::draw_weights(own.real("random_portion"), k, n);
  auto probability = Tensor<T>::full({x.dim(0), n}, static_cast<T>(weights.other));
  const auto largest = codec::detail::largest_of_samples<T>(x.view(), k);
  for (Index i = 0; i < static_cast<Index>(largest.size()); ++i)
    probability[i / k * n + largest[static_cast<std::size_t>(i)]] = static_cast<T>(weights.largest);
  own.agrees("probability", probability);
  check_kept(own, kept_indices(own), k);
}

}  // namespace

TEMPLATE_TEST_CASE("golden: quantisation and top-k", "[golden][codec]", double, float) {
  golden::each_case<TestType>("baselines", [](const Case<TestType>& own) {
    const std::string kind = golden::kind_of(own.name, {"quantise", "topk", "random_topk"});
    if (kind == "quantise") check_quantise(own);
    if (kind == "topk") check_top_k(own);
    if (kind == "random_topk") check_random_top_k(own);
    return !kind.empty();
  });
}

}  // namespace splitvit
