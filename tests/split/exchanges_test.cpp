// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/codec/any_codec.hpp>
#include <splitvit/codec/half.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/compress/any_stage.hpp>
#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/merge_tokens.hpp>
#include <splitvit/compress/select_tokens.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/io/safetensors.hpp>
#include <splitvit/nn/loss.hpp>
#include <splitvit/nn/part.hpp>
#include <splitvit/split/messages.hpp>
#include <splitvit/split/options.hpp>
#include <splitvit/split/turn.hpp>
#include <splitvit/wire/labels.hpp>
#include <splitvit/wire/session.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/peers.hpp"

// Whole exchanges between a client and a server, with the numbers that they are about, in
// tests/wire/exchanges: NAME.safetensors and, of each connection, the bytes in both directions. A
// replay takes the numbers from the file and must write the same bytes; tests/pytorch/replay.py
// does the same with the other implementation. After a change of the protocol's version
//
//   test_split "[.make_exchanges]"
//
// writes them anew.

namespace splitvit::split {

namespace {

using ExchangeBytes = std::vector<std::byte>;

/// What differs between the exchanges.
struct ExchangeMethod {
  compress::AnyStage<float> stage = compress::Identity{};
  codec::AnyCodec<float> codec = {};
  bool is_soft = false;  ///< labels with weights
};

/// A client and a server that say the same in a recording and in a replay. The recording computes
/// the numbers with a small model.
class Dialogue {
 public:
  using Numbers = std::map<std::string, Tensor<float>>;
  struct Connection {
    ExchangeBytes up, down;
  };

  /// Records if there are no numbers.
  explicit Dialogue(ExchangeMethod method, Numbers numbers = {})
      : method_{std::move(method)}, numbers_{std::move(numbers)}, records_{numbers_.empty()} {
    peers_.at_client.client = 2;
    peers_.at_server.id = {0x1716151413121110, 0x1f1e1d1c1b1a1918};
  }

  const Numbers& numbers() const { return numbers_; }
  const std::vector<Connection>& connections() const { return connections_; }

  void say_hello(std::vector<std::uint64_t> generations = {}) {
    connections_.emplace_back();
    client().emplace(wire::Session::client(
        peers_.at_client,
        settings_of(client_part_, method_.stage.description(), method_.codec.description(), {}),
        peers_.client_options, peers_.now, std::move(generations)));
    server().emplace(wire::Session::server(peers_.server_options, peers_.now));
    up(wire::MessageKind::hello);
  }
  void connect(const std::vector<std::uint64_t>& generations = {}) {
    say_hello(generations);
    server()->admit(peers_.at_server, generations);
    down(wire::MessageKind::welcome);
  }
  void refuse(const wire::Refusal& refusal) {
    CHECK(test::reason_of([&] { server()->refuse(refusal); }) == Reason::refused);
    connections_.back().down = test::drain(*server(), peers_.now);
    const auto reason =
        test::reason_of([&] { test::feed(*client(), connections_.back().down, peers_.now); });
    CHECK(reason == Reason::refused);
  }

  /// A training step. Its answer may be lost; then the next call sends it again.
  void step(bool is_answered = true) {
    const std::uint64_t number = client()->next().step;
    const std::string in = joined({"step.", number, "."});
    if (records_ && !numbers_.contains(in + "activations")) forward(in);
    const Tensor<float>& activations = numbers_.at(in + "activations");
    Rng none;
    ForwardMessage message{.samples = activations.dim(0),
                           .tokens = activations.dim(1),
                           .wants_gradient = wants_gradient_};
    ExchangeBytes encoded, labels, token_sizes, header;
    const codec::AnyContext sent = method_.codec.encode(activations.view(), encoded, none);
    wire::put_labels(labels_of(numbers_.at(in + "labels")), vit_.classes, labels);
    if (numbers_.contains(in + "sizes"))
      for (const float size : numbers_.at(in + "sizes").span())
        message.sizes.push_back(static_cast<Index>(size));
    if (numbers_.contains(in + "token_sizes"))
      put_token_sizes(numbers_.at(in + "token_sizes"), token_sizes);
    message.token_sizes = token_sizes;
    message.labels = labels;
    message.put_header(header);
    client()->send_step(std::array{wire::Bytes{header}, wire::Bytes{encoded}});
    const bool is_repeated = peers_.at_server.steps.last() == number;
    up(is_repeated ? std::nullopt : std::optional{wire::MessageKind::forward},
       [&](wire::Bytes payload) { answer(in, payload); });
    if (!is_answered) return;
    down(wire::MessageKind::backward, [&](wire::Bytes payload) {
      const BackwardMessage came = BackwardMessage::read(payload);
      CHECK(came.loss == static_cast<double>(numbers_.at(in + "loss")[0]));
      CHECK(came.encoded.empty() != wants_gradient_);
      if (!wants_gradient_) return;
      const auto gradient =
          method_.codec.decode_gradient<float>(came.encoded, sent, activations.shape());
      check(in + "gradient_decoded", gradient);
    });
    client()->commit();
  }

