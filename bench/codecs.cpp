// SPDX-License-Identifier: MIT
// What share of a client's step does each codec take?
//
//   codecs [CODEC...] [--rounds N] [--threads N] [--json FILE]
//
// The step is that of a client with three blocks of deit_tiny and of vit_cifar, 128 images:
// forward, backward, Adam. The client's part of a codec is to write the activations and to read the
// gradient; the server's is to read the activations and to write the gradient. Both are measured on
// the tokens of that step. Each round measures the step and then every codec, so that all see the
// same machine.

#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/codec/parse.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/core/workspace.hpp>

#include "clock.hpp"
#include "rows.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

/// FedLite's pieces are of two values, as published.
std::vector<std::string> usual(const nn::VitConfig& config) {
  const std::string pieces = std::to_string(config.tokens() * config.dim / 2);
  return {"float32",
          "float16",
          "q:8",
          "q:4",
          "q:1",
          "topk:0.1",
          "random_topk:0.1",
          "c3:4",
          "fedlite:" + pieces,
          "splitfc",
          "slacc",
          "slfac",
          "cls-exact(q:4)"};
}

struct CodecSeconds {
  double client = 0, server = 0;
};

CodecSeconds seconds_of(codec::AnyCodec<float>& codec, const Tensor<float>& activations,
                        const Tensor<float>& gradient, Workspace& workspace) {
  const Workspace::Use use{workspace};
  Rng rng{.seed = 3};
  std::vector<std::byte> up, down;
  const double begin = bench::seconds();
  const auto receipt = codec.encode(activations.view(), up, rng);
  const double sent = bench::seconds();
  const auto decoded = codec.decode<float>(up, activations.shape());
  codec.encode_gradient(gradient.view(), decoded.receipt, down, rng);
  const double answered = bench::seconds();
  codec.decode_gradient<float>(down, receipt, activations.shape());
  return {sent - begin + (bench::seconds() - answered), answered - sent};
}

void measure(bench::Rows& rows, const std::string& model, const std::vector<std::string>& names,
             int rounds) {
  const nn::VitConfig config = nn::vit_named(model);
  const std::vector<std::string> texts = names.empty() ? usual(config) : names;
  bench::ClientStep step{config, 128};
  const Tensor<float> activations = step().tokens.value();
  step();
  std::vector<codec::AnyCodec<float>> codecs;
  Workspace workspace;
  for (const std::string& text : texts) {
    codecs.push_back(codec::parse_codec<float>(text));
    seconds_of(codecs.back(), activations, step.gradient(), workspace);
  }
  for (int round = 0; round < rounds; ++round) {
    const double whole = bench::seconds_of([&] { step(); });
    rows.add(model + ", step", 1e3 * whole, "ms");
    for (std::size_t i = 0; i < codecs.size(); ++i) {
      const CodecSeconds time = seconds_of(codecs[i], activations, step.gradient(), workspace);
      rows.add(model + ", " + texts[i], 100 * time.client / whole, "% of client");
      rows.add(model + ", " + texts[i] + ", both sides", 1e3 * (time.client + time.server), "ms");
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const bench::Arguments arguments{argc, argv};
  bench::Rows rows;
  with_threads(arguments.threads, [&] {
    for (const char* const model : {"vit_cifar", "deit_tiny"})
      measure(rows, model, arguments.names, arguments.rounds);
  });
  rows.report(arguments);
} catch (const std::invalid_argument& error) {
  std::fprintf(stderr, "codecs: %s\n", error.what());
  return 2;
}
