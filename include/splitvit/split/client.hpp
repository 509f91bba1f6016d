// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <array>      // array
#include <concepts>   // floating_point
#include <cstddef>    // byte
#include <cstdint>    // uint64_t
#include <stdexcept>  // logic_error
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/autograd/backward.hpp>   // backward
#include <splitvit/autograd/no_grad.hpp>    // NoGrad
#include <splitvit/codec/concepts.hpp>      // Codec
#include <splitvit/codec/float32.hpp>       // Float32
#include <splitvit/codec/receipts.hpp>      // saturated_values
#include <splitvit/compress/concepts.hpp>   // CompressionStage
#include <splitvit/compress/cut_batch.hpp>  // CutBatch, require_consistent
#include <splitvit/core/describe.hpp>       // describe
#include <splitvit/core/labels.hpp>         // Labels
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/core/workspace.hpp>      // Workspace
#include <splitvit/nn/cut.hpp>              // Head, Tail
#include <splitvit/optim/concepts.hpp>      // UpdateRule
#include <splitvit/split/concepts.hpp>      // BatchSource
#include <splitvit/split/messages.hpp>      // Activations, Gradient, put_weights, Score
#include <splitvit/split/party.hpp>         // TrainingOptions, LinkOptions
#include <splitvit/split/report.hpp>        // StepReport, EpochReport, Evaluation
#include <splitvit/split/settings.hpp>      // settings_of
#include <splitvit/split/timer.hpp>         // Timer
#include <splitvit/transport/metered.hpp>   // Metered
#include <splitvit/wire/channel.hpp>        // Channel
#include <splitvit/wire/labels.hpp>         // put_labels
#include <splitvit/wire/session.hpp>        // connect_session

// Client: owns the images and the first blocks. Trains them together with a server.

namespace splitvit::split {

struct ClientOptions {
  std::uint64_t seed = 0;   ///< of what the stage and the codec draw
  std::string method = {};  ///< what both parties call the stage; empty: its own description
  TrainingOptions training = {};
  LinkOptions link = {};
};

/// The party that has the data.
///
/// A training step: head forward, stage and codec, wait for the server, codec and stage
/// backward, head backward, optimiser. Random draws of step s are a function of (seed, s).
///
/// Errors  Each call that uses the link throws WireError or TransportError when the exchange
///         fails; the step that was under way is then not applied here, and the client is of
///         no more use.
template <std::floating_point T, optim::UpdateRule<T> Rule, compress::CompressionStage<T> Stage,
          codec::Codec<T> Code, transport::Transport Link>
class Client {
 public:
  /// Takes the link and shakes hands.
  ///
  /// Errors  WireError (refused) naming the field and both values if the server is set up
  ///         differently; TransportError.
  Client(nn::Head<T> head, Rule rule, Stage stage, Code code, Link link,
         const ClientOptions& options = {})
      : head_{std::move(head)},
        optimizer_{std::move(rule), nn::parameters<T>(head_)},
        stage_{std::move(stage)},
        code_{std::move(code)},
        options_{options},
        channel_{transport::Metered<Link>{std::move(link)}} {
    const std::string method = options_.method.empty() ? describe(stage_) : options_.method;
    wire::connect_session(channel_,
                          settings_of(head_, method, describe(code_), options_.link.agreed),
                          {.timeout = options_.link.handshake_timeout,
                           .largest_message = options_.link.largest_message});
  }
  /// With activations and gradients written as they are.
  Client(nn::Head<T> head, Rule rule, Stage stage, Link link, const ClientOptions& options = {})
    requires std::same_as<Code, codec::Float32>
      : Client(std::move(head), std::move(rule), std::move(stage), Code{}, std::move(link),
               options) {}