  /// The client learns from a local head: its steps ask for no gradient.
  void learn_locally() { wants_gradient_ = false; }

  /// An evaluation, uncompressed or with the codec, and a prediction, which asks for the scores of
  /// the same images.
  void evaluate(bool is_coded = false) {
    const Tensor<float>& activations = number("evaluate.activations", [&] {
      return client_part_.to_cut(images(), NeedWeights::none).tokens.value();
    });
    codec::AnyCodec<float> writer = is_coded ? method_.codec : codec::AnyCodec<float>{};
    ExchangeBytes encoded;
    Rng none;
    writer.encode(activations.view(), encoded, none);
    const Tensor<float>& decoded = number("evaluate.decoded", [&] {
      return writer.decode<float>(encoded, activations.shape()).values;
    });
    const Tensor<float>& scores = number(
        "evaluate.scores", [&] { return server_part_.logits(Variable<float>{decoded}).value(); });
    const std::vector<Index> classes{2, 0, 1, 1, 2, 0};
    const Labels labels = classes;
    for (const bool has_labels : {true, false}) {
      ExchangeBytes label_bytes, question, scores_bytes;
      if (has_labels) wire::put_labels(labels, vit_.classes, label_bytes);
      ForwardMessage{.samples = activations.dim(0),
                     .tokens = activations.dim(1),
                     .labels = label_bytes,
                     .is_coded = is_coded}
          .put_header(question);
      client()->send(wire::MessageKind::evaluate,
                     std::array{wire::Bytes{question}, wire::Bytes{encoded}});
      up(wire::MessageKind::evaluate, [&](wire::Bytes payload) {
        const ForwardMessage came = ForwardMessage::read(payload, limits());
        CHECK(came.labels.empty() == !has_labels);
        CHECK(came.is_coded == is_coded);
        check("evaluate.decoded", writer.decode<float>(came.encoded, came.shape(vit_.dim)).values);
      });
      wire::put_tensor<float>(scores_bytes, scores.shape(), scores.span());
      const Score score{.loss_sum = 6.5, .correct = nn::correct_rows(scores, labels)};
      const ExchangeBytes reply = has_labels ? score.payload() : scores_bytes;
      server()->send(wire::MessageKind::evaluated, std::array{wire::Bytes{reply}});
      down(wire::MessageKind::evaluated);
    }
  }

  void fetch_weights() {
    client()->send(wire::MessageKind::fetch_weights);
    up(wire::MessageKind::fetch_weights);
    take_weights("server.", server_part_);
    const ExchangeBytes weights = weights_payload<float>(server_part_);
    server()->send(wire::MessageKind::weights, std::array{wire::Bytes{weights}});
    down(wire::MessageKind::weights,
         [&](wire::Bytes payload) { read_weights<float>(payload, server_part_); });
  }

  /// The server wants one after every 7 steps.
  void checkpoint() {
    const std::uint64_t step = peers_.at_client.steps.last();
    const ExchangeBytes question = CheckpointMessage{.step = step}.payload();
    client()->send(wire::MessageKind::checkpoint, std::array{wire::Bytes{question}});
    up(wire::MessageKind::checkpoint,
       [&](wire::Bytes payload) { CHECK(CheckpointMessage::read(payload, step).every == 0); });
    const ExchangeBytes answer = CheckpointMessage{.step = step, .every = 7}.payload();
    server()->send(wire::MessageKind::checkpoint, std::array{wire::Bytes{answer}});
    down(wire::MessageKind::checkpoint,
         [&](wire::Bytes payload) { CHECK(CheckpointMessage::read(payload, step).every == 7); });
  }

