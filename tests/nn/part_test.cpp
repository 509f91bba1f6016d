// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/nn/part.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {
namespace {

using kernel::TokenStatistic;
using test::equal_bits;
using test::small_vit;

constexpr Rng part_rng{.seed = 31};

/// A part with drawn parameters, so that none of them is without effect.
template <class T>
Part<T> drawn_part(Index first, Index last, Rng rng) {
  const Part<T> part{small_vit, first, last};
  test::draw_parameters<T>(part, rng);
  return part;
}

}  // namespace

TEST_CASE("part: stem and classifier are at the ends of the model, names are timm's",
          "[nn][part]") {
  const Part<float> first{small_vit, 0, 1}, middle{small_vit, 1, 2}, last{small_vit, 2, 3};
  CHECK(first.stem.has_value());
  CHECK(!first.classifier);
  CHECK(!middle.stem);
  CHECK(!middle.classifier);
  CHECK(!last.stem);
  CHECK(last.classifier.has_value());

  const auto at_start = test::names_of<float>(first), in_middle = test::names_of<float>(middle),
             at_end = test::names_of<float>(last);
  CHECK(at_start.front() == "cls_token");
  CHECK(at_start.back() == "blocks.0.mlp.fc2.bias");
  CHECK(at_start.size() == 4 + 12);
  CHECK(in_middle.front() == "blocks.1.norm1.weight");
  CHECK(in_middle.back() == "blocks.1.mlp.fc2.bias");
  CHECK(in_middle.size() == 12);
  CHECK(at_end.front() == "blocks.2.norm1.weight");
  CHECK(at_end.back() == "head.bias");
  CHECK(at_end.size() == 12 + 4);
}

TEMPLATE_TEST_CASE("part: all blocks are the whole model", "[nn][part]", float, double) {
  using T = TestType;
  Rng rng{.seed = 32};
  const auto part = make_part<T>(small_vit, 0, small_vit.depth, part_rng);
  const auto vit = make_vit<T>(small_vit, part_rng);
  CHECK(test::names_of<T>(part) == test::names_of<T>(vit));
  const Variable<T> images{test::drawn_images<T>(small_vit, 2, rng)};
  CHECK(equal_bits(part.logits(images).value(), vit(images).value()));
}

TEMPLATE_TEST_CASE("part: CLS attention is a distribution over tokens and changes nothing",
                   "[nn][part]", float, double) {
  using T = TestType;
  Rng rng{.seed = 17};
  const Variable<T> images{test::drawn_images<T>(small_vit, 4, rng)};
  const auto part = make_part<T>(small_vit, 0, 2, part_rng);
  const auto with = part.to_cut(images);  // asked for, unless told otherwise
  const auto without = part.to_cut(images, NeedWeights::none);
  CHECK(equal_bits(with.tokens.value(), without.tokens.value()));
  CHECK(without.cls_attention.empty());
  CHECK(with.statistics.empty());
  REQUIRE(with.cls_attention.shape() == Shape{4, 10});
  for (Index b = 0; b < 4; ++b) {
    double sum = 0;
    for (Index j = 0; j < 10; ++j) sum += static_cast<double>(with.cls_attention[b * 10 + j]);
    CHECK(sum == Approx(1.0).epsilon(16 * test::unit<T>));
  }
}

TEST_CASE("part: after a cut it takes any number of samples and tokens", "[nn][part]") {
  Rng rng{.seed = 18};
  const auto middle = make_part<float>(small_vit, 1, 2, part_rng);
  const auto last = make_part<float>(small_vit, 1, 3, part_rng);
  for (const Index B : {0, 1, 5})
    for (const Index N : {1, 3, 10, 12}) {
      const Variable<float> tokens{test::drawn<float>({B, N, 12}, rng)};
      CHECK(last.logits(tokens).shape() == Shape{B, 5});
      CHECK(middle.to_cut(tokens).tokens.shape() == Shape{B, N, 12});
      CHECK(middle.to_cut(tokens).cls_attention.shape() == Shape{B, N});
    }
  CHECK(test::text_of<ShapeError>([&] {
          middle.to_cut(Variable<float>{Tensor<float>{{2, 10, 11}}});
        }) == "Part: to_cut: tokens (2, 10, 11), wanted (B, N, 12) with N >= 1");
  for (const Shape& shape : {Shape{2, 10, 11}, Shape{2, 0, 12}, Shape{10, 12}}) {
    const Variable<float> tokens{Tensor<float>{shape}};
    CHECK_THROWS_AS(last.logits(tokens), ShapeError);
    CHECK_THROWS_AS(middle.to_cut(tokens), ShapeError);
  }
}

