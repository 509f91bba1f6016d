// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include <splitvit/codec/cls_exact.hpp>
#include <splitvit/codec/token_scaled.hpp>
#include <splitvit/codec/transform.hpp>
#include <splitvit/codec/two_way.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/core/state.hpp>

#include "codec/laws.hpp"
#include "support/catch.hpp"

namespace splitvit::codec {
namespace {

using Bytes = std::vector<std::byte>;

constexpr Basis kinds[] = {Basis::none, Basis::channel, Basis::klt};

/// Tokens as they are: a mean, and channels that depend on each other.
template <class T = float>
Tensor<T> tokens(const Shape& shape, Rng& rng) {
  const Index D = shape.back();
  Tensor<T> x = test::drawn<T>(shape, rng);
  for (Index row = 0; row < shape.rows(); ++row) {
    T* const token = x.data() + row * D;
    for (Index d = 1; d < D; ++d)
      token[d] = T{0.9f} * token[d - 1] + T{0.3f} * token[d] / static_cast<T>(1 + d % 5);
    for (Index d = 0; d < D; ++d) token[d] += static_cast<T>(d % 7 == 0 ? 4 : 0);
  }
  return x;
}

Bytes encoded(Transform& codec, const Tensor<float>& x) {
  Bytes out;
  Rng rng;
  encode<float>(codec, x.view(), out, rng);
  return out;
}

double root_mean_square(const Tensor<float>& x) {
  return std::sqrt(sum_of_squares(x.view()) / static_cast<double>(x.size()));
}

}  // namespace

static_assert(Codec<Transform, float> && Codec<Transform, double> && Described<Transform>);
static_assert(StraightThrough<Transform, float>);

TEMPLATE_TEST_CASE("Transform: keeps the laws of codecs", "[codec]", float, double) {
  using T = TestType;
  for (const Basis kind : kinds)
    for (const Transform& codec :
         {Transform{.step = 0.3, .basis = kind}, Transform{.gradient_step = 5, .basis = kind},
          Transform{.step = 1, .basis = kind, .refresh = 1, .dead_zone = 0.3}})
      for (const Shape& shape : {Shape{4, 5, 7}, Shape{1, 1, 3}, Shape{2, 9, 1}, Shape{6}, Shape{1},
                                 Shape{3, 2, 2, 5}, Shape{40, 3}}) {
        CAPTURE(codec.description(), shape.text());
        test::check_laws<T>(codec, shape);
        test::check_extremes<T>(codec, shape);
      }
}

TEST_CASE("Transform: channels come back within half a step", "[codec]") {
  Rng rng{.seed = 1};
  const auto x = tokens({6, 10, 24}, rng);
  for (const Basis kind : {Basis::none, Basis::channel}) {
    const Transform codec{.step = 0.2, .gradient_step = 0.5, .basis = kind};
    const auto trip = test::make_trip<float>(codec, x, x);
    const double size = root_mean_square(x);
    double up = 0, down = 0;
    for (Index i = 0; i < x.size(); ++i) {
      up = std::max(up, static_cast<double>(std::abs(trip.came.values[i] - x[i])));
      down = std::max(down, static_cast<double>(std::abs(trip.gradient[i] - x[i])));
    }
    CHECK(up < 0.5001 * 0.2 * size);
    CHECK(down < 0.5001 * 0.5 * size);
    CHECK(up > 0.4 * 0.2 * size);
  }
}

TEST_CASE("Transform: the error of axes is that of a step", "[codec]") {
  Rng rng{.seed = 2};
  const auto x = tokens({30, 50, 32}, rng);
  double last = 0;
  for (const double step : {0.05, 0.1, 0.2}) {
    const auto trip = test::make_trip<float>(Transform{.step = step}, x, x);
    const double error = test::relative_error(trip.came.values, x);
    CHECK(error < 1.1 * step * step / 12 + 2e-4);  // axes are rounded, too
    CHECK(error > last);
    last = error;
  }
}

TEST_CASE("Transform: axes need fewer bytes than channels, and these than raw numbers", "[codec]") {
  Rng rng{.seed = 3};
  const auto x = tokens({32, 50, 32}, rng);
  const auto bytes = [&](Basis kind) {
    Transform codec{.step = 0.5, .basis = kind};
    encoded(codec, x);
    return encoded(codec, x).size();  // without the basis
  };
  CHECK(static_cast<double>(bytes(Basis::klt)) < 0.8 * static_cast<double>(bytes(Basis::channel)));
  CHECK(bytes(Basis::channel) < bytes(Basis::none));
}

TEST_CASE("Transform: a larger dead zone needs fewer bytes, and errs more", "[codec]") {
  Rng rng{.seed = 4};
  const auto x = tokens({16, 20, 16}, rng);
  const auto without = test::make_trip<float>(Transform{}, x, x);
  const auto with = test::make_trip<float>(Transform{.dead_zone = 0.3}, x, x);
  CHECK(with.up.size() < without.up.size());
  CHECK(test::relative_error(with.came.values, x) > test::relative_error(without.came.values, x));
}

TEST_CASE("Transform: several messages, basis and tables with them", "[codec]") {
  Rng rng{.seed = 5};
  Transform client{.step = 0.7, .refresh = 3}, server = client;
  const Index D = 20;
  std::vector<std::size_t> sizes;
  for (int step = 0; step < 8; ++step) {
    const auto x = tokens({8, 10 + step % 2, D}, rng), g = test::drawn<float>({8, 10, D}, rng);
    const Bytes up = encoded(client, x);
    sizes.push_back(up.size());
    const auto came = decode<float>(server, up, x.shape());
    CHECK(test::relative_error(came.values, x) < 0.05);
    Bytes down;
    encode_gradient<float>(server, g.view(), came.context, down, rng);
    const auto gradient = decode_gradient<float>(client, down, NoContext{}, g.shape());
    CHECK(test::relative_error(gradient, g) < 0.06);
    const bool has_basis = (std::to_integer<int>(up[0]) & 2) != 0;
    CHECK(has_basis == (step % 3 == 0));
    CHECK(std::to_integer<int>(up[1]) == step);
  }
  CHECK(sizes[1] < sizes[0]);
  CHECK(client.state.activations.received.chain.messages == 0);
  CHECK(server.state.activations.received.chain.messages == 8);
  CHECK(client.state.activations.sent.chain.check == server.state.activations.received.chain.check);
  CHECK(client.state.gradients.received.model.counts == server.state.gradients.sent.model.counts);
}

TEST_CASE("Transform: tokens in directions that the basis lacks get another one", "[codec]") {
  Rng rng{.seed = 6};
  Transform client{.step = 1}, server = client;
  Tensor<float> x = test::drawn<float>({4, 8, 10}, rng), y = x;
  for (Index i = 0; i < x.size(); ++i) (i % 10 < 5 ? x : y)[i] = 0;
  for (const auto* one : {&x, &x, &y, &y}) {
    const auto came = decode<float>(server, encoded(client, *one), one->shape());
    CHECK(test::relative_error(came.values, *one) < 0.1);
  }
  CHECK(client.state.activations.sent.since_basis == 2);
  // Equal tokens first: a basis without components.
  Transform other{.step = 1}, reader = other;
  for (const auto& one : {Tensor<float>::full({4, 8, 10}, 2.0f), x}) {
    const auto came = decode<float>(reader, encoded(other, one), one.shape());
    CHECK(test::relative_error(came.values, one) < 0.1);
  }
}

TEST_CASE("Transform: messages that have grown bring a new basis", "[codec]") {
  Rng rng{.seed = 7};
  Transform codec{.step = 0.05, .refresh = 1000};
  auto x = test::drawn<float>({8, 16, 12}, rng), turned = x;
  for (Index row = 0; row < x.shape().rows(); ++row) {
    const auto source = static_cast<float>(30 * rng.normal());  // in one direction, then another
    for (Index d = 0; d < 12; ++d) {
      x[row * 12 + d] += source;
      turned[row * 12 + d] += d % 3 == 0 ? source : -source;
    }
  }
  encoded(codec, x);
  CHECK((std::to_integer<int>(encoded(codec, x)[0]) & 2) == 0);
  encoded(codec, turned);
  CHECK((std::to_integer<int>(encoded(codec, turned)[0]) & 2) != 0);
}

TEST_CASE("Transform: a side that is out of step notices, and does not move", "[codec]") {
  Rng rng{.seed = 8};
  Transform client{.step = 0.7}, server = client;
  const auto x = tokens({4, 6, 12}, rng), y = tokens({4, 6, 12}, rng);
  const Bytes first = encoded(client, x), second = encoded(client, y);
  const auto reason = [&](Transform& by, const Bytes& bytes) {
    const auto before = state_bytes(by);
    const auto found = test::reason_of([&] { decode<float>(by, bytes, x.shape()); });
    if (found) CHECK(state_bytes(by) == before);
    return found;
  };
  CHECK(reason(server, second) == Reason::wrong_step);  // the first one is missing
  CHECK(!reason(server, first));
  Transform other = server;
  CHECK(!reason(server, second));
  CHECK(reason(server, second) == Reason::wrong_step);  // twice
  // As many messages, but others.
  other.state.activations.received.model.counts[7][0] += 3;
  other.state.activations.received.chain.check ^= 1;
  const auto noticed = reason(other, second);
  CHECK((noticed == Reason::bad_checksum || noticed == Reason::malformed));
  // A sender that starts anew is understood.
  Transform fresh{.step = 0.7};
  CHECK(!reason(server, encoded(fresh, x)));
  // The receiver's basis is of another kind.
  Transform channels{.step = 0.7, .basis = Basis::channel};
  CHECK(reason(channels, first).has_value());
}

TEST_CASE("Transform: a step can be taken again from a copy, or from stored state", "[codec]") {
  Rng rng{.seed = 9};
  Transform codec{.step = 0.7};
  encoded(codec, tokens({4, 6, 12}, rng));
  Transform copy = codec, stored{.step = 0.7};
  set_state_bytes(stored, state_bytes(codec));
  const auto x = tokens({4, 6, 12}, rng);
  const Bytes bytes = encoded(codec, x);
  CHECK(encoded(copy, x) == bytes);
  CHECK(encoded(stored, x) == bytes);
  CHECK(state_bytes(copy) == state_bytes(codec));
  CHECK(state_bytes(stored) == state_bytes(codec));
  // A tensor that is refused leaves the state as it was.
  const auto bad = Tensor<float>::full({4, 6, 12}, std::numeric_limits<float>::infinity());
  CHECK_THROWS_AS(encoded(copy, bad), WireError);
  CHECK(state_bytes(copy) == state_bytes(codec));
  // A state that makes no sense, as from a damaged file, is not used.
  stored.state.activations.sent.model.sizes.pop_back();
  CHECK((std::to_integer<int>(encoded(stored, x)[0]) & 1) != 0);
  stored.state.activations.received.model.counts.clear();
  CHECK(test::reason_of([&] { decode<float>(stored, bytes, x.shape()); }) == Reason::wrong_step);
}

TEST_CASE("Transform: with a rate both directions keep to it, whatever else is in a message",
          "[codec]") {
  Rng rng{.seed = 13};
  const Shape shape{32, 50, 32};
  const double all = 4 * 32 * 100 * 32;  // half of the tokens are sent
  const MessageFrame frame{
      .uncompressed = static_cast<std::uint64_t>(all), .others = 500, .others_of_reply = 60};
  for (const double rate : {0.02, 0.05}) {
    Transform client{.rate = rate}, server = client;
    double up_sum = 0, down_sum = 0;
    constexpr int steps = 40;
    for (int step = 0; step < steps; ++step) {
      CAPTURE(rate, step);
      // Numbers become smaller, and less alike, as in training.
      auto x = tokens(shape, rng), g = test::drawn<float>(shape, rng);
      for (float& one : x.span()) one += static_cast<float>(0.01 * step * rng.normal());
      for (float& one : g.span()) one *= 1e-4f / static_cast<float>(1 + step);
      Bytes up, down;
      client.set_frame(frame);
      encode<float>(client, x.view(), up, rng);
      const auto came = decode<float>(server, up, shape);
      CHECK(test::relative_error(came.values, x) < 1);
      encode_gradient<float>(server, g.view(), came.context, down, rng);
      const auto gradient = decode_gradient<float>(client, down, NoContext{}, shape);
      CHECK(test::relative_error(gradient, g) < 1.01);
      const double up_rate = static_cast<double>(up.size() + frame.others) / all;
      const double down_rate = static_cast<double>(down.size() + frame.others_of_reply) / all;
      CHECK(std::abs(up_rate / rate - 1) < 0.1);
      CHECK(std::abs(down_rate / rate - 1) < 0.1);
      up_sum += up_rate;
      down_sum += down_rate;
    }
    CHECK(std::abs(up_sum / (steps * rate) - 1) < 0.01);
    CHECK(std::abs(down_sum / (steps * rate) - 1) < 0.01);
    CHECK_THAT(client.log(), ContainsSubstring("delta=") && ContainsSubstring(",gradient_delta="));
  }
}

TEST_CASE("Transform: with a rate the laws hold, and a message of its own is the whole",
          "[codec]") {
  for (const Shape& shape : {Shape{4, 5, 7}, Shape{6}, Shape{40, 3}}) {
    test::check_laws<float>(Transform{.rate = 0.3}, shape);
    test::check_extremes<float>(Transform{.rate = 0.3}, shape);
  }
  Rng rng{.seed = 14};
  Transform codec{.rate = 0.1};
  const auto x = tokens({32, 50, 32}, rng);
  for (int message = 0; message < 3; ++message)
    CHECK(static_cast<double>(encoded(codec, x).size()) ==
          Approx(0.1 * 4 * 32 * 50 * 32).epsilon(0.08));
  const Tensor<float> zeros{{32, 50, 32}};
  Transform reader{.rate = 0.1};
  CHECK(
      test::equal_bits(decode<float>(reader, encoded(codec, zeros), zeros.shape()).values, zeros));
}

TEST_CASE("Transform: the same bytes for any number of threads", "[codec]") {
  Rng rng{.seed = 10};
  const auto x = tokens({32, 65, 48}, rng);
  const auto run = [&](int threads) {
    return with_threads(threads, [&] {
      Transform codec{.step = 0.5};
      Bytes all = encoded(codec, x);
      const Bytes more = encoded(codec, x);
      all.insert(all.end(), more.begin(), more.end());
      Transform reader = codec;
      reader = Transform{.step = 0.5};
      Transform sender{.step = 0.5};
      const auto y = decode<float>(reader, encoded(sender, x), x.shape()).values;
      const auto numbers = std::as_bytes(y.span());
      all.insert(all.end(), numbers.begin(), numbers.end());
      return all;
    });
  };
  const Bytes one = run(1);
  for (int threads = 2; threads <= 8; ++threads) CHECK(run(threads) == one);
}

TEST_CASE("Transform: constants come back, and zeros cost next to nothing", "[codec]") {
  for (const Basis kind : {Basis::channel, Basis::klt})
    for (const float value : {-3.25f, 1e-30f, 7e37f}) {
      const auto x = Tensor<float>::full({3, 4, 5}, value);
      const auto trip = test::make_trip<float>(Transform{.basis = kind}, x, x);
      CHECK(test::apart(trip.came.values.span(), x.span()) < 1e-6);
      CHECK(test::relative_error(trip.came.values, x) < 1e-12);
    }
  const Tensor<float> zeros{{3, 640, 5}};
  const auto trip = test::make_trip<float>(Transform{}, zeros, zeros);
  CHECK(test::equal_bits(trip.came.values, zeros));
  CHECK(trip.up.size() == 3 * 640 * 5 / 2048);
  Transform codec;
  encoded(codec, zeros);
  CHECK(codec.state.activations.sent.chain.messages == 0);
}

TEST_CASE("Transform: one huge outlier, and next to it small numbers", "[codec]") {
  Rng rng{.seed = 11};
  for (const Basis kind : kinds)
    for (const float outlier : {1e4f, -1e20f, 3e38f}) {
      auto x = test::drawn<float>({4, 9, 8}, rng);
      x[100] = outlier;
      const auto trip = test::make_trip<float>(Transform{.basis = kind}, x, x);
      CHECK(all_finite(trip.came.values.view()));
      CHECK(trip.came.values[100] == Approx(outlier).epsilon(0.15));
    }
}

TEST_CASE("Transform: within other codecs, and others beside it", "[codec]") {
  const Transform inner{.step = 0.5};
  test::check_laws<float>(TokenScaled<Transform>{inner}, {4, 5, 7});
  test::check_laws<float>(ClsExact<Transform>{inner}, {4, 5, 7});
  test::check_laws<float>(TwoWay<Transform, Float32>{inner, {}}, {4, 5, 7});
}

TEST_CASE("Transform: a message without bytes asks for little", "[codec]") {
  Transform codec;
  const auto reason = [&](const Shape& shape, std::size_t size) {
    return test::reason_of([&] { decode<float>(codec, Bytes(size, std::byte{4}), shape); });
  };
  CHECK(reason({Index{1} << 40, 16, 4}, 1000) == Reason::truncated);
  CHECK(reason({0, 3, 4}, 10) == Reason::wrong_shape);
  // No number of messages, basis or stream is believed before its bytes are there.
  Rng rng{.seed = 12};
  for (int round = 0; round < 2000; ++round) {
    auto bytes = test::random_bytes(test::at(1 + rng.below(60)), {.seed = rng.bits()});
    bytes[0] = static_cast<std::byte>(rng.below(8));
    for (std::size_t i = 1; i < std::min<std::size_t>(5, bytes.size()); ++i)
      bytes[i] = std::byte{0};
    const auto found = test::reason_of([&] { decode<float>(codec, bytes, {2, 3, 1 << 20}); });
    CHECK(found.has_value());
  }
}

TEST_CASE("Transform: refuses options and shapes that make no sense", "[codec]") {
  Rng rng;
  Bytes out;
  const Tensor<float> x{{2, 3, 4}};
  const auto refused = [&](Transform codec) {
    return test::text_of<std::invalid_argument>([&] { encode<float>(codec, x.view(), out, rng); });
  };
  CHECK_THAT(refused({.step = 0}), ContainsSubstring("STEP is 0"));
  CHECK_THAT(refused({.step = 1001}), ContainsSubstring("STEP is 1001"));
  CHECK_THAT(refused({.gradient_step = -1}), ContainsSubstring("gradient_step is -1"));
  CHECK_THAT(refused({.refresh = 0}), ContainsSubstring("refresh is 0"));
  CHECK_THAT(refused({.dead_zone = 0.5}), ContainsSubstring("dead_zone is 0.5"));
  CHECK_THAT(refused({.rate = 1.5}), ContainsSubstring("rate is 1.5"));
  CHECK_THAT(refused({.basis = static_cast<Basis>(9)}), ContainsSubstring("basis is 9"));
  Transform codec;
  CHECK_THROWS_AS(encode<float>(codec, Tensor<float>{{2, 0, 4}}.view(), out, rng), ShapeError);
}

}  // namespace splitvit::codec
