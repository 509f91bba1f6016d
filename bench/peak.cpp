// SPDX-License-Identifier: MIT
// What can this machine do? Multiply-adds from registers, on one thread and on all, and reading
// from memory: the limits of everything else that is measured here.

#include "peak.hpp"

#include <vector>

#include <splitvit/core/parallel.hpp>

#include "rows.hpp"

using namespace splitvit;

namespace {

/// Reads a number of bytes on every thread, again and again, in GB/s of all together.
double read_gigabytes(Index bytes) {
  const Index count = bytes / static_cast<Index>(sizeof(float)), threads = available_threads();
  const Index repeats = std::max<Index>(1, (Index{1} << 28) / bytes);
  std::vector<std::vector<float>> memory(static_cast<std::size_t>(threads),
                                         std::vector<float>(static_cast<std::size_t>(count), 1.0f));
  std::vector<float> sums(static_cast<std::size_t>(threads));
  const double time = bench::seconds_of([&] {
    parallel_for(threads, 1, [&](Index thread, Index) {
      const float* from = memory[static_cast<std::size_t>(thread)].data();
      float sum = 0;
      for (Index i = 0; i < repeats; ++i)
        sum += kernel::accumulate<float>(count, [](const auto& v) { return v; }, from);
      sums[static_cast<std::size_t>(thread)] = sum;
    });
  });
  volatile float keep = sums.front();
  static_cast<void>(keep);
  return 1e-9 * static_cast<double>(bytes * repeats * threads) / time;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments{argc, argv};
  bench::Rows rows;
  for (int round = 0; round < arguments.rounds; ++round) {
    for (const int threads : {1, arguments.threads}) {
      const std::string on = ", " + std::to_string(threads) + " threads";
      with_threads(threads, [&] {
        rows.add("multiply-add" + on, bench::peak_gflops<float>(), "GFLOP/s");
        rows.add("read 512 KiB a thread" + on, read_gigabytes(Index{512} << 10), "GB/s");
        rows.add("read 64 MiB a thread" + on, read_gigabytes(Index{64} << 20), "GB/s");
      });
      if (arguments.threads == 1) break;
    }
  }
  rows.report(arguments);
}