  /// Learns from one batch.
  ///
  /// Shapes  images (B, channels, image, image), labels of B rows: class ids or soft labels.
  /// Errors  ShapeError, std::invalid_argument for images or labels that do not fit the model,
  ///         before anything is sent.
  StepReport train_step(const Tensor<T>& images, const Labels& labels) {
    const Workspace::Use use{workspace_};
    const detail::ClearedGradients cleared{optimizer_};
    StepReport report;
    report.step = step_ + 1;
    report.samples = labels.row_count();
    const Traffic before = training_traffic();
    Timer timer;

    require_fit("train_step", images, labels);
    nn::TokenStatistics<T> statistics{compress::required_statistic_of(stage_), head_.config.heads};
    const AttentionOutput<T> at_cut = head_(Variable<T>{images}, NeedWeights::cls, &statistics);
    report.seconds.client += timer.lap();

    // The stage works on a leaf of its own, so that its way back can be timed apart.
    const auto leaf = Variable<T>::parameter(at_cut.y.value());
    Rng rng = Rng{.seed = options_.seed}.at(for_stage, report.step);
    const compress::CutBatch<T> sent =
        stage_(compress::CutBatch<T>{.tokens = leaf,
                                     .cls_attention = at_cut.cls_attention,
                                     .labels = labels,
                                     .statistics = std::move(statistics).result()},
               rng);
    require_consistent("train_step", sent);
    report.sent_samples = sent.samples();
    report.sent_tokens = sent.token_count();
    const Variable<T> crossing = head_.encode(sent.tokens);
    encoded_.clear();
    const auto receipt = code_.encode(crossing.value().view(), encoded_, rng);
    report.saturated = codec::saturated_values(receipt);
    const RecycledVector<std::byte> token_sizes = token_size_bytes(sent.token_sizes);
    send_activations(wire::MessageKind::forward,
                     {.step = report.step,
                      .samples = report.sent_samples,
                      .tokens = report.sent_tokens,
                      .sizes = sent.sizes,
                      .token_sizes = token_sizes},
                     sent.labels);
    report.seconds.compression += timer.lap();

    receive(wire::MessageKind::backward);
    const Gradient gradient = Gradient::read(received_, report.step);
    report.loss = gradient.loss;
    report.seconds.server = gradient.seconds;
    report.seconds.link = std::max(0.0, timer.lap() - gradient.seconds);

    backward(crossing,
             code_.template decode_gradient<T>(gradient.encoded, receipt, crossing.shape()));
    report.seconds.compression += timer.lap();
    backward(at_cut.y, leaf.gradient());
    step_ = report.step;
    detail::apply(optimizer_, options_.training, step_);
    report.seconds.client += timer.lap();
    report.traffic = training_traffic() - before;
    return report;
  }

  /// Learns from all batches of a source. `each(report)` is called after every step and may
  /// return false to stop.
  template <BatchSource<T> Source, class Each>
  EpochReport train_epoch(Source&& source, Each&& each) {
    EpochReport report;
    while (auto batch = source.next()) {
      const StepReport step = train_step(batch->images, batch->labels);
      report.add(step);
      if (!each(step)) break;
    }
    return report;
  }
  template <BatchSource<T> Source>
  EpochReport train_epoch(Source&& source) {
    return train_epoch(std::forward<Source>(source), [](const StepReport&) { return true; });
  }

  /// Loss and accuracy, without stages and codec, but through the bottleneck if there is one:
  /// predictions are one per sample.
  template <BatchSource<T> Source>
  Evaluation evaluate(Source&& source) {
    const NoGrad no_grad;
    const Traffic before = evaluation_traffic();
    Evaluation result;
    double loss_sum = 0;
    while (auto batch = source.next()) {
      const Workspace::Use use{workspace_};
      const Labels labels = batch->labels;
      require_fit("evaluate", batch->images, labels);
      const Variable<T> tokens =
          head_.encode(head_(Variable<T>{std::move(batch->images)}, NeedWeights::none).y);
      encoded_.clear();
      Rng rng = Rng{.seed = options_.seed}.at(for_stage, 0);
      codec::Float32{}.encode(tokens.value().view(), encoded_, rng);
      send_activations(wire::MessageKind::evaluate,
                       {.samples = tokens.dim(0), .tokens = tokens.dim(1)}, labels);
      receive(wire::MessageKind::evaluated);
      const Index count = labels.row_count();
      const Score score = Score::read(received_, count);
      loss_sum += score.loss_sum;
      result.correct += score.correct;
      result.samples += count;
    }
    if (result.samples > 0) result.loss = loss_sum / static_cast<double>(result.samples);
    result.traffic = evaluation_traffic() - before;
    return result;
  }

  /// Gives the server a decoder to start with, such as that of pca_bottleneck: before the first
  /// step of either side. What it costs counts as training traffic.
  ///
  /// Errors  std::logic_error if this side has taken a step, or its encoder has other options or
  ///         another width.
  void give_decoder(const nn::Decoder<T>& decoder) {
    if (step_ > 0)
      throw std::logic_error("give_decoder: step " + std::to_string(step_) +
                             " has been taken, wanted before the first");
    if (!head_.encoder || head_.encoder->options != decoder.options ||
        head_.encoder->token_width() != decoder.token_width())
      throw std::logic_error(
          "give_decoder: a decoder (" + decoder.options.description() + ", width " +
          std::to_string(decoder.token_width()) + ") for " +
          (head_.encoder ? "an encoder (" + head_.encoder->options.description() + ", width " +
                               std::to_string(head_.encoder->token_width()) + ")"
                         : "no encoder"));
    wire::PayloadWriter out;
    put_weights<T>(out, decoder);
    channel_.send(wire::MessageKind::weights, out.parts());
  }

