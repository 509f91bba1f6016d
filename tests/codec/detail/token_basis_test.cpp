// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <splitvit/codec/detail/token_basis.hpp>
#include <splitvit/core/random.hpp>
#include <splitvit/core/state.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::codec::detail {
namespace {

constexpr Basis kinds[] = {Basis::none, Basis::channel, Basis::klt};

struct BasisHolder {
  TokenBasis basis;
  void each_state(auto&& see) { basis.each_state(see, ""); }
};

/// Tokens with a mean, whose channels are mixtures of a few sources of falling size.
template <class T>
Tensor<T> mixed(Index M, Index D, Rng& rng) {
  const auto weights = test::drawn<double>({D, D}, rng);
  Tensor<T> x{{M, D}};
  for (Index i = 0; i < M; ++i) {
    for (Index d = 0; d < D; ++d) x[i * D + d] = static_cast<T>(3 * d - 5);
    for (Index s = 0; s < D; ++s) {
      const double source = rng.normal() * std::exp2(-static_cast<double>(s));
      for (Index d = 0; d < D; ++d) x[i * D + d] += static_cast<T>(source * weights[s * D + d]);
    }
  }
  return x;
}

template <class T>
kernel::Matrix<const T> matrix(const Tensor<T>& x) {
  return kernel::dense<const T>(x.data(), x.dim(0), x.dim(1));
}

template <class T>
Tensor<T> forward(const TokenBasis& basis, const Tensor<T>& x, T step) {
  Tensor<T> c{{x.dim(0), basis.components()}};
  basis.forward(matrix(x), step, kernel::dense(c.data(), c.dim(0), c.dim(1)));
  return c;
}
template <class T>
Tensor<T> inverse(const TokenBasis& basis, const Tensor<T>& c, T step, Index D) {
  Tensor<T> x{{c.dim(0), D}};
  basis.inverse(matrix(c), step, kernel::dense(x.data(), c.dim(0), D));
  return x;
}

double mean_square(const auto& x, Index column) {
  double sum = 0;
  for (Index i = 0; i < x.dim(0); ++i)
    sum += static_cast<double>(x[i * x.dim(1) + column]) *
           static_cast<double>(x[i * x.dim(1) + column]);
  return sum / static_cast<double>(x.dim(0));
}

}  // namespace

TEST_CASE("token basis: rows become eigenvectors times eigenvalues", "[codec]") {
  constexpr Index D = 12;
  Rng rng{.seed = 1};
  const auto b = test::drawn<double>({D, D}, rng);
  std::vector<double> a(D * D);
  for (Index i = 0; i < D; ++i)
    for (Index j = 0; j < D; ++j)
      for (Index k = 0; k < D - 2; ++k)  // two eigenvalues are zero
        a[test::at(i * D + j)] += b[i * D + k] * b[j * D + k];
  std::vector<double> rows = a;
  orthogonalise_rows(rows.data(), D);
  double largest = 0;
  for (Index r = 0; r < D; ++r) {
    const double* const row = rows.data() + r * D;
    const double length = std::sqrt(kernel::dot(row, row, D));
    largest = std::max(largest, length);
    if (length < 1e-6) continue;
    for (Index i = 0; i < D; ++i)  // a v = length v
      CHECK(kernel::dot(a.data() + i * D, row, D) / length == Approx(row[i]).margin(1e-2));
  }
  int zeros = 0;
  for (Index r = 0; r < D; ++r)
    zeros += kernel::dot(rows.data() + r * D, rows.data() + r * D, D) < 1e-12 * largest;
  CHECK(zeros == 2);
}

TEMPLATE_TEST_CASE("token basis: all components together are the tokens", "[codec]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 2};
  const auto x = mixed<T>(200, 7, rng);
  for (const Basis kind : kinds) {
    TokenBasis basis;
    basis.fit(kind, matrix(x), 0.5, 0.0);
    CHECK(basis.components() == 7);
    CHECK(basis.fits(kind, 7));
    const auto c = forward(basis, x, T{0.5});
    for (Index r = 1; r < 7; ++r) CHECK(mean_square(c, r) <= 1.01 * mean_square(c, r - 1));
    const auto back = inverse(basis, c, T{0.5}, 7);
    // Axes are rounded to bytes, so they are not quite orthogonal.
    CHECK(test::apart(back.span(), x.span()) < (kind == Basis::klt ? 0.02 : 1e-6));
    CHECK(basis.left_out(matrix(x), T{0.5}, matrix(c)) == 0);
  }
}

