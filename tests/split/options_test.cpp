// SPDX-License-Identifier: MIT
#include <set>

#include <splitvit/split/options.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"

using namespace splitvit;

TEST_CASE("settings: every size of the model is among them, once", "[split]") {
  const auto settings = [](const nn::VitConfig& vit) {
    return split::settings_of(nn::Part<float>{vit, 1, vit.depth}, "none", "float32",
                              {{"seed", "7"}});
  };
  std::set<std::string> keys;
  for (const wire::Setting& setting : settings(test::small_vit)) keys.insert(setting.key);
  CHECK(keys.size() == settings(test::small_vit).size());
  CHECK(keys.contains("seed"));

  nn::VitConfig changed = test::small_vit;
  for (Index nn::VitConfig::* size :
       {&nn::VitConfig::image, &nn::VitConfig::patch, &nn::VitConfig::channels, &nn::VitConfig::dim,
        &nn::VitConfig::heads, &nn::VitConfig::depth, &nn::VitConfig::classes,
        &nn::VitConfig::mlp_ratio}) {
    changed = test::small_vit;
    changed.*size *= 2;
    CHECK(settings(changed) != settings(test::small_vit));
  }
  CHECK(split::settings_of(nn::Part<double>{test::small_vit, 1, 3}, "none", "float32",
                           {{"seed", "7"}}) != settings(test::small_vit));
}

TEST_CASE("settings: both parts say the same of the two halves of a bottleneck", "[split]") {
  const nn::BottleneckOptions options{.ratio = 0.25};
  nn::Part<float> client{test::small_vit, 0, 1};
  nn::Part<float> server{test::small_vit, 1, 3};
  const auto plain = split::settings_of(client, "none", "float32", {});
  CHECK(split::settings_of(server, "none", "float32", {}) == plain);
  client.encoder.emplace(16, options);
  CHECK(split::settings_of(client, "none", "float32", {}) != plain);
  server.decoder.emplace(16, options);
  CHECK(split::settings_of(server, "none", "float32", {}) ==
        split::settings_of(client, "none", "float32", {}));
  client.encoder.emplace(12, options);
  CHECK_THROWS_WITH(split::settings_of(client, "none", "float32", {}),
                    ContainsSubstring("made for tokens of width 12"));
}