TEST_CASE("part: a token of size 3 is three equal tokens", "[nn][part]") {
  Rng rng{.seed = 20};
  const auto three = Variable<double>::parameter(test::drawn<double>({1, 3, 12}, rng));
  Tensor<double> repeated{{1, 5, 12}}, log_sizes{{1, 3}};
  for (Index p = 0; p < 5; ++p)
    std::copy_n(three.value().data() + std::min<Index>(p, 2) * 12, 12, repeated.data() + p * 12);
  log_sizes[2] = std::log(3.0);
  const auto five = Variable<double>::parameter(std::move(repeated));

  const auto last = drawn_part<double>(1, 3, Rng{.seed = 33});
  const std::vector<Index> ids{2};
  const auto loss = cross_entropy(last.logits(three, log_sizes), std::span<const Index>{ids});
  const auto wanted = cross_entropy(last.logits(five), std::span<const Index>{ids});
  CHECK(loss.value()[0] == Approx(wanted.value()[0]));
  backward(loss);
  backward(wanted);
  for (Index i = 0; i < 12; ++i) {
    const double* const g = five.gradient().data() + i;
    CHECK(three.gradient()[i] == Approx(g[0]).margin(1e-12));
    CHECK(three.gradient()[24 + i] == Approx(g[24] + g[36] + g[48]).margin(1e-12));
  }
  CHECK_THROWS_AS(last.logits(five, log_sizes), ShapeError);

  // At the next cut, too: the tokens, the attention of CLS and the statistics.
  const auto middle = drawn_part<double>(1, 2, Rng{.seed = 34});
  for (const TokenStatistic statistic : {TokenStatistic::value, TokenStatistic::rollout}) {
    const auto few = middle.to_cut(three, NeedWeights::cls, statistic, log_sizes);
    const auto many = middle.to_cut(five, NeedWeights::cls, statistic);
    for (Index i = 0; i < 36; ++i)
      CHECK(few.tokens.value()[i] == Approx(many.tokens.value()[i]).margin(1e-12));
    for (const auto& [a, b] : {std::pair{few.cls_attention, many.cls_attention},
                               std::pair{few.statistics, many.statistics}}) {
      CHECK(a[0] == Approx(b[0]));
      CHECK(a[1] == Approx(b[1]));
      CHECK(a[2] == Approx(b[2] + b[3] + b[4]));
    }
  }
  CHECK_THROWS_AS(middle.to_cut(five, NeedWeights::none, TokenStatistic::none, log_sizes),
                  ShapeError);
}

TEST_CASE("part: the order of the tokens after CLS does not change the logits", "[nn][part]") {
  Rng rng{.seed = 19};
  const auto last = drawn_part<double>(1, 3, Rng{.seed = 35});
  const auto tokens = test::drawn<double>({1, 4, 12}, rng);
  Tensor<double> turned = tokens;
  for (Index p = 1; p < 4; ++p)
    std::copy_n(tokens.data() + p * 12, 12, turned.data() + (4 - p) * 12);
  CHECK(test::apart(last.logits(Variable<double>{turned}).value(),
                    last.logits(Variable<double>{tokens}).value()) <= 1e-13);
}

