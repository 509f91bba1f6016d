// SPDX-License-Identifier: MIT
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <splitvit/compress/then.hpp>
#include <splitvit/core/state.hpp>
#include <splitvit/split/party_checkpoints.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"

using namespace splitvit;

namespace {

/// Keeps the newest checkpoint, in memory.
class InMemory final : public split::PartyCheckpoints {
 public:
  void use(const wire::Settings&, std::uint32_t, std::uint64_t) override {}
  std::optional<Saved> newest() const override { return newest_; }
  bool holds(std::uint64_t step) const override { return newest_ && newest_->step == step; }
  std::optional<std::uint64_t> joint() const override { return std::nullopt; }
  bool is_due(std::uint64_t) const override { return true; }
  bool save_if_possible(wire::SessionState session, const split::ShowState& party, bool) override {
    newest_ = Saved{session.id, session.steps.last()};
    Shown shown{party};
    session_ = state_bytes(session);
    party_ = state_bytes(shown);
    return true;
  }
  void restore(std::uint64_t, wire::SessionState& session, const split::ShowState& party) override {
    Shown shown{party};
    set_state_bytes(session, session_);
    set_state_bytes(shown, party_);
  }
  std::vector<std::uint64_t> offered() const override { return {newest_->step}; }
  void meet(const wire::Hello&, wire::SessionState&, const split::ShowState&) override {}
  void follow(const wire::Welcome&, wire::SessionState&, const split::ShowState&) override {}
  void agree(const wire::Welcome&) override {}
  std::uint64_t every() const override { return 0; }
  split::CheckpointMessage::Held save_joint(wire::SessionState, const split::ShowState&) override {
    return split::CheckpointMessage::Held::no;
  }
  bool is_answered() const override { return true; }
  void answered(const split::CheckpointMessage& answer) override { answers.push_back(answer.held); }
  bool are_with_turns() const override { return false; }
  void end(std::uint64_t step) override { ended = step; }

  std::vector<split::CheckpointMessage::Held> answers;
  std::optional<std::uint64_t> ended;

 private:
  struct Shown {
    const split::ShowState& show;
    void each_state(StateVisitor& see) { show(see); }
  };

  std::optional<Saved> newest_;
  std::vector<std::byte> session_, party_;
};

struct Party {
  std::uint64_t number = 3;
  void each_state(auto&& see) { see(std::string{"number"}, number); }
};

split::Client<float> new_client(const std::shared_ptr<InMemory>& checkpoints) {
  split::Client<float> client{
      split::ClientRole<float>{split::Learner<float>{test::client_part(), optim::Adam{}},
                               split::CutSender<float>{compress::Identity{}, {}, 7}}};
  client.keep_checkpoints(checkpoints);
  return client;
}

}  // namespace

TEST_CASE("PartyCheckpoints: a client may keep them elsewhere than in files", "[split]") {
  const auto kept = std::make_shared<InMemory>();
  split::Server<float> server{test::server_part(), optim::Adam{}};
  std::optional<test::Serving<split::Server<float>>> serving;
  const auto train = [&](split::Client<float>& client, int steps) {
    test::RandomBatches<float> batches;
    client.reconnect(test::dial(server, serving));
    for (; steps > 0; --steps) {
      auto batch = batches.make();
      client.train_step(std::move(batch.images), batch.labels);
      client.checkpoint_if_due();
    }
  };
  std::vector<float> weights;
  {
    auto client = new_client(kept);
    CHECK(kept->holds(0));
    train(client, 2);
    weights = test::numbers_of<float>(client.part());
  }
  CHECK_THROWS_AS(serving->finish(), TransportError);

  auto client = new_client(kept);
  CHECK(client.steps() == 2);
  CHECK(test::numbers_of<float>(client.part()) == weights);
  train(client, 1);
  CHECK(server.step_of(kept->newest()->session) == 3);
  client.close();
  serving->finish();
  using enum split::CheckpointMessage::Held;
  CHECK(kept->answers == std::vector{never, never, never, never});
  CHECK(kept->ended == 3);
}

TEST_CASE("CheckpointsOf: none, and the state of a party", "[split]") {
  const split::CheckpointsOf<Party> none;
  CHECK(!none);
  CHECK(!split::CheckpointsOf<Party>{std::shared_ptr<InMemory>{}});
  const split::CheckpointsOf<Party> kept{std::make_shared<InMemory>()};
  REQUIRE(kept);
  Party party;
  wire::SessionState session;
  kept->save_if_possible({}, kept.state_of(party));
  party.number = 4;
  kept->restore(0, session, kept.state_of(party));
  CHECK(party.number == 3);
}
