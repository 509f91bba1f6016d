// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include "split/resuming.hpp"
#include "support/catch.hpp"
#include "support/sanitizer.hpp"

// Whatever happens to the two parties, the training ends as if nothing had happened: weights,
// losses and bytes.

using namespace splitvit;
using test::Resuming;

namespace {

constexpr std::uint64_t resume_steps = 6;

enum class Restart { nobody, link, client, server, both };

void restart(Resuming& parties, Restart who) {
  if (who != Restart::nobody) parties.hang_up();
  if (who == Restart::client || who == Restart::both) parties.restart_client();
  if (who == Restart::server || who == Restart::both) parties.restart_server();
}

/// Trains; after the step number i, for the first time, `restarts[i]` happens.
test::Outcome train_with(Resuming& parties, std::vector<Restart> restarts) {
  parties.train(resume_steps, [&](std::uint64_t step) {
    if (step < restarts.size()) restart(parties, std::exchange(restarts[step], Restart::nobody));
  });
  return parties.finish();
}

}  // namespace

TEST_CASE("resume: at each step in another process, for every stage", "[split]") {
  using enum Restart;
  for (const char* stage :
       {"none", "merge:0.5", "merge:0.5:start=plus_plus", "merge:0.5:grouping=random", "drop:0.5",
        "select:0.5", "select:0.5:score=random", "select:0.5:score=rollout",
        "select:0.5:score=value:rest=mean", "merge-tokens:0.5:send_sizes=yes", "adc:0.4",
        "drop:0.5,merge-tokens:0.5", "bottleneck:0.5", "adc:0.4,bottleneck:0.5@q:8",
        "adc:0.4,feedback:local", "none,feedback:every:3@slacc", "none@transform:rate=0.3"}) {
    INFO(stage);
    Resuming parties{stage};
    CHECK(train_with(parties, {nobody, client, server, both, both, client}) ==
          test::undisturbed(stage, resume_steps));
  }
}

TEST_CASE("resume: at each step in another process, for every codec", "[split]") {
  using enum Restart;
  for (const char* codec : {"float32", "float16", "bfloat16", "q:8", "q:4,rounding=stochastic",
                            "topk:0.3", "random_topk:0.3", "cls-exact(q:4)", "scaled(slacc)",
                            "c3:2", "fedlite:1", "slacc", "slfac", "splitfc:0.5", "q:4/float16"}) {
    INFO(codec);
    const std::string method = std::string{"none@"} + codec;
    Resuming parties{method};
    CHECK(train_with(parties, {nobody, server, client, both, server, both}) ==
          test::undisturbed(method, resume_steps));
  }
}

TEST_CASE("resume: either party or both, or the link alone, at each step", "[split]") {
  const std::string method = "adc:0.4@slacc";
  const auto expected = test::undisturbed(method, resume_steps);
  const auto step = Resuming::every(io::EveryStep{}), third = Resuming::every(io::EveryN{3}),
             none = Resuming::every(io::Memory{});
  for (const auto& [at_client, at_server] : {std::pair{third, none},
                                             {third, step},
                                             {step, none},
                                             {step, step},
                                             {none, step},
                                             {none, none}})
    for (const Restart who : {Restart::link, Restart::client, Restart::server, Restart::both})
      for (std::size_t at = 1; at < resume_steps; ++at) {
        INFO("restart " << static_cast<int>(who) << " after step " << at);
        Resuming parties{method, at_client, at_server};
        std::vector<Restart> restarts(resume_steps, Restart::nobody);
        restarts[at] = who;
        REQUIRE(train_with(parties, restarts) == expected);
      }
}

TEST_CASE("resume: a session that is cut at any byte and then a party is started again",
          "[split][long]") {
  constexpr std::uint64_t stride = SPLITVIT_SANITIZED ? 499 : 29;
  const auto expected = test::undisturbed("none", 3);
  const auto train = [&](const transport::Faults& faults, Restart who) {
    Resuming parties;
    bool is_first = true;
    parties.train(
        3,
        [&](std::uint64_t) {
          if (!parties.serving && std::exchange(is_first, false)) restart(parties, who);
        },
        faults);
    return parties.finish();
  };
  for (std::uint64_t at = 0; at < expected.bytes_up; at += stride) {
    INFO("cut after byte " << at << " up");
    REQUIRE(train({.cut_sent_at = at}, static_cast<Restart>(at % 5)) == expected);
  }
  for (std::uint64_t at = 0; at < expected.bytes_down; at += stride) {
    INFO("cut after byte " << at << " down");
    REQUIRE(train({.cut_received_at = at}, static_cast<Restart>(at % 5)) == expected);
  }
}

TEST_CASE("resume: a decoder that the client gives is given once", "[split]") {
  using enum Restart;
  const auto train = [](Restart early, bool server_early) {
    Resuming parties{"bottleneck:0.5"};
    const nn::BottleneckOptions options{.ratio = 0.5};
    parties.decoder = nn::make_decoder<float>(test::small_vit.dim, options, {.seed = 3});
    // The client's folder has been begun without it.
    parties.client.reset();
    parties.client_disk = test::ModelDisk{};
    parties.client_disk.most_bytes = std::size_t{1} << 20;
    parties.start_client();
    parties.connect();
    if (early != nobody) restart(parties, early);
    if (server_early) parties.restart_server();
    return train_with(parties, {nobody, both});
  };
  const auto expected = train(nobody, false);
  CHECK(expected.server != test::undisturbed("bottleneck:0.5", resume_steps).server);
  for (const Restart early : {link, client, server, both}) {
    CHECK(train(early, false) == expected);
    CHECK(train(early, true) == expected);
  }
}

TEST_CASE("resume: all columns are the bytes of the links, whatever was sent again", "[split]") {
  Resuming parties{"none", Resuming::every(io::EveryN{3})};
  std::uint64_t bytes = 0;
  std::shared_ptr<const transport::Traffic> counted;
  const auto connect = [&] {
    transport::Metered link{test::dial(*parties.server, parties.serving)};
    if (counted) bytes += counted->sent() + counted->received();
    counted = link.traffic();
    parties.client->reconnect(std::move(link));
  };
  connect();
  for (int step = 0; step < 5; ++step) parties.step();
  parties.restart_server();  // back to step 3
  connect();
  CHECK(parties.client->steps() == 3);
  for (int step = 3; step < 5; ++step) parties.step();
  parties.hang_up();
  connect();
  CHECK(parties.client->steps() == 5);
  parties.step();
  split::Traffic all;
  using enum split::Column;
  for (const auto column : {training, evaluation, weights, upkeep})
    all += parties.client->traffic(column);
  CHECK(all.total() == bytes + counted->sent() + counted->received());
  CHECK(parties.finish() == test::undisturbed("none", resume_steps));
}
