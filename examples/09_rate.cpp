// Trains with a codec that keeps to a budget: each message may take 2 % of the bytes of the tokens,
// whatever is sent besides. Shows what each step took, and the step of the rounding that was
// chosen for it. Under ten seconds on one core.

#include <cstdio>
#include <thread>
#include <utility>

#include <splitvit/codec/transform.hpp>
#include <splitvit/splitvit.hpp>

namespace sv = splitvit;

int main() {
  const sv::Rng rng{.seed = 42};
  const auto data = sv::data::make_shapes({.samples = 1024, .test_samples = 256, .classes = 4});
  const sv::nn::VitConfig vit{
      .image = 32, .patch = 4, .dim = 64, .heads = 4, .depth = 4, .classes = 4};
  constexpr sv::Index batch = 64;

  const sv::codec::Transform codec{.rate = 0.02};
  auto [client_part, server_part] = sv::nn::cut_in_two<float>(vit, 2, rng);
  auto [client_end, server_end] = sv::transport::memory_pair();
  sv::split::Server server{std::move(server_part), sv::optim::Adam{.lr = 2e-3}, codec};
  const std::jthread serving{
      [&server, end = std::move(server_end)]() mutable { server.serve(std::move(end)); }};
  sv::split::Client client{std::move(client_part), sv::optim::Adam{.lr = 2e-3},
                           sv::compress::Identity{}, codec, std::move(client_end)};

  const double whole = static_cast<double>(batch * vit.tokens() * vit.dim) * sizeof(float);
  const auto per_cent = [&](std::uint64_t bytes) {
    return 100 * static_cast<double>(bytes) / whole;
  };
  const sv::data::Loader<float> train{data.train, {.batch = batch, .seed = 42}};
  const sv::data::Loader<float> test{data.test, {.batch = 128, .shuffle = false}};
  for (sv::Index epoch = 0; epoch < 4; ++epoch)
    client.train_epoch(train.epoch(epoch), [&](const sv::split::StepReport& step) {
      if (step.step % 8 == 1)
        std::printf("step %2d  loss %.3f  up %.2f %%  down %.2f %%  %s\n",
                    static_cast<int>(step.step), step.loss, per_cent(step.traffic.up.total()),
                    per_cent(step.traffic.down.total()), step.codec.c_str());
      return true;
    });

  using enum sv::split::EvaluationMode;
  const auto deployed = client.evaluate(test.epoch(0), compressed);
  std::printf("test accuracy %.1f %%, with the codec %.1f %% at %.0f bytes an image\n",
              100 * client.evaluate(test.epoch(0)).accuracy(), 100 * deployed.accuracy(),
              static_cast<double>(deployed.traffic.total()) / 256);
  client.close();
}
