// SPDX-License-Identifier: MIT
#include <set>
#include <stdexcept>

#include <splitvit/split/settings.hpp>

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

TEST_CASE("settings: client part and server part describe a bottleneck equally", "[split]") {
  const nn::BottleneckOptions options{.ratio = 0.25};
  nn::Part<float> client_part{test::small_vit, 0, 1};
  nn::Part<float> server_part{test::small_vit, 1, 3};
  const auto plain = split::settings_of(client_part, "none", "float32", {});
  CHECK(split::settings_of(server_part, "none", "float32", {}) == plain);
  client_part.encoder.emplace(16, options);
  CHECK(split::settings_of(client_part, "none", "float32", {}) != plain);
  server_part.decoder.emplace(16, options);
  CHECK(split::settings_of(server_part, "none", "float32", {}) ==
        split::settings_of(client_part, "none", "float32", {}));
  client_part.encoder.emplace(12, options);
  CHECK_THROWS_WITH(split::settings_of(client_part, "none", "float32", {}),
                    ContainsSubstring("made for tokens of width 12"));
}

TEST_CASE("settings: a client takes the first part of a model, a server the last", "[split]") {
  const auto parts = nn::cut<float>(test::small_vit, {1, 2}, test::start);
  const auto whole = nn::make_part<float>(test::small_vit, 0, 3, test::start);
  CHECK(split::detail::client_part(parts[0]).last == 1);
  CHECK(split::detail::server_part(parts[2]).first == 2);
  for (const auto& part : {parts[1], parts[2], whole})
    CHECK_THROWS_AS(split::detail::client_part(part), std::invalid_argument);
  for (const auto& part : {parts[0], parts[1], whole})
    CHECK_THROWS_AS(split::detail::server_part(part), std::invalid_argument);
  CHECK_THROWS_WITH((split::Server{parts[0], optim::Adam{}}),
                    "Server: the part is blocks [0, 1) of 3, with stem, wanted one with classifier "
                    "and without stem");
}
