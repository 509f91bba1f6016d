// Trains a Vision Transformer cut in two, over TCP, with any compression, and reports accuracy
// against bytes. `split_train --help` lists the options. How long it takes depends on them:
// the default, ten epochs on drawn shapes, about a minute on two cores.
#include <algorithm>  // all_of, any_of
#include <cstdint>    // uint64_t
#include <cstdio>     // printf, fprintf
#include <exception>  // exception
#include <limits>     // numeric_limits
#include <new>        // bad_alloc
#include <stdexcept>  // length_error
#include <string>     // string
#include <vector>     // vector

#include <splitvit/core/parallel.hpp>   // with_threads
#include <splitvit/core/text.hpp>       // counted
#include <splitvit/report/clients.hpp>  // clients_table
#include <splitvit/report/format.hpp>   // one_line
#include <splitvit/report/summary.hpp>  // summarise, summary_table
#include <splitvit/report/table.hpp>    // render_table

#include "split_train/agreed.hpp"            // started_part
#include "split_train/build_info.hpp"        // build_info
#include "split_train/checkpointing.hpp"     // remove_checkpoints
#include "split_train/client_role.hpp"       // run_client
#include "split_train/cluster.hpp"           // leave_cluster
#include "split_train/data.hpp"              // load_data, tell_skipped
#include "split_train/dialling.hpp"          // is_of_connection
#include "split_train/dry_run.hpp"           // dry_run
#include "split_train/earlier_runs.hpp"      // is_same
#include "split_train/group.hpp"             // shares_of
#include "split_train/group_client.hpp"      // run_group_client
#include "split_train/group_run.hpp"         // run_group
#include "split_train/group_server.hpp"      // run_group_server
#include "split_train/interruption.hpp"      // Interrupted
#include "split_train/limits.hpp"            // require_messages_fit
#include "split_train/method.hpp"            // method_of
#include "split_train/options.hpp"           // parse_options
#include "split_train/output.hpp"            // Output
#include "split_train/predict.hpp"           // predict
#include "split_train/run_description.hpp"   // describe_run
#include "split_train/server_role.hpp"       // run_server, ServerProcess
#include "split_train/standard_streams.hpp"  // code_at_end, open_standard_streams, print_result
#include "split_train/weights.hpp"           // use_weights

