// SPDX-License-Identifier: MIT
// Optimisers against PyTorch. The kind of a case is the beginning of its name.

#include <algorithm>
#include <string>
#include <vector>

#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/optimizer.hpp>
#include <splitvit/optim/sgd.hpp>

#include "golden/cases.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

const std::vector<std::string> optimisers{"adam", "adamw", "sgd"};
const std::vector<std::string> operators{"linear", "layernorm",   "gelu",   "softmax", "mhsa",
                                         "block",  "patch_embed", "tokens", "ce"};

/// Gives the rule of a case, with its options, to `use`.
template <class Use>
void with_rule(const golden::File& file, const std::string& name, const std::string& kind,
               const Use& use) {
  const auto option = [&](const char* tensor) { return file.real(name + "/" + tensor); };
  const auto adam_like = [&](auto rule) {
    rule.lr = option("lr");
    rule.beta1 = option("beta1");
    rule.beta2 = option("beta2");
    rule.eps = option("eps");
    rule.weight_decay = option("weight_decay");
    use(rule);
  };
  if (kind == "adam") adam_like(optim::Adam{});
  if (kind == "adamw") adam_like(optim::AdamW{});
  if (kind == "sgd")
    use(optim::Sgd{.lr = option("lr"),
                   .momentum = option("momentum"),
                   .nesterov = file.integer(name + "/nesterov") != 0,
                   .weight_decay = option("weight_decay")});
}

/// What the files call a rule's state.
std::string their_name(const std::string& state) { return state == "momentum" ? "buf" : state; }

template <class T>
void check_optim_case(const golden::File& file, const std::string& name, const std::string& kind) {
  optim::NamedParameters<T> parameters;
  for (const std::string& tensor : file.names())
    if (tensor.starts_with(name + "/") && tensor.ends_with(".init")) {
      const auto begin = name.size() + 1;
      parameters.emplace_back(tensor.substr(begin, tensor.size() - begin - 5),
                              Variable<T>::parameter(file.get<T>(tensor)));
    }
  if (parameters.empty()) FAIL_CHECK("no parameter");

  with_rule(file, name, kind, [&](const auto& rule) {
    optim::Optimizer optimizer{rule, parameters};
    const golden::Tolerance close = golden::tolerance<T>();
    int steps = 0;
    for (;; ++steps) {
      const std::string t = "." + std::to_string(steps + 1);
      bool any = false;
      for (const auto& [parameter, variable] : parameters)
        if (const auto tensor = name + "/" + parameter + ".grad" + t; file.has(tensor)) {
          variable.add_gradient(file.get<T>(tensor));
          any = true;
        }
      if (!any) break;
      optimizer.step();
      optimizer.clear_gradients();
      for (const auto& [parameter, variable] : parameters)
        CHECK(file.compare(name + "/" + parameter + ".value" + t, variable.value(), close) == "");
      optimizer.each_state([&](const std::string& state, auto&& values) {
        if constexpr (std::same_as<std::remove_cvref_t<decltype(values)>, std::span<T>>) {
          const auto dot = state.find('.');
          const std::string parameter = state.substr(dot + 1);
          const auto owner =
              std::ranges::find(parameters, parameter, [](const auto& p) { return p.first; });
          const Tensor<T> value{owner->second.shape(), values};
          CHECK(file.compare(name + "/" + parameter + "." + their_name(state.substr(0, dot)) + t,
                             value, close) == "");
        }
      });
    }
    CHECK(steps > 0);
  });
}

}  // namespace

TEMPLATE_TEST_CASE("golden: optimisers", "[golden][optim]", double, float) {
  golden::each_case<TestType>("ops", [](const golden::Case<TestType>& own) {
    const std::string kind = golden::kind_of(own.name, optimisers);
    if (!kind.empty())
      check_optim_case<TestType>(own.file, own.name, kind);
    else if (golden::kind_of(own.name, operators).empty())
      FAIL_CHECK("a case of unknown kind");
    return !kind.empty();
  });
}

}  // namespace splitvit
