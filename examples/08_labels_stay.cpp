// Split learning in the shape of a U: the client keeps its labels. It has the first block and,
// behind the server's, the last one with the classifier, so it takes the loss itself. No label
// crosses the link. A few seconds on one core.

#include <cstdio>
#include <thread>
#include <utility>

#include <splitvit/splitvit.hpp>

namespace sv = splitvit;

int main() {
  const sv::Rng rng{.seed = 42};
  const auto data = sv::data::make_shapes({.samples = 1024, .test_samples = 256, .classes = 4});
  const sv::nn::VitConfig vit{
      .image = 32, .patch = 8, .dim = 64, .heads = 4, .depth = 4, .classes = 4};

  // 1. Two cuts: the client has block 0, and block 3 with norm and classifier.
  const auto parts = sv::nn::cut<float>(vit, {1, 3}, rng);

  // 2. The server has what is between them, and no classifier. The codec writes what crosses either
  //    cut, both ways.
  const sv::codec::Quantise codec{.bits = 8};
  auto [client_end, server_end] = sv::transport::memory_pair();
  sv::split::Server server{parts[1], sv::optim::Adam{.lr = 2e-3}, codec};
  const std::jthread serving{
      [&server, end = std::move(server_end)]() mutable { server.serve(std::move(end)); }};

  // 3. The last argument of the client's Learner is its tail. Stages act at the first cut.
  sv::split::ClientRole<float> role{
      sv::split::Learner<float>{parts[0], sv::optim::Adam{.lr = 2e-3}, {}, {}, parts[2]},
      sv::split::CutSender<float>{sv::compress::SelectTokens{.keep = 0.5}, codec}};
  sv::split::Client<float> client{std::move(role), std::move(client_end)};

  // 4. Train. The loss is the client's own; the server is told the number, for its reports.
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
