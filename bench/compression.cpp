// SPDX-License-Identifier: MIT
// What share of a client's step do the stages take, forth and back?
//
//   compression [STAGE...] [--rounds N] [--threads N] [--json FILE]
//
// The stage is applied to the tokens of the step that shares.hpp describes, and a gradient is sent
// back through it.

#include <string>
#include <vector>

#include <splitvit/spec/stages.hpp>

#include "rows.hpp"
#include "shares.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

std::vector<std::string> usual(const nn::VitConfig&) {
  return {"adc:0.1",    "adc:0.5",          "merge:0.3",
          "select:0.3", "merge-tokens:0.3", "adc:0.1:stop=fixpoint"};
}

bench::Method make(const std::string& text, const bench::ClientStep& step,
                   const nn::AtCut<float>& at_cut) {
  return [stage = spec::parse_stage<float>(text), labels = Labels{step.batch().labels}, &at_cut] {
    Rng rng{.seed = 4};
    const auto tokens = Variable<float>::parameter(at_cut.tokens.value());
    double time = -bench::seconds();  // without the copy above
    const auto sent = stage(compress::CutBatch<float>{tokens, at_cut.cls_attention, labels}, rng);
    time += bench::seconds();
    const Tensor<float> gradient = Tensor<float>::full(sent.tokens.shape(), 1e-4f);
    return bench::MethodSeconds{time + bench::seconds_of([&] { backward(sent.tokens, gradient); }),
                                0};
  };
}

}  // namespace

int main(int argc, char** argv) { return bench::measure_shares(argc, argv, usual, make); }