TEST_CASE("token basis: few axes hold most of mixed tokens", "[codec]") {
  Rng rng{.seed = 3};
  const auto x = mixed<float>(500, 10, rng);
  TokenBasis klt, channel;
  klt.fit(Basis::klt, matrix(x), 0.5, 0.5);
  channel.fit(Basis::channel, matrix(x), 0.5, 0.5);
  CHECK(channel.components() == 10);
  CHECK(klt.components() < 8);
  const auto c = forward(klt, x, 0.5f);
  for (Index r = 0; r < klt.components(); ++r) CHECK(mean_square(c, r) > 0.24);
  const double left = klt.left_out(matrix(x), 0.5f, matrix(c));
  CHECK(left > 0);
  CHECK(left < 0.25 * static_cast<double>(10 - klt.components()) / 10);
  // What is left out is what does not come back.
  const auto back = inverse(klt, c, 0.5f, 10);
  double error = 0;
  for (Index i = 0; i < x.size(); ++i)
    error += std::pow(static_cast<double>(back[i] - x[i]) / 0.5, 2);
  CHECK(error / static_cast<double>(x.size()) == Approx(left).epsilon(0.1).margin(1e-4));
}

TEST_CASE("token basis: equal tokens have a mean and no components", "[codec]") {
  const auto x = Tensor<float>::full({5, 3}, 7.3f);
  TokenBasis basis;
  for (const Basis kind : {Basis::channel, Basis::klt}) {
    basis.fit(kind, matrix(x), 1, 0.1);
    CHECK(basis.components() == 0);
    CHECK(test::equal_bits(inverse(basis, Tensor<float>{{5, 0}}, 1.0f, 3), x));
  }
  basis.fit(Basis::none, matrix(x), 1, 0.1);
  CHECK(basis.components() == 3);
}

TEST_CASE("token basis: as bytes and back, and as state", "[codec]") {
  Rng rng{.seed = 4};
  const auto x = mixed<float>(50, 6, rng);
  for (const Basis kind : kinds) {
    TokenBasis basis;
    basis.fit(kind, matrix(x), 0.5, 0.3);
    const Index R = basis.components();
    std::vector<std::byte> bytes;
    ByteWriter writer{bytes};
    basis.put<float>(writer);
    CHECK(bytes.size() ==
          test::at(4 + (kind == Basis::none ? 0 : 24) + (kind == Basis::klt ? 6 * R : 4 * R)));
    ByteReader reader{bytes, "test"};
    const TokenBasis came = TokenBasis::get<float>(reader, kind, 6);
    reader.expect_end();
    const auto ours = forward(basis, x, 1.0f);
    CHECK(test::equal_bits(forward(came, x, 1.0f), ours));
    BasisHolder from{basis}, to;
    set_state_bytes(to, state_bytes(from));
    CHECK(to.basis.fits(kind, 6));
    CHECK(to.basis.fits(kind, 7) == (kind == Basis::none));  // without a mean, any width
    CHECK(test::equal_bits(forward(to.basis, x, 1.0f), ours));

    for (std::size_t size = 0; size < bytes.size(); ++size) {
      ByteReader shorter{std::span{bytes}.first(size), "test"};
      CHECK(test::reason_of([&] { TokenBasis::get<float>(shorter, kind, 6); }) ==
            Reason::truncated);
    }
    const auto refused = [&](std::size_t at, std::initializer_list<int> values) {
      auto damaged = bytes;
      for (const int value : values) damaged[at++] = static_cast<std::byte>(value);
      ByteReader damaged_reader{damaged, "test"};
      return test::reason_of([&] { TokenBasis::get<float>(damaged_reader, kind, 6); });
    };
    CHECK(refused(0, {7}) == Reason::malformed);  // more components than channels
    if (kind != Basis::none) CHECK(refused(4, {0, 0, 0x80, 0x7F}) == Reason::not_finite);
    if (kind == Basis::klt) CHECK(refused(28, {0, 0, 0, 0, 0, 0}) == Reason::malformed);
    if (kind == Basis::channel) CHECK(refused(28, {6}) == Reason::malformed);
  }
}

}  // namespace splitvit::codec::detail
