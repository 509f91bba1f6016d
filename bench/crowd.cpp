// SPDX-License-Identifier: MIT
// What does a further client cost a group that trains one model?
//
//   crowd [shared_N|averaged_N|server_N...] [--rounds N] [--threads N] [--json FILE]
//
// N clients of vit_micro, cut in the middle, batches of 8, average after each step of a client; at
// least two steps each, and about 2,000 of all together. shared and averaged are simulated, server
// and clients in one process; server is the process of a server alone, with its clients over TCP in
// another one. Each runs in a process of its own.

#include <algorithm>   // max
#include <atomic>      // atomic
#include <cstdio>      // fprintf
#include <cstdlib>     // exit
#include <functional>  // function
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>  // getrusage, rusage
#include <sys/wait.h>      // wait4, waitpid
#include <unistd.h>        // fork, pipe, read, write

#include <splitvit/core/parallel.hpp>
#include <splitvit/core/text.hpp>
#include <splitvit/split/service.hpp>
#include <splitvit/split/simulation.hpp>
#include <splitvit/transport/tcp.hpp>

#include "rows.hpp"
#include "steps.hpp"

using namespace splitvit;

namespace {

struct Cost {
  double cpu_ms = 0, server_ms = 0;  // of a step of a client
  double up = 0, down = 0;           // KiB of a step of a client
  double weights = 0;                // KiB of a round of a client
  double mib = 0;                    // the most that the process has held
};

double cpu_seconds(const rusage& usage) {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return cpu_seconds(usage);
}

/// A group of `clients`, and what each of them trains on.
struct Crowd {
  split::AnySharing<float> sharing;
  std::uint32_t clients;
  nn::VitConfig config = nn::vit_named("vit_micro");
  Index cut = config.depth / 2;
  bench::Batch batch{config, 8};
  std::uint64_t steps = std::max(2u, 2000 / clients);  // of each client

  split::Server<float> server() const {
    return {sharing,
            {.clients = clients},
            [this] { return nn::make_part<float>(config, cut, config.depth, Rng{.seed = 5}); },
            optim::Adam{},
            {},
            {}};
  }
  split::ClientRole<float> role() const {
    return {
        split::Learner<float>{nn::make_part<float>(config, 0, cut, Rng{.seed = 5}), optim::Adam{}},
        split::CutSender<float>{compress::Identity{}, {}}};
  }
  double all_steps() const { return static_cast<double>(steps * clients); }
};

/// Does the work in a process of its own, which may report its cost through a pipe.
Cost in_process(int threads, const std::function<Cost()>& work) {
  int ends[2];
  const pid_t child = ::pipe(ends) == 0 ? ::fork() : -1;
  if (child == 0) {
    Cost cost;
    with_threads(threads, [&] { cost = work(); });
    ::_exit(::write(ends[1], &cost, sizeof cost) == sizeof cost ? 0 : 1);
  }
  Cost cost;
  int status = 0;
  rusage usage{};
  ::close(ends[1]);
  if (child < 0 || ::read(ends[0], &cost, sizeof cost) != sizeof cost ||
      ::wait4(child, &status, 0, &usage) != child || status != 0) {
    std::fprintf(stderr, "crowd: a process could not do its work\n");
    std::exit(1);
  }
  ::close(ends[0]);
  cost.mib = static_cast<double>(usage.ru_maxrss) / 1024;  // Linux counts in KiB
  return cost;
}

Cost simulate(const Crowd& crowd) {
  auto server = crowd.server();
  split::Simulation<float> simulation{server};
  for (std::uint32_t client = 1; client <= crowd.clients; ++client)
    simulation.add(crowd.role(), {.client = client},
                   {{.steps = crowd.steps, .per_turn = 1}, [&] { return crowd.batch; }});
  simulation.connect();
  Cost cost;
  const double begin = cpu_seconds();
  simulation.run([&](const auto&, const split::StepReport& step) {
    cost.server_ms += 1000 * step.seconds.server / crowd.all_steps();
  });
  cost.cpu_ms = 1000 * (cpu_seconds() - begin) / crowd.all_steps();
  const auto kib = [&](std::uint64_t bytes) {
    return static_cast<double>(bytes) / 1024 / static_cast<double>(crowd.steps);
  };
  const auto cut = simulation.client(1).traffic(split::Column::training);
  cost.up = kib(cut.up.total());
  cost.down = kib(cut.down.total());
  cost.weights = kib(simulation.client(1).traffic(split::Column::weights).total());
  return cost;
}

/// Trains all clients over TCP, each in a thread.
void train_all(const Crowd& crowd, const transport::Endpoint& endpoint) {
  std::vector<std::jthread> threads;
  for (std::uint32_t number = 1; number <= crowd.clients; ++number)
    threads.emplace_back([&, number] {
      with_threads(1, [&] {
        split::Client<float> client{
            crowd.role(), transport::connect_tcp(endpoint), {.client = number}};
        const split::TurnPlan plan{.steps = crowd.steps, .per_turn = 1};
        while (true) {
          client.request_turn(plan.next(client.steps()));
          const split::Turn turn = client.await_turn();
          if (turn.what == split::Turn::What::over) break;
          client.train_step(crowd.batch.images, crowd.batch.labels);
        }
        client.close();
      });
    });
}

Cost serve(const Crowd& crowd, transport::TcpListener& listener) {
  auto server = crowd.server();
  std::atomic<std::uint32_t> ended = 0;
  split::Service<float> service{
      server,
      {.at_once = crowd.clients,
       .on_event = [&](const std::string&, const split::SessionEvent& event) {
         if (event.kind == split::SessionEvent::Kind::ended) ++ended;
       }}};
  service.run(listener, [&] { return ended < crowd.clients; });
  return {.cpu_ms = 1000 * cpu_seconds() / crowd.all_steps()};
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments{argc, argv};
  bench::Rows rows;
  for (int round = 0; round < arguments.rounds; ++round)
    for (const std::string& name :
         arguments.names_or({"shared_10", "shared_100", "shared_1000", "averaged_10",
                             "averaged_1000", "server_1", "server_64"})) {
      const auto at = name.find('_');
      const auto clients =
          at == name.npos ? std::nullopt : number_from<std::uint32_t>(name.substr(at + 1));
      const std::string kind = name.substr(0, at);
      if (!clients || *clients < 1 || (kind != "shared" && kind != "averaged" && kind != "server"))
        arguments.refuse(name + " is no group of clients");
      const Crowd crowd{kind == "averaged" ? split::AnySharing<float>{split::Averaged{}}
                                           : split::AnySharing<float>{split::Shared{}},
                        *clients};
      Cost cost;
      if (kind == "server") {
        transport::TcpListener listener;
        const pid_t training = ::fork();
        if (training == 0) {
          train_all(crowd, listener.endpoint());
          ::_exit(0);
        }
        cost = in_process(arguments.threads, [&] { return serve(crowd, listener); });
        ::waitpid(training, nullptr, 0);
      } else {
        cost = in_process(arguments.threads, [&] { return simulate(crowd); });
      }
      rows.add(name + ": memory", cost.mib, "MiB");
      rows.add(name + ": CPU", cost.cpu_ms, "ms/step");
      if (kind == "server") continue;
      rows.add(name + ": server", cost.server_ms, "ms/step");
      rows.add(name + ": up", cost.up, "KiB/step");
      rows.add(name + ": down", cost.down, "KiB/step");
      rows.add(name + ": weights", cost.weights, "KiB/round");
    }
  rows.report(arguments);
}
