// SPDX-License-Identifier: MIT
#pragma once

#include <any>        // any, any_cast
#include <concepts>   // floating_point, same_as
#include <cstddef>    // byte
#include <memory>     // make_unique, unique_ptr
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/codec/concepts.hpp>  // Codec, Decoded, NoReceipt, receipts
#include <splitvit/codec/receipts.hpp>  // is_straight_through, saturated_values
#include <splitvit/core/describe.hpp>   // describe
#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

// AnyCodec: a codec that is chosen while the program runs.

namespace splitvit::codec {

/// A receipt of any codec. Empty for a codec that remembers nothing.
struct AnyReceipt : NoReceipt {
  std::any held = {};
  Index saturated = 0;  ///< see saturated_values
};

/// Any codec for element type T, behind one type. Costs one indirect call a batch. A value:
/// a copy has its own state, if the codec has any.
///
///   AnyCodec<float> codec = few_bytes ? AnyCodec<float>{Quantise{.bits = 4}} : Float32{};
///
/// Errors  Those of the codec; std::invalid_argument for a receipt that another one left.
template <std::floating_point T>
class AnyCodec {
 public:
  // Whether a AnyCodec can be copied must not depend on itself, so the concept is asked
  // within and not in front.
  template <class Code>
    requires(!std::same_as<Code, AnyCodec>)
  AnyCodec(Code codec) : codec_{std::make_unique<Model<Code>>(std::move(codec))} {
    static_assert(Codec<Code, T>, "AnyCodec holds a codec");
  }
  AnyCodec(const AnyCodec& other) : codec_{other.codec_->copy()} {}
  AnyCodec(AnyCodec&&) noexcept = default;
  AnyCodec& operator=(AnyCodec other) noexcept {
    codec_ = std::move(other.codec_);
    return *this;
  }
  ~AnyCodec() = default;

  // Like other codecs these are templates, so that both encode(x) and encode<T>(x) compile.
  template <std::same_as<T> = T>
  AnyReceipt encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) {
    return codec_->encode(x, out, rng);
  }

  template <std::same_as<T>>
  Decoded<T, AnyReceipt> decode(std::span<const std::byte> in, const Shape& shape) {
    return codec_->decode(in, shape);
  }

  template <std::same_as<T> = T>
  void encode_gradient(TensorView<const T> gradient, const AnyReceipt& receipt,
                       std::vector<std::byte>& out, Rng& rng) {
    codec_->encode_gradient(gradient, receipt, out, rng);
  }

  template <std::same_as<T>>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const AnyReceipt& receipt,
                            const Shape& shape) {
    return codec_->decode_gradient(in, receipt, shape);
  }

  /// See is_straight_through.
  template <std::same_as<T>>
  bool straight_through() const {
    return codec_->straight_through();
  }

  std::string description() const { return codec_->description(); }

 private:
  /// The calls, with receipts of any type.
  struct Interface {
    virtual ~Interface() = default;
    virtual std::unique_ptr<Interface> copy() const = 0;
    virtual AnyReceipt encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) = 0;
    virtual Decoded<T, AnyReceipt> decode(std::span<const std::byte> in, const Shape& shape) = 0;
    virtual void encode_gradient(TensorView<const T> gradient, const AnyReceipt& receipt,
                                 std::vector<std::byte>& out, Rng& rng) = 0;
    virtual Tensor<T> decode_gradient(std::span<const std::byte> in, const AnyReceipt& receipt,
                                      const Shape& shape) = 0;
    virtual bool straight_through() const = 0;
    virtual std::string description() const = 0;
  };

  template <class Code>
  struct Model final : Interface {
    explicit Model(Code code) : codec{std::move(code)} {}

    std::unique_ptr<Interface> copy() const override { return std::make_unique<Model>(codec); }

    AnyReceipt encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) override {
      return erased(codec.encode(x, out, rng));
    }

    Decoded<T, AnyReceipt> decode(std::span<const std::byte> in, const Shape& shape) override {
      auto decoded = codec.template decode<T>(in, shape);
      return {std::move(decoded.values), erased(std::move(decoded.receipt))};
    }

    void encode_gradient(TensorView<const T> gradient, const AnyReceipt& receipt,
                         std::vector<std::byte>& out, Rng& rng) override {
      with_receipt<ReceiverReceipt<Code, T>>(receipt, [&](const auto& received) {
        codec.encode_gradient(gradient, received, out, rng);
      });
    }

    Tensor<T> decode_gradient(std::span<const std::byte> in, const AnyReceipt& receipt,
                              const Shape& shape) override {
      return with_receipt<SenderReceipt<Code, T>>(receipt, [&](const auto& sent) {
        return codec.template decode_gradient<T>(in, sent, shape);
      });
    }

    bool straight_through() const override { return is_straight_through<T>(codec); }
    std::string description() const override { return describe(codec); }

    template <class Receipt>
    static AnyReceipt erased(Receipt receipt) {
      const Index saturated = saturated_values(receipt);
      if constexpr (std::same_as<Receipt, AnyReceipt>)
        return receipt;
      else
        return {{}, std::any{std::move(receipt)}, saturated};
    }

    /// Calls body(receipt as the codec left it). A codec that needs none gets an empty one.
    template <class Receipt, class Body>
    auto with_receipt(const AnyReceipt& receipt, const Body& body) const {
      if constexpr (std::same_as<Receipt, AnyReceipt>) {
        return body(receipt);
      } else {
        if (const Receipt* const held = std::any_cast<Receipt>(&receipt.held)) return body(*held);
        if constexpr (StraightThrough<Code, T>) return body(Receipt{});
        throw std::invalid_argument("AnyCodec: no receipt of '" + description() + "'");
      }
    }

    Code codec;
  };

  std::unique_ptr<Interface> codec_;
};

}  // namespace splitvit::codec
