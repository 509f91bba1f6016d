// SPDX-License-Identifier: MIT
// How long does a training step take, and what share of the machine's multiply-adds is that?
//
//   step [cifar|deit_tiny|deit_small|cifar_recompute_3|...|split|split_adc...] [--rounds N]
//       [--threads N] [--compute float32|bf16] [--json FILE]
//
// cifar (batch 128), deit_tiny and deit_small (32) are uncut: forward, backward, Adam. With
// _recompute_N behind the name the first N blocks store nothing for the backward pass. split and
// split_adc are deit_tiny cut after block 3, client and server over memory, batch 128, without
// compression and with adc:0.1. The three uncut models are measured unless names are given.
//
// Each round measures the peak and then every model, so that all see the same machine. Floating
// point operations are counted as products only, and only those that are done: forward and for a
// sample N (24 D^2 + 4 N D) in a block, in the last one 6 N D^2 for queries, keys and values and
// 4 N D + 18 D^2 for CLS alone (with bf16 in all 4 N D H + 24 D^2, H heads), and the patch
// embedding; three times that for a step, where the patch embedding needs no input gradient
// (twice). What recomputing does again is not counted.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/nn/vit.hpp>

#include "peak.hpp"
#include "rows.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

double step_gflop(const nn::VitConfig& c, Index batch, Compute compute) {
  const auto N = static_cast<double>(c.tokens()), D = static_cast<double>(c.dim);
  const double last = compute == Compute::bf16
                          ? 4 * N * D * static_cast<double>(c.heads) + 24 * D * D
                          : 6 * N * D * D + 4 * N * D + 18 * D * D;
  const double blocks = static_cast<double>(c.depth - 1) * N * (24 * D * D + 4 * N * D) + last;
  const double patches = 2 * static_cast<double>(c.patches() * c.channels * c.patch * c.patch) * D;
  return 1e-9 * static_cast<double>(batch) * (3 * blocks + 2 * patches);
}

/// A model that is measured once a round, after two steps that find memory.
using Measured = std::function<void(double peak)>;

Measured whole(bench::Rows& rows, const bench::WholeModel& model) {
  auto step = std::make_shared<bench::Whole>(model);
  (*step)();
  (*step)();
  const double gflop = step_gflop(model.config, model.count, model.compute);
  return [&rows, model, step, gflop](double peak) {
    const double time = bench::seconds_of([&] { (*step)(); });
    const std::string& name = model.name;
    rows.add(name, static_cast<double>(model.count) / time, "samples/s");
    rows.add(name + ", products", gflop / time, "GFLOP/s");
    rows.add(name + ", share", gflop / time / peak, "of peak");
  };
}

Measured cut(bench::Rows& rows, const std::string& name, const std::string& method,
             const bench::Arguments& arguments) {
  constexpr Index count = 128;
  auto step = std::make_shared<bench::Split>(nn::vit_named("deit_tiny"), count, method,
                                             arguments.threads, arguments.compute);
  (*step)(step->images());
  (*step)(step->images());
  return [&rows, name, step](double) {
    split::StepReport report;
    Tensor<float> images = step->images();
    rows.add(name, bench::seconds_of([&] { report = (*step)(std::move(images)); }), "s");
    rows.add(name + ", client", report.seconds.client, "s");
    rows.add(name + ", server", report.seconds.server, "s");
    rows.add(
        name + ", compression",
        100 * report.seconds.compression / (report.seconds.client + report.seconds.compression),
        "% of client");
  };
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments{argc, argv};
  bench::Rows rows;
  with_threads(arguments.threads, [&] {
    std::vector<Measured> all;
    bench::each_step(
        arguments, {"cifar", "deit_tiny", "deit_small"},
        [&](const std::string& name, const char* method) {
          all.push_back(cut(rows, name, method, arguments));
        },
        [&](const bench::WholeModel& model) { all.push_back(whole(rows, model)); });
    for (int round = 0; round < arguments.rounds; ++round) {
      const double peak = bench::peak_gflops_of(arguments.compute);
      rows.add("multiply-add", peak, "GFLOP/s");
      for (const Measured& one : all) one(peak);
    }
  });
  rows.report(arguments);
}
