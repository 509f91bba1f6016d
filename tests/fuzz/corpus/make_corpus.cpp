// SPDX-License-Identifier: MIT

// Makes the first inputs of the fuzz targets checkpoint, frame, handshake, labels, messages and
// session. Run it from the root of the repository after a change of one of their formats:
//
//   c++ -std=c++20 -Iinclude -Itests -isystem /usr/include/eigen3
//       tests/fuzz/corpus/make_corpus.cpp -o make_corpus
//   ./make_corpus tests/fuzz/corpus
//
// Inputs that a fuzzer found later lie beside them and are kept.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

#include <splitvit/core/labels.hpp>
#include <splitvit/io/checkpoint.hpp>
#include <splitvit/nn/part.hpp>
#include <splitvit/split/messages.hpp>
#include <splitvit/split/turn.hpp>
#include <splitvit/wire/handshake.hpp>
#include <splitvit/wire/labels.hpp>
#include <splitvit/wire/outbox.hpp>
#include <splitvit/wire/session.hpp>
#include <splitvit/wire/tensor_payload.hpp>

#include "fuzz/small_vit.hpp"
#include "support/drain.hpp"
#include "support/peers.hpp"
#include "support/some_state.hpp"

namespace {

using namespace splitvit;
using Buffer = std::vector<std::byte>;

void save(const std::filesystem::path& file, unsigned choice, const Buffer& bytes) {
  std::ofstream out{file, std::ios::binary};
  out.put(static_cast<char>(choice));
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

Buffer frames(wire::MessageKind kind, wire::Bytes payload) {
  wire::Outbox box;
  box.begin(0, wire::message_ceiling);
  box.queue(kind, std::array{payload});
  return test::drain(box);
}

template <class T>
Buffer tensors() {
  const std::vector<T> values(24, T{3});
  Buffer out;
  ByteWriter{out}.put(std::uint64_t{7});
  wire::put_tensor<T>(out, {2, 3, 4}, values);
  wire::put_tensor<T>(out, {24}, values);
  return out;
}

/// A message of two frames, with payloads shorter than the writer would make them.
Buffer continued() {
  Buffer stream;
  const Buffer payload(100, std::byte{1});
  for (const bool first : {true, false}) {
    wire::put_header(stream, {.kind = wire::MessageKind::weights,
                              .continues = first,
                              .length = 100,
                              .sequence = first ? 0u : 1u,
                              .payload_crc = crc32c(payload)});
    stream.insert(stream.end(), payload.begin(), payload.end());
  }
  return stream;
}

/// What a client and a server say to each other in a session: two steps, the second of two parts,
/// heartbeats, evaluation and a goodbye.
struct Conversation {
  Buffer from_client, from_server;

  explicit Conversation(std::uint64_t largest_message) {
    test::Peers peers{.client_options = {.largest_message = largest_message, .heartbeat = seconds},
                      .server_options = {.largest_message = largest_message, .heartbeat = seconds}};
    peers.at_client.id = {1, 2};
    peers.begin();
    const auto up = [&] {
      const Buffer bytes = test::drain(*peers.client, peers.now);
      from_client.insert(from_client.end(), bytes.begin(), bytes.end());
      test::feed(*peers.server, bytes, peers.now);
    };
    const auto down = [&] {
      const Buffer bytes = test::drain(*peers.server, peers.now);
      from_server.insert(from_server.end(), bytes.begin(), bytes.end());
      test::feed(*peers.client, bytes, peers.now);
    };
    const Buffer contents(3, std::byte{0}), goes_on(21, std::byte{5}), ends(20, std::byte{6});
    up();
    peers.server->admit(peers.at_server);
    down();
    peers.ask(contents);
    up();
    peers.answer(ends);
    down();
    peers.client->commit();
    peers.ask(goes_on);
    up();
    peers.server->new_reply() = goes_on;
    peers.server->reply();
    down();
    peers.pass(seconds);
    peers.client->tick(peers.now);
    peers.server->tick(peers.now);
    up();
    down();
    peers.ask(contents);
    up();
    peers.answer(ends);
    down();
    peers.client->commit();
    peers.client->send(wire::MessageKind::evaluate, std::array{wire::Bytes{contents}});
    up();
    peers.server->send(wire::MessageKind::evaluated, std::array{wire::Bytes{contents}});
    down();
    peers.client->send(wire::MessageKind::bye);
    up();
  }

  static constexpr std::chrono::seconds seconds{2};
};

/// A forward message: two samples with three tokens of four numbers, and their classes.
Buffer forward_message(const RecycledVector<Index>& sizes,
                       std::span<const std::byte> token_sizes = {}) {
  Buffer labels, out;
  wire::put_labels(std::vector<Index>{1, 0}, 3, labels);
  split::ForwardMessage{
      .samples = 2, .tokens = 3, .sizes = sizes, .token_sizes = token_sizes, .labels = labels}
      .put_header(out);
  ByteWriter writer{out};
  for (int i = 0; i < 2 * 3 * 4; ++i) writer.put(0.5f);
  return out;
}

/// The input of the fuzz target labels, after the number of rows.
Buffer labels_with_classes(Index classes, const Labels& labels) {
  Buffer out;
  ByteWriter{out}.put(static_cast<std::uint16_t>(classes));
  wire::put_labels(labels, classes, out);
  return out;
}
Buffer labels_with_classes(Index classes, std::initializer_list<int> bytes) {
  Buffer out;
  ByteWriter{out}.put(static_cast<std::uint16_t>(classes));
  for (const int byte : bytes) out.push_back(static_cast<std::byte>(byte));
  return out;
}

Buffer backward_message() {
  Buffer out;
  split::BackwardMessage{.loss = 0.5, .seconds = 0.25}.put_header(out);
  return out;
}

template <class T>
Buffer server_weights() {
  const auto part = nn::make_part<T>(test::fuzzed_vit, 1, test::fuzzed_vit.depth, Rng{.seed = 1});
  return split::weights_payload<T>(part);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  const std::filesystem::path frame = std::filesystem::path{argv[1]} / "frame";
  const std::filesystem::path handshake = std::filesystem::path{argv[1]} / "handshake";
  std::filesystem::create_directories(frame);
  const std::filesystem::path labels = std::filesystem::path{argv[1]} / "labels";
  const std::filesystem::path messages = std::filesystem::path{argv[1]} / "messages";
  const std::filesystem::path session = std::filesystem::path{argv[1]} / "session";
  const std::filesystem::path checkpoints = std::filesystem::path{argv[1]} / "checkpoint";
  std::filesystem::create_directories(checkpoints);
  std::filesystem::create_directories(handshake);
  std::filesystem::create_directories(labels);
  std::filesystem::create_directories(session);
  std::filesystem::create_directories(messages);
  using enum wire::MessageKind;

  save(frame / "float32", 5, frames(forward, tensors<float>()));
  save(frame / "float64", 5, frames(backward, tensors<double>()));
  save(frame / "uint8_in_pieces", 5 + 8 + 16 * 4, frames(evaluate, tensors<std::uint8_t>()));
  save(frame / "error", 1, frames(error, wire::error_payload(Reason::not_finite, "NaN")));
  save(frame / "empty", 0, frames(bye, {}));
  save(frame / "continued", 5, continued());
  Buffer claim;
  wire::put_header(claim, {.kind = forward, .length = 0xFFFFFFFF});
  save(frame / "huge_claim", 4, claim);

  const wire::Hello hello_values{.heartbeat_ms = 5000,
                                 .session = {1, 2},
                                 .connection = 3,
                                 .last_step = 7,
                                 .generations = {4, 6},
                                 .settings = {{"model", "vit"}, {"cut", "2"}, {"seed", "42"}}};
  const Buffer hello_bytes = wire::hello_payload(hello_values);
  const Buffer welcome_bytes =
      wire::welcome_payload({.session = {1, 2}, .connection = 4, .last_step = 7, .generation = 6});
  const Buffer refusal_bytes = wire::refusal_payload({"model", "vit", "other"});
  save(handshake / "hello_frame", 1 + 4, frames(hello, hello_bytes));
  save(handshake / "hello_in_pieces", 4 + 8, frames(hello, hello_bytes));
  save(handshake / "hello_payload", 2 + 4, hello_bytes);
  save(handshake / "welcome_frame", 1, frames(welcome, welcome_bytes));
  save(handshake / "welcome_payload", 2, welcome_bytes);
  save(handshake / "refuse_frame", 1, frames(refuse, refusal_bytes));
  save(handshake / "refuse_payload", 2 + 16, refusal_bytes);
  save(handshake / "error_frame", 1, frames(error, wire::error_payload(Reason::malformed, "no")));

  using Ids = std::vector<Index>;
  using Counts = RecycledVector<Index>;
  save(labels / "class_ids", 3, labels_with_classes(10, Ids{0, 9, 4}));
  save(labels / "class_ids_wide", 2, labels_with_classes(1000, Ids{999, 256}));
  save(labels / "class_lists", 2,
       labels_with_classes(10, Labels::from_lists({2, 3}, {3, 7, 0}, Counts{2, 1, 4})));
  save(labels / "class_lists_not_in_lowest_terms", 1,
       labels_with_classes(2, {1, 4, 0, 0, 0, 1, 1}));
  save(labels / "weighted", 2,
       labels_with_classes(10, Labels::weighted({{{1, 0.25f}, {8, 0.75f}}, {{0, 1.0f}}})));
  save(labels / "weighted_negative_zero", 1,  // -0 and 1
       labels_with_classes(2, {2, 2, 0, 0, 0, 0, 0, 128, 1, 0, 0, 128, 63}));
  save(labels / "nan", 1, labels_with_classes(2, {2, 1, 0, 1, 0, 0, 192, 127}));
  save(labels / "huge_list", 1, labels_with_classes(2, {1, 255, 255, 0}));
  save(labels / "unknown_mode", 1, labels_with_classes(2, {3, 0}));
  save(labels / "empty", 1, labels_with_classes(2, std::initializer_list<int>{}));
  const Conversation small{wire::unadmitted_limit}, large{std::uint64_t{1} << 16};
  save(session / "at_server", 1, small.from_client);
  save(session / "at_server_in_pieces", 1 + 8 + 16 * 6, small.from_client);
  save(session / "at_server_large", 1 + 4, large.from_client);
  save(session / "at_client", 1 + 2, small.from_server);
  save(session / "at_client_in_pieces", 1 + 2 + 8 + 16 * 6, small.from_server);
  save(session / "at_client_large", 1 + 2 + 4, large.from_server);
  save(session / "refused", 1 + 2, frames(refuse, refusal_bytes));

  save(messages / "forward", 0, forward_message({}));
  save(messages / "forward_with_sizes", 0, forward_message({3, 1}));
  save(messages / "forward_with_token_sizes", 0, forward_message({}, Buffer(6, std::byte{2})));
  save(messages / "backward", 1, backward_message());
  save(messages / "score", 2, split::Score{.loss_sum = 2.5, .correct = {true, true}}.payload());
  save(messages / "checkpoint", 8, split::CheckpointMessage{.step = 7}.payload());
  save(messages / "weights", 3, server_weights<float>());
  save(messages / "turn", 16, split::Turn{.number = 3, .round = 2, .steps = 5}.payload());
  save(messages / "turn_request", 17, split::TurnRequest{.turn = 3, .steps = 5}.payload());
  const split::Found found{.loss_sum = 2.5, .correct = 3, .samples = 4};
  save(messages / "turn_request_found", 19,
       split::TurnRequest{.turn = 3, .found = found}.payload());
  save(messages / "weights_double", 3 + 4, server_weights<double>());

  io::Checkpoint party{{.session = {1, 2}, .step = 7, .settings = {{"cut", "2"}, {"seed", "42"}}}};
  test::SomeState state;
  party.add("party", state);
  party.sections["empty"];
  const Buffer file = io::format_checkpoint(party);
  save(checkpoints / "file", 0, file);
  save(checkpoints / "file_repaired", 1, file);
  save(checkpoints / "no_sections", 1, io::format_checkpoint(io::Checkpoint{}));
  save(checkpoints / "torn", 0, {file.begin(), file.begin() + 100});
  save(checkpoints / "section", 2, party.sections["party"]);
  return 0;
}
