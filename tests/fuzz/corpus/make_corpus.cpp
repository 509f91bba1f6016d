// SPDX-License-Identifier: MIT

// Makes the first inputs of the fuzz targets frame, handshake and messages. Run it from the root of
// the repository after a change of the wire format:
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
#include <string>
#include <vector>

#include <splitvit/codec/targets.hpp>
#include <splitvit/nn/part.hpp>
#include <splitvit/split/messages.hpp>
#include <splitvit/wire/error_message.hpp>
#include <splitvit/wire/handshake.hpp>
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
  Tensor<float> targets{{2, 3}};
  targets[1] = targets[3] = 1.0f;
  Buffer target_bytes, out;
  codec::encode_targets<float>(targets.view(), target_bytes);
  split::Activations{.step = 7,
                     .samples = 2,
                     .tokens = 3,
                     .sizes = sizes,
                     .token_sizes = token_sizes,
                     .targets = target_bytes,
                     .encoded = {}}
      .put_head(out);
  ByteWriter writer{out};
  for (int i = 0; i < 2 * 3 * 4; ++i) writer.put(0.5f);
  return out;
}

Buffer gradient() {
  Buffer out;
  split::Gradient{.step = 7, .loss = 0.5, .seconds = 0.25, .encoded = {}}.put_head(out);
  return out;
}

template <class T>
Buffer server_weights() {
  const auto part = nn::make_part<T>(test::fuzzed_vit, 1, test::fuzzed_vit.depth, Rng{.seed = 1});
  wire::PayloadWriter out;  // remembers where the weights are
  split::put_weights<T>(out, part);
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
  const std::filesystem::path messages = std::filesystem::path{argv[1]} / "messages";
  std::filesystem::create_directories(handshake);
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

  save(messages / "activations", 0, activations({}));
  save(messages / "activations_with_sizes", 0, activations({3, 1}));
  save(messages / "activations_with_token_sizes", 0, activations({}, Buffer(6, std::byte{2})));
  save(messages / "gradient", 1, gradient());
  save(messages / "score", 2, split::Score{.loss_sum = 2.5, .correct = 3}.payload());
  save(messages / "weights", 3, server_weights<float>());
  save(messages / "weights_double", 3 + 4, server_weights<double>());
  return 0;
}
