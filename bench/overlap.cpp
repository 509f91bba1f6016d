// SPDX-License-Identifier: MIT
// How much of a slow line's time do micro-batches hide?
//
//   overlap [1|2|4|8...] [--rounds N] [--threads N] [--compute float32|bf16] [--json FILE]
//
// Steps of a CIFAR-sized ViT cut after block 3, batch 128, adc:0.1, both parties in this process:
// over memory, and over a line of 10 Mbit/s and 20 ms in each direction, with the numbers of parts
// that are given (1 and 4 else; 1 is the whole step). Each round measures all of them, one after
// the other. Each party has --threads threads.
//
// "computing" is the step as a whole over memory; "line" is what its bytes take on the line, one
// direction after the other, with one latency each. The bound is 1.1 times the larger of both, and
// one part: its share of computing and of the bytes, and both latencies.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/core/text.hpp>
#include <splitvit/nn/vit.hpp>
#include <splitvit/transport/delayed.hpp>

#include "rows.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

constexpr transport::LineModel line{.bits_per_second = 10e6, .latency_seconds = 0.02};

std::unique_ptr<bench::Split> make_split(const bench::Arguments& arguments, std::uint32_t parts,
                                         const std::optional<transport::LineModel>& over) {
  return std::make_unique<bench::Split>(nn::vit_named("vit_cifar"), 128, "adc:0.1",
                                        arguments.threads, arguments.compute, parts, over);
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments{argc, argv};
  bench::Rows rows;
  with_threads(arguments.threads, [&] {
    struct Measured {
      std::string name;
      std::uint32_t parts;
      std::unique_ptr<bench::Split> over_memory, over_line;
    };
    std::vector<Measured> all;
    for (const std::string& name : arguments.names_or({"1", "4"})) {
      const auto parts = number_from<std::uint32_t>(name);
      if (!parts || *parts < 1 || *parts > wire::most_parts)
        arguments.refuse(name + " is no number of parts");
      all.push_back(
          {name, *parts, make_split(arguments, *parts, {}), make_split(arguments, *parts, line)});
    }
    const std::unique_ptr<bench::Split> whole = make_split(arguments, 1, {});
    const auto step = [&](bench::Split& split) {
      std::pair<double, split::StepReport> result;
      Tensor<float> images = split.images();
      result.first = bench::seconds_of([&] { result.second = split(std::move(images)); });
      return result;
    };
    for (int warm_up = 0; warm_up < 2; ++warm_up) {
      step(*whole);
      for (const Measured& one : all) step(*one.over_memory), step(*one.over_line);
    }
    for (int round = 0; round < arguments.rounds; ++round) {
      const auto [computing, report] = step(*whole);
      const double bytes = 8.0 * static_cast<double>(report.traffic.total()) / line.bits_per_second;
      const double latency = 2 * line.latency_seconds;
      rows.add("computing", computing, "s");
      rows.add("line", bytes + latency, "s");
      for (const Measured& one : all) {
        const double parts = one.parts;
        const double bound =
            1.1 * std::max(computing, bytes + latency) + (computing + bytes) / parts + latency;
        const double over_line = step(*one.over_line).first;
        rows.add(one.name + (one.parts == 1 ? " part" : " parts") + ", over memory",
                 step(*one.over_memory).first, "s");
        rows.add(one.name + (one.parts == 1 ? " part" : " parts") + ", over the line", over_line,
                 "s");
        rows.add(one.name + (one.parts == 1 ? " part" : " parts") + ", of the bound",
                 over_line / bound, "");
      }
    }
  });
  rows.report(arguments);
}
