// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/nn/cut.hpp>
#include <splitvit/nn/weights.hpp>

#include "support/catch.hpp"

using namespace splitvit;

namespace {

constexpr nn::VitConfig small{
    .image = 8, .patch = 4, .channels = 3, .dim = 8, .heads = 2, .depth = 2, .classes = 5};
constexpr nn::VitConfig deeper{
    .image = 8, .patch = 4, .channels = 3, .dim = 8, .heads = 2, .depth = 3, .classes = 5};

/// The weights of a model as a file would hold them, changed by `change`.
template <class Change>
io::SafeTensors file_of(const nn::Vit<float>& vit, const Change& change) {
  std::vector<io::NamedTensor> all = nn::weights_of<float>(vit);
  change(all);
  return io::parse_safetensors(io::format_safetensors(all), "test.safetensors");
}
io::SafeTensors file_of(const nn::Vit<float>& vit) {
  return file_of(vit, [](auto&) {});
}

template <class A, class B>
bool equal_weights(const A& a, const B& b) {
  const auto x = nn::parameters<float>(a), y = nn::parameters<float>(b);
  return std::ranges::equal(x, y, [](const auto& p, const auto& q) {
    return p.first == q.first &&
           std::ranges::equal(p.second.value().span(), q.second.value().span());
  });
}

std::string refusal(const nn::Vit<float>& into, const io::SafeTensors& file) {
  try {
    nn::load_weights<float>(into, into.config, file);
  } catch (const StorageError& error) {
    CHECK(error.reason() == Reason::wrong_content);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("weights: a model comes back as it was saved", "[nn]") {
  const auto from = nn::make_vit<float>(small, Rng{.seed = 1});
  const auto into = nn::make_vit<float>(small, Rng{.seed = 2});
  const auto report = nn::load_weights<float>(into, small, file_of(from));
  CHECK_FALSE(report.head_kept);
  CHECK_FALSE(report.positions_resampled);
  CHECK(equal_weights(from, into));
}

TEST_CASE("weights: two parts take their weights from a whole file, and join to it", "[nn]") {
  const auto from = nn::make_vit<float>(small, Rng{.seed = 1});
  const auto [client_part, server_part] = nn::cut_in_two<float>(small, 1, Rng{.seed = 2});
  nn::load_weights<float>(client_part, small, file_of(from));
  nn::load_weights<float>(server_part, small, file_of(from));
  const auto joined = io::format_safetensors(nn::joined_weights(client_part, server_part));
  CHECK(joined == io::format_safetensors(nn::weights_of<float>(from)));
}

TEST_CASE("weights: three parts, one by one or together", "[nn]") {
  const auto from = nn::make_vit<float>(deeper, Rng{.seed = 1});
  const auto whole = io::format_safetensors(nn::weights_of<float>(from));
  const auto file = io::parse_safetensors(whole, "test.safetensors");
  const auto one_by_one = nn::cut<float>(deeper, {1, 2}, Rng{.seed = 2});
  for (const nn::Part<float>& part : one_by_one) nn::load_weights<float>(part, deeper, file);
  CHECK(io::format_safetensors(nn::joined_weights<float>(one_by_one)) == whole);
  const auto together = nn::cut<float>(deeper, {1, 2}, Rng{.seed = 3});
  nn::load_weights<float>(together, file);
  CHECK(io::format_safetensors(nn::joined_weights<float>(together)) == whole);

  CHECK_THROWS_WITH(nn::joined_weights(together[0], together[0]),
                    "joined_weights: two parts have cls_token; the parts must not overlap");
  CHECK_THROWS_WITH(nn::load_weights<float>(std::span<const nn::Part<float>>{}, file),
                    ContainsSubstring("no part, wanted at least one"));
}

TEST_CASE("weights: a bottleneck at either cut of three parts", "[nn]") {
  const std::size_t at = GENERATE(0u, 1u);
  const auto make_parts = [&](std::uint64_t seed) {
    auto parts = nn::cut<float>(deeper, {1, 2}, Rng{.seed = seed});
    parts[at].encoder = nn::make_encoder<float>(8, {.ratio = 0.5}, Rng{.seed = seed});
    parts[at + 1].decoder = nn::make_decoder<float>(8, {.ratio = 0.5}, Rng{.seed = seed});
    return parts;
  };
  const auto from = make_parts(1);
  const auto bytes = io::format_safetensors(nn::joined_weights<float>(from));
  const auto file = io::parse_safetensors(bytes, "joined.safetensors");
  CHECK(file.names().size() == 4 + 3 * 12 + 4 + 2 * 4);
  auto into = make_parts(2);
  CHECK_FALSE(nn::load_weights<float>(into, file).bottleneck_kept);
  CHECK(io::format_safetensors(nn::joined_weights<float>(into)) == bytes);
  const auto alone = make_parts(3);
  for (const std::size_t i : {at, at + 1}) {
    nn::load_weights<float>(alone[i], deeper, file);
    CHECK(equal_weights(alone[i], from[i]));
  }
  // The client of three parts has the first and the last one, so it has one side of any cut.
  const std::vector<nn::Part<float>> ends{alone[0], alone[2]};
  nn::load_weights<float>(ends, file);
  CHECK(equal_weights(ends[0], from[0]));
  CHECK(equal_weights(ends[1], from[2]));

  into[1].encoder = nn::make_encoder<float>(8, {.ratio = 0.5}, Rng{.seed = 4});
  into[0].encoder = nn::make_encoder<float>(8, {.ratio = 0.5}, Rng{.seed = 4});
  CHECK_THROWS_WITH(nn::joined_weights<float>(into),
                    "joined_weights: two parts have encoder.0.weight; the parts can have the "
                    "bottleneck of one cut only");
  CHECK_THROWS_AS(nn::load_weights<float>(into, file), std::invalid_argument);
}

TEST_CASE("weights: a bottleneck keeps its start, unless the file has one", "[nn]") {
  const auto from = nn::make_vit<float>(small, Rng{.seed = 1});
  auto client_part = nn::make_part<float>(small, 0, 1, Rng{.seed = 2});
  auto server_part = nn::make_part<float>(small, 1, 2, Rng{.seed = 2});
  client_part.encoder = nn::make_encoder<float>(8, {.ratio = 0.5}, Rng{.seed = 3});
  server_part.decoder = nn::make_decoder<float>(8, {.ratio = 0.5}, Rng{.seed = 3});
  const auto start = client_part.encoder->layers[0].weight.value();
  CHECK(nn::load_weights<float>(client_part, small, file_of(from)).bottleneck_kept);
  CHECK(std::ranges::equal(client_part.encoder->layers[0].weight.value().span(), start.span()));

  const auto joined = nn::joined_weights(client_part, server_part);
  const auto file = io::parse_safetensors(io::format_safetensors(joined), "joined.safetensors");
  auto other = nn::make_part<float>(small, 0, 1, Rng{.seed = 9});
  CHECK_THROWS_WITH(nn::load_weights<float>(other, small, file),
                    ContainsSubstring("unexpected: decoder.0.bias"));
  other.encoder = nn::make_encoder<float>(8, {.ratio = 0.5}, Rng{.seed = 9});
  CHECK_FALSE(nn::load_weights<float>(other, small, file).bottleneck_kept);
  CHECK(equal_weights(other, client_part));
}

TEST_CASE("weights: another number of classes keeps the classifier's start", "[nn]") {
  nn::VitConfig other = small;
  other.classes = 9;
  const auto from = nn::make_vit<float>(other, Rng{.seed = 1});
  const auto into = nn::make_vit<float>(small, Rng{.seed = 2});
  const auto fresh = nn::make_vit<float>(small, Rng{.seed = 2});
  CHECK(nn::load_weights<float>(into, small, file_of(from)).head_kept);
  CHECK(equal_weights(into.classifier.head, fresh.classifier.head));
  CHECK(equal_weights(into.blocks, from.blocks));
}

TEST_CASE("weights: without a classifier in the file, the model's own stays", "[nn]") {
  const auto from = nn::make_vit<float>(small, Rng{.seed = 1});
  const auto into = nn::make_vit<float>(small, Rng{.seed = 2});
  const auto fresh = nn::make_vit<float>(small, Rng{.seed = 2});
  const auto headless = file_of(from, [](auto& all) {
    std::erase_if(all, [](const auto& t) { return t.name.starts_with("head."); });
  });
  CHECK(nn::load_weights<float>(into, small, headless).head_kept);
  CHECK(equal_weights(into.classifier.head, fresh.classifier.head));
  CHECK(equal_weights(into.classifier.norm, from.classifier.norm));
  CHECK(nn::load_notes(small, headless) == "the classifier starts anew: the file has none");
  // Half a classifier is none of another kind: something is missing.
  const auto half = file_of(from, [](auto& all) {
    std::erase_if(all, [](const auto& t) { return t.name == "head.bias"; });
  });
  CHECK_THAT(refusal(into, half), ContainsSubstring("missing: head.bias"));
  const auto odd = file_of(from, [](auto& all) {
    static const Tensor<float> bias{Shape{6}};
    std::erase_if(all, [](const auto& t) { return t.name == "head.bias"; });
    all.emplace_back("head.bias", bias);
  });
  CHECK_THAT(refusal(into, odd), ContainsSubstring("of another shape: head.bias (6) for (5)"));
}

TEST_CASE("weights: a classifier that averages tokens is replaced, norm and all", "[nn]") {
  const auto from = nn::make_vit<float>(small, Rng{.seed = 1});
  const auto into = nn::make_vit<float>(small, Rng{.seed = 2});
  const auto averages = file_of(from, [](auto& all) {
    for (auto& t : all)
      if (t.name.starts_with("norm.")) t.name = "fc_" + t.name;
  });
  CHECK(nn::load_weights<float>(into, small, averages).head_kept);
  CHECK(equal_weights(into.blocks, from.blocks));
  CHECK(nn::load_notes(small, averages) ==
        "left out: fc_norm.bias, fc_norm.weight, head.bias, head.weight; the classifier starts "
        "anew: the file's averages tokens");
  const auto normless = file_of(from, [](auto& all) {
    std::erase_if(all, [](const auto& t) { return t.name.starts_with("norm."); });
  });
  CHECK_THAT(refusal(into, normless), ContainsSubstring("missing: norm.weight, norm.bias"));
}

TEST_CASE("weights: whether a file fits is known from names and shapes", "[nn]") {
  const auto vit = nn::make_vit<float>(deeper, Rng{.seed = 1});
  std::vector<std::pair<std::string, Shape>> all;
  for (const auto& [name, parameter] : nn::parameters<float>(vit))
    all.emplace_back(name, parameter.shape());
  CHECK(nn::detail::parameter_shapes(deeper) == all);

  CHECK_NOTHROW(nn::require_fit(deeper, file_of(vit)));
  CHECK_THROWS_WITH(nn::require_fit(small, file_of(vit)),
                    ContainsSubstring("unexpected: blocks.2.attn.proj.bias"));
  nn::VitConfig deepest = deeper;
  deepest.depth = 4;
  CHECK_THROWS_WITH(nn::require_fit(deepest, file_of(vit)),
                    ContainsSubstring("missing: blocks.3.norm1.weight"));
}

TEST_CASE("weights: numbers that are not finite are refused", "[nn]") {
  auto from = nn::make_vit<float>(small, Rng{.seed = 1});
  from.blocks.blocks[1].mlp.fc1.bias.mutable_value()[3] = std::numeric_limits<float>::quiet_NaN();
  const auto into = nn::make_vit<float>(small, Rng{.seed = 2});
  CHECK(refusal(into, file_of(from)) ==
        "test.safetensors: blocks.1.mlp.fc1.bias has values that are not finite");
}

TEST_CASE("weights: notes name what is replaced and resampled", "[nn]") {
  nn::VitConfig other = small;
  other.classes = 9;
  other.image = 16;
  const auto file = file_of(nn::make_vit<float>(small, Rng{.seed = 1}));
  CHECK(nn::load_notes(small, file).empty());
  CHECK(nn::load_notes(other, file) ==
        "the classifier starts anew: the file's has 5 classes, wanted 9; positions resampled "
        "from 2 x 2 to 4 x 4");
}

TEST_CASE("weights: another image size resamples the positions", "[nn]") {
  nn::VitConfig larger = small;
  larger.image = 16;
  const auto from = nn::make_vit<float>(small, Rng{.seed = 1});
  const auto into = nn::make_vit<float>(larger, Rng{.seed = 2});
  CHECK(nn::load_weights<float>(into, larger, file_of(from)).positions_resampled);
  const auto wanted = nn::resample_positions(from.stem.pos_embed.value(), 4);
  CHECK(std::ranges::equal(into.stem.pos_embed.value().span(), wanted.span()));
}

TEST_CASE("weights: keys that do not fit are all named, and nothing is changed", "[nn]") {
  const auto from = nn::make_vit<float>(small, Rng{.seed = 1});
  const auto into = nn::make_vit<float>(small, Rng{.seed = 2});
  const auto fresh = nn::make_vit<float>(small, Rng{.seed = 2});
  const Tensor<float> odd{Shape{7}};
  const auto broken = file_of(from, [&](std::vector<io::NamedTensor>& all) {
    std::erase_if(all, [](const auto& t) {
      return t.name == "norm.bias" || t.name == "blocks.1.mlp.fc1.bias";
    });
    all.emplace_back("blocks.1.mlp.fc1.bias", odd);
    all.emplace_back("blocks.0.attn.rope", odd);
  });
  const std::string text = refusal(into, broken);
  CHECK_THAT(text, ContainsSubstring("test.safetensors"));
  CHECK_THAT(text, ContainsSubstring("missing: norm.bias"));
  CHECK_THAT(text, ContainsSubstring("unexpected: blocks.0.attn.rope"));
  CHECK_THAT(text, ContainsSubstring("of another shape: blocks.1.mlp.fc1.bias (7) for (32)"));
  CHECK(equal_weights(into, fresh));

  nn::VitConfig deepest = small;
  deepest.depth = 4;
  CHECK_THAT(refusal(nn::make_vit<float>(deepest, Rng{}), file_of(from)),
             ContainsSubstring("and 19 more"));
}

namespace {
/// CLS is -1; patch (y, x) is (y, x).
Tensor<double> ramp(Index grid) {
  Tensor<double> positions{Shape{1, 1 + grid * grid, 2}};
  positions[0] = positions[1] = -1;
  for (Index p = 0; p < grid * grid; ++p) {
    positions[2 + 2 * p] = static_cast<double>(p / grid);
    positions[3 + 2 * p] = static_cast<double>(p % grid);
  }
  return positions;
}
}  // namespace

TEST_CASE("pos_embed: the same grid stays as it is", "[nn]") {
  const auto before = ramp(4);
  const auto after = nn::resample_positions(before, 4);
  for (Index i = 0; i < before.size(); ++i) CHECK(after[i] == Approx(before[i]).margin(1e-12));
}

TEST_CASE("pos_embed: a ramp stays a ramp away from the edges, and axes are not mixed up", "[nn]") {
  const auto fine = nn::resample_positions(ramp(8), 16);
  CHECK(fine.shape() == Shape{1, 257, 2});
  CHECK(fine[0] == -1);
  CHECK(fine[1] == -1);
  for (Index y = 4; y < 12; ++y)
    for (Index x = 4; x < 12; ++x) {
      const Index at = 2 * (1 + y * 16 + x);
      CHECK(fine[at] == Approx((static_cast<double>(y) + 0.5) / 2 - 0.5));
      CHECK(fine[at + 1] == Approx((static_cast<double>(x) + 0.5) / 2 - 0.5));
    }
}

TEST_CASE("pos_embed: shrinking a constant gives the constant", "[nn]") {
  const auto coarse =
      nn::resample_positions(Tensor<float>::full(Shape{1, 1 + 14 * 14, 3}, 0.25f), 3);
  CHECK(coarse.shape() == Shape{1, 10, 3});
  for (const float value : coarse.span()) CHECK(value == Approx(0.25f));
}

TEST_CASE("pos_embed: what is no square grid is refused", "[nn]") {
  CHECK_THROWS_AS(nn::resample_positions(Tensor<float>{Shape{1, 13, 2}}, 4), ShapeError);
  CHECK_THROWS_AS(nn::resample_positions(Tensor<float>{Shape{1, 1, 2}}, 4), ShapeError);
  CHECK_THROWS_AS(nn::resample_positions(Tensor<float>{Shape{5, 2}}, 4), ShapeError);
  CHECK_THROWS_AS(nn::resample_positions(Tensor<float>{Shape{1, 5, 2}}, 0), ShapeError);
}
