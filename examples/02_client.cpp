// The client's side of a training over TCP: 02_client HOST:PORT, with the address that
// 02_server prints.

#include <cstdio>

#include <splitvit/splitvit.hpp>
#include <splitvit/transport/tcp.hpp>

namespace sv = splitvit;

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: 02_client HOST:PORT\n");
    return 2;
  }
  try {
    // 1. The images stay here; only what leaves the second block is sent.
    const auto data = sv::data::make_shapes({.samples = 512, .test_samples = 256, .classes = 4});
    const sv::data::Loader<float> train{data.train, {.batch = 32, .seed = 42}};
    const sv::data::Loader<float> test{data.test, {.batch = 128, .shuffle = false}};
    const sv::nn::VitConfig vit{
        .image = 32, .patch = 8, .dim = 64, .heads = 4, .depth = 4, .classes = 4};

    // 2. Connect and shake hands. The client alone decides how it compresses.
    sv::split::Client client{sv::nn::make_part<float>(vit, 0, 2, sv::Rng{.seed = 42}),
                             sv::optim::Adam{.lr = 1e-3}, sv::compress::adc(0.25),
                             sv::transport::connect_tcp(sv::transport::parse_endpoint(argv[1]))};

    // 3. Train, evaluate, say goodbye.
    for (sv::Index epoch = 0; epoch < 2; ++epoch) {
      const auto report = client.train_epoch(train.epoch(epoch));
      std::printf("epoch %td  loss %.3f  %.2f MiB  %.1f s, of which %.1f s on the link\n",
                  epoch + 1, report.loss, static_cast<double>(report.traffic.total()) / (1 << 20),
                  report.seconds.total(), report.seconds.link);
    }
    std::printf("test accuracy %.1f %%\n", 100 * client.evaluate(test.epoch(0)).accuracy());
    client.close();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
