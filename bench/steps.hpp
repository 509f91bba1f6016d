// SPDX-License-Identifier: MIT
#pragma once

#include <array>        // array
#include <cstdint>      // uint32_t
#include <optional>     // optional
#include <span>         // span
#include <string>       // string
#include <string_view>  // string_view
#include <thread>       // jthread
#include <utility>      // move, pair
#include <vector>       // vector

#include <splitvit/autograd/backward.hpp>           // backward
#include <splitvit/autograd/ops/cross_entropy.hpp>  // cross_entropy
#include <splitvit/core/parallel.hpp>               // with_threads
#include <splitvit/core/text.hpp>                   // number_from
#include <splitvit/core/workspace.hpp>              // Workspace
#include <splitvit/nn/cut.hpp>                      // AtCut, Part, make_part, make_vit
#include <splitvit/optim/adam.hpp>                  // Adam
#include <splitvit/optim/optimizer.hpp>             // Optimizer
#include <splitvit/spec/stages.hpp>                 // parse_stage
#include <splitvit/split/client.hpp>                // Client
#include <splitvit/split/server.hpp>                // Server
#include <splitvit/transport/any_link.hpp>          // AnyLink
#include <splitvit/transport/delayed.hpp>           // Delayed, LineModel
#include <splitvit/transport/memory.hpp>            // memory_pair

#include "rows.hpp"  // Arguments

// The training steps that are measured: a whole model, one that is cut, and a client alone.

namespace splitvit::bench {

struct Batch {
  Tensor<float> images;
  std::vector<Index> labels;

  Batch(const nn::VitConfig& c, Index count) : images{Shape{count, c.channels, c.image, c.image}} {
    Rng rng{.seed = 2};
    for (float& value : images.span()) value = static_cast<float>(rng.normal());
    for (Index i = 0; i < count; ++i) labels.push_back(rng.below(c.classes));
  }
};

/// An uncut model that is measured.
struct WholeModel {
  std::string name;
  nn::VitConfig config;
  Index count;           ///< of images in a batch
  Index recomputed = 0;  ///< blocks, the first ones
  Compute compute = Compute::float32;
};

/// cifar, deit_tiny or deit_small; with _recompute_N behind it the first N blocks recompute
/// what the backward pass needs. Nothing for any other name.
inline std::optional<WholeModel> whole_model(const std::string& name) {
  struct Known {
    std::string_view name, vit;
    Index count;
  };
  static constexpr std::array<Known, 3> all{{{"cifar", "vit_cifar", 128},
                                             {"deit_tiny", "deit_tiny", 32},
                                             {"deit_small", "deit_small", 32}}};
  static constexpr std::string_view mark = "_recompute_";
  const std::string::size_type end = name.find(mark);
  for (const Known& known : all) {
    if (name.substr(0, end) != known.name) continue;
    WholeModel model{name, nn::vit_named(known.vit), known.count};
    if (end == std::string::npos) return model;
    model.recomputed = number_from<Index>(name.substr(end + mark.size())).value_or(-1);
    if (model.recomputed >= 0 && model.recomputed <= model.config.depth) return model;
  }
  return {};
}

/// Calls split(name, method) or whole(model) for each step that the command line names: "split",
/// "split_adc" or a name that whole_model knows; for `all` if it names none.
void each_step(const Arguments& arguments, const std::vector<std::string>& all, const auto& split,
               const auto& whole) {
  for (const std::string& name : arguments.names_or(all))
    if (name == "split")
      split(name, "none");
    else if (name == "split_adc")
      split(name, "adc:0.1");
    else if (auto model = whole_model(name)) {
      model->compute = arguments.compute;
      whole(*model);
    } else
      arguments.refuse(name + " is no step");
}

/// Steps of an uncut model.
class Whole {
 public:
  explicit Whole(const WholeModel& model) : Whole{model, Batch{model.config, model.count}} {}

  void operator()() {
    const Workspace::Use use{workspace_};
    const Variable<float> loss = cross_entropy(model_(images_), labels_);
    backward(loss);
    optimizer_.step();
    optimizer_.clear_gradients();
  }

 private:
  Whole(const WholeModel& model, Batch batch)
      : model_{nn::make_vit<float>(model.config, Rng{.seed = 1})},
        optimizer_{optim::Adam{}, nn::parameters<float>(model_)},
        images_{std::move(batch.images)},
        labels_{std::move(batch.labels)} {
    model_.blocks.recompute(model.recomputed);
    model_.use(model.compute);
  }

  Workspace workspace_;
  nn::Vit<float> model_;
  optim::Optimizer<float> optimizer_;
  Variable<float> images_;
  std::vector<Index> labels_;
};

/// Steps of a model cut after block 3, both parties in this process. Without micro-batches one
/// works at a time.
class Split {
 public:
  /// Over memory, or over a line like this between two ends in memory.
  Split(const nn::VitConfig& config, Index count, const std::string& method, int threads,
        Compute compute, std::uint32_t micro_batches = 1,
        const std::optional<transport::LineModel>& line = {})
      : ends_{transport::memory_pair()},
        server_{part(config, 3, config.depth, compute), optim::Adam{}},
        serving_{[this, threads] {
          with_threads(threads, [this] { server_.serve(std::move(ends_.second)); });
        }},
        client_{part(config, 0, 3, compute),
                optim::Adam{},
                spec::parse_stage<float>(method),
                through(line, std::move(ends_.first)),
                {.micro_batches = micro_batches}},
        batch_{config, count} {}
  ~Split() { client_.close(); }

  /// A batch for one step. It is made outside of what is measured, as a loader does.
  Tensor<float> images() const { return batch_.images; }
  split::StepReport operator()(Tensor<float> images) {
    return client_.train_step(std::move(images), batch_.labels);
  }

 private:
  static nn::Part<float> part(const nn::VitConfig& config, Index first, Index last,
                              Compute compute) {
    auto part = nn::make_part<float>(config, first, last, Rng{.seed = 1});
    part.use(compute);
    return part;
  }

  static transport::AnyLink through(const std::optional<transport::LineModel>& line,
                                    transport::MemoryLink link) {
    if (line) return transport::Delayed{std::move(link), *line};
    return link;
  }

  std::pair<transport::MemoryLink, transport::MemoryLink> ends_;
  split::Server<float> server_;
  std::jthread serving_;
  split::Client<float> client_;
  Batch batch_;
};

/// A client without a link: its part learns from a given gradient.
class ClientStep {
 public:
  ClientStep(const nn::VitConfig& config, Index count, Compute compute = Compute::float32)
      : part_{nn::make_part<float>(config, 0, 3, Rng{.seed = 1})},
        optimizer_{optim::Adam{}, nn::parameters<float>(part_)},
        batch_{config, count},
        gradient_{Shape{count, config.tokens(), config.dim}} {
    Rng rng{.seed = 3};
    for (float& value : gradient_.span()) value = static_cast<float>(1e-4 * rng.normal());
    part_.use(compute);
  }

  /// Returns what is at the cut.
  nn::AtCut<float> operator()() {
    const Workspace::Use use{workspace_};
    nn::AtCut<float> at_cut = part_.to_cut(Variable<float>{batch_.images});
    backward(at_cut.tokens, gradient_);
    optimizer_.step();
    optimizer_.clear_gradients();
    return at_cut;
  }
  const Batch& batch() const { return batch_; }
  const Tensor<float>& gradient() const { return gradient_; }

 private:
  Workspace workspace_;
  nn::Part<float> part_;
  optim::Optimizer<float> optimizer_;
  Batch batch_;
  Tensor<float> gradient_;
};

}  // namespace splitvit::bench
