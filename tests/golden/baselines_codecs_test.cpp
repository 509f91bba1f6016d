// SPDX-License-Identifier: MIT
// Quantisation and Top-K against PyTorch. Every case called quantise, topk or random_topk of
// every baselines* file is run.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/random_top_k.hpp>
#include <splitvit/codec/top_k.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace splitvit {
namespace {

/// A case of a file, compared within the tolerance of T.
template <class T>
struct Case {
  const golden::File& file;
  std::string name;

  std::string at(const std::string& tensor) const { return name + "/" + tensor; }
  Tensor<T> get(const std::string& tensor) const { return file.get<T>(at(tensor)); }
  void compare(const std::string& tensor, const Tensor<T>& ours) const {
    CHECK(file.compare(at(tensor), ours, golden::tolerance<T>()) == "");
  }
};

/// Low, scale and codes of one direction.
template <class T>
void check_range(const Case<T>& own, const Tensor<T>& x, int bits, const std::string& prefix) {
  const auto range = codec::detail::find_range<T>(x.span(), bits);
  own.compare(prefix + "low", Tensor<T>::full({1}, range.low));
  own.compare(prefix + "scale", Tensor<T>::full({1}, range.scale));
  std::vector<std::uint16_t> codes(static_cast<std::size_t>(x.size()));
  codec::detail::quantise<T>(x.span(), range, bits, codes.data());
  const Tensor<Index> ours{x.shape(), std::vector<Index>(codes.begin(), codes.end())};
  CHECK(own.file.compare(own.at(prefix + "code"), ours, golden::Tolerance{}) == "");
}

template <class T>
void check_quantise(const Case<T>& own) {
  const auto bits = static_cast<int>(own.file.integer(own.at("bits")));
  const Tensor<T> x = own.get("x"), gy = own.get("gy");
  check_range(own, x, bits, "");
  check_range(own, gy, bits, "g");

  const codec::Quantise quantise{
      .bits = bits, .range = codec::RangePer::tensor, .gradient_range = codec::RangePer::tensor};
  Rng rng;
  std::vector<std::byte> up, down;
  const auto sent = quantise.encode(x.view(), up, rng);
  const auto came = quantise.decode<T>(up, x.shape());
  quantise.encode_gradient(gy.view(), came.receipt, down, rng);
  own.compare("y", came.values);
  own.compare("gx", quantise.decode_gradient<T>(down, sent, x.shape()));
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
  codec::detail::encode_kept_gradient<T>(gy.view(), came.receipt, values, down, rng, "golden");
  own.compare("y", came.values);
  own.compare("gx",
              codec::detail::decode_kept_gradient<T>(down, sent, x.shape(), values, "golden"));
}

template <class T>
std::vector<std::uint32_t> kept_indices(const Case<T>& own) {
  const std::vector<Index> stored = own.file.indices(own.at("kept_index"));
  return {stored.begin(), stored.end()};
}

/// The k of the file, which must be ours, too.
template <class T>
Index check_count(const Case<T>& own, const Tensor<T>& x) {
  const Index k = own.file.integer(own.at("k"));
  CHECK(codec::detail::kept_entries(own.file.real(own.at("rate")), x.size() / x.dim(0)) == k);
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
  codec::TopK<> top_k{.rate = own.file.real(own.at("rate"))};
  Rng rng;
  std::vector<std::byte> up;
  top_k.encode<T>(x.view(), up, rng);
  own.compare("y", top_k.decode<T>(up, x.shape()).values);
}

template <class T>
void check_random_top_k(const Case<T>& own) {
  const Tensor<T> x = own.get("x");
  const Index k = check_count(own, x), n = x.size() / x.dim(0);
  const auto weights = codec::detail::draw_weights(own.file.real(own.at("random_portion")), k, n);
  auto probability = Tensor<T>::full({x.dim(0), n}, static_cast<T>(weights.other));
  const auto largest = codec::detail::largest_of_samples<T>(x.view(), k);
  for (Index i = 0; i < static_cast<Index>(largest.size()); ++i)
    probability[i / k * n + largest[static_cast<std::size_t>(i)]] = static_cast<T>(weights.largest);
  own.compare("probability", probability);
  check_kept(own, kept_indices(own), k);
}

template <class T>
void check_codecs(const std::string& name) {
  const golden::File file{name};
  int found = 0;
  for (const std::string& each : file.cases()) {
    const std::string kind = golden::kind_of(each, {"quantise", "topk", "random_topk"});
    if (kind.empty()) continue;
    INFO(name << ": " << each);
    const Case<T> own{file, each};
    if (kind == "quantise") check_quantise(own);
    if (kind == "topk") check_top_k(own);
    if (kind == "random_topk") check_random_top_k(own);
    ++found;
  }
  CHECK(found > 0);
}

}  // namespace

TEST_CASE("golden: quantisation and top-k in double", "[golden][codec]") {
  const auto names = golden::files("baselines");
  REQUIRE(std::ranges::count(names, "baselines_f64") == 1);
  for (const std::string& name : names)
    if (!name.ends_with("_f32")) check_codecs<double>(name);
}

TEST_CASE("golden: quantisation and top-k in float", "[golden][codec]") {
  const auto names = golden::files("baselines");
  REQUIRE(std::ranges::count(names, "baselines_f32") == 1);
  for (const std::string& name : names) check_codecs<float>(name);
}

}  // namespace splitvit
