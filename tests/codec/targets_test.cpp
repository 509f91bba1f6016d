// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <vector>

#include <splitvit/codec/targets.hpp>
#include <splitvit/core/random.hpp>

#include "support/catch.hpp"

namespace splitvit::codec {
namespace {

using Bytes = std::vector<std::byte>;

template <class T>
Bytes encoded(const Tensor<T>& targets) {
  Bytes out;
  encode_targets<T>(targets.view(), out);
  return out;
}

template <class T>
TargetForm form_of(const Bytes& bytes) {
  return static_cast<TargetForm>(bytes.at(0));
}

/// Decodes what encode_targets makes of them, and compares every bit.
template <class T>
Bytes check_round_trip(const Tensor<T>& targets) {
  const Bytes bytes = encoded(targets);
  const Tensor<T> again = decode_targets<T>(bytes, targets.dim(0), targets.dim(1));
  REQUIRE(again.shape() == targets.shape());
  REQUIRE(std::memcmp(again.data(), targets.data(), targets.span().size_bytes()) == 0);
  return bytes;
}

/// Means of one-hot labels of drawn clusters: K rows of together B members.
template <class T>
Tensor<T> merged_labels(Index B, Index K, Index C, Rng& rng) {
  Tensor<T> counts{{K, C}};
  std::vector<Index> sizes(static_cast<std::size_t>(K));
  for (Index b = 0; b < B; ++b) {
    const Index k = b < K ? b : rng.below(K);
    counts[k * C + rng.below(C)] += T{1};
    ++sizes[static_cast<std::size_t>(k)];
  }
  for (Index k = 0; k < K; ++k)
    for (Index c = 0; c < C; ++c)
      counts[k * C + c] /= static_cast<T>(sizes[static_cast<std::size_t>(k)]);
  return counts;
}

/// Rows with `n` drawn probabilities each.
template <class T>
Tensor<T> soft_labels(Index K, Index C, Index n, Rng& rng) {
  Tensor<T> out{{K, C}};
  for (Index k = 0; k < K; ++k) {
    double sum = 0.0;
    std::vector<double> drawn(static_cast<std::size_t>(n));
    for (double& value : drawn) sum += value = 0.1 + rng.uniform();
    for (Index i = 0; i < n; ++i)
      out[k * C + i * (C / n)] = static_cast<T>(drawn[static_cast<std::size_t>(i)] / sum);
  }
  return out;
}

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

Reason refusal(const Bytes& bytes, Index rows, Index classes) {
  try {
    decode_targets<float>(bytes, rows, classes);
  } catch (const WireError& error) {
    return error.reason();
  }
  FAIL("no WireError");
  return {};
}

}  // namespace

TEST_CASE("targets: one class a row is one id a row", "[codec]") {
  const Tensor<float> targets{{2, 3}, std::vector<float>{0, 0, 1, 1, 0, 0}};
  CHECK(check_round_trip(targets) == bytes_of({0, 2, 0}));
  Tensor<float> wide{{1, 257}};
  wide[256] = 1.0f;
  CHECK(check_round_trip(wide) == bytes_of({0, 0, 1}));
  Tensor<double> wider{{1, 65537}};
  wider[65536] = 1.0;
  CHECK(check_round_trip(wider) == bytes_of({0, 0, 0, 1, 0}));
  CHECK(check_round_trip(Tensor<float>::full({1, 1}, 1.0f)) == bytes_of({0, 0}));
}

TEST_CASE("targets: label means are class lists", "[codec]") {
  const Tensor<float> targets{{2, 3},
                              std::vector<float>{1.0f / 3.0f, 2.0f / 3.0f, 0, 0, 0.5f, 0.5f}};
  CHECK(check_round_trip(targets) == bytes_of({1, 3, 0, 0, 1, 1, 2, 0, 1, 2}));
}

TEMPLATE_TEST_CASE("targets: 128 samples in 40 rows take at most 209 bytes", "[codec]", float,
                   double) {
  Rng rng{.seed = 1};
  for (int run = 0; run < 200; ++run) {
    const auto bytes = check_round_trip(merged_labels<TestType>(128, 40, 100, rng));
    REQUIRE(form_of<TestType>(bytes) == TargetForm::class_lists);
    REQUIRE(bytes.size() <= 209);
  }
}

TEMPLATE_TEST_CASE("targets: few or many probabilities", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 2};
  const auto two = check_round_trip(soft_labels<T>(5, 100, 2, rng));
  CHECK(form_of<T>(two) == TargetForm::sparse);
  CHECK(two.size() == 1 + 5 * (2 + 2 * (1 + sizeof(T))));
  const auto all = check_round_trip(soft_labels<T>(5, 100, 100, rng));
  CHECK(form_of<T>(all) == TargetForm::dense);
  CHECK(all.size() == 1 + 5 * 100 * sizeof(T));
}

