// SPDX-License-Identifier: MIT
// Trains for one step over a link. Two classes that nothing is known of: the loss is about ln 2.

#include <cstdio>
#include <thread>

#include <splitvit/splitvit.hpp>

namespace sv = splitvit;

int main() {
  const sv::nn::VitConfig vit{
      .image = 8, .patch = 4, .dim = 8, .heads = 2, .depth = 2, .classes = 2};
  auto [client_part, server_part] = sv::nn::cut_in_two<float>(vit, 1, sv::Rng{.seed = 1});
  auto [client_end, server_end] = sv::transport::memory_pair();
  sv::split::Server server{std::move(server_part), sv::optim::Adam{}};
  const std::jthread serving{
      [&server, end = std::move(server_end)]() mutable { server.serve(std::move(end)); }};
  sv::split::Client client{std::move(client_part), sv::optim::Adam{},
                           sv::compress::SelectTokens{.keep = 0.5}, std::move(client_end)};
  const double loss =
      client.train_step(sv::Tensor<float>::full({2, 3, 8, 8}, 0.5f), std::vector<sv::Index>{0, 1})
          .loss;
  client.close();
  std::printf("loss %g\n", loss);
  return loss > 0.6 && loss < 0.8 ? 0 : 1;
}