TEMPLATE_TEST_CASE("part: decoder first, encoder last, and a middle part may have both",
                   "[nn][part]", float, double) {
  using T = TestType;
  constexpr BottleneckOptions wide{.ratio = 0.5}, narrow{.ratio = 0.25, .layers = 1};
  auto parts = cut<T>(small_vit, {1, 2}, part_rng);
  const auto bare = parts;
  for (const Part<T>& part : parts) {
    CHECK(part.input_width() == 12);
    CHECK(part.output_width() == 12);
  }
  const bool at_first = GENERATE(true, false), at_second = GENERATE(true, false);
  if (at_first) {
    parts[0].encoder = make_encoder<T>(12, wide, part_rng);
    parts[1].decoder = make_decoder<T>(12, wide, part_rng);
  }
  if (at_second) {
    parts[1].encoder = make_encoder<T>(12, narrow, part_rng);
    parts[2].decoder = make_decoder<T>(12, narrow, part_rng);
  }
  CHECK(parts[0].output_width() == (at_first ? 6 : 12));
  CHECK(parts[1].input_width() == (at_first ? 6 : 12));
  CHECK(parts[1].output_width() == (at_second ? 3 : 12));
  CHECK(parts[2].input_width() == (at_second ? 3 : 12));
  const auto middle_names = test::names_of<T>(parts[1]);
  CHECK(middle_names.front() == (at_first ? "decoder.0.weight" : "blocks.1.norm1.weight"));
  CHECK(middle_names.back() == (at_second ? "encoder.0.bias" : "blocks.1.mlp.fc2.bias"));

  Rng rng{.seed = 7};
  const Variable<T> images{test::drawn_images<T>(small_vit, 2, rng)};
  Variable<T> x = bare[0].to_cut(images).tokens;  // computed step by step
  CHECK(equal_bits(parts[0].to_cut(images).tokens.value(), x.value()));
  CHECK(equal_bits(bare[0].encode(x).value(), x.value()));
  if (at_first) x = (*parts[0].encoder)(x);
  const Variable<T> first_sent = parts[0].encode(parts[0].to_cut(images).tokens);
  CHECK(first_sent.shape() == Shape{2, 10, parts[0].output_width()});
  CHECK(equal_bits(first_sent.value(), x.value()));
  if (at_first) x = (*parts[1].decoder)(x);
  x = bare[1].to_cut(x).tokens;
  if (at_second) x = (*parts[1].encoder)(x);
  const Variable<T> second_sent = parts[1].encode(parts[1].to_cut(first_sent).tokens);
  CHECK(second_sent.shape() == Shape{2, 10, parts[1].output_width()});
  CHECK(equal_bits(second_sent.value(), x.value()));
  if (at_second) x = (*parts[2].decoder)(x);
  const Variable<T> logits = parts[2].logits(second_sent);
  CHECK(equal_bits(logits.value(), bare[2].logits(x).value()));

  backward(sum(square(logits)));
  for (const Part<T>& part : parts)
    for (const auto& [name, parameter] : parameters<T>(part)) {
      INFO(name);
      CHECK(parameter.has_gradient());
    }
}

TEST_CASE("part: bf16 in all blocks and the stem, and in no other part", "[nn][part]") {
  const VitConfig config{.image = 16, .patch = 4, .dim = 32, .heads = 2, .depth = 4, .classes = 5};
  Rng rng{.seed = 9};
  const auto images = test::drawn<float>({6, 3, 16, 16}, rng);
  const auto target = test::drawn<float>({6, 5}, rng);
  const auto gradients = [&](Compute client_compute, Compute server_compute) {
    auto [client, server] = cut_in_two<float>(config, 2, Rng{.seed = 3});
    client.use(client_compute);
    server.use(server_compute);
    backward(server.logits(client.to_cut(Variable<float>{images}).tokens), target);
    std::vector<Tensor<float>> all;
    const auto see = [&](const std::string&, const Variable<float>& p) {
      all.push_back(p.gradient());
    };
    client.each_parameter(see);
    server.each_parameter(see);
    return all;
  };
  const auto exact = gradients(Compute::float32, Compute::float32);
  if (!kernel::has_brain_unit) {
    CHECK_THROWS_AS(gradients(Compute::bf16, Compute::float32), std::invalid_argument);
    return;
  }
  for (const auto& [client, server] :
       {std::pair{Compute::bf16, Compute::bf16}, std::pair{Compute::bf16, Compute::float32},
        std::pair{Compute::float32, Compute::bf16}}) {
    const auto rounded = gradients(client, server);
    double worst = 0;
    const auto compare = [&](std::span<const float> ours, std::span<const float> wanted) {
      worst = std::max(worst, test::relative_error<float>(ours, wanted));
    };
    // Both factors of a product are off by 0.0016 of themselves (root mean square), each on its
    // own, so their sums are by 0.0023 of their size, whatever their length. Forth and back, a
    // gradient is behind at most four blocks of ten such products in a row: 0.0023 times the root
    // of 40, a little more for the first than for the last.
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const auto ours = rounded[i].span(), wanted = exact[i].span();
      if (exact[i].shape() != Shape{3 * config.dim}) {
        compare(ours, wanted);
        continue;
      }
      // qkv.bias: of queries and values; that of keys is zero but for the roundings of its terms.
      const auto D = static_cast<std::size_t>(config.dim);
      for (const std::size_t begin : {std::size_t{0}, 2 * D})
        compare(ours.subspan(begin, D), wanted.subspan(begin, D));
      CHECK(std::sqrt(std::inner_product(ours.begin() + D, ours.begin() + 2 * D, ours.begin() + D,
                                         0.0)) <=
            0.02 *
                std::sqrt(std::inner_product(wanted.begin(), wanted.end(), wanted.begin(), 0.0)));
    }
    CHECK(worst <= 0.02);
    CHECK(worst > 1e-5);
  }
}