  /// A client of a group asks for its next turn, and gets it. Both send weights, if any.
  void take_turn(TurnRequest request, Turn turn, bool with_weights) {
    take_weights("client.", client_part_);
    const ExchangeBytes weights =
        with_weights ? weights_payload<float>(client_part_) : ExchangeBytes{};
    if (request.turn == 0) request.start = weights_checksum<float>(client_part_);
    request.weights = turn.weights = weights;
    const ExchangeBytes question = request.payload(), answer = turn.payload();
    client()->send(wire::MessageKind::turn, std::array{wire::Bytes{question}});
    up(wire::MessageKind::turn, [&](wire::Bytes payload) {
      CHECK(std::ranges::equal(TurnRequest::read(payload).weights, weights));
    });
    server()->send(wire::MessageKind::turn, std::array{wire::Bytes{answer}});
    down(wire::MessageKind::turn, [&](wire::Bytes payload) {
      const Turn came = Turn::read(payload, turn.number);
      CHECK(std::ranges::equal(came.weights, weights));
      if (with_weights) read_weights<float>(came.weights, client_part_);
    });
  }

  void heartbeat() {
    peers_.pass(std::chrono::seconds{5});
    client()->tick(peers_.now);
    up(std::nullopt);
  }

  void say_goodbye() {
    client()->send(wire::MessageKind::bye);
    up(wire::MessageKind::bye);
  }

 private:
  using OnPayload = std::function<void(wire::Bytes)>;

  std::optional<wire::Session>& client() { return peers_.client; }
  std::optional<wire::Session>& server() { return peers_.server; }

  /// What one side has queued goes to the other one, which must get such a message, or none.
  void up(std::optional<wire::MessageKind> wanted, const OnPayload& use = {}) {
    pass(*client(), *server(), connections_.back().up, wanted, use);
  }
  void down(std::optional<wire::MessageKind> wanted, const OnPayload& use = {}) {
    pass(*server(), *client(), connections_.back().down, wanted, use);
  }
  void pass(wire::Session& from, wire::Session& to, ExchangeBytes& stream,
            std::optional<wire::MessageKind> wanted, const OnPayload& use) {
    const ExchangeBytes bytes = test::drain(from, peers_.now);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
    std::optional<wire::MessageKind> came;
    test::feed(to, bytes, peers_.now, [&](const wire::Event& event) {
      came = event.kind;
      if (use) use(event.payload);
    });
    CHECK(came == wanted);
  }

  /// Gives a part the recorded weights.
  void take_weights(const std::string& prefix, nn::Part<float>& part) {
    for (const auto& named : nn::parameters<float>(part))
      named.second.mutable_value() =
          number(prefix + named.first, [&] { return named.second.value(); });
  }
  const Tensor<float>& number(const std::string& name, const auto& compute) {
    if (records_) numbers_[name] = compute();
    return numbers_.at(name);
  }
  /// Numbers that came from bytes are those of the recording, bit for bit.
  void check(const std::string& name, const Tensor<float>& came) {
    const Tensor<float>& wanted = number(name, [&] { return came; });
    CHECK(came.shape() == wanted.shape());
    CHECK(std::ranges::equal(std::as_bytes(came.span()), std::as_bytes(wanted.span())));
  }

  ForwardLimits limits() const {
    return {.tokens = vit_.tokens(), .width = vit_.dim, .classes = vit_.classes, .bytes = 1 << 20};
  }

  Variable<float> images() {
    Tensor<float> out{{6, vit_.channels, vit_.image, vit_.image}};
    for (float& value : out.span()) value = static_cast<float>(draws_.normal());
    return Variable<float>{std::move(out)};
  }

