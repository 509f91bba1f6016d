// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <splitvit/codec/sl_acc.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/io/generations.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/split/client_role.hpp>
#include <splitvit/split/server_role.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"
#include "support/file_layers.hpp"

// What the parties do with messages, without a session and without a link.

using namespace splitvit;
using test::RandomBatches;

namespace {

constexpr std::uint64_t largest = 1 << 20;

/// Both roles of small_vit, with a codec that has state.
struct Roles {
  Compute compute = Compute::float32;
  std::shared_ptr<split::Learner<float>> learner =
      std::make_shared<split::Learner<float>>(test::server_part(compute), optim::Adam{.lr = 1e-2});
  split::ClientRole<float> client{
      split::Learner<float>{test::client_part(compute), optim::Adam{.lr = 1e-2}},
      split::CutSender<float>{compress::adc(0.5), codec::SlAcc{}, 3}};
  split::ServerRole<float> server{learner, split::CutReceiver<float>{codec::SlAcc{}, 3}};
  split::StepReport report = {};

  std::vector<std::byte> forward(std::uint64_t step, const RandomBatches<float>::Batch& batch) {
    return test::joined_pieces(client.forward({.step = step}, batch.images, batch.labels, report));
  }
  /// A whole step. Returns all that both have sent.
  std::vector<std::byte> train(std::uint64_t step, const RandomBatches<float>::Batch& batch) {
    std::vector<std::byte> bytes = forward(step, batch), reply;
    server.forward({.step = step}, bytes, largest, reply);
    const std::vector<std::byte> gradient{reply.begin() + split::BackwardMessage::header_bytes,
                                          reply.end()};
    server.commit(reply);
    client.backward(reply, report);
    client.commit(report);
    bytes.insert(bytes.end(), gradient.begin(), gradient.end());
    return bytes;
  }
  std::vector<std::byte> state() {
    std::vector<std::byte> all = state_bytes(client);
    for (const auto& more : {state_bytes(server), state_bytes(*learner)})
      all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace

TEST_CASE("roles: until commit nothing has changed, and a discarded step comes again alike",
          "[split]") {
  Roles roles, undisturbed;
  RandomBatches<float> batches;
  for (std::uint64_t step = 1; step <= 3; ++step) {
    const auto batch = batches.make();
    const auto before = roles.state();
    // given up after the forward message, after the reply, and after the gradient
    for (int until = 1; until <= 3; ++until) {
      std::vector<std::byte> reply;
      const auto up = roles.forward(step, batch);
      if (until >= 2) roles.server.forward({.step = step}, up, largest, reply);
      if (until >= 3) roles.client.backward(reply, roles.report);
      roles.client.discard();
      roles.server.discard();
      CHECK(roles.state() == before);
    }
    CHECK(roles.train(step, batch) == undisturbed.train(step, batch));
    CHECK(roles.state() == undisturbed.state());
    CHECK(roles.state() != before);
  }
}

TEST_CASE("roles: their state is all that others need to go on alike", "[split]") {
  const auto compute = GENERATE(Compute::float32, Compute::bf16);
  if (compute == Compute::bf16 && !kernel::has_brain_unit) return;
  Roles first{compute}, second{compute};
  RandomBatches<float> batches;
  for (std::uint64_t step = 1; step <= 2; ++step) first.train(step, batches.make());
  set_state_bytes(second.client, state_bytes(first.client));
  set_state_bytes(second.server, state_bytes(first.server));
  set_state_bytes(*second.learner, state_bytes(*first.learner));
  const auto batch = batches.make();
  CHECK(first.train(3, batch) == second.train(3, batch));
  CHECK(first.state() == second.state());
}

TEST_CASE("roles: after a loss of power both go on from the newest joint generation", "[split]") {
  test::ModelDisk at_client, at_server;
  at_client.most_bytes = at_server.most_bytes = 4096;
  test::FailingFiles full{at_server};
  constexpr io::GenerationOptions hasty{.keep = 2, .retries = 0, .pause = {}, .patience = {}};
  const auto batch_of = [](std::uint64_t step) {
    return RandomBatches<float>{.rng = {.seed = step}}.make();
  };
  Roles undisturbed;
  for (std::uint64_t step = 1; step <= 6; ++step) undisturbed.train(step, batch_of(step));
  {
    Roles roles;
    io::Generations client{"client", hasty, at_client}, server{"server", hasty, full};
    for (std::uint64_t step = 0; step <= 5; ++step) {
      if (step > 0) roles.train(step, batch_of(step));
      if (step % 2 != 0) continue;
      io::Checkpoint of_client{{.step = step}}, of_server{{.step = step}};
      of_client.add("role", roles.client);
      of_server.add("role", roles.server);
      of_server.add("learner", *roles.learner);
      client.save(of_client);
      if (step == 4) {
        full.fail(1, ENOSPC, true);
        CHECK_THROWS_AS(server.save(of_server), StorageError);
        continue;
      }
      server.save(of_server);
      client.set_joint(step);
      server.set_joint(step);
    }
  }
  for (auto* disk : {&at_client, &at_server})
    *disk = disk->after_power_loss(0, test::ModelDisk::Unsynced::dropped);
  Roles roles;
  io::Generations client{"client", hasty, at_client}, server{"server", hasty, at_server};
  const auto joint = io::newest_common(client.find().steps, server.find().steps);
  REQUIRE(joint == 2);
  client.go_back_to(*joint);
  client.load(*joint).restore("role", roles.client);
  server.load(*joint).restore("role", roles.server);
  server.load(*joint).restore("learner", *roles.learner);
  for (std::uint64_t step = *joint + 1; step <= 6; ++step) roles.train(step, batch_of(step));
  CHECK(roles.state() == undisturbed.state());
  CHECK(client.find().steps == std::vector<std::uint64_t>{0, 2});
}

TEST_CASE("roles: a client waits for one answer to each message", "[split]") {
  Roles roles;
  CHECK_THROWS_AS(roles.client.backward({}, roles.report), std::logic_error);
  roles.forward(1, RandomBatches<float>{}.make());
  const std::vector<std::byte> nonsense(5);
  CHECK_THROWS_AS(roles.client.backward(nonsense, roles.report), WireError);
}

TEST_CASE("roles: a commit without a step, or before its answer, is refused", "[split]") {
  Roles roles;
  std::vector<std::byte> reply(100);
  CHECK_THROWS_AS(roles.client.commit(roles.report), std::logic_error);
  CHECK_THROWS_AS(roles.server.commit(reply), std::logic_error);
  roles.forward(1, RandomBatches<float>{}.make());
  CHECK_THROWS_WITH(roles.client.commit(roles.report), ContainsSubstring("await an answer"));
  CHECK_THROWS_WITH(roles.client.take_turn({}), ContainsSubstring("a step is under way"));
  CHECK(roles.client.learner().steps() == 0);
  CHECK(roles.learner->steps() == 0);
}

TEST_CASE("roles: a server commits to a reply with a header only", "[split]") {
  Roles roles;
  const auto bytes = roles.forward(1, RandomBatches<float>{}.make());
  std::vector<std::byte> reply, none;
  roles.server.forward({.step = 1}, bytes, largest, reply);
  CHECK_THROWS_AS(roles.server.commit(none), std::logic_error);
  roles.server.commit(reply);
  CHECK(roles.learner->steps() == 1);
}

TEST_CASE("roles: a server refuses parts that are not of one step", "[split]") {
  const auto batch = RandomBatches<float>{.samples = 4}.make();
  const auto part = [&](std::uint32_t micro, std::uint32_t images, std::uint32_t of_step) {
    split::CutSender<float> sender{compress::Identity{}, {}, 3};
    const nn::Part<float> model = test::client_part();
    split::ForwardMessage message;
    sender.send({.step = 1, .micro = micro}, model,
                model.to_cut(Variable<float>{batch.images}, NeedWeights::cls), batch.labels,
                message, true, {.images = images, .images_of_step = of_step});
    std::vector<std::byte> bytes;
    message.put_header(bytes);
    bytes.insert(bytes.end(), message.encoded.begin(), message.encoded.end());
    return bytes;
  };
  const auto learner =
      std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{.lr = 1e-2});
  split::ServerRole<float> server{learner, split::CutReceiver<float>{{}, 3}};
  const auto before = test::numbers_of<float>(server.part());
  std::vector<std::byte> reply;
  const auto came = [&](std::uint32_t micro, std::uint32_t images, std::uint32_t of_step) {
    server.forward({.step = 1, .micro = micro}, part(micro, images, of_step), largest, reply);
  };
  CHECK_THROWS_AS(came(1, 2, 4), std::logic_error);  // the session does not let it pass
  came(0, 2, 4);
  CHECK_FALSE(server.is_complete());
  CHECK_THROWS_WITH(server.commit(reply), ContainsSubstring("the step is not complete"));
  CHECK_THROWS_WITH(came(1, 3, 4), ContainsSubstring("2 of 4 images of the step before it"));
  CHECK_THROWS_WITH(came(1, 2, 5), ContainsSubstring("wanted one of 4"));
  CHECK_THROWS_WITH(came(1, 0, 0), ContainsSubstring("wanted one of 4"));
  CHECK_THROWS_WITH(came(0, ~0u, ~0u - 1), ContainsSubstring("part of"));  // by the sender here
  server.discard();
  // What is kept of a step does not grow with what its parts claim.
  came(0, 1, ~0u);
  came(1, ~0u - 1, ~0u);
  CHECK(server.is_complete());
  server.discard();
  CHECK(test::numbers_of<float>(server.part()) == before);

  // An evaluation is no part.
  auto question = part(0, 2, 4);
  CHECK_THROWS_WITH(server.answer(question, largest), ContainsSubstring("a flag of steps came"));
}