  /// Fetches the server's weights, so that both halves can be saved as one model.
  ///
  /// Errors  WireError if they are not those of the tail that belongs to this head.
  nn::Tail<T> fetch_tail() {
    nn::Tail<T> tail{head_.config, head_.cut};
    if (head_.encoder) tail.decoder.emplace(head_.config.dim, head_.encoder->options);
    channel_.send(wire::MessageKind::fetch_weights);
    receive(wire::MessageKind::weights);
    read_weights<T>(received_, tail);
    return tail;
  }

  /// Says that no more will come. The server then ends the session without an error.
  void close() { channel_.send(wire::MessageKind::bye); }

  const nn::Head<T>& head() const { return head_; }
  const optim::Optimizer<Rule, T>& optimizer() const { return optimizer_; }
  std::uint64_t steps() const { return step_; }

  /// All that has crossed the link for training, the handshake included.
  Traffic training_traffic() const {
    Traffic all = traffic_of(channel_.sent().total(), channel_.received().total());
    return all - evaluation_traffic() - weights_traffic();
  }
  Traffic evaluation_traffic() const {
    return traffic_of(channel_.sent().count(wire::MessageKind::evaluate),
                      channel_.received().count(wire::MessageKind::evaluated));
  }
  /// What fetch_tail has cost.
  Traffic weights_traffic() const {
    return traffic_of(channel_.sent().count(wire::MessageKind::fetch_weights),
                      channel_.received().count(wire::MessageKind::weights));
  }
  /// The link itself, with its own count of bytes.
  transport::Metered<Link>& link() { return channel_.link(); }

 private:
  static constexpr std::uint64_t for_stage = 0x73746167;  // "stag"

  static Traffic traffic_of(const wire::Count& up, const wire::Count& down) {
    return {{up.payload, up.framed - up.payload}, {down.payload, down.framed - down.payload}};
  }

  /// Errors  as train_step says.
  void require_fit(const char* operation, const Tensor<T>& images, const Labels& labels) const {
    const nn::VitConfig& vit = head_.config;
    const Shape wanted{labels.row_count(), vit.channels, vit.image, vit.image};
    if (images.shape() != wanted || labels.empty())
      throw ShapeError(std::string{operation} + ": images " + images.shape().text() + " with " +
                       std::to_string(labels.row_count()) + " labels: this model wants " +
                       wanted.text());
    labels.require_classes(operation, vit.classes);
  }

  /// Sends `message` with these labels and what is in encoded_.
  void send_activations(wire::MessageKind kind, Activations message, const Labels& labels) {
    labels_.clear();
    wire::put_labels(labels, head_.config.classes, labels_);
    message.targets = labels_;
    message.encoded = encoded_;
    head_bytes_.clear();
    message.put_head(head_bytes_);
    const std::array<wire::Bytes, 2> parts{wire::Bytes{head_bytes_}, message.encoded};
    channel_.send(kind, parts);
  }

  void receive(wire::MessageKind kind) {
    transport::set_deadline_if_possible(channel_.link(),
                                        transport::deadline_in(options_.link.patience));
    wire::receive_expected(channel_, kind, received_);
  }

  nn::Head<T> head_;
  optim::Optimizer<Rule, T> optimizer_;
  Stage stage_;
  Code code_;
  ClientOptions options_;
  wire::Channel<transport::Metered<Link>> channel_;
  std::uint64_t step_ = 0;
  Workspace workspace_;
  std::vector<std::byte> labels_, head_bytes_, encoded_;  // of the message being sent
  std::vector<std::byte> received_;                       // the last message
};

template <class T, class Rule, class Stage, class Code, class Link>
Client(nn::Head<T>, Rule, Stage, Code, Link, ClientOptions) -> Client<T, Rule, Stage, Code, Link>;
template <class T, class Rule, class Stage, codec::Codec<T> Code, class Link>
Client(nn::Head<T>, Rule, Stage, Code, Link) -> Client<T, Rule, Stage, Code, Link>;
template <class T, class Rule, class Stage, transport::Transport Link>
Client(nn::Head<T>, Rule, Stage, Link, ClientOptions)
    -> Client<T, Rule, Stage, codec::Float32, Link>;
template <class T, class Rule, class Stage, transport::Transport Link>
Client(nn::Head<T>, Rule, Stage, Link) -> Client<T, Rule, Stage, codec::Float32, Link>;

}  // namespace splitvit::split
