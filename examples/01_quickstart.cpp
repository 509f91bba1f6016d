// Trains a small ViT, cut after its second block, over an in-memory link, and shows what ADC
// does to the bytes on the link. Under ten seconds on one core.

#include <cstdio>
#include <thread>
#include <utility>

#include <splitvit/splitvit.hpp>

namespace sv = splitvit;

int main() {
  const sv::Rng rng{.seed = 42};

  // 1. What is learnt: four kinds of drawn shapes, and a ViT of four blocks.
  const auto data = sv::data::make_shapes({.samples = 1024, .test_samples = 256, .classes = 4});
  const sv::nn::VitConfig vit{
      .image = 32, .patch = 8, .dim = 64, .heads = 4, .depth = 4, .classes = 4};
  constexpr sv::Index cut = 2;  // blocks 0 and 1 stay with the client

  // 2. How it is compressed: average samples that attend alike, then keep the best tokens.
  const auto adc =
      sv::compress::MergeSamples{.keep = 0.5} | sv::compress::SelectTokens{.keep = 0.5};

  // 3. Who does what: the client has the data and the blocks before the cut, the server the rest.
  auto [client_part, server_part] = sv::nn::cut_in_two<float>(vit, cut, rng);
  auto [client_end, server_end] = sv::transport::memory_pair();
  sv::split::Server server{std::move(server_part), sv::optim::Adam{.lr = 2e-3}};
  const std::jthread serving{
      [&server, end = std::move(server_end)]() mutable { server.serve(std::move(end)); }};
  sv::split::Client client{std::move(client_part), sv::optim::Adam{.lr = 2e-3}, adc,
                           std::move(client_end)};

  // 4. Train, and say what it cost.
  const sv::data::Loader<float> train{data.train, {.batch = 32, .seed = 42}};
  const sv::data::Loader<float> test{data.test, {.batch = 128, .shuffle = false}};
  for (sv::Index epoch = 0; epoch < 8; ++epoch) {
    const auto report = client.train_epoch(train.epoch(epoch));
    std::printf("epoch %td  loss %.3f  up %.2f MiB  down %.2f MiB\n", epoch + 1, report.loss,
                static_cast<double>(report.traffic.up.total()) / (1 << 20),
                static_cast<double>(report.traffic.down.total()) / (1 << 20));
  }
  std::printf("test accuracy %.1f %%\n", 100 * client.evaluate(test.epoch(0)).accuracy());
  client.close();
}
