// SPDX-License-Identifier: MIT
// Three clients that share a model in rounds, against a loop in PyTorch that keeps its optimisers.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/compress/then.hpp>
#include <splitvit/nn/concepts.hpp>
#include <splitvit/nn/part.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/split/simulation.hpp>

#include "golden/cases.hpp"
#include "golden/whole_vit.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

template <class T>
struct StoredBatch {
  Tensor<T> images;
  std::vector<Index> labels;
};

/// The batches of a client, one after the other.
template <class T>
auto stored_batches(const golden::File& file, const std::string& client) {
  return [images = file.get<T>(client + "/images"), ids = file.indices(client + "/labels"),
          at = Index{0}]() mutable {
    const Index B = images.dim(1), begin = B * at;
    const auto values = images.view().slice(at, at + 1).span();
    ++at;
    return StoredBatch<T>{.images = {Shape{B, images.dim(2), images.dim(3), images.dim(4)}, values},
                          .labels = {ids.begin() + begin, ids.begin() + begin + B}};
  };
}

template <class T>
void check_mode(const golden::File& file, const std::string& mode, split::AnySharing<T> sharing) {
  INFO(mode);
  const nn::VitConfig config = golden::config_of(file);
  const Index cut = file.integer("cut");
  const optim::Adam adam{.lr = file.real("lr"),
                         .beta1 = file.real("beta1"),
                         .beta2 = file.real("beta2"),
                         .eps = file.real("eps")};
  const auto part = [&](Index first, Index last) {
    nn::Part<T> made{config, first, last};
    for (const auto& [key, parameter] : nn::parameters<T>(made))
      parameter.mutable_value() = file.get<T>("param/" + key);
    return made;
  };
  const std::vector<Index> steps = file.indices("steps");
  split::Server<T> server{std::move(sharing),
                          {.clients = static_cast<std::uint32_t>(steps.size())},
                          [&] { return part(cut, config.depth); },
                          adam};
  split::Simulation<T> simulation{server};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto in_round = static_cast<std::uint64_t>(steps[i]);
    simulation.add(
        {split::Learner<T>{part(0, cut), adam}, split::CutSender<T>{compress::Identity{}, {}}},
        {.client = static_cast<std::uint32_t>(i + 1)},
        {{.steps = static_cast<std::uint64_t>(file.integer("rounds")) * in_round,
          .per_turn = in_round},
         stored_batches<T>(file, "client." + std::to_string(i + 1))});
  }
  std::vector<std::vector<T>> losses(steps.size());
  simulation.run([&](split::Client<T>& client, const split::StepReport& report) {
    for (std::size_t i = 0; i < steps.size(); ++i)
      if (&client == &simulation.client(static_cast<std::uint32_t>(i + 1)))
        losses[i].push_back(static_cast<T>(report.loss));
  });

  const auto compare = [&](const nn::Part<T>& after) {
    const Index D = config.dim;
    for (const auto& [key, parameter] : nn::parameters<T>(after)) {
      const bool is_noise = std::same_as<T, float> && key.ends_with("qkv.bias");
      CHECK(file.compare("f64/" + mode + "/after/" + key, parameter.value(),
                         {.atol = std::same_as<T, double> ? 1e-9 : 3e-5,
                          .left_out = is_noise ? std::pair{D, 2 * D}
                                               : std::pair{Index{0}, Index{0}}}) == "");
    }
  };
  compare(server.group()->client_parts().first);
  compare(server.part());
  for (std::uint32_t i = 1; i <= steps.size(); ++i) {
    compare(simulation.client(i).part());
    const auto& mine = losses[i - 1];
    CHECK(file.compare("f64/" + mode + "/loss." + std::to_string(i),
                       Tensor<T>{{static_cast<Index>(mine.size())}, mine},
                       {.rtol = golden::activation_tolerance<T>().rtol * 10}) == "");
  }
}

template <class T>
void check_clients(const golden::File& file) {
  check_mode<T>(file, "shared", split::Shared{});
  check_mode<T>(file, "averaged", split::Averaged{});
  check_mode<T>(file, "relay", split::Relay{});
}

}  // namespace

TEMPLATE_TEST_CASE("golden: clients that share a model", "[golden][split]", double, float) {
  golden::each_file<TestType>("clients", check_clients<TestType>);
}

}  // namespace splitvit
