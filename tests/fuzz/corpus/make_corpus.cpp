// SPDX-License-Identifier: MIT

// Makes the first inputs of the fuzz targets frame, handshake, labels and messages. Run it from the
// root of the repository after a change of the wire format:
//
//   c++ -std=c++20 -Iinclude -Itests -isystem /usr/include/eigen3
//       tests/fuzz/corpus/make_corpus.cpp -o make_corpus
//   ./make_corpus tests/fuzz/corpus
//
// Inputs that a fuzzer found later lie beside them and are kept.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

#include <splitvit/core/labels.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/split/messages.hpp>
#include <splitvit/wire/error_message.hpp>
#include <splitvit/wire/handshake.hpp>
#include <splitvit/wire/labels.hpp>
#include <splitvit/wire/message.hpp>
#include <splitvit/wire/tensor_payload.hpp>

#include "fuzz/small_vit.hpp"

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

void add_frames(Buffer& stream, wire::MessageWriter& writer, wire::MessageKind kind,
                wire::Bytes payload) {
  writer.write(kind, std::span{&payload, 1},
               [&](wire::Bytes piece) { stream.insert(stream.end(), piece.begin(), piece.end()); });
}

Buffer frames(wire::MessageKind kind, wire::Bytes payload) {
  Buffer stream;
  wire::MessageWriter writer;
  writer.begin(0, wire::message_ceiling);
  add_frames(stream, writer, kind, payload);
  return stream;
}

template <class T>
Buffer tensors() {
  const std::vector<T> values(24, T{3});
  wire::PayloadWriter out;
  out.put(std::uint64_t{7});
  out.put_tensor<T>({2, 3, 4}, values);
  out.put_tensor<T>({24}, values);
  return out.gather();
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

/// Activations of two samples with three tokens of four numbers, and their classes.
Buffer activations(const RecycledVector<Index>& sizes,
                   std::span<const std::byte> token_sizes = {}) {
  Buffer labels, out;
  wire::put_labels(std::vector<Index>{1, 0}, 3, labels);
  split::Activations{.step = 7,
                     .samples = 2,
                     .tokens = 3,
                     .sizes = sizes,
                     .token_sizes = token_sizes,
                     .targets = labels,
                     .encoded = {}}
      .put_head(out);
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

Buffer gradient() {
  Buffer out;
  split::Gradient{.step = 7, .loss = 0.5, .seconds = 0.25, .encoded = {}}.put_head(out);
  return out;
}

template <class T>
Buffer tail_weights() {
  const auto tail = nn::make_tail<T>(test::fuzzed_vit, 1, Rng{.seed = 1});
  wire::PayloadWriter out;  // remembers where the weights are
  split::put_weights<T>(out, tail);
  return out.gather();
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
  std::filesystem::create_directories(handshake);
  std::filesystem::create_directories(labels);
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

  const wire::Settings settings{{"model", "vit"}, {"cut", "2"}, {"seed", "42"}};
  const Buffer hello_bytes = wire::hello_payload(settings);
  const auto answer = wire::answer_hello(hello_bytes, settings, {.id = {1, 2}});
  const auto refusal = wire::answer_hello(hello_bytes, {{"model", "other"}}, {});
  save(handshake / "hello_frame", 1 + 4, frames(hello, hello_bytes));
  save(handshake / "hello_in_pieces", 4 + 8, frames(hello, hello_bytes));
  save(handshake / "hello_payload", 2 + 4, hello_bytes);
  save(handshake / "welcome_frame", 1, frames(welcome, answer.payload));
  save(handshake / "welcome_payload", 2 + 16 * 2, answer.payload);
  save(handshake / "refuse_frame", 1, frames(refuse, refusal.payload));
  save(handshake / "refuse_payload", 2 + 16 * 3, refusal.payload);
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

  save(messages / "activations", 0, activations({}));
  save(messages / "activations_with_sizes", 0, activations({3, 1}));
  save(messages / "activations_with_token_sizes", 0, activations({}, Buffer(6, std::byte{2})));
  save(messages / "gradient", 1, gradient());
  save(messages / "score", 2, split::Score{.loss_sum = 2.5, .correct = 3}.payload());
  save(messages / "weights", 3, tail_weights<float>());
  save(messages / "weights_double", 3 + 4, tail_weights<double>());
  return 0;
}
