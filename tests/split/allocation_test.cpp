// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <malloc.h>

#include <splitvit/codec/any_codec.hpp>
#include <splitvit/codec/sl_acc.hpp>
#include <splitvit/codec/token_scaled.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/split/checkpoints.hpp>
#include <splitvit/split/simulation.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"
#include "support/sanitizer.hpp"
#include "support/temporary_folder.hpp"

// After the first steps, training asks the heap for nothing; and where an allocation fails, no step
// is lost. This program's operator new counts, or fails, while it is told to; sanitizers bring
// their own, so there is nothing to test under them.

#if !SPLITVIT_SANITIZED

namespace {

std::atomic<bool> counting{false};
std::atomic<long> allocations{0};
std::atomic<long> failing_at{-1};  // of those that are counted; negative: none
std::atomic<long> held{0};         // bytes
std::atomic<long> most_held{0};    // of one thread at a time

void* counted(std::size_t bytes, std::size_t alignment) {
  if (counting && allocations++ == failing_at) throw std::bad_alloc{};
  bytes = (bytes + alignment - 1) / alignment * alignment;
  if (void* const memory = std::aligned_alloc(alignment, bytes == 0 ? alignment : bytes)) {
    held += static_cast<long>(malloc_usable_size(memory));
    most_held = std::max(most_held.load(), held.load());
    return memory;
  }
  throw std::bad_alloc{};
}

void give_back(void* memory) {
  held -= static_cast<long>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  return counted(bytes, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { give_back(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  give_back(memory);
}

namespace splitvit {

namespace {

/// Heap allocations of both parties in steps 3 to 6. Each party computes on one thread: with
/// more, one that first joins in at a later step needs memory of its own then.
template <class Stage>
long allocations_of_steps(const Stage& stage, Compute compute = Compute::float32) {
  auto ends = transport::memory_pair();
  split::Server server{test::server_part(compute), optim::Adam{}};
  std::jthread serving{[&] { with_threads(1, [&] { server.serve(std::move(ends.second)); }); }};
  with_threads(1, [&] {
    split::Client client{test::client_part(compute), optim::Adam{}, stage, std::move(ends.first)};
    auto batch = test::RandomBatches<float>{.samples = 12}.make();
    const Labels labels = batch.labels;
    std::vector<Tensor<float>> images(6, batch.images);
    for (std::size_t step = 1; step <= images.size(); ++step) {
      counting = step > 2;
      client.train_step(std::move(images[step - 1]), labels);
    }
    counting = false;
    client.close();
  });
  serving.join();
  return allocations.exchange(0);
}

}  // namespace

TEST_CASE("allocations: the counter counts", "[split]") {
  counting = true;
  ::operator delete(::operator new(1));
  counting = false;
  CHECK(allocations.exchange(0) == 1);
}

TEST_CASE("allocations: none to copy a codec with state over another one", "[split]") {
  codec::AnyCodec<float> codec = codec::TokenScaled<codec::AnyCodec<float>>{codec::SlAcc{}};
  const Tensor<float> x = Tensor<float>::full({2, 3, 4}, 1.0f);
  std::vector<std::byte> up;
  Rng rng;
  codec.encode(x.view(), up, rng);
  codec::AnyCodec<float> before = codec;
  counting = true;
  for (int step = 0; step < 3; ++step) before = codec;
  counting = false;
  CHECK(allocations.exchange(0) == 0);
}

TEST_CASE("allocations: none for the contexts of any codec", "[split]") {
  const Workspace workspace;
  const Workspace::Use use{workspace};
  const auto keep = [](const auto& context) { return codec::AnyContext{context}; };
  const std::array<Index, 50> large{};
  keep(large);
  counting = true;
  keep(codec::NoContext{});
  keep(large);
  counting = false;
  CHECK(allocations.exchange(0) == 0);
}

TEST_CASE("allocations: none in a training step after the first two", "[split]") {
  CHECK(allocations_of_steps(compress::Identity{}) == 0);
  CHECK(allocations_of_steps(compress::adc(0.3)) == 0);
  CHECK(allocations_of_steps(compress::adc(0.1)) == 0);
  if (kernel::has_brain_unit) CHECK(allocations_of_steps(compress::adc(0.3), Compute::bf16) == 0);
}

namespace {

constexpr nn::VitConfig wide_vit{
    .image = 8, .patch = 4, .channels = 3, .dim = 64, .heads = 2, .depth = 2, .classes = 5};

/// The most bytes that a simulation with so many clients has held after a step, in two rounds.
long held_by_simulation(std::uint32_t clients) {
  const auto part = [](Index first) {
    return nn::make_part<float>(wide_vit, first, first + 1, test::start);
  };
  split::Server<float> server{
      split::Shared{}, {.clients = clients}, [&] { return part(1); }, optim::Adam{}, {}, {}};
  split::Simulation<float> simulation{server};
  for (std::uint32_t client = 1; client <= clients; ++client)
    simulation.add({split::Learner<float>{part(0), optim::Adam{}},
                    split::CutSender<float>{compress::Identity{}, {}}},
                   {.client = client}, {{.steps = 2, .per_turn = 1}, [] {
                                          return test::RandomBatches<float>{.samples = 1}.make();
                                        }});
  long most = 0;
  simulation.run([&](const auto&, const auto&) { most = std::max(most, held.load()); });
  return most;
}

}  // namespace

TEST_CASE("allocations: a further client of a simulation takes its weights and their moments",
          "[split]") {
  const auto weights = static_cast<long>(
      split::weights_payload<float>(nn::make_part<float>(wide_vit, 0, 1, test::start)).size());
  CHECK((held_by_simulation(12) - held_by_simulation(4)) / 8 < 7 * weights / 2);
}

TEST_CASE("allocations: a checkpoint is written without a second copy of the state", "[split]") {
  std::vector<std::vector<float>> tensors(16, std::vector<float>(250'000));
  const split::ShowState show = [&](StateVisitor& see) {
    for (std::size_t i = 0; i < tensors.size(); ++i)
      see("tensor." + std::to_string(i), std::span<float>{tensors[i]});
  };
  const support::TemporaryFolder folder;
  split::Checkpoints checkpoints{folder.path(), io::EveryStep{}};
  const long before = held;
  most_held = before;
  checkpoints.save({}, show);
  CHECK(most_held - before < 4'000'000);
  CHECK(checkpoints.generations().load(0).sections.at("party").size() > 16'000'000);
}

namespace {

/// The parts' numbers after three steps. The allocation number `failing` of all threads fails, in
/// or between them.
std::vector<float> trained(long failing) {
  split::Server server{test::server_part(), optim::Adam{}};
  std::optional<test::Serving<split::Server<float>>> serving;
  split::Client client{test::client_part(), optim::Adam{}, compress::adc(0.3),
                       test::dial(server, serving)};
  const auto hang_up = [&] {
    client.disconnect();
    if (!serving) return;
    try {
      serving->finish();
    } catch (const std::exception&) {
    }
    serving.reset();
  };
  failing_at = failing;
  allocations = 0;
  bool is_connected = true;
  while (client.steps() < 3) {
    const auto batch =
        test::RandomBatches<float>{.samples = 12, .rng = {.seed = client.steps()}}.make();
    counting = true;
    try {
      if (!is_connected) client.reconnect(test::dial(server, serving));
      is_connected = true;
      client.train_step(batch.images, batch.labels);
    } catch (const std::exception&) {  // bad_alloc here, or what the server says of its own
      counting = false;
      is_connected = false;
      hang_up();
    }
    counting = false;
  }
  failing_at = -1;
  hang_up();
  std::vector<float> all = test::numbers_of<float>(client.part());
  const std::vector<float> of_server = test::numbers_of<float>(server.part());
  all.insert(all.end(), of_server.begin(), of_server.end());
  return all;
}

}  // namespace

TEST_CASE("allocations: any one of them may fail in three steps, with the same weights",
          "[split]") {
  with_threads(1, [] {
    const std::vector<float> expected = trained(-1);
    const long all = allocations;
    CHECK(all > 50);
    for (long at = 0; at < all; ++at) {
      INFO("allocation " << at << " of " << all);
      REQUIRE(trained(at) == expected);
    }
  });
}

}  // namespace splitvit

#endif
