// SPDX-License-Identifier: MIT
// How long does a training step take, and what share of the machine's multiply-adds is that?
//
//   step [cifar|deit_tiny|deit_small|split|split_adc...] [--rounds N] [--threads N] [--json FILE]
//
// cifar (batch 128), deit_tiny and deit_small (32) are uncut: forward, backward, Adam. split and
// split_adc are deit_tiny cut after block 3, client and server over memory, batch 128, without
// compression and with adc:0.1. All but these two are measured unless names are given.
//
// Each round measures the peak and then every model, so that all see the same machine. Floating
// point operations are counted as products only: L N (24 D^2 + 4 N D) a sample forward, plus the
// patch embedding, and three times that for a step, where the patch embedding needs no input
// gradient (twice).

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/nn/vit.hpp>

#include "clock.hpp"
#include "peak.hpp"
#include "rows.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

double step_gflop(const nn::VitConfig& c, Index batch) {
  const auto N = static_cast<double>(c.tokens()), D = static_cast<double>(c.dim);
  const double blocks = static_cast<double>(c.depth) * N * (24 * D * D + 4 * N * D);
  const double patches = 2 * static_cast<double>(c.patches() * c.channels * c.patch * c.patch) * D;
  return 1e-9 * static_cast<double>(batch) * (3 * blocks + 2 * patches);
}

/// A model that is measured once a round, after two steps that find memory.
using Measured = std::function<void(double peak)>;

Measured whole(bench::Rows& rows, const std::string& name, const nn::VitConfig& config,
               Index count) {
  auto step = std::make_shared<bench::Whole>(config, count);
  (*step)();
  (*step)();
  return [&rows, name, step, count, gflop = step_gflop(config, count)](double peak) {
    const double time = bench::seconds_of([&] { (*step)(); });
    rows.add(name, static_cast<double>(count) / time, "samples/s");
    rows.add(name + ", products", gflop / time, "GFLOP/s");
    rows.add(name + ", share", gflop / time / peak, "of peak");
  };
}

Measured cut(bench::Rows& rows, const std::string& name, const std::string& method, int threads) {
  constexpr Index count = 128;
  auto step = std::make_shared<bench::Split>(nn::vit_named("deit_tiny"), count, method, threads);
  (*step)();
  (*step)();
  return [&rows, name, step](double) {
    split::StepReport report;
    rows.add(name, bench::seconds_of([&] { report = (*step)(); }), "s");
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
    const auto named = [&](const std::string& name) {
      return std::ranges::find(arguments.names, name) != arguments.names.end();
    };
    if (arguments.wants("cifar"))
      all.push_back(whole(rows, "cifar", nn::vit_named("vit_cifar"), 128));
    if (arguments.wants("deit_tiny"))
      all.push_back(whole(rows, "deit_tiny", nn::vit_named("deit_tiny"), 32));
    if (arguments.wants("deit_small"))
      all.push_back(whole(rows, "deit_small", nn::vit_named("deit_small"), 32));
    if (named("split")) all.push_back(cut(rows, "split", "none", arguments.threads));
    if (named("split_adc")) all.push_back(cut(rows, "split_adc", "adc:0.1", arguments.threads));
    for (int round = 0; round < arguments.rounds; ++round) {
      const double peak = bench::peak_gflops<float>();
      rows.add("multiply-add", peak, "GFLOP/s");
      for (const Measured& one : all) one(peak);
    }
  });
  rows.report(arguments);
}
