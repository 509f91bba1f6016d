// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>      // fprintf
#include <functional>  // function
#include <stdexcept>   // invalid_argument
#include <string>      // string
#include <vector>      // vector

#include <splitvit/core/parallel.hpp>   // with_threads
#include <splitvit/core/workspace.hpp>  // Workspace

#include "rows.hpp"
#include "steps.hpp"

// The program that measures what share of a client's step each of several methods takes.
//
// The client has three blocks of vit_cifar, or of deit_tiny, and 128 images. Its step is the
// forward pass, the backward pass and Adam. Each round measures the step and then every method, so
// that all see the same machine.

namespace splitvit::bench {

/// What one use of a method takes.
struct MethodSeconds {
  double client = 0;
  double server = 0;  ///< 0 where it has no part there
};
using Method = std::function<MethodSeconds()>;

/// `usual(config)` are the texts of the methods that are measured unless the command line names
/// others, and `make(text, step, at_cut)` is the Method for the tokens of that step, which it
/// borrows.
///
/// Errors  std::invalid_argument of `make` ends the program with a message. Returns its status.
int measure_shares(int argc, char** argv, const auto& usual, const auto& make) try {
  const Arguments arguments{argc, argv};
  Rows rows;
  const auto measure = [&](const std::string& model) {
    const nn::VitConfig config = nn::vit_named(model);
    const std::vector<std::string> texts = arguments.names_or(usual(config));
    ClientStep step{config, 128, arguments.compute};
    const nn::AtCut<float> at_cut = step();
    step();
    Workspace workspace;
    const auto use = [&](const Method& method) {
      const Workspace::Use within{workspace};
      return method();
    };
    std::vector<Method> methods;
    for (const std::string& text : texts) {
      methods.push_back(make(text, step, at_cut));
      use(methods.back());
    }
    for (int round = 0; round < arguments.rounds; ++round) {
      const double whole = seconds_of([&] { step(); });
      rows.add(model + ", step", 1e3 * whole, "ms");
      for (std::size_t i = 0; i < methods.size(); ++i) {
        const MethodSeconds time = use(methods[i]);
        const std::string name = model + ", " + texts[i];
        rows.add(name, 100 * time.client / whole, "% of client");
        if (time.server > 0)
          rows.add(name + ", both sides", 1e3 * (time.client + time.server), "ms");
      }
    }
  };
  with_threads(arguments.threads, [&] {
    measure("vit_cifar");
    measure("deit_tiny");
  });
  rows.report(arguments);
  return 0;
} catch (const std::invalid_argument& error) {
  std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
  return 2;
}

}  // namespace splitvit::bench
