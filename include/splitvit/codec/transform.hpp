// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, min
#include <cmath>      // abs, floor, ilogb, isfinite, ldexp, sqrt

#include <splitvit/codec/concepts.hpp>              // Pass
#include <splitvit/codec/detail/coded_streams.hpp>  // MessageChain, put_padding
#include <splitvit/codec/detail/rate_control.hpp>   // RateState, search_step
#include <splitvit/codec/detail/token_basis.hpp>    // Basis, basis_names, TokenBasis
#include <splitvit/codec/detail/token_coder.hpp>    // get_tokens, put_tokens, TokenLayout
#include <splitvit/codec/detail/token_model.hpp>    // TokenModel
#include <splitvit/core/bytes.hpp>                  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                  // Reason, ShapeError
#include <splitvit/core/finite.hpp>                 // limited
#include <splitvit/core/options.hpp>                // at_least, describe_options, OrElse, Real
#include <splitvit/core/parallel.hpp>               // parallel_for
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/core/text.hpp>                   // exact_text
#include <splitvit/kernel/matrix.hpp>               // dense, Matrix
#include <splitvit/kernel/vector_ops.hpp>           // power_of_two_scale
#include <splitvit/tensor/reduce.hpp>               // sum_of_squares
#include <splitvit/tensor/tensor.hpp>               // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec {

namespace detail {
/// What a side of a session keeps of the messages in one direction.
struct TransformState {
  MessageChain chain = {};
  TokenBasis basis = {};          ///< as it was sent
  TokenModel model = {};          ///< the tables
  std::uint64_t since_basis = 0;  ///< messages with this basis; only the sender counts them
  double first_bits = 0;          ///< bits a number that the first of them took
  double delta = 0;               ///< Delta of the last message
  RateState rate = {};            ///< with a rate; only the sender uses it
  std::uint64_t reply_bytes = 0;  ///< receiver of activations: how many the gradient may take

  bool fits(Basis kind, Index D) const {
    return basis.fits(kind, D) && basis.is_sound(D) && model.fits(basis.components());
  }

  void learn(const SymbolsSeen& seen, const TokenLayout& of) {
    const auto samples = static_cast<std::uint64_t>(of.B);
    model.learn(seen, samples, samples * static_cast<std::uint64_t>(of.N - 1));
  }

  /// See core/state.hpp.
  void each_state(auto&& see, const std::string& prefix) {
    chain.each_state(see, prefix);
    basis.each_state(see, prefix + "basis.");
    model.each_state(see, prefix);
    see(prefix + "since_basis", since_basis);
    see(prefix + "first_bits", first_bits);
    see(prefix + "delta", delta);
    rate.each_state(see, prefix);
    see(prefix + "reply_bytes", reply_bytes);
  }
};
}  // namespace detail

/// Rotates tokens so that few components hold most of them, rounds all components with one step,
/// and codes the whole numbers in as many bits as they are worth: most are zero.
///
///   c = axes (x - mean),  k = sign(c) floor(|c| / Delta + 1/2 - dead_zone),
///   x' = mean + Delta axes^T k,  Delta = step * root mean square of the tensor
///
/// The sender fits mean and axes to the tensor that it is about to send, and sends them rounded:
/// every `refresh` messages, when messages have grown by a quarter, and when tokens have left the
/// axes. How likely a number is follows from earlier messages: both sides count the same symbols,
/// in whole numbers only, so that machines of different kinds understand each other.
///
/// With a rate, messages are coded by several steps, the first time from `step` on, until their
/// bytes are near `rate` of those of the uncompressed tokens; see detail/rate_control.hpp. The
/// client tells how many the gradient may take. Within another codec only this one's tensor and
/// bytes count.
///
/// Shapes  x (..., N, D) with values: a row is a token, the first one of N is CLS.
/// Sent    With a rate, for activations, u32 bytes that the gradient may take. u8 flags; u32
/// messages before, since the tables began; Delta in the element type (4 or 8
///         bytes); where a basis begins u32 R, the mean (D numbers), R axes (D bytes each, or u32
///         for a channel) and 2 R bytes of sizes; the streams of detail/token_coder.hpp; u32 check
///         of all numbers so far; zeros to at least one byte for 2048 values, so that no short
///         message asks for much. A tensor of zeros is one byte before such zeros.
/// Grad    The same on the gradient, with gradient_step and a state of its own; straight-through.
/// Units   Without a dead zone components come back within half a Delta. Components that are less
///         than a tenth of it in root mean square are left out.
/// Errors  See Codec. WireError: wrong_step or bad_checksum if the sides have not seen the same
///         messages.
/// Source  Transform coding: one uniform quantiser for all components, with entropy coding (reverse
///         water-filling). No published method for split learning is known to do it.
struct Transform {
  double step = 2;                           ///< of activations, over their root mean square
  std::optional<double> gradient_step = {};  ///< the same for gradients; as `step` if not given
  Basis basis = Basis::klt;                  ///< what components are
  Index refresh = 32;                        ///< messages with the same basis, at most
  double dead_zone = 0;                      ///< how much larger zero's interval is, in [0, 0.5)
  double rate = 0;  ///< bytes of a message over those of the uncompressed tokens; 0: by the steps

