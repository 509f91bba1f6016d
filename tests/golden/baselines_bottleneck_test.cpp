// SPDX-License-Identifier: MIT
// The bottleneck around the cut, against PyTorch. Every case called bottleneck of every
// baselines* file is run.

#include <algorithm>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/nn/bottleneck.hpp>

#include "golden/cases.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

template <class T>
void check_bottleneck(const golden::Case<T>& own) {
  const auto x = Variable<T>::parameter(own.get("x"));
  const Index D = x.shape().back();
  const nn::BottleneckOptions options{
      .ratio = own.real("compression"), .layers = own.integer("layers"), .decoder_relu = true};
  const Index w = nn::bottleneck_width(D, options);
  own.agrees("encoder_widths", nn::widths_between(D, w, options.layers));
  own.agrees("decoder_widths", nn::widths_between(w, D, options.layers));

  const nn::Encoder<T> encoder{D, options};
  const nn::Decoder<T> decoder{D, options};
  auto all = nn::parameters<T>(encoder);
  for (auto& [key, parameter] : all) key = "encoder." + key;
  for (auto& [key, parameter] : nn::parameters<T>(decoder))
    all.emplace_back("decoder." + key, parameter);
  for (const auto& [key, parameter] : all) parameter.mutable_value() = own.get(key);

  const Variable<T> sent = encoder(x);
  own.agrees("sent", sent.value());
  const auto received = Variable<T>::parameter(sent.value());  // what crosses the cut
  const Variable<T> y = decoder(received);
  own.agrees("y", y.value());
  backward(y, own.get("gy"));
  own.agrees("gsent", received.gradient());
  backward(sent, received.gradient());
  own.agrees("gx", x.gradient());
  for (const auto& [key, parameter] : all) own.agrees("grad." + key, parameter.gradient());
}

}  // namespace

TEMPLATE_TEST_CASE("golden: the bottleneck", "[golden][bottleneck]", double, float) {
  golden::each_case<TestType>("baselines", [](const golden::Case<TestType>& own) {
    const bool known = !golden::kind_of(own.name, {"bottleneck"}).empty();
    if (known) check_bottleneck(own);
    return known;
  });
}

}  // namespace splitvit
