// SPDX-License-Identifier: MIT
#include <set>

#include <splitvit/split/settings.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"

using namespace splitvit;

TEST_CASE("settings: every size of the model is among them, once", "[split]") {
  const auto settings = [](const nn::VitConfig& vit) {
    return split::settings_of<float>(vit, 1, "none", "float32", {{"seed", "7"}});
  };
  std::set<std::string> keys;
  for (const wire::Setting& setting : settings(test::small_vit)) keys.insert(setting.key);
  CHECK(keys.size() == settings(test::small_vit).size());
  CHECK(keys.contains("seed"));

  nn::VitConfig changed = test::small_vit;
  for (Index nn::VitConfig::*size :
       {&nn::VitConfig::image, &nn::VitConfig::patch, &nn::VitConfig::channels, &nn::VitConfig::dim,
        &nn::VitConfig::heads, &nn::VitConfig::depth, &nn::VitConfig::classes,
        &nn::VitConfig::mlp_ratio}) {
    changed = test::small_vit;
    changed.*size += 1;
    CHECK(settings(changed) != settings(test::small_vit));
  }
  CHECK(split::settings_of<double>(test::small_vit, 1, "none", "float32", {{"seed", "7"}}) !=
        settings(test::small_vit));
}
