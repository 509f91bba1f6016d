// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find, sort
#include <chrono>     // steady_clock
#include <cstdio>     // printf, fprintf, fopen
#include <cstdlib>    // atoi, exit
#include <string>     // string
#include <vector>     // vector

#include <splitvit/core/parallel.hpp>   // available_threads
#include <splitvit/kernel/compute.hpp>  // Compute, compute_text, require_compute
#include <splitvit/kernel/simd.hpp>     // instruction_set, lanes

// What all benchmarks share: a clock, their command line, and rows of measured values of which they
// print the median, the smallest and the largest.

namespace splitvit::bench {

inline double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double seconds_of(auto&& work) {
  const double begin = seconds();
  work();
  return seconds() - begin;
}

/// [NAME...] [--rounds N] [--threads N] [--compute float32|bf16] [--json FILE]
struct Arguments {
  std::vector<std::string> names;  ///< what to measure; empty: all
  int rounds = 5;
  int threads = available_threads();
  kernel::Compute compute = kernel::Compute::float32;
  std::string json;
  std::string program;

  Arguments(int argc, char** argv) : program{argv[0]} {
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i];
      if (!argument.starts_with("--")) {
        names.push_back(argument);
        continue;
      }
      if (i + 1 == argc) refuse(argument + " needs a value");
      const std::string value = argv[++i];
      if (argument == "--rounds")
        rounds = std::atoi(value.c_str());
      else if (argument == "--threads")
        threads = std::atoi(value.c_str());
      else if (argument == "--json")
        json = value;
      else if (argument == "--compute" && (value == "float32" || value == "bf16"))
        compute = value == "bf16" ? kernel::Compute::bf16 : kernel::Compute::float32;
      else
        refuse(argument + " " + value + " is no option");
    }
    if (rounds < 1 || threads < 1) refuse("rounds and threads must be at least 1");
    try {
      kernel::require_compute<float>(compute);
    } catch (const std::invalid_argument& error) {
      refuse(error.what());
    }
  }

  /// Ends the program.
  [[noreturn]] void refuse(const std::string& what) const {
    std::fprintf(stderr,
                 "%s: %s; usage: [NAME...] [--rounds N] [--threads N] [--compute float32|bf16] "
                 "[--json FILE]\n",
                 program.c_str(), what.c_str());
    std::exit(2);
  }

  std::vector<std::string> names_or(std::vector<std::string> all) const {
    return names.empty() ? all : names;
  }

  bool wants(const std::string& name) const {
    return names.empty() || std::ranges::find(names, name) != names.end();
  }
};

/// Values by name, in the order in which names came first; one value a round.
class Rows {
 public:
  void add(const std::string& name, double value, const std::string& unit) {
    for (Row& row : rows_)
      if (row.name == name) return row.values.push_back(value);
    rows_.push_back({name, unit, {value}});
  }

  /// A line each, and where a file is named the same as JSON: name, value, unit, min, max, rounds.
  void report(const Arguments& arguments) {
    std::printf("%s, %td lanes of float, %s, %d threads, %s\n", kernel::instruction_set(),
                kernel::lanes<float>, SPLITVIT_USE_TBB ? "oneTBB" : "std::thread",
                arguments.threads, kernel::compute_text(arguments.compute));
    for (Row& row : rows_) {
      std::ranges::sort(row.values);
      std::printf("%-34s %10.3f %-14s (%.3f to %.3f, %zu rounds)\n", row.name.c_str(), row.median(),
                  row.unit.c_str(), row.values.front(), row.values.back(), row.values.size());
    }
    if (arguments.json.empty()) return;
    std::FILE* const file = std::fopen(arguments.json.c_str(), "w");
    if (file == nullptr) {
      std::fprintf(stderr, "cannot write %s\n", arguments.json.c_str());
      std::exit(1);
    }
    for (std::size_t i = 0; i < rows_.size(); ++i)
      std::fprintf(file,
                   "%s  {\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"min\": %.6g, "
                   "\"max\": %.6g, \"rounds\": %zu}",
                   i == 0 ? "[\n" : ",\n", rows_[i].name.c_str(), rows_[i].median(),
                   rows_[i].unit.c_str(), rows_[i].values.front(), rows_[i].values.back(),
                   rows_[i].values.size());
    std::fprintf(file, "\n]\n");
    std::fclose(file);
  }

 private:
  struct Row {
    std::string name, unit;
    std::vector<double> values;

    double median() const { return values[values.size() / 2]; }
  };
  std::vector<Row> rows_;
};

}  // namespace splitvit::bench
