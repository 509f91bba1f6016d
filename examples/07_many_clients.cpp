// Five clients train one model with one server, in one process and one thread: each has images of
// its own, and weights travel only to be averaged. The rule for the average is a struct with one
// function. A few seconds on one core.

#include <cstdio>
#include <vector>

#include <splitvit/data/any_dataset.hpp>
#include <splitvit/data/endless.hpp>
#include <splitvit/data/partition.hpp>
#include <splitvit/data/subset.hpp>
#include <splitvit/split/simulation.hpp>
#include <splitvit/splitvit.hpp>

namespace sv = splitvit;

// Every client counts the same, however many images it has. SampleMean counts images.
struct EqualMean {
  template <std::floating_point T>
  void add(const sv::split::Contribution& from, std::span<const T> values,
           std::span<double> mean) const {
    for (std::size_t i = 0; i < mean.size(); ++i)
      mean[i] += (static_cast<double>(values[i]) - mean[i]) / static_cast<double>(from.number);
  }
};
static_assert(sv::split::AveragingRule<EqualMean, float>);

int main() {
  const sv::Rng rng{.seed = 42};
  const auto data = sv::data::make_shapes({.samples = 1000, .test_samples = 200, .classes = 4});
  const sv::data::AnyDataset images{data.train};  // which all shares refer to
  const sv::nn::VitConfig vit{
      .image = 32, .patch = 8, .dim = 32, .heads = 2, .depth = 2, .classes = 4};
  constexpr sv::Index clients = 5, cut = 1;

  // 1. Who has which images: every client can compute it from the seed.
  const auto shares = sv::data::make_shares(sv::data::labels_of(data.train), clients,
                                            sv::data::Dirichlet{.alpha = 0.5}, 42);

  // 2. One server part for all; relay and averaged are other ways to share a model.
  sv::split::Server<float> server{sv::split::Shared<EqualMean>{},
                                  {.clients = clients, .evaluator = 1},
                                  [&] { return sv::nn::make_part<float>(vit, cut, 2, rng); },
                                  sv::optim::Adam{.lr = 2e-3}};

  // 3. The clients, each with its own share. After each epoch of theirs there is an average.
  sv::split::Simulation<float> simulation{server};
  std::vector<sv::data::Subset> sets;
  sets.reserve(shares.size());
  for (const auto& share : shares) {
    const auto& set = sets.emplace_back(images, share);
    const sv::data::Loader<float, sv::data::Subset> loader{set, {.batch = 16, .ahead = 0}};
    const auto epoch = static_cast<std::uint64_t>(loader.batches_per_epoch());
    simulation.add({sv::split::Learner<float>{sv::nn::make_part<float>(vit, 0, cut, rng),
                                              sv::optim::Adam{.lr = 2e-3}},
                    sv::split::CutSender<float>{sv::compress::adc(0.3), {}}},
                   {.client = static_cast<std::uint32_t>(sets.size())},
                   {{.steps = 8 * epoch, .per_turn = epoch}, sv::data::Endless{loader}});
  }

  // 4. Train. Client 1 evaluates the average on a test set for all.
  const sv::data::Loader<float> test{data.test, {.batch = 100, .shuffle = false}};
  simulation.run([](auto&, const auto&) {},
                 [&](sv::split::Client<float>& client, std::uint64_t round) {
                   std::printf("round %llu  accuracy %.1f %%\n",
                               static_cast<unsigned long long>(round),
                               100 * client.evaluate(test.epoch(0)).accuracy());
                 });
  for (std::uint32_t i = 1; i <= clients; ++i) {
    const auto& client = simulation.client(i);
    std::printf("client %u  images %zu  KiB: cut %.0f, weights %.0f\n", i, shares[i - 1].size(),
                static_cast<double>(client.traffic(sv::split::Column::training).total()) / 1024,
                static_cast<double>(client.traffic(sv::split::Column::weights).total()) / 1024);
  }
}