TEMPLATE_TEST_CASE("targets: any rows come back bit for bit", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 3};
  for (int run = 0; run < 300; ++run) {
    const Index K = 1 + rng.below(12), C = 1 + rng.below(run % 10 == 0 ? 600 : 20);
    const Index kind = rng.below(4);
    auto targets = kind == 0   ? merged_labels<T>(K, K, C, rng)
                   : kind == 1 ? merged_labels<T>(K + rng.below(60), K, C, rng)
                               : soft_labels<T>(K, C, 1 + rng.below(C), rng);
    if (kind == 3) {  // a mixture of forms, and a zero of the other sign
      const auto labels = merged_labels<T>(K, K, C, rng);
      std::copy_n(labels.data(), C, targets.data());
      for (T& value : targets.span().first(static_cast<std::size_t>(C)))
        if (value == T{0} && rng.below(2) == 0) value = -T{0};
    }
    const auto bytes = check_round_trip(targets);
    REQUIRE(bytes.size() <= 1 + targets.span().size_bytes());
    REQUIRE(encoded(targets) == bytes);
  }
}

TEST_CASE("targets: the largest class list", "[codec]") {
  // 65535 of a kind and one other do not fit into a list: its length is a u16.
  const auto share = [](Index count, Index m) {
    Tensor<double> targets{{1, 70000}};
    targets[0] = static_cast<double>(count) / static_cast<double>(m);
    targets[1] = static_cast<double>(m - count) / static_cast<double>(m);
    return targets;
  };
  // 2 + 4 * 2 bytes beat the sparse 2 + 2 * 12, seven members do not.
  CHECK(form_of<double>(check_round_trip(share(1, 4))) == TargetForm::class_lists);
  CHECK(form_of<double>(check_round_trip(share(1, 7))) == TargetForm::sparse);
  CHECK(detail::list_length(detail::entries_of<double>(share(1, 65535).span()), 100000) == 65535);
  CHECK(!detail::list_length(detail::entries_of<double>(share(1, 65537).span()), 100000));
  CHECK(detail::list_length(detail::entries_of<double>(share(2, 4).span()), 100000) == 2);
}

TEST_CASE("targets: encode refuses what decode would", "[codec]") {
  Bytes out = bytes_of({7});
  const auto encode = [&](const Shape& shape, const std::vector<float>& values) {
    encode_targets<float>(Tensor<float>{shape, values}.view(), out);
  };
  CHECK_THROWS_AS(encode({2}, {1, 0}), ShapeError);
  CHECK_THROWS_AS(encode({0, 2}, {}), ShapeError);
  CHECK_THROWS_AS(encode({2, 0}, {}), ShapeError);
  CHECK_THROWS_AS(encode({1, 2}, {0.5f, 0.6f}), std::invalid_argument);
  CHECK_THROWS_AS(encode({1, 2}, {1.5f, -0.5f}), std::invalid_argument);
  CHECK_THROWS_WITH(encode({2, 2}, {1, 0, std::nanf(""), 1}), ContainsSubstring("row 1"));
  CHECK_THROWS_AS(encode({1, 2}, {0, std::numeric_limits<float>::infinity()}),
                  std::invalid_argument);
  CHECK(out == bytes_of({7}));
  CHECK_NOTHROW(encode({1, 2}, {0.5f, 0.50005f}));
}

