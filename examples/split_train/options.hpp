// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>     // seconds
#include <cstdint>    // uint64_t
#include <exception>  // exception
#include <memory>     // shared_ptr
#include <optional>   // optional
#include <stdexcept>  // runtime_error
#include <string>     // string
#include <vector>     // vector

#include <splitvit/core/shape.hpp>          // Index
#include <splitvit/nn/model_info.hpp>       // ModelInfo
#include <splitvit/nn/vit.hpp>              // VitConfig
#include <splitvit/nn/vit_weights.hpp>      // VitWeights
#include <splitvit/report/run.hpp>          // Setting
#include <splitvit/split/report.hpp>        // EvaluationMode
#include <splitvit/split/rounds.hpp>        // Order
#include <splitvit/transport/endpoint.hpp>  // Endpoint

// What the command line of split_train says, checked.

namespace split_train {

using splitvit::Index;

enum class Role { both, server, client };

struct Protection;  ///< credentials for a link; see protection.hpp

struct Options {
  Role role = Role::both;
  splitvit::transport::Endpoint endpoint;  ///< to listen on or to connect to
  std::string tls_cert, tls_key, tls_ca, tls_name, psk_file;
  bool insecure = false;                         ///< plain TCP to and from other machines
  bool mpi = false;                              ///< links of an MPI job instead; see cluster.hpp
  std::optional<double> link_mbit, link_ms;      ///< of a slow line; see slow_link.hpp
  std::shared_ptr<const Protection> protection;  ///< of these; null: plain TCP
  std::string data = "shapes";
  std::optional<double> test_share;    ///< of one folder of images
  Index data_memory_mib = 1024;        ///< of decoded images that are kept
  std::string on_bad_file = "refuse";  ///< or "skip"
  std::string model = "vit_micro";
  Index image = 0;    ///< 0 until the model is known
  Index classes = 0;  ///< 0: as many as the data has
  std::string weights;
  std::optional<splitvit::nn::VitWeights> file;  ///< what --weights holds
  std::string weights_digest;                    ///< of it; empty without --weights
  std::optional<splitvit::nn::ModelInfo> start;  ///< of the model in --weights
  bool own_weights = false;                      ///< whether split_train has written --weights
  std::vector<std::string> predict;              ///< image files
  bool json = false;                             ///< what --predict prints
  Index cut = 0;                                 ///< 0 until the model is known: half its blocks
  Index second_cut = 0;  ///< with the labels at the client; 0: the server has all the rest
  std::vector<std::string> methods{"none"};  ///< see method.hpp
  Index batch = 64;
  std::uint32_t micro_batches = 1;  ///< parts of a batch
  Index epochs = 10;
  std::optional<std::uint64_t> steps;
  std::optional<double> budget_mib;
  std::optional<Index> evaluate_at;  ///< how often within the budget
  /// In this order; the first one decides which model is best.
  std::vector<splitvit::split::EvaluationMode> evaluate{
      splitvit::split::EvaluationMode::uncompressed};
  double lr = 1e-3;
  bool cosine = false;       ///< the schedule of the learning rate
  std::uint64_t warmup = 0;  ///< steps
  double weight_decay = 0;
  std::string augment = "none";
  double drop_patches = 0;
  double distance_correlation = 0;      ///< its weight
  std::vector<std::uint64_t> seeds{0};  ///< a run for each
  std::uint64_t seed = 0;               ///< of the run under way
  int threads = 0;                      ///< 0: all cores
  splitvit::Compute compute = splitvit::Compute::float32;
  bool recompute = false;  ///< blocks store nothing for the backward pass
  bool eval_only = false;
  bool dry_run = false;  ///< a few steps, to measure them
  std::string out;
  bool resume = false;
  bool retry_failed = false;  ///< with resume: runs that have failed are not finished
  bool overwrite = false;     ///< replace what is in --out already
  std::string checkpoint;     ///< folder; empty: no checkpoints
  std::optional<std::uint64_t> checkpoint_every;  ///< steps; an epoch unless given
  Index keep = 3;                                 ///< checkpoints
  Index reconnect_for = 600;                      ///< seconds
  std::string progress = "auto";
  bool log_steps = false;
  Index sessions = 0;  ///< trainings after which a server ends; 0: no limit
  // Of clients that train one model together; see group_reader.hpp.
  Index clients = 0;                 ///< how many; 0: a client alone
  Index client = 0;                  ///< of --role client, its number from 1
  std::string sharing;               ///< shared, averaged or relay
  std::string partition;             ///< which client has which images, see data/partition.hpp
  Index per_round = 0;               ///< clients in a round; 0: all
  std::chrono::seconds deadline{0};  ///< after which a late client is skipped; 0: never
  splitvit::split::Order order = splitvit::split::Order::fixed;  ///< of their steps
  /// Of a client, before weights are averaged or handed on; an epoch unless given.
  std::optional<std::uint64_t> steps_of_turn;
  std::vector<splitvit::report::Setting> effective;  ///< all options in the end, by their names

  /// The model for data of so many classes.
  splitvit::nn::VitConfig vit(Index data_classes) const;
};

/// Something is wrong with the command line; the text says what would be right.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The text of an error of the library, without the operation that such a text begins with.
std::string without_operation(const std::exception& error);

/// As --compute takes it.
std::string compute_name(splitvit::Compute compute);

/// Reads the command line, and the file that it names with --config, whose options count where the
/// command line has none.
///
/// Returns nothing when help or the version was asked for and printed.
/// Errors  UsageError with one line.
std::optional<Options> parse_options(int argc, char** argv);

/// As --cut takes it.
std::string cuts_text(const Options& options);

/// The command line of a server for one session that fits a client with these options.
std::vector<std::string> server_arguments(const Options& options, const std::string& method,
                                          Index classes);

}  // namespace split_train
