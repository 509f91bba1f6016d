// SPDX-License-Identifier: MIT
#include "split_train/dry_run.hpp"

#include <algorithm>  // min
#include <cmath>      // ceil
#include <cstdint>    // uint64_t
#include <cstdio>     // fputs
#include <limits>     // numeric_limits
#include <optional>   // optional
#include <string>     // string
#include <vector>     // vector

#include <splitvit/core/text.hpp>      // counted
#include <splitvit/report/format.hpp>  // human_bytes, human_seconds
#include <splitvit/report/table.hpp>   // render_table, Table

#include "split_train/memory.hpp"       // forget_peak_memory, peak_memory
#include "split_train/server_role.hpp"  // ServerProcess
#include "split_train/step_cost.hpp"    // measure_steps, StepCost

namespace split_train {

namespace {

namespace report = splitvit::report;

/// The steps of the whole run, by what ends it.
double steps_of_run(const Options& o, const StepCost& cost) {
  constexpr double no_limit = std::numeric_limits<double>::infinity();
  const double bytes = static_cast<double>(cost.traffic.total());
  const double by_steps = o.steps ? static_cast<double>(*o.steps) : no_limit;
  const double by_budget =
      o.budget_mib ? std::ceil(*o.budget_mib * 1024.0 * 1024.0 / bytes) : no_limit;
  if (o.steps || o.budget_mib) return std::min(by_steps, by_budget);
  return static_cast<double>(o.epochs) * static_cast<double>(cost.steps_of_epoch);
}

std::string memory_text(const std::optional<std::uint64_t>& bytes) {
  return bytes ? report::human_bytes(*bytes) : "not known";
}

std::string text_of(const Options& o, const std::string& method, const StepCost& cost,
                    const std::optional<std::uint64_t>& client,
                    const std::optional<std::uint64_t>& server) {
  const auto epoch = static_cast<double>(cost.steps_of_epoch), run = steps_of_run(o, cost);
  const auto bytes = [&](const char* name, const splitvit::split::Bytes& step) {
    const auto total = static_cast<double>(step.total());
    return std::vector<std::string>{name, report::human_bytes(total),
                                    report::human_bytes(total * epoch),
                                    report::human_bytes(total * run)};
  };
  const double seconds = cost.seconds.total();
  const report::Table table{
      .header = {"", "a step", "an epoch", "the run"},
      .rows = {{"steps", "1", report::fixed(epoch, 0), report::fixed(run, 0)},
               bytes("bytes up", cost.traffic.up),
               bytes("bytes down", cost.traffic.down),
               {"time", report::human_seconds(seconds), report::human_seconds(seconds * epoch),
                report::human_seconds(seconds * run)}}};
  return method + ": means of " + splitvit::counted(cost.measured, "real step") + "\n" +
         report::render_table(table) + "an evaluation: about " +
         report::human_bytes(cost.evaluation.total()) + "; its time is not measured\n" +
         "memory: client " + memory_text(client) + ", server " + memory_text(server) + "\n";
}

}  // namespace

int dry_run(const Options& options, const Data& data) {
  for (const std::string& method : options.methods) {
    std::optional<ServerProcess> own_server;
    if (options.role == Role::both) own_server.emplace(options, method, data.train.classes());
    forget_peak_memory();
    std::optional<std::uint64_t> of_server;
    const StepCost cost = measure_steps(
        options, method, own_server ? own_server->endpoint() : options.endpoint, data, [&] {
          if (own_server) of_server = own_server->peak_memory();
        });
    std::fputs(text_of(options, method, cost, peak_memory(), of_server).c_str(), stdout);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace split_train