TEST_CASE("part: says what it is", "[nn][part]") {
  auto parts = cut<float>(small_vit, {1, 2}, part_rng);
  CHECK(parts[0].description() == "blocks [0, 1) of 3, with stem");
  CHECK(parts[1].description() == "blocks [1, 2) of 3");
  CHECK(parts[2].description() == "blocks [2, 3) of 3, with classifier");
  parts[0].encoder = make_encoder<float>(12, {}, part_rng);
  parts[1].decoder = make_decoder<float>(12, {}, part_rng);
  parts[1].encoder = make_encoder<float>(12, {}, part_rng);
  CHECK(parts[0].description() == "blocks [0, 1) of 3, with stem and encoder");
  CHECK(parts[1].description() == "blocks [1, 2) of 3, with decoder and encoder");
}

TEST_CASE("part: misuse", "[nn][part]") {
  auto first = make_part<float>(small_vit, 0, 1, part_rng);
  const auto last = make_part<float>(small_vit, 1, 3, part_rng);
  const Variable<float> images{Tensor<float>{{1, 2, 12, 12}}}, tokens{Tensor<float>{{1, 10, 12}}};
  const auto complaint = [](const auto& call) { return test::text_of<std::logic_error>(call); };
  CHECK(complaint([&] { last.to_cut(tokens); }) ==
        "Part: to_cut: this part is blocks [1, 3) of 3, with classifier; no cut follows its "
        "classifier");
  CHECK(complaint([&] { last.encode(tokens); }) ==
        "Part: encode: this part is blocks [1, 3) of 3, with classifier; no cut follows its "
        "classifier");
  CHECK(complaint([&] { first.logits(images); }) ==
        "Part: logits: this part is blocks [0, 1) of 3, with stem; it ends at a cut and has no "
        "classifier");
  CHECK_THROWS_AS(first.to_cut(tokens), ShapeError);
  CHECK_THROWS_AS(last.logits(images), ShapeError);
  first.decoder = make_decoder<float>(12, {}, part_rng);
  CHECK(complaint([&] { first.to_cut(images); }) ==
        "Part: to_cut: this part is blocks [0, 1) of 3, with decoder and stem; no cut comes before "
        "its stem, so it cannot have a decoder");
}

TEST_CASE("part: norm and classifier alone follow a part that sends CLS", "[nn][part]") {
  const auto parts = cut<float>(small_vit, {1, 3}, part_rng);
  REQUIRE(parts.size() == 3);
  CHECK(!parts[1].classifier);
  CHECK(test::names_of<float>(parts[2]) ==
        std::vector<std::string>{"norm.weight", "norm.bias", "head.weight", "head.bias"});
  Tensor<float> drawn{{2, 2, 12, 12}};
  Rng rng{.seed = 4};
  for (float& pixel : drawn.span()) pixel = static_cast<float>(rng.normal());
  const Variable<float> images{drawn};
  const Variable<float> at_cut = parts[0].to_cut(images).tokens;
  const Variable<float> cls = parts[1].to_next(at_cut);
  CHECK(cls.shape() == Shape{2, 1, small_vit.dim});
  const auto last = make_part<float>(small_vit, 1, 3, part_rng);
  CHECK(equal_bits(parts[2].logits(cls).value(), last.logits(at_cut).value()));

  // All tokens where a block follows.
  const auto with_block = cut<float>(small_vit, {1, 2}, part_rng);
  const Variable<float> tokens = with_block[1].to_next(at_cut);
  CHECK(tokens.shape() == at_cut.shape());
  CHECK(equal_bits(with_block[2].logits(tokens).value(), last.logits(at_cut).value()));
  CHECK_THROWS_AS(last.to_next(at_cut), std::logic_error);
}

TEST_CASE("part: which blocks can be one", "[nn][part]") {
  const auto complaint = [](Index first, Index last, const VitConfig& config = small_vit) {
    return test::text_of<std::invalid_argument>(
        [&] { make_part<float>(config, first, last, part_rng); });
  };
  CHECK(complaint(0, 1) == "");
  CHECK(complaint(0, 3) == "");
  CHECK(complaint(2, 3) == "");
  CHECK(complaint(3, 3) == "");  // only norm and classifier
  for (const auto& [first, last] : {std::pair<Index, Index>{-1, 2}, {1, 1}, {2, 1}, {1, 4}})
    CHECK(complaint(first, last) == "part: blocks [" + std::to_string(first) + ", " +
                                        std::to_string(last) +
                                        ") of a model of 3, wanted 0 <= first < last <= depth");
  CHECK(complaint(0, 1, {.image = 30, .patch = 16}) ==
        "VitConfig: image 30 is no multiple of patch 16");
}

}  // namespace splitvit::nn
