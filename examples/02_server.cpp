// The server's side of a training over TCP. Start it first, then 02_client with the address
// that it prints. It serves one client and ends.

#include <cstdio>

#include <splitvit/splitvit.hpp>
#include <splitvit/transport/tcp.hpp>

namespace sv = splitvit;

int main(int argc, char** argv) {
  // 1. Where to listen: this machine only, unless another address is given. Port 0 is any
  //    that is free.
  sv::transport::TcpListener listener{
      sv::transport::parse_endpoint(argc > 1 ? argv[1] : "127.0.0.1:0")};
  std::printf("listening on %s\n", listener.endpoint().text().c_str());
  std::fflush(stdout);

  // 2. The blocks after the cut. Model, cut and type of numbers must be the client's;
  //    the handshake compares them.
  const sv::nn::VitConfig vit{
      .image = 32, .patch = 8, .dim = 64, .heads = 4, .depth = 4, .classes = 4};
  sv::split::Server server{sv::nn::make_part<float>(vit, 2, vit.depth, sv::Rng{.seed = 42}),
                           sv::optim::Adam{.lr = 1e-3}};

  // 3. Serve until the client says goodbye. A client that breaks the rules ends its session,
  //    not the server: it may serve the next one.
  try {
    server.serve(listener.accept());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "session ended: %s\n", error.what());
    return 1;
  }
  std::printf("served %llu steps\n", static_cast<unsigned long long>(server.steps()));
}
