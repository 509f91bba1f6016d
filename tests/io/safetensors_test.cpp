// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <splitvit/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/real_data.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;

TEST_CASE("safetensors: pretrained weights, read and written again", "[io][data]") {
  const auto path = support::real_data("deit-tiny/deit_tiny_patch16_224.safetensors");
  if (!path) return;
  const auto file = io::read_safetensors(*path);
  CHECK(file.names().size() == 152);
  Index parameters = 0;
  std::vector<Tensor<float>> values;
  std::vector<io::NamedTensor> named;
  values.reserve(file.names().size());
  for (const std::string& name : file.names()) {
    values.push_back(file.get<float>(name));
    named.emplace_back(name, values.back());
    parameters += values.back().size();
  }
  CHECK(parameters == 5'717'416);
  CHECK(file.shape("blocks.11.attn.qkv.weight") == Shape{576, 192});

  const support::TemporaryFolder folder;
  io::write_safetensors(folder.path() / "copy", named, file.metadata());
  const auto copy = io::read_safetensors(folder.path() / "copy");
  CHECK(copy.metadata() == file.metadata());
  for (std::size_t i = 0; i < named.size(); ++i) {
    const auto back = copy.get<float>(named[i].name);
    REQUIRE(back.shape() == values[i].shape());
    REQUIRE(std::ranges::equal(back.span(), values[i].span()));
  }
}

TEST_CASE("safetensors: images and labels beside numbers", "[io][data]") {
  const auto path = support::real_data("deit-tiny/golden.safetensors");
  if (!path) return;
  const auto file = io::read_safetensors(*path);
  CHECK(file.get<std::uint8_t>("input").shape() == Shape{4, 3, 224, 224});
  CHECK(file.get<std::int64_t>("label")[3] == 750);
  CHECK(file.get<double>("logits").shape() == Shape{4, 1000});
}
