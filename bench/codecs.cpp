// SPDX-License-Identifier: MIT
// What share of a client's step does each codec take?
//
//   codecs [CODEC...] [--rounds N] [--threads N] [--json FILE]
//
// The client's part of a codec is to write the activations and to read the gradient; the server's
// is to read the activations and to write the gradient. Both are measured on the tokens of the step
// that shares.hpp describes.

#include <cstddef>
#include <string>
#include <vector>

#include <splitvit/spec/codecs.hpp>

#include "rows.hpp"
#include "shares.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

/// FedLite's sub-vectors are of two values, as published.
std::vector<std::string> usual(const nn::VitConfig& config) {
  const std::string sub_vectors = std::to_string(config.tokens() * config.dim / 2);
  return {"float32",
          "float16",
          "q:8",
          "q:4",
          "q:1",
          "topk:0.1",
          "random_topk:0.1",
          "c3:4",
          "fedlite:" + sub_vectors,
          "splitfc",
          "slacc",
          "slfac",
          "cls-exact(q:4)",
          "coded(q:4)",
          "transform:2",
          "transform:1.2,gradient_step=0.8"};
}

bench::Method make(const std::string& text, const bench::ClientStep& step,
                   const nn::AtCut<float>& at_cut) {
  return [codec = spec::parse_codec<float>(text), &step, &at_cut]() mutable {
    const Tensor<float>& activations = at_cut.tokens.value();
    const Tensor<float>& gradient = step.gradient();
    Rng rng{.seed = 3};
    std::vector<std::byte> up, down;
    const double begin = bench::seconds();
    const auto context = codec.encode(activations.view(), up, rng);
    const double sent = bench::seconds();
    const auto decoded = codec.decode<float>(up, activations.shape());
    codec.encode_gradient(gradient.view(), decoded.context, down, rng);
    const double answered = bench::seconds();
    codec.decode_gradient<float>(down, context, activations.shape());
    return bench::MethodSeconds{sent - begin + (bench::seconds() - answered), answered - sent};
  };
}

}  // namespace

int main(int argc, char** argv) { return bench::measure_shares(argc, argv, usual, make); }