  /// The recording's forward pass at the client.
  void forward(const std::string& in) {
    const std::vector<std::vector<ClassWeight>> soft{{{0, 0.75f}, {2, 0.25f}}, {{1, 1}}, {{2, 1}},
                                                     {{0, 0.5f}, {1, 0.5f}},   {{1, 1}}, {{0, 1}}};
    const std::vector<Index> hard{0, 1, 2, 0, 1, 0};
    nn::AtCut<float> at_cut =
        client_part_.to_cut(images(), NeedWeights::cls, method_.stage.required_statistic());
    const auto batch = method_.stage(
        compress::CutBatch<float>{.tokens = std::move(at_cut.tokens),
                                  .cls_attention = std::move(at_cut.cls_attention),
                                  .labels = method_.is_soft ? Labels::weighted(soft) : Labels{hard},
                                  .statistics = std::move(at_cut.statistics)},
        draws_);
    numbers_[in + "activations"] = batch.tokens.value();
    Tensor<float> labels{{batch.samples(), vit_.classes}};
    for (Index i = 0; i < batch.samples(); ++i) {
      const Labels::Row row = batch.labels.row(i);
      for (std::size_t c = 0; c < row.classes.size(); ++c)
        labels[i * vit_.classes + row.classes[c]] =
            method_.is_soft ? row.weights[c] : static_cast<float>(row.counts[c]);
    }
    numbers_[in + "labels"] = labels;
    if (!batch.sizes.empty()) {
      Tensor<float> sizes{{batch.samples()}};
      std::ranges::transform(batch.sizes, sizes.data(),
                             [](Index size) { return static_cast<float>(size); });
      numbers_[in + "sizes"] = sizes;
    }
    if (!batch.token_sizes.empty()) numbers_[in + "token_sizes"] = batch.token_sizes;
  }

  Labels labels_of(const Tensor<float>& table) const {
    std::vector<std::vector<ClassWeight>> rows;
    RecycledVector<Index> ends, ids, counts;
    for (Index i = 0; i < table.size(); ++i) {
      if (i % vit_.classes == 0) rows.emplace_back();
      if (table[i] > 0) {
        rows.back().push_back({i % vit_.classes, table[i]});
        ids.push_back(i % vit_.classes);
        counts.push_back(static_cast<Index>(table[i]));
      }
      if (i % vit_.classes == vit_.classes - 1) ends.push_back(static_cast<Index>(ids.size()));
    }
    if (method_.is_soft) return Labels::weighted(rows);
    return Labels::from_lists(std::move(ends), std::move(ids), std::move(counts));
  }

  /// The server's part of a step.
  void answer(const std::string& in, wire::Bytes payload) {
    const ForwardMessage message = ForwardMessage::read(payload, limits());
    auto decoded = method_.codec.decode<float>(message.encoded, message.shape(vit_.dim));
    check(in + "decoded", decoded.values);
    Tensor<float> targets = target_rows<float>(
        wire::read_labels(message.labels, message.samples, vit_.classes), vit_.classes);
    check(in + "targets", targets);
    if (records_) {
      nn::apply_sample_weights(targets, std::span<const Index>{message.sizes});
      const auto tokens = Variable<float>::parameter(decoded.values);
      const Variable<float> loss =
          cross_entropy(server_part_.logits(tokens, message.log_token_sizes<float>()), targets);
      splitvit::backward(loss);
      numbers_[in + "loss"] = loss.value();
      if (message.wants_gradient) numbers_[in + "gradient"] = tokens.gradient();
    }
    ExchangeBytes& reply = server()->new_reply();
    BackwardMessage{.loss = static_cast<double>(numbers_.at(in + "loss")[0]), .seconds = 0.25}
        .put_header(reply);
    Rng none;
    if (message.wants_gradient)
      method_.codec.encode_gradient(numbers_.at(in + "gradient").view(), decoded.context, reply,
                                    none);
    server()->prepare();
    server()->commit();
  }

