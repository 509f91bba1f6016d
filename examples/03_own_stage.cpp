// A compression stage of your own: a struct with one function. It is joined with the
// library's stages, trained through, and measured on the link. A few seconds on one core.

#include <cstdio>
#include <thread>
#include <utility>
#include <vector>

#include <splitvit/splitvit.hpp>

namespace sv = splitvit;

// 1. Keeps CLS and every k-th token after it. No base class, no registration, no macro; the
//    gradient comes with gather_tokens.
struct EveryKth {
  sv::Index k = 2;

  template <std::floating_point T>
  sv::compress::CutBatch<T> operator()(sv::compress::CutBatch<T> batch, sv::Rng&) const {
    std::vector<sv::Index> kept;
    for (sv::Index j = 0; j < batch.token_count(); j += k) kept.push_back(j);
    return sv::compress::gather_tokens(std::move(batch), std::span<const sv::Index>{kept});
  }
  // Compared in the handshake, so that both sides mean the same training.
  std::string description() const { return "every_kth k=" + std::to_string(k); }
};
static_assert(sv::compress::CompressionStage<EveryKth, float>);

int main() {
  // 2. Joined with a stage of the library: first merge samples, then thin out tokens.
  const auto stage = sv::compress::MergeSamples{.keep = 0.5} | EveryKth{.k = 4};

  // 3. Everything else is as in 01_quickstart.
  const sv::Rng rng{.seed = 7};
  const auto data = sv::data::make_shapes({.samples = 256, .test_samples = 64, .classes = 4});
  const sv::nn::VitConfig vit{
      .image = 32, .patch = 8, .dim = 32, .heads = 2, .depth = 2, .classes = 4};
  auto [client_part, server_part] = sv::nn::cut_in_two<float>(vit, 1, rng);
  auto [client_end, server_end] = sv::transport::memory_pair();
  sv::split::Server server{std::move(server_part), sv::optim::Adam{.lr = 1e-3}};
  const std::jthread serving{
      [&server, end = std::move(server_end)]() mutable { server.serve(std::move(end)); }};
  sv::split::Client client{std::move(client_part), sv::optim::Adam{.lr = 1e-3}, stage,
                           std::move(client_end)};
  const sv::data::Loader<float> train{data.train, {.batch = 32, .seed = 7}};
  client.train_epoch(train.epoch(0), [](const sv::split::StepReport& step) {
    std::printf("step %llu  loss %.3f  sent %td samples of %td tokens, %llu bytes\n",
                static_cast<unsigned long long>(step.step), step.loss, step.sent_samples,
                step.sent_tokens, static_cast<unsigned long long>(step.traffic.up.total()));
    return true;
  });
  client.close();
}