  MessageFrame frame = {};  ///< of the next message; no option, and no state
  detail::SessionStates<detail::TransformState> state = {};

  static constexpr std::string_view name = "transform";
  static void each_option(auto& self, auto&& see) {
    see("", self.step, steps);
    see("gradient_step", self.gradient_step, OrElse{steps, self.step});
    see("basis", self.basis, detail::basis_names);
    see("refresh", self.refresh, at_least(1, "MESSAGES"));
    see("dead_zone", self.dead_zone, Real{0, 0.5, "SHARE", false, true});
    see("rate", self.rate, Real{0, 1, "R"});
  }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  Index put(TensorView<const T> x, Pass pass, std::vector<std::byte>& out, Rng&) {
    if (x.size() == 0)
      throw ShapeError({"transform: tensor ", x.shape().text(), ", wanted (..., D) with values"});
    const double relative = pass == Pass::forward ? step : gradient_step.value_or(step);
    const double size = root_mean_square(x);
    const std::size_t begin = out.size();
    ByteWriter writer{out};
    if (rate > 0 && pass == Pass::forward)
      writer.put(static_cast<std::uint32_t>(std::min(
          budget(x, frame.others_of_reply), double{std::numeric_limits<std::uint32_t>::max()})));
    Index saturated = 0;
    if (delta_of<T>(relative, size) < std::numeric_limits<T>::min())
      writer.put(all_zero);
    else if (rate > 0)
      saturated = write_within_budget(x, size, relative, pass, out, begin);
    else
      saturated = write(x, delta_of<T>(relative, size), state.sent(pass), out);
    detail::put_padding(out, begin, x.size());
    return saturated;
  }

