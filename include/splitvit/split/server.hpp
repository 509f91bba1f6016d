// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy, max
#include <concepts>   // floating_point
#include <cstddef>    // byte
#include <cstdint>    // uint64_t
#include <span>       // span
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/autograd/backward.hpp>           // backward
#include <splitvit/autograd/no_grad.hpp>            // NoGrad
#include <splitvit/autograd/ops/cross_entropy.hpp>  // cross_entropy, target_rows
#include <splitvit/codec/concepts.hpp>              // Codec
#include <splitvit/codec/float32.hpp>               // Float32
#include <splitvit/core/describe.hpp>               // describe
#include <splitvit/core/labels.hpp>                 // Labels
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/core/workspace.hpp>              // Workspace
#include <splitvit/nn/cut.hpp>                      // Tail
#include <splitvit/nn/loss.hpp>                     // count_correct, apply_sample_weights
#include <splitvit/optim/concepts.hpp>              // UpdateRule
#include <splitvit/split/messages.hpp>              // Activations, Gradient, Score
#include <splitvit/split/party.hpp>                 // TrainingOptions, LinkOptions
#include <splitvit/split/settings.hpp>              // settings_of
#include <splitvit/split/timer.hpp>                 // Timer
#include <splitvit/wire/channel.hpp>                // Channel
#include <splitvit/wire/labels.hpp>                 // read_labels
#include <splitvit/wire/session.hpp>                // accept_session
#include <splitvit/wire/step_gate.hpp>              // StepGate

// Server: owns the last blocks. Computes what a client sends up, learns, and sends gradients.

namespace splitvit::split {

struct ServerOptions {
  std::uint64_t seed = 0;                ///< of what the codec draws
  std::string method = wire::any_value;  ///< what the client must call its stage
  TrainingOptions training = {};
  LinkOptions link = {};
};

/// The party that has the larger part of the model.
///
/// It needs to know nothing of the client's stages: fewer samples and tokens come up, and the
/// gradient of what came goes down.
template <std::floating_point T, optim::UpdateRule<T> Rule, codec::Codec<T> Code = codec::Float32>
class Server {
 public:
  Server(nn::Tail<T> tail, Rule rule, Code code, const ServerOptions& options = {})
      : tail_{std::move(tail)},
        optimizer_{std::move(rule), nn::parameters<T>(tail_)},
        code_{std::move(code)},
        options_{options} {}
  Server(nn::Tail<T> tail, Rule rule, const ServerOptions& options = {})
    requires std::same_as<Code, codec::Float32>
      : Server(std::move(tail), std::move(rule), Code{}, options) {}

  /// Serves one client until it says goodbye.
  ///
  /// Errors  WireError if the client is set up differently or sends what makes no sense; it
  ///         is told why. TransportError if the link fails, is closed without goodbye, or is
  ///         silent for too long. A step is applied as a whole or not at all, and the server
  ///         can serve again afterwards; weights stay as they are then.
  template <transport::Transport Link>
  void serve(Link link) {
    wire::Channel channel{std::move(link)};
    wire::accept_session(channel,
                         settings_of(tail_, options_.method, describe(code_), options_.link.agreed),
                         {.timeout = options_.link.handshake_timeout,
                          .largest_message = options_.link.largest_message});
    wire::StepGate gate;
    try {
      while (answer(channel, gate)) {
      }
    } catch (const WireError& error) {
      tell(channel, error);
      throw;
    }
  }

  const nn::Tail<T>& tail() const { return tail_; }
  const optim::Optimizer<Rule, T>& optimizer() const { return optimizer_; }
  /// Training steps that have been applied, over all sessions.
  std::uint64_t steps() const { return steps_; }

 private:
  static constexpr std::uint64_t for_codec = 0x636f6465;  // "code"

  /// Answers one message; false after a goodbye.
  template <class Channel>
  bool answer(Channel& channel, wire::StepGate& gate) {
    transport::set_deadline_if_possible(channel.link(),
                                        transport::deadline_in(options_.link.patience));
    switch (const wire::MessageKind kind = channel.receive(received_)) {
      case wire::MessageKind::forward:
        train(channel, gate);
        return true;
      case wire::MessageKind::evaluate:
        evaluate(channel);
        return true;
      case wire::MessageKind::fetch_weights: {
        wire::PayloadWriter out;
        put_weights<T>(out, tail_);
        channel.send(wire::MessageKind::weights, out.parts());
        return true;
      }
      case wire::MessageKind::weights:
        take_decoder();
        return true;
      case wire::MessageKind::bye:
        return false;
      case wire::MessageKind::error:
        wire::throw_peer_error(received_);
      default:
        throw WireError(Reason::wrong_message,
                        std::string{wire::name(kind)} + " came after the handshake");
    }
  }