TEST_CASE("targets: hostile bytes are refused", "[codec]") {
  constexpr Index huge = std::numeric_limits<Index>::max() / 8;
  CHECK(refusal({}, 1, 2) == Reason::truncated);
  CHECK(refusal(bytes_of({4, 0}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({255, 0}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({0, 0}), 0, 2) == Reason::wrong_shape);
  CHECK(refusal(bytes_of({0, 0}), 1, 0) == Reason::wrong_shape);
  // Class ids.
  CHECK(refusal(bytes_of({0, 2}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({0, 1}), 2, 2) == Reason::truncated);
  CHECK(refusal(bytes_of({0, 1, 1}), 1, 2) == Reason::malformed);
  for (int form = 0; form < 4; ++form) {
    CHECK(refusal(bytes_of({form, 1, 0, 1}), huge, 2) == Reason::truncated);
    CHECK(refusal(bytes_of({form, 1, 0, 1}), huge, huge) == Reason::truncated);
  }
  // Class lists.
  CHECK(decode_targets<float>(bytes_of({1, 2, 0, 0, 1}), 1, 2)[0] == 0.5f);
  CHECK(refusal(bytes_of({1, 0, 0, 0}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({1, 2, 0, 1, 0}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({1, 2, 0, 0, 2}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({1, 3, 0, 0, 1}), 1, 2) == Reason::truncated);
  CHECK(refusal(bytes_of({1, 1, 0, 0, 1}), 1, 2) == Reason::malformed);
  // Sparse: 1.0f is 0 0 128 63, 0.5f is 0 0 0 63.
  CHECK(decode_targets<float>(bytes_of({2, 1, 0, 1, 0, 0, 128, 63}), 1, 2)[1] == 1.0f);
  CHECK(refusal(bytes_of({2, 1, 0, 2, 0, 0, 128, 63}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({2, 1, 0, 1, 0, 0, 0, 63}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({2, 1, 0, 1, 0, 0, 192, 127}), 1, 2) == Reason::not_finite);
  CHECK(refusal(bytes_of({2, 1, 0, 1, 0, 0, 128, 127}), 1, 2) == Reason::not_finite);
  CHECK(refusal(bytes_of({2, 2, 0, 1, 0, 0, 0, 63, 1, 0, 0, 0, 63}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({2, 2, 0, 1, 0, 0, 0, 63, 0, 0, 0, 0, 63}), 1, 2) == Reason::malformed);
  CHECK(refusal(bytes_of({2, 2, 0, 0, 0, 0, 0, 63, 1}), 1, 2) == Reason::truncated);
  // Dense.
  CHECK(decode_targets<float>(bytes_of({3, 0, 0, 0, 63, 0, 0, 0, 63}), 1, 2)[1] == 0.5f);
  CHECK(refusal(bytes_of({3, 0, 0, 128, 191, 0, 0, 0, 64}), 1, 2) == Reason::malformed);  // -1, 2
  CHECK(refusal(bytes_of({3, 0, 0, 0, 63, 0, 0, 0}), 1, 2) == Reason::truncated);
  CHECK(refusal(bytes_of({3, 0, 0, 0, 63, 0, 0, 0, 63, 0}), 1, 2) == Reason::malformed);
}

TEST_CASE("targets: damaged bytes are refused or decode to targets", "[codec]") {
  Rng rng{.seed = 4};
  for (int run = 0; run < 3000; ++run) {
    const Index K = 1 + rng.below(5), C = 1 + rng.below(12);
    Bytes bytes = encoded(rng.below(2) == 0 ? merged_labels<float>(K + rng.below(9), K, C, rng)
                                            : soft_labels<float>(K, C, 1 + rng.below(C), rng));
    for (Index i = 1 + rng.below(3); i > 0; --i)
      bytes[static_cast<std::size_t>(rng.below(static_cast<Index>(bytes.size())))] =
          static_cast<std::byte>(rng.below(256));
    if (rng.below(3) == 0) bytes.resize(static_cast<std::size_t>(rng.below(30)));
    try {
      const auto targets = decode_targets<float>(bytes, K, C);
      REQUIRE_NOTHROW(encoded(targets));
    } catch (const WireError&) {
    }
  }
}

}  // namespace splitvit::codec
