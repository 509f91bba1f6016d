// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <splitvit/split/service.hpp>
#include <splitvit/split/simulation.hpp>
#include <splitvit/transport/tcp.hpp>

#include "split/group.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using split::Turn;
using test::ClientGroup;

namespace {

/// A group over TCP that goes on without a client after a second. On a loaded machine another one
/// may be late, too; so the tests look at those that must be.
class Impatient {
 public:
  /// What a client does where another one would take its next step. Returns whether it takes it.
  using BeforeStep = std::function<bool(split::Client<float>&)>;
  using Client = std::unique_ptr<split::Client<float>>;

  explicit Impatient(ClientGroup<float> group) : group_{std::move(group)} {
    group_.options.deadline = std::chrono::seconds{1};
    group_.options.on_left_out = [this](std::uint32_t client, std::uint64_t round,
                                        const WireError& why) {
      const std::lock_guard lock{guard_};
      if (why.reason() == Reason::late) late_.emplace_back(client, round);
    };
    server_.reset(new split::Server<float>(group_.server()));
    thread_ = std::jthread{[this] {
      split::Service<float> service{*server_, {.at_once = group_.clients() + std::size_t{2}}};
      service.run(listener_, [this] { return !has_ended_; });
    }};
  }
  ~Impatient() { has_ended_ = true; }

  split::Server<float>& server() { return *server_; }

  /// Whether a client was late, in this round or in any.
  bool was_late(std::uint32_t client, std::optional<std::uint64_t> round = {}) const {
    const std::lock_guard lock{guard_};
    return std::any_of(late_.begin(), late_.end(), [&](const auto& one) {
      return one.first == client && (!round || one.second == *round);
    });
  }
  void wait_until_late(std::uint32_t client) const {
    while (!was_late(client)) std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }

  /// The session of a client, once the server has read its goodbye.
  wire::SessionState session_that_ended(std::uint32_t client) const {
    while (true) {
      const auto session = server_->session_of(client);
      if (session && session->received.of(wire::MessageKind::bye).messages > 0) return *session;
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
  }

  const transport::Endpoint& endpoint() const { return listener_.endpoint(); }
  const ClientGroup<float>& group() const { return group_; }

  /// In a session of its own.
  Client connect(std::uint32_t number) const {
    return std::make_unique<split::Client<float>>(
        group_.role(), transport::connect_tcp(listener_.endpoint()), group_.client_options(number));
  }

  /// Trains until the training is over. Returns how often the others had gone on.
  int train(
      split::Client<float>& client, std::uint32_t number,
      const BeforeStep& before_step = [](split::Client<float>&) { return true; }) const {
    int missed = 0;
    Turn turn;
    do {
      while (client.role().steps_left() > 0) try {
          if (!before_step(client)) return missed;
          auto [images, labels] = ClientGroup<float>::batch(number, client.steps());
          client.train_step(std::move(images), labels);
        } catch (const WireError& error) {
          if (error.reason() != Reason::late) throw;
          ++missed;
        }
      if (turn.what == Turn::What::evaluate) {
        client.evaluate(test::RandomBatches<float>{.left = 1, .samples = 4});
      }
      client.request_turn(group_.plan(number).next(client.steps()));
      turn = client.await_turn();
    } while (turn.what != Turn::What::over);
    client.close();
    return missed;
  }
  void train_alone(std::uint32_t number) const {
    const Client client = connect(number);
    train(*client, number);
  }

 private:
  ClientGroup<float> group_;
  mutable std::mutex guard_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> late_;  // client, round
  std::unique_ptr<split::Server<float>> server_;
  transport::TcpListener listener_{{"127.0.0.1", 0}};
  std::atomic<bool> has_ended_ = false;
  std::jthread thread_;
};

/// A link that stops for a while after so many bytes that it has sent.
class Stalling {
 public:
  struct Plan {
    std::atomic<std::uint64_t> sent = 0, stalls_at = ~std::uint64_t{0};
    std::function<void()> stall = {};
  };
  Stalling(transport::TcpLink link, std::shared_ptr<Plan> plan)
      : link_{std::make_unique<transport::TcpLink>(std::move(link))}, plan_{std::move(plan)} {}

  std::size_t read_some(std::span<std::byte> into) { return link_->read_some(into); }
  std::size_t write_some(std::span<const std::byte> from) {
    if (plan_->sent == plan_->stalls_at) {
      plan_->stalls_at = ~std::uint64_t{0};
      plan_->stall();
    }
    const std::uint64_t room = plan_->stalls_at - plan_->sent;
    if (room < from.size()) from = from.first(static_cast<std::size_t>(room));
    const std::size_t n = link_->write_some(from);
    plan_->sent += n;
    return n;
  }
  void set_deadline(transport::Deadline when) { link_->set_deadline(when); }

