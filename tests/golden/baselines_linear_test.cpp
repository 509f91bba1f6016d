// SPDX-License-Identifier: MIT
// Codecs with keys and codebooks against PyTorch.

#include <span>
#include <string>
#include <vector>

#include <splitvit/codec/c3_keys.hpp>
#include <splitvit/codec/fedlite.hpp>
#include <splitvit/kernel/kmeans.hpp>

#include "golden/cases.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

template <class T>
void check_c3(const golden::Case<T>& own) {
  const Shape shape = own.file.shape(own.at("x"));
  const Index B = shape[0], n = shape[1] * shape[2];
  const codec::C3Keys<T> keys{own.file.template get<double>(own.at("keys")).view()};
  CHECK(keys.ratio() == own.integer("ratio"));

  const auto superpose = [&](const std::string& tensor) {
    return keys.superpose(own.get(tensor).reshaped({B, n}).view());
  };
  const auto agrees = [&](const std::string& tensor, const Tensor<T>& ours) {
    own.agrees(tensor, ours.reshaped(own.file.shape(own.at(tensor))));
  };
  const auto sent = superpose("x"), gradient = superpose("gy");
  agrees("sent", sent);
  agrees("y", keys.separate(sent.view(), B));
  agrees("gsent", gradient);
  agrees("gx", keys.separate(gradient.view(), B));
}

template <class T>
void check_codebook(const golden::Case<T>& own) {
  const auto x = own.get("x"), codebook = own.get("codebook");
  codec::FedLite<> fedlite{.sub_vectors = own.integer("pieces"),
                           .codewords = codebook.dim(0),
                           .correction = own.real("correction_weight")};

  const Index m = x.dim(0) * fedlite.sub_vectors;
  const auto codes = kernel::nearest_codewords(
      kernel::dense<const T>(x.data(), m, x.size() / m),
      kernel::dense<const T>(codebook.data(), codebook.dim(0), codebook.dim(1)));
  own.agrees("assignment", Tensor<std::uint16_t>{{x.dim(0), fedlite.sub_vectors},
                                                 std::span<const std::uint16_t>{codes}});

  std::vector<std::byte> up, down;
  Rng rng;
  const auto sent = fedlite.encode_with<T>(x.view(), std::span{&codebook, 1}, up);
  const auto came = codec::decode<T>(fedlite, up, x.shape());
  own.agrees("y", came.values);
  codec::encode_gradient<T>(fedlite, own.get("gy").view(), came.context, down, rng);
  own.agrees("gx", codec::decode_gradient<T>(fedlite, down, sent, x.shape()));
}

}  // namespace

TEMPLATE_TEST_CASE("golden: keys", "[golden][codec]", double, float) {
  golden::each_case<TestType>("baselines", [](const golden::Case<TestType>& own) {
    const bool known = !golden::kind_of(own.name, {"c3"}).empty();
    if (known) check_c3(own);
    return known;
  });
}

TEMPLATE_TEST_CASE("golden: codebooks", "[golden][codec]", double, float) {
  golden::each_case<TestType>("baselines", [](const golden::Case<TestType>& own) {
    const bool known = !golden::kind_of(own.name, {"codebook"}).empty();
    if (known) check_codebook(own);
    return known;
  });
}

}  // namespace splitvit
