// SPDX-License-Identifier: MIT
// What does it cost that nothing is lost: the CPU time of frames, checksums and heartbeats, the
// bytes of frames, TLS, and a checkpoint of both halves?
//
//   upkeep [link|tls|checkpoint...] [--rounds N] [--threads N] [--json FILE]
//
// The step is that of `step split_adc`: DeiT-Tiny cut after block 3, adc:0.1, batch 128, both
// parties in this process. `link` sends messages of the same sizes over the same kind of link,
// between two sessions that compute nothing; what the link itself takes counts as theirs. `tls`
// sends them through TLS 1.3 and takes off what they cost without it, handshakes included.
// `checkpoint` writes both halves with their moments into the current folder, to its disk, and
// reads them again.

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>  // getrusage
#include <unistd.h>        // getpid

#include <splitvit/core/parallel.hpp>
#include <splitvit/io/checkpoint_policy.hpp>
#include <splitvit/split/checkpoints.hpp>
#include <splitvit/split/known_client.hpp>
#include <splitvit/transport/any_link.hpp>
#include <splitvit/transport/memory.hpp>
#if SPLITVIT_HAS_TLS
#include <splitvit/transport/tls.hpp>
#endif
#include <splitvit/wire/connection.hpp>

#include "rows.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

/// Of all threads of this process.
double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// CPU seconds of a step without its computing, with payloads of these sizes, over two ends.
double cpu_of_messages(std::size_t up, std::size_t down, transport::AnyLink client_end,
                       transport::AnyLink server_end) {
  constexpr int steps = 200;
  wire::SessionState at_client, at_server;
  const auto now = transport::Clock::now();
  const double begin = cpu_seconds();
  {
    const std::jthread serving{[&, end = std::move(server_end)]() mutable {
      wire::Connection server{std::move(end), wire::Session::server({}, now)};
      server.next(wire::MessageKind::hello);
      server.session()->admit(at_server);
      for (int step = 0; step < steps; ++step) {
        server.next(wire::MessageKind::forward);
        server.session()->new_reply().resize(down);
        server.session()->prepare();
        server.session()->commit();
      }
      server.flush();
      server.next(wire::MessageKind::bye);
    }};
    wire::Connection client{std::move(client_end), wire::Session::client(at_client, {}, {}, now)};
    client.next(wire::MessageKind::welcome);
    const std::vector<std::byte> payload(up);
    for (int step = 0; step < steps; ++step) {
      client.session()->send_step(std::array{wire::Bytes{payload}});
      client.next(wire::MessageKind::backward);
      client.session()->commit();
    }
    client.session()->send(wire::MessageKind::bye);
    client.flush();
  }
  return (cpu_seconds() - begin) / steps;
}

double cpu_of_messages(std::size_t up, std::size_t down) {
  auto [client_end, server_end] = transport::memory_pair();
  return cpu_of_messages(up, down, std::move(client_end), std::move(server_end));
}

#if SPLITVIT_HAS_TLS
double cpu_of_tls(std::size_t up, std::size_t down) {
  const std::filesystem::path key = "upkeep-key-" + std::to_string(::getpid());
  std::ofstream{key} << std::string(64, '5') << '\n';
  std::filesystem::permissions(key, std::filesystem::perms::owner_read);
  const transport::TlsOptions options{.pre_shared_key = key.string()};
  const transport::TlsContext of_client{transport::TlsRole::client, options};
  const transport::TlsContext of_server{transport::TlsRole::server, options};
  std::filesystem::remove(key);
  auto [client_end, server_end] = transport::memory_pair();
  return cpu_of_messages(up, down, transport::TlsLink{std::move(client_end), of_client},
                         transport::TlsLink{std::move(server_end), of_server});
}
#endif

/// A client's or a server's half of the model, as it is saved.
struct Halves {
  static split::Learner<float> learner(Index first, Index last) {
    return {nn::make_part<float>(nn::vit_named("deit_tiny"), first, last, Rng{.seed = 1}),
            optim::Adam{}};
  }

  split::ClientRole<float> client{
      learner(0, 3),
      split::CutSender<float>{spec::parse_stage<float>("adc:0.1"), codec::AnyCodec<float>{}, 0}};
  split::KnownClient<float> server{
      split::ServerRole<float>{std::make_shared<split::Learner<float>>(learner(3, 12)),
                               split::CutReceiver<float>{codec::AnyCodec<float>{}, 0}}};
};

void save_both(bench::Rows& rows, double step_seconds) {
  const std::filesystem::path folder = "upkeep-" + std::to_string(::getpid());
  {
    Halves halves;
    split::Checkpoints of_client{folder / "client", io::Memory{}},
        of_server{folder / "server", io::Memory{}};
    of_client.use({}, 0, 0);
    of_server.use({}, 0, 0);
    wire::SessionState session;
    const double both = bench::seconds_of([&] {
      of_client.save(session, [&](StateVisitor& see) { halves.client.each_state(see); });
      of_server.save(session, [&](StateVisitor& see) { halves.server.each_state(see); });
    });
    rows.add("checkpoint of both", both, "s");
    rows.add("checkpoint of both, share", both / step_seconds, "% of 100 steps");
  }
  double bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator{folder})
    if (file.is_regular_file()) bytes += static_cast<double>(file.file_size());
  rows.add("checkpoint of both, size", bytes / (1024 * 1024), "MiB");
  std::filesystem::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments{argc, argv};
  bench::Rows rows;
  with_threads(arguments.threads, [&] {
    bench::Split step{nn::vit_named("deit_tiny"), 128, "adc:0.1", arguments.threads,
                      arguments.compute};
    step(step.images());
    step(step.images());
    for (int round = 0; round < arguments.rounds; ++round) {
      Tensor<float> images = step.images();
      const double begin = cpu_seconds();
      split::StepReport report;
      const double seconds = bench::seconds_of([&] { report = step(std::move(images)); });
      const double cpu = cpu_seconds() - begin;
      rows.add("step", seconds, "s");
      rows.add("step, CPU", cpu, "s");
      const split::Traffic& bytes = report.traffic;
      const bool wants_link = arguments.wants("link"), wants_tls = arguments.wants("tls");
      const double messages =
          wants_link || wants_tls ? cpu_of_messages(bytes.up.payload, bytes.down.payload) : 0;
      if (wants_link) {
        rows.add("messages, CPU", 1000 * messages, "ms");
        rows.add("messages, share", 100 * messages / cpu, "% of step");
        const double framing = static_cast<double>(bytes.up.framing + bytes.down.framing);
        rows.add("bytes of frames, share", 100 * framing / static_cast<double>(bytes.total()),
                 "% of bytes");
      }
#if SPLITVIT_HAS_TLS
      if (wants_tls) {
        const double tls = cpu_of_tls(bytes.up.payload, bytes.down.payload) - messages;
        rows.add("TLS, CPU", 1000 * tls, "ms");
        rows.add("TLS, share", 100 * tls / cpu, "% of step");
      }
#endif
      if (arguments.wants("checkpoint")) save_both(rows, seconds);
    }
  });
  rows.report(arguments);
}