namespace {

using namespace split_train;
using splitvit::report::Run;

std::string program_line(const Options& options) {
  std::string text = "splitvit";
  for (const auto& [key, value] : build_info())
    if (key == "version" || key == "compiler" || key == "instruction set")
      text += (key == "version" ? " " : ", ") + value;
  return text + ", " + splitvit::counted(options.threads, "thread") + " a process";
}

Data data_of(const Options& options) {
  return splitvit::with_threads(options.threads, [&] {
    Data data = load_data(options);
    use_weights(data, options);
    return data;
  });
}

/// One run for each seed and method, as far as they are known before they begin.
/// Errors  UsageError as shares_of.
std::vector<Run> planned_runs(Options options, const Data& data) {
  std::vector<Run> planned;
  for (const std::uint64_t seed : options.seeds) {
    options.seed = seed;
    if (options.clients > 0) shares_of(options, data);  // refuses what cannot be shared out
    for (const std::string& method : options.methods)
      planned.push_back(describe_run(options, method, data));
  }
  return planned;
}

Run train_one(const Options& options, const std::string& method, const Data& data, Output& output) {
  if (options.clients > 0) {
    const auto run = options.role == Role::both     ? run_group
                     : options.role == Role::server ? run_group_server
                                                    : run_group_client;
    return run(options, method, data, output);
  }
  if (options.role != Role::both)
    return run_client(options, method, options.endpoint, data, output);
  if (options.file) {  // a server process could not say why they do not fit this method
    server_part(options, options.vit(data.train.classes()), method_of(method));
  }
  ServerProcess server{options, method, data.train.classes()};
  // It ends before its link does, and so it does not report that as lost.
  Run run =
      run_client(options, method, server.endpoint(), data, output, [&server] { server.end(); });
  if (run.failure.empty()) server.finish();
  return run;
}

/// Trains with one method. If it cannot begin, that is a run, too, so that others can follow.
/// Errors  UsageError. In role client also a link that failed or a busy server, since there is no
///         other method to go on with.
Run train_or_fail(const Options& options, const Run& planned, const Data& data, Output& output) {
  try {
    return train_one(options, planned.method, data, output);
  } catch (const UsageError&) {
    throw;
  } catch (const std::exception& error) {
    if (options.role == Role::client && is_of_connection(error)) throw;
    Run failed = planned;
    output.begin(failed);
    output.fail(failed, {.loss = std::numeric_limits<double>::quiet_NaN()}, error);
    return failed;
  }
}

/// The table, and below it what several clients have, and why runs have failed.
std::string results_text(const std::vector<Run>& runs) {
  std::string text = splitvit::report::render_table(splitvit::report::summary_table(runs));
  text += splitvit::report::render_table(splitvit::report::clients_table(runs));
  for (const auto& summary : splitvit::report::summarise(runs))
    for (const std::string& failure : summary.failures)
      text += splitvit::report::one_line(summary.label + " failed: " + failure) + "\n";
  return text;
}

int train(Options options) {
  const Data data = data_of(options);
  require_messages_fit(options, data);
  if (options.dry_run) return dry_run(options, data);
  const std::vector<Run> planned = planned_runs(options, data);
  // After the data, so that a typo there leaves no folder behind.
  Output output{{.folder = options.out,
                 .resume = options.resume,
                 .retry_failed = options.retry_failed,
                 .overwrite = options.overwrite,
                 .saves_models = !options.eval_only && options.client == 0,
                 .has_clients = options.clients > 0 && options.client == 0,
                 .weights = options.weights},
                planned};
  if (options.start)
    std::fprintf(stderr, "%s: %s\n", options.weights.c_str(), data.weights_notes.c_str());
  if (!options.eval_only && options.clients == 0 && options.batch > data.train.size())
    std::fprintf(stderr, "--batch %s: more than the training images; each step takes all %s\n",
                 std::to_string(options.batch).c_str(), std::to_string(data.train.size()).c_str());
  std::vector<Run> runs = output.earlier();
  for (const Run& run : planned) {
    const auto same = [&](const Run& other) { return is_same(run, other); };
    if (std::ranges::any_of(output.earlier(), same)) {
      std::fprintf(stderr, "split_train: %s, seed %s: finished before\n", run.method.c_str(),
                   std::to_string(run.seed).c_str());
      continue;
    }
    options.seed = run.seed;
    if (options.overwrite) remove_checkpoints(options, run.method);
    runs.push_back(train_or_fail(options, run, data, output));
  }
  const bool printed = print_result(results_text(runs));
  const std::string report = output.save_report(runs, program_line(options));
  if (!report.empty()) std::printf("report: %s\n", report.c_str());
  tell_skipped(data.skipped);
  const bool written = output.finish();
  const bool complete = std::ranges::all_of(runs, &std::string::empty, &Run::failure);
  return printed && written && complete ? 0 : 1;
}

int out_of_memory() {
  std::fprintf(
      stderr,
      "split_train: there is not enough memory; a smaller --batch, --image or --model, and "
      "--recompute need less, and --dry-run says how much\n");
  return 1;
}

int run(int argc, char** argv) {
  try {
    const auto options = parse_options(argc, argv);
    if (!options) return 0;
    if (!options->predict.empty()) return predict(*options);
    const bool is_plain_server = options->role == Role::server && options->clients == 0;
    return is_plain_server ? run_server(*options) : train(*options);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "split_train: %s\n", error.what());
    return 2;
  } catch (const Interrupted& stop) {
    std::fprintf(stderr, "split_train: %s\n", stop.text.c_str());
    return stop.exit_code();
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const std::length_error&) {  // more elements than a container can have
    return out_of_memory();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "split_train: %s\n", error.what());
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (!open_standard_streams()) return 1;
  const int code = code_at_end(run(argc, argv));
  leave_cluster(code);
  return code;
}
