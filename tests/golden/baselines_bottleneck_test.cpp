// SPDX-License-Identifier: MIT
// The bottleneck around the cut, against PyTorch. Every case called bottleneck of every
// baselines* file is run.

#include <algorithm>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/nn/bottleneck.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace splitvit {
namespace {

template <class T>
void check_bottleneck(const golden::File& file, const std::string& name) {
  const auto at = [&](const std::string& tensor) { return name + "/" + tensor; };
  const golden::Tolerance close = golden::tolerance<T>();
  const auto x = Variable<T>::parameter(file.get<T>(at("x")));
  const Index D = x.shape().back();
  const nn::BottleneckOptions options{.ratio = file.real(at("compression")),
                                      .layers = file.integer(at("layers")),
                                      .decoder_relu = true};
  const Index w = nn::bottleneck_width(D, options);
  CHECK(file.compare(at("encoder_widths"), nn::widths_between(D, w, options.layers)) == "");
  CHECK(file.compare(at("decoder_widths"), nn::widths_between(w, D, options.layers)) == "");

  const nn::Encoder<T> encoder{D, options};
  const nn::Decoder<T> decoder{D, options};
  auto all = nn::parameters<T>(encoder);
  for (auto& [key, parameter] : all) key = "encoder." + key;
  for (auto& [key, parameter] : nn::parameters<T>(decoder))
    all.emplace_back("decoder." + key, parameter);
  for (const auto& [key, parameter] : all) parameter.mutable_value() = file.get<T>(at(key));

  const Variable<T> sent = encoder(x);
  CHECK(file.compare(at("sent"), sent.value(), close) == "");
  const auto received = Variable<T>::parameter(sent.value());  // what crosses the cut
  const Variable<T> y = decoder(received);
  CHECK(file.compare(at("y"), y.value(), close) == "");
  backward(y, file.get<T>(at("gy")));
  CHECK(file.compare(at("gsent"), received.gradient(), close) == "");
  backward(sent, received.gradient());
  CHECK(file.compare(at("gx"), x.gradient(), close) == "");
  for (const auto& [key, parameter] : all)
    CHECK(file.compare(at("grad." + key), parameter.gradient(), close) == "");
}

template <class T>
void check_bottlenecks(const std::string& name) {
  const golden::File file{name};
  int found = 0;
  for (const std::string& each : file.cases()) {
    if (golden::kind_of(each, {"bottleneck"}).empty()) continue;
    check_bottleneck<T>(file, each);
    ++found;
  }
  CHECK(found > 0);
}

}  // namespace

TEST_CASE("golden: the bottleneck in double", "[golden][bottleneck]") {
  const auto names = golden::files("baselines");
  REQUIRE(std::ranges::count(names, "baselines_f64") == 1);
  for (const std::string& name : names)
    if (!name.ends_with("_f32")) check_bottlenecks<double>(name);
}

TEST_CASE("golden: the bottleneck in float", "[golden][bottleneck]") {
  const auto names = golden::files("baselines");
  REQUIRE(std::ranges::count(names, "baselines_f32") == 1);
  for (const std::string& name : names) check_bottlenecks<float>(name);
}

}  // namespace splitvit