 private:
  std::unique_ptr<transport::TcpLink> link_;
  std::shared_ptr<Plan> plan_;
};

ClientGroup<float> late_group(const std::string& mode) {
  return {.sharing = test::sharing_named<float>(mode), .steps = {6, 6, 6}};
}

}  // namespace

TEST_CASE("late clients: one that stalls misses the round, and goes on with the next average",
          "[split][timing]") {
  const std::string mode = GENERATE("shared", "averaged", "relay");
  CAPTURE(mode);
  Impatient group{late_group(mode)};
  {
    const std::jthread first{[&] { group.train_alone(1); }}, third{[&] { group.train_alone(3); }};
    const auto client = group.connect(2);
    bool has_stalled = false;
    const int missed = group.train(*client, 2, [&](split::Client<float>& stalling) {
      if (stalling.steps() == 1 && !std::exchange(has_stalled, true)) group.wait_until_late(2);
      return true;
    });
    CHECK(missed >= 1);
    CHECK(client->role().turn().what == Turn::What::over);
    CHECK(client->steps() >= 1);
  }
  CHECK(group.was_late(2, mode == "relay" ? 2 : 1));
  CHECK(group.server().away_at_end() == 0);
}

TEST_CASE("late clients: one that stalls between the parts of a step misses the round",
          "[split][timing]") {
  ClientGroup<float> of_group = late_group("shared");
  of_group.options.order = split::Order::arrival;  // others are not in turn, and yet wait for it
  Impatient group{of_group};
  {
    const std::jthread first{[&] { group.train_alone(1); }}, third{[&] { group.train_alone(3); }};
    const auto plan = std::make_shared<Stalling::Plan>();
    plan->stall = [&] { group.wait_until_late(2); };
    split::ClientOptions options = group.group().client_options(2);
    options.micro_batches = 2;
    split::Client<float> client{group.group().role(),
                                Stalling{transport::connect_tcp(group.endpoint()), plan}, options};
    std::uint64_t before = 0;
    const int missed = group.train(client, 2, [&](split::Client<float>& training) {
      if (training.steps() == 0) before = plan->sent;
      if (training.steps() == 1 && before > 0)  // both parts have as many bytes
        plan->stalls_at = plan->sent + (plan->sent - std::exchange(before, 0)) / 2;
      return true;
    });
    CHECK(missed >= 1);
    CHECK(client.role().turn().what == Turn::What::over);
  }
  CHECK(group.was_late(2, 1));
  for (const float value : test::numbers_of<float>(group.server().part()))
    REQUIRE(std::isfinite(value));
}

TEST_CASE("late clients: one that was killed comes back in a new session", "[split][timing]") {
  Impatient group{late_group("averaged")};
  std::uint64_t bytes = 0;
  {
    const std::jthread first{[&] { group.train_alone(1); }}, third{[&] { group.train_alone(3); }};
    {
      const auto client = group.connect(2);
      group.train(*client, 2, [](split::Client<float>& killed) { return killed.steps() < 1; });
      REQUIRE(client->steps() == 1);
      bytes = client->traffic(split::Column::training).total();
    }
    group.wait_until_late(2);
    const auto before = group.server().session_of(2);
    const auto again = group.connect(2);
    CHECK(again->steps() == 0);
    group.train(*again, 2);
    CHECK(again->role().turn().what == Turn::What::over);
    bytes += again->traffic(split::Column::training).total();
    const auto session = group.server().session_of(2);
    REQUIRE(session);
    CHECK(session->id != before->id);
  }
  const wire::SessionState session = group.session_that_ended(2);
  // There the second handshake is a repeat.
  CHECK(split::traffic_of(session, split::Column::training, true).total() +
            session.received.repeats().framed + session.sent.repeats().framed ==
        bytes);
  CHECK(group.server().group()->rounds().all_taken(1) == 6);
}

TEST_CASE("late clients: one that never comes, and an evaluator that has gone", "[split][timing]") {
  ClientGroup<float> of_group = late_group("shared");
  of_group.options.evaluator = 1;
  std::atomic<int> evaluations = 0;
  of_group.options.on_evaluated = [&](std::uint64_t, const split::Evaluation& found) {
    if (found.samples == 4) ++evaluations;
  };
  Impatient group{of_group};
  {
    const std::jthread second{[&] { group.train_alone(2); }};
    const auto client = group.connect(1);
    group.train(*client, 1, [](split::Client<float>& killed) { return killed.steps() < 2; });
  }
  CHECK(group.was_late(3, 0));
  CHECK(group.was_late(1));
  CHECK(evaluations >= 2);  // by client 2
  CHECK(group.server().away_at_end() == 2);
}

TEST_CASE("late clients: a place is taken only from a client that is not connected",
          "[split][timing]") {
  Impatient group{late_group("shared")};
  const auto client = group.connect(2);
  try {
    group.connect(2);
    FAIL("a second one was admitted");
  } catch (const WireError& error) {
    CHECK(error.reason() == Reason::in_use);
    CHECK_THAT(error.what(), ContainsSubstring("busy: serving client 2"));
  }
  CHECK(group.server().session_of(2));
}
