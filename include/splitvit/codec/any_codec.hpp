// SPDX-License-Identifier: MIT
#pragma once

#include <memory>    // allocate_shared, make_unique, shared_ptr, unique_ptr
#include <typeinfo>  // type_info

#include <splitvit/codec/concepts.hpp>  // Codec, contexts, Decoded, encode, is_straight_through
#include <splitvit/codec/float32.hpp>   // Float32
#include <splitvit/core/options.hpp>    // describe
#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/core/state.hpp>      // show_state, StateVisitor
#include <splitvit/core/workspace.hpp>  // Recycled
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// The context of any codec. It never changes: copies share it. One that is only a NoContext takes
/// no memory; another one lies in the current workspace, if there is one (core/workspace.hpp).
class AnyContext : public NoContext {
 public:
  AnyContext() = default;
  template <class Context>
    requires(!std::same_as<Context, AnyContext>)
  explicit AnyContext(Context context)
      : NoContext{saturated_values(context)}, type_{&typeid(Context)} {
    if constexpr (!std::same_as<Context, NoContext>)
      held_ = std::allocate_shared<const Context>(Recycled<Context>{}, std::move(context));
  }

  /// The context, or null if it has another type.
  template <class Context>
  const Context* get() const {
    if (type_ == nullptr || *type_ != typeid(Context)) return nullptr;
    if constexpr (std::same_as<Context, NoContext>)
      return this;
    else
      return static_cast<const Context*>(held_.get());
  }

 private:
  const std::type_info* type_ = nullptr;
  std::shared_ptr<const void> held_ = nullptr;
};

/// Any codec for element type T, behind one type. Costs one indirect call a batch. A value:
/// a copy has its own state, if the codec has any. Assigned a codec of the type that it holds, it
/// keeps its memory: to copy a codec in every step then takes nothing from the heap. Moved from,
/// it may only be destroyed or assigned to. Unless told otherwise it is Float32.
///
///   AnyCodec<float> codec = few_bytes ? AnyCodec<float>{Quantise{.bits = 4}} : Float32{};
///
/// Errors  The errors of the codec; std::invalid_argument for the context of another codec.
template <std::floating_point T>
class AnyCodec {
 public:
  AnyCodec() : AnyCodec{Float32{}} {}
  // Whether an AnyCodec can be copied must not depend on itself, so the concept is asked
  // within and not in front.
  template <class Code>
    requires(!std::same_as<Code, AnyCodec>)
  AnyCodec(Code codec) : codec_{std::make_unique<Model<Code>>(std::move(codec))} {
    static_assert(Codec<Code, T>, "AnyCodec holds a codec");
  }
  AnyCodec(const AnyCodec& other) : codec_{other.codec_->copy()} {}
  AnyCodec(AnyCodec&&) noexcept = default;
  AnyCodec& operator=(const AnyCodec& other) {
    if (codec_ == nullptr || !codec_->assign(*other.codec_)) codec_ = other.codec_->copy();
    return *this;
  }
  AnyCodec& operator=(AnyCodec&&) noexcept = default;
  ~AnyCodec() = default;