  nn::VitConfig vit_{
      .image = 8, .patch = 4, .dim = 8, .heads = 2, .depth = 2, .classes = 3, .mlp_ratio = 2};
  nn::Part<float> client_part_ = nn::make_part<float>(vit_, 0, 1, {.seed = 3});
  nn::Part<float> server_part_ = nn::make_part<float>(vit_, 1, 2, {.seed = 3});
  ExchangeMethod method_;
  Numbers numbers_;
  bool records_;
  bool wants_gradient_ = true;
  Rng draws_{.seed = 8};
  test::Peers peers_;
  std::vector<Connection> connections_;
};

struct NamedExchange {
  std::string name;
  ExchangeMethod method;
  void (*run)(Dialogue&);
};

void two_steps(Dialogue& exchange) {
  exchange.connect();
  exchange.step();
  exchange.step();
  exchange.say_goodbye();
}

std::vector<NamedExchange> all_exchanges() {
  using codec::RangePer;
  const auto merged = compress::then(compress::MergeSamples{.keep = 0.7, .weight_by_size = true},
                                     compress::MergeTokens{.keep = 0.6, .send_sizes = true});
  const codec::Quantise channels{.bits = 3,
                                 .gradient_bits = 5,
                                 .range = RangePer::channel,
                                 .gradient_range = RangePer::sample};
  return {
      {"float32",
       {},
       [](Dialogue& exchange) {
         exchange.connect();
         exchange.step();
         exchange.heartbeat();
         exchange.step();
         exchange.evaluate();
         exchange.checkpoint();
         exchange.fetch_weights();
         exchange.say_goodbye();
       }},
      {"float16",
       {.stage = compress::SelectTokens{.keep = 0.6}, .codec = codec::Float16{}},
       two_steps},
      {"bfloat16", {.codec = codec::Bfloat16{}}, two_steps},
      {"q_merged", {.stage = merged, .codec = codec::Quantise{.bits = 4}}, two_steps},
      {"q_channels", {.codec = channels}, two_steps},
      {"q_soft", {.codec = codec::Quantise{.range = RangePer::tensor}, .is_soft = true}, two_steps},
      {"resumed",
       {},
       [](Dialogue& exchange) {
         exchange.connect();
         exchange.step();
         exchange.step(false);
         exchange.connect({0, 1});
         exchange.step();
         exchange.step();
         exchange.say_goodbye();
       }},
      {"turns",
       {.codec = codec::Quantise{}},
       [](Dialogue& exchange) {
         exchange.connect();
         exchange.take_turn({.turn = 0, .steps = 2},
                            {.number = 1, .round = 1, .steps = 2, .what = Turn::What::train},
                            false);
         exchange.learn_locally();
         exchange.step();
         exchange.step();
         exchange.take_turn({.turn = 1, .steps = 0},
                            {.number = 2, .round = 1, .what = Turn::What::evaluate}, true);
         exchange.evaluate(true);
         exchange.say_goodbye();
       }},
      {"refused", {}, [](Dialogue& exchange) {
         exchange.say_hello();
         exchange.refuse({"cut", "1", "2"});
       }}};
}

std::filesystem::path exchanges_folder() {
  return std::filesystem::path{SPLITVIT_SOURCE_DIR} / "tests" / "wire" / "exchanges";
}

std::filesystem::path stream_path(const std::string& name, std::size_t connection,
                                  const std::string& direction) {
  return exchanges_folder() / (name + "." + std::to_string(connection) + "." + direction + ".bin");
}

}  // namespace

TEST_CASE("exchanges: write the files of all exchanges", "[.make_exchanges]") {
  std::filesystem::create_directories(exchanges_folder());
  for (const auto& [name, method, run] : all_exchanges()) {
    Dialogue exchange{method};
    run(exchange);
    std::vector<io::NamedTensor> tensors;
    for (const auto& [key, values] : exchange.numbers()) tensors.emplace_back(key, values);
    io::write_safetensors(
        exchanges_folder() / (name + ".safetensors"), tensors,
        {{"codec", method.codec.description()}, {"method", method.stage.description()}});
    std::size_t connection = 0;
    for (const auto& [up, down] : exchange.connections()) {
      ++connection;
      io::write_file_atomically(stream_path(name, connection, "up"), up);
      io::write_file_atomically(stream_path(name, connection, "down"), down);
    }
  }
}

TEST_CASE("exchanges: a replay of the numbers writes the recorded bytes", "[split]") {
  for (const auto& [name, method, run] : all_exchanges()) {
    INFO(name);
    const auto file = io::read_safetensors(exchanges_folder() / (name + ".safetensors"));
    Dialogue::Numbers numbers{{"", Tensor<float>{}}};  // not empty, even where there are none
    for (const std::string& key : file.names()) numbers[key] = file.get<float>(key);
    Dialogue exchange{method, std::move(numbers)};
    run(exchange);
    std::size_t connection = 0;
    for (const auto& [up, down] : exchange.connections()) {
      ++connection;
      CHECK(up == read_file(stream_path(name, connection, "up"), 1 << 20));
      CHECK(down == read_file(stream_path(name, connection, "down"), 1 << 20));
    }
    CHECK_FALSE(std::filesystem::exists(stream_path(name, connection + 1, "up")));
  }
}

}  // namespace splitvit::split
