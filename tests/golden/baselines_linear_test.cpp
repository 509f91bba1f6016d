// SPDX-License-Identifier: MIT
// Codecs with keys and codebooks against PyTorch. Any baselines* file in the format of the
// README is run: cases are found by their names.

#include <map>
#include <span>
#include <string>
#include <vector>

#include <splitvit/codec/c3_keys.hpp>
#include <splitvit/codec/codebook.hpp>
#include <splitvit/codec/fedlite.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace splitvit {
namespace {

template <class T>
void check_c3(const golden::File& file, const std::string& name) {
  const auto at = [&](const std::string& tensor) { return name + "/" + tensor; };
  const Shape shape = file.shape(at("x"));
  const Index B = shape[0], n = shape[1] * shape[2];
  const codec::C3Keys<T> keys{file.get<double>(at("keys")).view()};
  CHECK(keys.ratio() == file.integer(at("ratio")));

  const auto superpose = [&](const std::string& tensor) {
    return keys.superpose(file.get<T>(at(tensor)).reshaped({B, n}).view());
  };
  const auto agrees = [&](const std::string& tensor, const Tensor<T>& ours) {
    CHECK(file.compare(at(tensor), ours.reshaped(file.shape(at(tensor))), golden::tolerance<T>()) ==
          "");
  };
  const auto sent = superpose("x"), gradient = superpose("gy");
  agrees("sent", sent);
  agrees("y", keys.separate(sent.view(), B));
  agrees("gsent", gradient);
  agrees("gx", keys.separate(gradient.view(), B));
}

template <class T>
void check_codebook(const golden::File& file, const std::string& name) {
  const auto at = [&](const std::string& tensor) { return name + "/" + tensor; };
  const auto x = file.get<T>(at("x")), words = file.get<T>(at("codebook"));
  codec::FedLite<> fedlite{.pieces = file.integer(at("pieces")),
                           .words = words.dim(0),
                           .correction = file.real(at("correction_weight"))};

  const Index m = x.dim(0) * fedlite.pieces;
  const auto codes = codec::nearest_words<T>(x.reshaped({m, x.size() / m}).view(), words.view());
  CHECK(file.compare(at("assignment"),
                     Tensor<std::uint16_t>{{x.dim(0), fedlite.pieces},
                                           std::span<const std::uint16_t>{codes}},
                     golden::Tolerance{}) == "");

  std::vector<std::byte> up, down;
  Rng rng;
  const auto sent = fedlite.encode_with<T>(x.view(), std::span{&words, 1}, up);
  const auto came = fedlite.decode<T>(up, x.shape());
  CHECK(file.compare(at("y"), came.values, golden::tolerance<T>()) == "");
  fedlite.encode_gradient<T>(file.get<T>(at("gy")).view(), came.receipt, down, rng);
  CHECK(file.compare(at("gx"), fedlite.decode_gradient<T>(down, sent, x.shape()),
                     golden::tolerance<T>()) == "");
}

/// All cases of a file that are ours; how many of each kind.
template <class T>
std::map<std::string, int> check_file(const std::string& name) {
  const golden::File file{name};
  std::map<std::string, int> counts;
  for (const std::string& which : file.cases()) {
    INFO(name << ": " << which);
    const std::string kind = golden::kind_of(which, {"c3", "codebook"});
    if (kind.empty()) continue;  // another codec's
    ++counts[kind];
    if (kind == "c3")
      check_c3<T>(file, which);
    else
      check_codebook<T>(file, which);
  }
  return counts;
}

}  // namespace

TEST_CASE("golden: keys and codebooks in double", "[golden][codec]") {
  for (const std::string& name : golden::files("baselines"))
    if (!name.ends_with("_f32")) {
      const auto counts = check_file<double>(name);
      CHECK(counts.contains("c3"));
      CHECK(counts.contains("codebook"));
    }
}

TEST_CASE("golden: keys and codebooks in float", "[golden][codec]") {
  for (const std::string& name : golden::files("baselines")) {
    const auto counts = check_file<float>(name);
    CHECK(counts.contains("c3"));
    CHECK(counts.contains("codebook"));
  }
}

}  // namespace splitvit