  // Like other codecs these are templates, so that both encode(x) and encode<T>(x) compile.
  template <std::same_as<T> = T>
  AnyContext encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
    return codec_->encode(x, out, rng);
  }

  template <std::same_as<T>>
  Decoded<T, AnyContext> decode(std::span<const std::byte> in, const Shape& shape) {
    return codec_->decode(in, shape);
  }

  template <std::same_as<T> = T>
  void encode_gradient(TensorView<const T> gradient, const AnyContext& context,
                       std::vector<std::byte>& out, Rng& rng) {
    codec_->encode_gradient(gradient, context, out, rng);
  }

  template <std::same_as<T>>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const AnyContext& context,
                            const Shape& shape) {
    return codec_->decode_gradient(in, context, shape);
  }

  /// See is_straight_through.
  template <std::same_as<T>>
  bool straight_through() const {
    return codec_->straight_through();
  }

  std::string description() const { return codec_->description(); }

  /// See codec/concepts.hpp.
  void set_frame(const MessageFrame& frame) { codec_->set_frame(frame); }
  std::string log() const { return codec_->log(); }

  /// The state of the codec within, under the same names.
  void each_state(StateVisitor& see) { codec_->each_state(see); }

 private:
  /// The calls, with contexts of any type.
  struct Interface {
    virtual ~Interface() = default;
    virtual std::unique_ptr<Interface> copy() const = 0;
    /// Becomes a copy of the other one if that is of the same type. Returns whether it is.
    virtual bool assign(const Interface& other) = 0;
    virtual AnyContext encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) = 0;
    virtual Decoded<T, AnyContext> decode(std::span<const std::byte> in, const Shape& shape) = 0;
    virtual void encode_gradient(TensorView<const T> gradient, const AnyContext& context,
                                 std::vector<std::byte>& out, Rng& rng) = 0;
    virtual Tensor<T> decode_gradient(std::span<const std::byte> in, const AnyContext& context,
                                      const Shape& shape) = 0;
    virtual bool straight_through() const = 0;
    virtual std::string description() const = 0;
    virtual void set_frame(const MessageFrame& frame) = 0;
    virtual std::string log() const = 0;
    virtual void each_state(StateVisitor& see) = 0;
  };

  template <class Code>
  struct Model final : Interface {
    explicit Model(Code code) : codec{std::move(code)} {}

    std::unique_ptr<Interface> copy() const override { return std::make_unique<Model>(codec); }

    bool assign([[maybe_unused]] const Interface& other) override {
      if constexpr (std::is_copy_assignable_v<Code>) {
        const auto* const same = dynamic_cast<const Model*>(&other);
        if (same != nullptr) codec = same->codec;
        return same != nullptr;
      } else {
        return false;
      }
    }

    AnyContext encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) override {
      return AnyContext{codec::encode<T>(codec, x, out, rng)};
    }

    Decoded<T, AnyContext> decode(std::span<const std::byte> in, const Shape& shape) override {
      auto decoded = codec::decode<T>(codec, in, shape);
      return {std::move(decoded.values), AnyContext{std::move(decoded.context)}};
    }

    void encode_gradient(TensorView<const T> gradient, const AnyContext& context,
                         std::vector<std::byte>& out, Rng& rng) override {
      with_context<ReceiverContext<Code, T>>(context, [&](const auto& received) {
        codec::encode_gradient<T>(codec, gradient, received, out, rng);
      });
    }

    Tensor<T> decode_gradient(std::span<const std::byte> in, const AnyContext& context,
                              const Shape& shape) override {
      return with_context<SenderContext<Code, T>>(context, [&](const auto& sent) {
        return codec::decode_gradient<T>(codec, in, sent, shape);
      });
    }

    bool straight_through() const override { return is_straight_through<T>(codec); }
    std::string description() const override { return describe(codec); }
    void set_frame(const MessageFrame& frame) override { codec::set_frame(codec, frame); }
    std::string log() const override { return log_of(codec); }
    void each_state(StateVisitor& see) override { show_state(codec, see); }

    /// Calls body(the context of the codec). A codec that needs none gets an empty one.
    template <class Context, class Body>
    auto with_context(const AnyContext& context, const Body& body) const {
      if constexpr (std::same_as<Context, AnyContext>) {
        return body(context);
      } else {
        if (const Context* const held = context.template get<Context>()) return body(*held);
        if constexpr (StraightThrough<Code, T>) return body(Context{});
        throw std::invalid_argument("AnyCodec: no context of '" + description() + "'");
      }
    }

    Code codec;
  };

  std::unique_ptr<Interface> codec_;
};

SPLITVIT_ONCE(class AnyCodec<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