  template <class Channel>
  void train(Channel& channel, wire::StepGate& gate) {
    const Workspace::Use use{workspace_};
    const detail::ClearedGradients cleared{optimizer_};
    Timer timer;
    const Activations came = read_activations();
    if (gate.arrive(came.step) == wire::StepGate::Verdict::compute) {
      auto decoded = code_.template decode<T>(came.encoded, came.shape(tail_.sent_width()));
      const Index classes = tail_.config.classes;
      auto targets =
          target_rows<T>(wire::read_labels(came.targets, came.samples, classes), classes);
      nn::apply_sample_weights(targets, std::span<const Index>{came.sizes});
      const auto leaf = Variable<T>::parameter(std::move(decoded.values));
      const Variable<T> loss = cross_entropy(tail_(leaf, came.log_token_sizes<T>()), targets);
      backward(loss);

      // The reply is complete before a weight changes: a step that fails is not applied.
      reply_.assign(Gradient::head_bytes, std::byte{});
      Rng rng = Rng{.seed = options_.seed}.at(for_codec, came.step);
      code_.encode_gradient(leaf.gradient().view(), decoded.receipt, reply_, rng);
      detail::apply(optimizer_, options_.training, steps_ + 1);
      ++steps_;
      head_.clear();
      Gradient{.step = came.step,
               .loss = static_cast<double>(loss.value()[0]),
               .seconds = timer.lap(),
               .encoded = {}}
          .put_head(head_);
      std::ranges::copy(head_, reply_.begin());
      reply_ = gate.commit(came.step, std::move(reply_));
    }
    channel.send(wire::MessageKind::backward, gate.reply());
  }

  /// A decoder that the client has made of its data.
  void take_decoder() {
    if (!tail_.decoder || steps_ > 0)
      throw WireError(Reason::wrong_message,
                      tail_.decoder ? "a decoder came, but step " + std::to_string(steps_) +
                                          " has been taken here"
                                    : "a decoder came, but there is no bottleneck here");
    read_weights<T>(received_, *tail_.decoder);
  }

  template <class Channel>
  void evaluate(Channel& channel) {
    const Workspace::Use use{workspace_};
    const NoGrad no_grad;
    const Activations came = read_activations();
    if (came.step != 0 || !came.sizes.empty() || !came.token_sizes.empty())
      throw WireError(Reason::malformed, "evaluate: the number of a step came, or sizes");
    auto decoded =
        codec::Float32{}.template decode<T>(came.encoded, came.shape(tail_.sent_width()));
    const Labels labels = wire::read_labels(came.targets, came.samples, tail_.config.classes);
    const Variable<T> logits = tail_(Variable<T>{std::move(decoded.values)});
    const double mean = static_cast<double>(cross_entropy(logits, labels).value()[0]);
    channel.send(wire::MessageKind::evaluated,
                 Score{.loss_sum = mean * static_cast<double>(came.samples),
                       .correct = nn::count_correct(logits.value(), labels)}
                     .payload());
  }

  Activations read_activations() const {
    return Activations::read(received_, {.tokens = tail_.config.tokens(),
                                         .width = std::max(tail_.config.dim, tail_.sent_width()),
                                         .classes = tail_.config.classes,
                                         .number_size = sizeof(T),
                                         .bytes = options_.link.largest_message});
  }

  template <class Channel>
  static void tell(Channel& channel, const WireError& error) {
    try {
      wire::send_error(channel, error.reason(), error.what());
    } catch (const TransportError&) {
      // The peer is gone; what it did wrong is thrown anyway.
    }
  }

  nn::Tail<T> tail_;
  optim::Optimizer<Rule, T> optimizer_;
  Code code_;
  ServerOptions options_;
  std::uint64_t steps_ = 0;
  Workspace workspace_;
  std::vector<std::byte> received_;      // the last message
  std::vector<std::byte> head_, reply_;  // of the answer to a step
};

template <class T, class Rule>
Server(nn::Tail<T>, Rule) -> Server<T, Rule, codec::Float32>;
template <class T, class Rule>
Server(nn::Tail<T>, Rule, ServerOptions) -> Server<T, Rule, codec::Float32>;

}  // namespace splitvit::split