  template <std::floating_point T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass pass) {
    if (shape.elements() == 0)
      reader.refuse(Reason::wrong_shape, {"a tensor ", shape.text(), " without values"});
    detail::require_least(reader, shape.elements());
    const std::size_t start = reader.position();
    const bool has_budget = rate > 0 && pass == Pass::forward;
    const std::uint32_t reply_bytes = has_budget ? reader.get<std::uint32_t>() : 0;
    const auto flags = reader.get<std::uint8_t>();
    if (flags > all_zero) reader.refuse(Reason::bad_flags, {"flags ", flags});
    if (flags == all_zero) detail::expect_padding(reader, start, shape.elements());
    Tensor<T> x = flags == all_zero ? Tensor<T>{shape}
                                    : read<T>(reader, shape, flags, state.received(pass), start);
    state.received(pass).reply_bytes = reply_bytes;
    return x;
  }

  void set_frame(const MessageFrame& of_next) { frame = of_next; }

  /// Delta of the last activations sent, and of the last gradient received.
  std::string log() const {
    return "delta=" + exact_text(state.activations.sent.delta) +
           ",gradient_delta=" + exact_text(state.gradients.received.delta);
  }

  /// See StateVisitor.
  void each_state(auto&& see) { state.each_state(see); }

 private:
  static constexpr Real steps{1e-3, 1e3, "STEP"};
  // Flags of a message.
  static constexpr std::uint8_t restart = 1, new_basis = 2, all_zero = 4;

  template <class T>
  static T delta_of(double relative, double size) {
    return limited(static_cast<T>(relative * size));
  }

  /// Bytes that the rate allows besides `others`.
  template <class T>
  double budget(TensorView<const T> x, std::uint64_t others) const {
    const auto own = static_cast<std::uint64_t>(x.size()) * sizeof(T);
    const auto all = static_cast<double>(frame.uncompressed > 0 ? frame.uncompressed : own);
    return std::max(0.0, rate * all - static_cast<double>(others));
  }

  /// Writes a message that begins at `begin`, with the step by which it comes nearest to its
  /// budget.
  template <class T>
  Index write_within_budget(TensorView<const T> x, double size, double first, Pass pass,
                            std::vector<std::byte>& out, std::size_t begin) {
    struct Try {
      detail::TransformState side;
      std::vector<std::byte> bytes = {};
      Index saturated = 0;
    };
    detail::TransformState& side = state.sent(pass);
    const bool forward = pass == Pass::forward;
    const std::uint64_t told = forward ? 0 : state.received(Pass::forward).reply_bytes;
    const double most =
        told > 0 ? static_cast<double>(told) : budget(x, forward ? frame.others : 0);
    bool anew = false;  // where one try has needed a basis, all that follow bring one
    Try best = detail::search_step<Try>(side.rate, most, first, [&](double relative) {
      Try now{.side = side};
      if (anew) now.side.since_basis = std::numeric_limits<std::uint64_t>::max();
      const T delta = std::max(delta_of<T>(relative, size), std::numeric_limits<T>::min());
      now.saturated = write(x, delta, now.side, now.bytes);
      anew = now.side.since_basis == 1;
      return detail::StepTry<Try>{
          .bytes = static_cast<double>(out.size() - begin + now.bytes.size()),
          .has_extra = anew,
          .result = std::move(now)};
    });
    out.insert(out.end(), best.bytes.begin(), best.bytes.end());
    best.side.rate = side.rate;
    side = std::move(best.side);
    return best.saturated;
  }

  template <class T>
  static double root_mean_square(TensorView<const T> x) {
    constexpr int safe_exponent = 400;  // no number of float is above it
    const T unit = kernel::power_of_two_scale<T>(x.span(), safe_exponent);
    const Tensor<T> scaled = unit == T{1} ? Tensor<T>{} : divided(x, unit);
    const double sum = sum_of_squares(unit == T{1} ? x : scaled.view());
    return std::sqrt(sum / static_cast<double>(x.size())) * static_cast<double>(unit);
  }

  /// A power of two: divided by it, the step is in a range in which nothing overflows.
  template <class T>
  static T unit_of(T delta) {
    const int exponent = std::ilogb(delta);
    return std::abs(exponent) <= 40 ? T{1} : std::ldexp(T{1}, exponent);
  }

  template <class T>
  static Tensor<T> divided(TensorView<const T> x, T unit) {
    Tensor<T> out = Tensor<T>::uninitialised(x.shape());
    parallel_for(x.size(), Index{1} << 14, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) out[i] = x[i] / unit;
    });
    return out;
  }

  template <class T>
  Index write(TensorView<const T> x, T delta, detail::TransformState& side,
              std::vector<std::byte>& out) const {
    // 1. The basis, in units in which nothing overflows.
    const T unit = unit_of(delta);
    const Tensor<T> scaled = unit == T{1} ? Tensor<T>{} : divided(x, unit);
    const Index D = x.shape().back(), M = x.shape().rows();
    const auto tokens = kernel::dense<const T>(unit == T{1} ? x.data() : scaled.data(), M, D);
    const bool starts = !side.fits(basis, D);
    if (starts) {
      side = {};
      side.model = detail::TokenModel::initial();
    }
    const auto fit = [&] {
      constexpr double least = 0.1;
      side.basis.fit(basis, tokens, static_cast<double>(delta / unit), least);
      side.basis = side.basis.in_units_of(1 / static_cast<double>(unit));
      side.since_basis = 0;
    };
    bool fits_anew = starts || side.since_basis >= static_cast<std::uint64_t>(refresh);
    if (fits_anew) fit();

    // 2. Components, by another basis if this one leaves too much out, and whole numbers.
    const auto rotate = [&](Tensor<T>& to) {
      const detail::TokenBasis here = side.basis.in_units_of(static_cast<double>(unit));
      to = Tensor<T>::uninitialised({M, here.components()});
      const kernel::Matrix<T> found = kernel::dense(to.data(), M, here.components());
      here.forward<T>(tokens, delta / unit, found);
      return here.left_out<T>(tokens, delta / unit, found);
    };
    constexpr double most_left_out = 0.02;  // a step leaves 1/12
    Tensor<T> components;
    if (rotate(components) > most_left_out && !fits_anew) {
      fits_anew = true;
      fit();
      rotate(components);
    }
    const detail::TokenLayout layout{x.shape(), side.basis.components()};
    Index saturated = 0;
    std::vector<std::int32_t> numbers = rounded(components, saturated);

    // 3. Bytes.
    ByteWriter writer{out};
    writer.put(static_cast<std::uint8_t>((starts ? restart : 0) | (fits_anew ? new_basis : 0)),
               static_cast<std::uint32_t>(side.chain.messages), delta);
    if (fits_anew) {
      side.basis.put<T>(writer);
      const std::vector<std::uint8_t> sizes = sizes_of(numbers, layout);
      writer.put_array(std::span<const std::uint8_t>{sizes});
      set_sizes(side.model, sizes);
    }
    const std::size_t before = out.size();
    const auto seen = detail::put_tokens(side.model, layout, numbers.data(), out);
    const double bits =
        8 * static_cast<double>(out.size() - before) / static_cast<double>(x.size());
    ++side.since_basis;
    if (fits_anew) side.first_bits = bits;
    if (rate == 0 && bits > 1.25 * side.first_bits)
      side.since_basis = std::numeric_limits<std::uint64_t>::max();
    side.delta = static_cast<double>(delta);
    side.learn(seen, layout);
    writer.put(side.chain.append(seen));
    return saturated;
  }

  template <class T>
  Tensor<T> read(ByteReader& reader, const Shape& shape, std::uint8_t flags,
                 detail::TransformState& kept, std::size_t start) const {
    const Index D = shape.back(), M = shape.rows();
    detail::TransformState side;
    if ((flags & restart) != 0)
      side.model = detail::TokenModel::initial();
    else
      side = kept;
    side.chain.expect_number(reader);
    const T delta = reader.get<T>();
    if (!std::isfinite(delta)) reader.refuse(Reason::not_finite, {"a step that is not finite"});
    if (!(delta >= std::numeric_limits<T>::min()))
      reader.refuse(Reason::malformed, {"a step of 0 or less"});
    if ((flags & new_basis) != 0) {
      side.basis = detail::TokenBasis::get<T>(reader, basis, D);
      std::vector<std::uint8_t> sizes;
      reader.require(side.basis.components(), 2);
      sizes.resize(2 * static_cast<std::size_t>(side.basis.components()));
      reader.get_array(std::span{sizes});
      if (std::ranges::any_of(sizes, [](int level) { return level >= detail::levels; }))
        reader.refuse(Reason::malformed, {"a size beyond all levels"});
      set_sizes(side.model, sizes);
    }
    if (!side.fits(basis, D))
      reader.refuse(Reason::wrong_step, {"no basis for a tensor ", shape.text()});

    const detail::TokenLayout layout{shape, side.basis.components()};
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(M * layout.R));
    const auto seen = detail::get_tokens(reader, side.model, layout, numbers.data());
    side.learn(seen, layout);
    side.chain.expect_check(reader, seen);
    detail::expect_padding(reader, start, shape.elements());  // before anything is kept
    side.delta = static_cast<double>(delta);

    Tensor<T> components = Tensor<T>::uninitialised({M, layout.R});
    parallel_for(components.size(), Index{1} << 14, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        components[i] = static_cast<T>(numbers[static_cast<std::size_t>(i)]);
    });
    const T unit = unit_of(delta);
    Tensor<T> x = Tensor<T>::uninitialised(shape);
    side.basis.in_units_of(static_cast<double>(unit))
        .inverse(kernel::dense<const T>(components.data(), M, layout.R), delta / unit,
                 kernel::dense(x.data(), M, D));
    if (unit != T{1})
      for (T& value : x.span()) value = limited(value * unit);
    kept = std::move(side);
    return x;
  }

  /// The numbers of components over Delta, and how many were too large.
  template <class T>
  std::vector<std::int32_t> rounded(const Tensor<T>& components, Index& saturated) const {
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(components.size()));
    const T shift = static_cast<T>(0.5 - dead_zone), most = T{detail::largest_number};
    saturated = parallel_reduce(
        components.size(), Index{1} << 14, Index{0},
        [&](Index begin, Index end) {
          Index beyond = 0;
          for (Index i = begin; i < end; ++i) {
            const T size = std::floor(std::abs(components[i]) + shift);
            beyond += size > most ? 1 : 0;
            const auto whole = static_cast<std::int32_t>(std::min(size, most));
            numbers[static_cast<std::size_t>(i)] = components[i] < T{0} ? -whole : whole;
          }
          return beyond;
        },
        [](Index a, Index b) { return a + b; });
    return numbers;
  }

  /// The mean magnitudes of each component as levels: of first tokens, then of other tokens.
  static std::vector<std::uint8_t> sizes_of(std::span<const std::int32_t> numbers,
                                            const detail::TokenLayout& of) {
    std::vector<std::uint64_t> sums(2 * static_cast<std::size_t>(of.R));
    for (Index i = 0; i < of.B * of.N * of.R; ++i) {
      const Index token = i / of.R % of.N;
      sums[static_cast<std::size_t>(i % of.R + (token == 0 ? 0 : of.R))] +=
          static_cast<std::uint64_t>(std::abs(numbers[static_cast<std::size_t>(i)]));
    }
    std::vector<std::uint8_t> sizes;
    for (std::size_t j = 0; j < sums.size(); ++j) {
      const Index tokens = j < sums.size() / 2 ? of.B : std::max<Index>(1, of.B * (of.N - 1));
      sizes.push_back(static_cast<std::uint8_t>(
          detail::level_of(sums[j] * 1024 / static_cast<std::uint64_t>(tokens))));
    }
    return sizes;
  }
  static void set_sizes(detail::TokenModel& model, std::span<const std::uint8_t> levels) {
    model.sizes.clear();
    for (const int level : levels) model.sizes.push_back(detail::size_of_level(level));
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
