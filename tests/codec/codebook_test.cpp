// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/codec/codebook.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::codec {
namespace {

using test::at;

/// The nearest word by the definition, in double.
template <class T>
std::uint16_t nearest(const Tensor<T>& x, Index i, const Tensor<T>& words) {
  const Index d = x.dim(1);
  double least = std::numeric_limits<double>::infinity();
  Index best = 0;
  for (Index k = 0; k < words.dim(0); ++k) {
    double sum = 0;
    for (Index j = 0; j < d; ++j)
      sum += std::pow(static_cast<double>(x[i * d + j]) - static_cast<double>(words[k * d + j]), 2);
    if (sum < least) {
      least = sum;
      best = k;
    }
  }
  return static_cast<std::uint16_t>(best);
}

/// Every word is the mean of its pieces, and has some.
template <class T>
void check_means(const Tensor<T>& x, const Codebook<T>& book) {
  const Index m = x.dim(0), d = x.dim(1), W = book.words.dim(0);
  std::vector<double> sums(at(W * d)), sizes(at(W));
  for (Index i = 0; i < m; ++i) {
    sizes[book.codes[at(i)]] += 1;
    for (Index j = 0; j < d; ++j)
      sums[at(book.codes[at(i)] * d + j)] += static_cast<double>(x[i * d + j]);
  }
  for (Index k = 0; k < W; ++k) {
    REQUIRE(sizes[at(k)] > 0);
    for (Index j = 0; j < d; ++j)
      CHECK(static_cast<double>(book.words[k * d + j]) ==
            Approx(sums[at(k * d + j)] / sizes[at(k)]).margin(1e-6));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("nearest_words: agree with the definition", "[codec]", float, double) {
  using T = TestType;
  for (const Index d : {1, 2, 3, 4, 5, 9})
    for (const Index W : {1, 3, 4, 66}) {
      CAPTURE(d, W);
      Rng rng{.seed = 8};
      const auto x = test::drawn<T>({700, d}, rng), words = test::drawn<T>({W, d}, rng);
      const auto codes = nearest_words<T>(x.view(), words.view());
      REQUIRE(codes.size() == 700);
      for (Index i = 0; i < 700; ++i) CHECK(codes[at(i)] == nearest(x, i, words));
    }
}

TEMPLATE_TEST_CASE("nearest_words: many pieces, which are sorted first, get the words of few",
                   "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 4};
  for (const Index d : {1, 2, 3, 4, 5})
    for (const char* kind : {"normal", "lattice", "huge"}) {
      CAPTURE(d, kind);
      const bool lattice = std::string{kind} == "lattice";  // many distances are equal
      const T unit = std::string{kind} == "huge" ? std::numeric_limits<T>::max() / 8 : T{1};
      const Index m = d == 2 ? 140'000 : 20'000;  // of which some are sorted in parts
      Tensor<T> x{{m, d}}, words{{50, d}};
      for (Tensor<T>* const numbers : {&x, &words})
        for (T& value : numbers->span())
          value = unit * (lattice ? static_cast<T>(rng.below(5)) : static_cast<T>(rng.normal()));
      const auto codes = nearest_words<T>(x.view(), words.view());
      for (Index first = 0; first < m; first += 1000) {
        const TensorView<const T> part{x.span().subspan(at(first * d), at(1000 * d)), {1000, d}};
        const auto own = nearest_words<T>(part, words.view());
        CHECK(std::equal(own.begin(), own.end(), codes.begin() + first));
      }
    }
}

TEST_CASE("learn_words: many pieces, for any number of threads; the nearest word if asked for",
          "[codec]") {
  Rng draws{.seed = 5};
  const auto x = test::drawn<float>({30'000, 2}, draws);
  const auto learn = [&](int threads, Codes wanted) {
    Rng rng{.seed = 6};
    return with_threads(threads, [&] { return learn_words<float>(x.view(), 20, 4, rng, wanted); });
  };
  const auto book = learn(1, Codes::of_means);
  check_means(x, book);
  const auto nearest = learn(3, Codes::nearest);
  CHECK(test::equal_bits(book.words, nearest.words));
  CHECK(nearest.codes == nearest_words<float>(x.view(), nearest.words.view()));
}

TEST_CASE("refine_words: small numbers count beside large ones of the same block", "[codec]") {
  Rng rng{.seed = 9};
  Tensor<float> x{{20'000, 1}};
  double sum = 0, count = 0;
  for (Index i = 0; i < x.size(); ++i) {
    const bool large = rng.below(200) == 0;
    x[i] = static_cast<float>((large ? 1e8 : 1e-8) * (1 + rng.uniform()));
    sum += large ? 0 : static_cast<double>(x[i]);
    count += large ? 0 : 1;
  }
  const auto words = test::tensor<float>({2, 1}, {1e8f, 0.0f});
  const auto book = refine_words<float>(x.view(), words.view(), 1);
  CHECK(static_cast<double>(book.words[1]) == Approx(sum / count).epsilon(1e-6));
}

TEST_CASE("refine_words: more words than pieces", "[codec]") {
  const auto words = test::tensor<float>({3, 1}, {1.0f, 3.0f, 5.0f});
  const auto x = test::tensor<float>({2, 1}, {2.0f, 3.0f});
  CHECK_THROWS_AS(refine_words<float>(x.view(), words.view(), 1), ShapeError);
}

TEST_CASE("nearest_words: the first of equally near words; huge numbers", "[codec]") {
  const auto words = test::tensor<float>({4, 1}, {1.0f, 3.0f, 3.0f, 5.0f});
  const auto x = test::tensor<float>({4, 1}, {2.0f, 3.0f, 4.0f, 9.0f});
  CHECK(nearest_words<float>(x.view(), words.view()) == std::vector<std::uint16_t>{0, 1, 1, 3});
  constexpr float most = std::numeric_limits<float>::max();
  const auto huge = test::tensor<float>({2, 2}, {most, -most, -most, most});
  CHECK(nearest_words<float>(huge.view(), huge.view()) == std::vector<std::uint16_t>{0, 1});
}

TEMPLATE_TEST_CASE("nearest_words: an endless number among many pieces", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 9};
  auto x = test::drawn<T>({20000, 2}, rng);
  const auto words = test::drawn<T>({3, 2}, rng);
  x[1000] = -std::numeric_limits<T>::infinity();
  const auto codes = nearest_words<T>(x.view(), words.view());
  CHECK(std::ranges::max(codes) < 3);
}

TEMPLATE_TEST_CASE("learn_words: words are means, near their pieces", "[codec]", float, double) {
  using T = TestType;
  for (const Index d : {1, 2, 6})
    for (const Index W : {2, 7, 40}) {
      CAPTURE(d, W);
      Rng rng{.seed = 3};
      const auto x = test::drawn<T>({900, d}, rng);
      const auto early = learn_words<T>(x.view(), W, 2, rng);
      check_means(x, early);
      const auto book = learn_words<T>(x.view(), W, 300, rng);
      CHECK(book.words.shape() == Shape{W, d});
      check_means(x, book);
      // 300 rounds are enough for a fixpoint: nobody would rather belong to another word.
      CHECK(nearest_words<T>(x.view(), book.words.view()) == book.codes);
    }
}

TEST_CASE("learn_words: distinct pieces become words; equal ones are taken once", "[codec]") {
  Rng rng{.seed = 5};
  Tensor<float> x{{60, 2}};  // four distinct pieces; -0 equals 0
  for (Index i = 0; i < 60; ++i) {
    x[2 * i] = i % 2 == 0 ? 0.0f : 7.0f;
    x[2 * i + 1] = i % 4 < 2 ? (i % 3 == 0 ? -0.0f : 0.0f) : 2.0f;
  }
  const auto book = learn_words<float>(x.view(), 10, 20, rng);
  CHECK(book.words.dim(0) == 4);
  for (Index i = 0; i < 60; ++i)
    for (Index j = 0; j < 2; ++j) CHECK(book.words[book.codes[at(i)] * 2 + j] == x[2 * i + j]);
  const auto constant = learn_words<float>(Tensor<float>::full({9, 3}, 1.5f).view(), 4, 5, rng);
  CHECK(constant.words.shape() == Shape{1, 3});
  CHECK(constant.words[0] == 1.5f);
}

TEST_CASE("refine_words: an empty word takes the farthest piece", "[codec]") {
  const auto x = test::tensor<double>({5, 1}, {0.0, 1.0, 2.0, 3.0, 10.0});
  // Round 1: all pieces but the last one are nearest to 0, the last one to 6; nobody to 100.
  const auto words = test::tensor<double>({3, 1}, {0.0, 100.0, 6.0});
  const auto book = refine_words<double>(x.view(), words.view(), 1);
  CHECK(book.codes == std::vector<std::uint16_t>{0, 0, 0, 1, 2});
  CHECK(test::apart(book.words, test::tensor<double>({3, 1}, {1.0, 3.0, 10.0})) == 0);
}

TEST_CASE("refine_words: an empty word takes the farthest of many pieces", "[codec]") {
  Rng rng{.seed = 7};
  const auto x = test::drawn<double>({20'000, 2}, rng);
  const auto words = test::tensor<double>({2, 2}, {0.0, 0.0, 1000.0, 1000.0});
  const auto book = refine_words<double>(x.view(), words.view(), 1);
  Index farthest = 0;
  for (Index i = 1; i < 20'000; ++i)
    if (std::hypot(x[2 * i], x[2 * i + 1]) > std::hypot(x[2 * farthest], x[2 * farthest + 1]))
      farthest = i;
  CHECK(std::ranges::count(book.codes, 1) == 1);
  CHECK(book.codes[at(farthest)] == 1);
  check_means(x, book);
}

TEST_CASE("learn_words: equal seeds, equal words, for any number of threads", "[codec]") {
  Rng rng{.seed = 6};
  const auto x = test::drawn<float>({200000, 2}, rng);
  const auto learnt = [&](int threads) {
    Rng start{.seed = 2};
    return with_threads(threads, [&] { return learn_words<float>(x.view(), 16, 3, start); });
  };
  const auto one = learnt(1), two = learnt(2);
  CHECK(test::equal_bits(one.words, two.words));
  CHECK(one.codes == two.codes);
  Rng other{.seed = 3};
  CHECK_FALSE(test::equal_bits(learn_words<float>(x.view(), 16, 3, other).words, one.words));
}

TEST_CASE("codebooks: refuse shapes and options that make no sense", "[codec]") {
  Rng rng;
  const Tensor<float> x{{4, 2}}, wide{{4, 3}}, none{{0, 2}}, flat{{4}};
  CHECK_THROWS_AS(nearest_words<float>(x.view(), wide.view()), ShapeError);
  CHECK_THROWS_AS(nearest_words<float>(x.view(), none.view()), ShapeError);
  CHECK_THROWS_AS(nearest_words<float>(flat.view(), x.view()), ShapeError);
  CHECK_THROWS_AS(learn_words<float>(none.view(), 2, 3, rng), ShapeError);
  CHECK_THROWS_AS(learn_words<float>(flat.view(), 2, 3, rng), ShapeError);
  CHECK_THROWS_AS(learn_words<float>(x.view(), 0, 3, rng), std::invalid_argument);
  CHECK_THROWS_AS(learn_words<float>(x.view(), 65537, 3, rng), std::invalid_argument);
  CHECK_THROWS_AS(learn_words<float>(x.view(), 2, 0, rng), std::invalid_argument);
  CHECK_THROWS_AS(refine_words<float>(x.view(), x.view(), 0), std::invalid_argument);
}

}  // namespace splitvit::codec
