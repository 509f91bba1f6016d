// SPDX-License-Identifier: MIT
// How much memory does a program need that takes training steps?
//
//   memory [cifar|deit_tiny|deit_small|cifar_recompute_3|...|split|split_adc...] [--rounds N]
//       [--threads N] [--compute float32|bf16] [--json FILE]
//
// The steps of bench/step, three of them for each model in a process of its own; what is shown is
// the most memory that the process has held. split and split_adc are both parties together.

#include <cstdio>   // fprintf
#include <cstdlib>  // exit
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <sys/resource.h>  // rusage
#include <sys/wait.h>      // wait4
#include <unistd.h>        // fork

#include <splitvit/core/parallel.hpp>

#include "rows.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

/// The most that a process has held that does this and nothing else, in MiB.
double peak_mib(int threads, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    with_threads(threads, work);
    ::_exit(0);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || ::wait4(child, &status, 0, &usage) != child || status != 0) {
    std::fprintf(stderr, "memory: a process could not do its work\n");
    std::exit(1);
  }
  return static_cast<double>(usage.ru_maxrss) / 1024;  // Linux counts in KiB
}

void steps(auto&& step) {
  for (int i = 0; i < 3; ++i) step();
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments{argc, argv};
  std::vector<std::pair<std::string, std::function<void()>>> all;
  bench::each_step(
      arguments, {"cifar", "deit_tiny", "deit_small", "split", "split_adc"},
      [&](const std::string& name, const char* method) {
        all.emplace_back(name, [=, threads = arguments.threads, compute = arguments.compute] {
          bench::Split step{nn::vit_named("deit_tiny"), 128, method, threads, compute};
          steps([&] { step(step.images()); });
        });
      },
      [&](const bench::WholeModel& model) {
        all.emplace_back(model.name, [model] { steps(bench::Whole{model}); });
      });
  bench::Rows rows;
  for (int round = 0; round < arguments.rounds; ++round)
    for (const auto& [name, work] : all) rows.add(name, peak_mib(arguments.threads, work), "MiB");
  rows.report(arguments);
}
