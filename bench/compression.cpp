// SPDX-License-Identifier: MIT
// What share of a client's step do the stages take, forth and back?
//
//   compression [STAGE...] [--rounds N] [--threads N] [--json FILE]
//
// The step is that of a client with three blocks of deit_tiny and of vit_cifar, 128 images:
// forward, backward, Adam. The stage is applied to the tokens of that step, and a gradient is sent
// back through it. Each round measures the step and then every stage, so that all see the same
// machine.

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/compress/parse.hpp>
#include <splitvit/core/parallel.hpp>

#include "clock.hpp"
#include "rows.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

const std::vector<std::string> usual{"adc:0.1",    "adc:0.5",          "merge:0.3",
                                     "select:0.3", "merge-tokens:0.3", "adc:0.1:stop=fixpoint"};

void measure(bench::Rows& rows, const std::string& model, const std::vector<std::string>& texts,
             int rounds) {
  const nn::VitConfig config = nn::vit_named(model);
  bench::ClientStep step{config, 128};
  const nn::AtCut<float> at_cut = step();
  const Labels labels = step.batch().labels;
  std::vector<compress::AnyStage<float>> stages;
  for (const std::string& text : texts) stages.push_back(compress::parse_stage<float>(text));
  Workspace workspace;
  const auto forth_and_back = [&](const compress::AnyStage<float>& stage) {
    const Workspace::Use use{workspace};
    Rng rng{.seed = 4};
    const auto tokens = Variable<float>::parameter(at_cut.tokens.value());
    double time = -bench::seconds();  // without the copy above
    const auto sent = stage(compress::CutBatch<float>{tokens, at_cut.cls_attention, labels}, rng);
    time += bench::seconds();
    const Tensor<float> gradient = Tensor<float>::full(sent.tokens.shape(), 1e-4f);
    return time + bench::seconds_of([&] { backward(sent.tokens, gradient); });
  };
  for (const auto& stage : stages) forth_and_back(stage);
  for (int round = 0; round < rounds; ++round) {
    const double whole = bench::seconds_of([&] { step(); });
    rows.add(model + ", step", 1e3 * whole, "ms");
    for (std::size_t i = 0; i < stages.size(); ++i) {
      const double time = forth_and_back(stages[i]);
      rows.add(model + ", " + texts[i], 100 * time / whole, "% of client");
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const bench::Arguments arguments{argc, argv};
  bench::Rows rows;
  with_threads(arguments.threads, [&] {
    for (const char* const model : {"vit_cifar", "deit_tiny"})
      measure(rows, model, arguments.names.empty() ? usual : arguments.names, arguments.rounds);
  });
  rows.report(arguments);
} catch (const std::invalid_argument& error) {
  std::fprintf(stderr, "compression: %s\n", error.what());
  return 2;
}
