// SPDX-License-Identifier: MIT
#include <optional>
#include <string>

#include <splitvit/nn/model_info.hpp>

#include "nn/named_weights.hpp"
#include "support/catch.hpp"
#include "support/storage_error.hpp"

using namespace splitvit;
using test::named_vit;

namespace {

nn::ModelInfo some_info() {
  return {.name = "small",
          .sizes = named_vit,
          .mean = {0.1, 1.0 / 3, 0},
          .deviation = {0.25, 1, 1.0 / 7},
          .class_names = {"cat", "dog \"x\"", "bird", "K\xC3\xBCken", "5"},
          .data = "pets"};
}

io::SafeTensors file_with(const io::Metadata& metadata) {
  return test::weights_of_timm(nn::make_vit<float>(named_vit, Rng{})).file(metadata);
}

/// What is said about a text in place of a good one.
std::string info_complaint(const std::string& text) {
  const auto said = support::complaint_of([&] { nn::model_info(file_with({{"splitvit", text}})); });
  return said ? said->text : "accepted";
}

}  // namespace

TEST_CASE("model_info: comes back as it was written", "[nn]") {
  nn::ModelInfo info = some_info();
  const bool with_bottleneck = GENERATE(false, true);
  if (with_bottleneck) {
    info.bottleneck = {.ratio = 0.3, .layers = 1, .decoder_relu = true};
    info.cut = 1;
  } else {
    info.class_names.clear();
  }
  const auto read = nn::model_info(file_with(nn::metadata_of(info)));
  REQUIRE(read);
  CHECK(read->name == "small");
  CHECK(read->mean == info.mean);
  CHECK(read->deviation == info.deviation);
  CHECK(read->class_names == info.class_names);
  CHECK(read->data == "pets");
  CHECK(read->bottleneck == info.bottleneck);
  CHECK(read->cut == info.cut);
  CHECK(nn::metadata_of(*read) == nn::metadata_of(info));
  CHECK(nn::metadata_of(info).at("format") == "pt");
}

TEST_CASE("model_info: how a bottleneck was trained is not told", "[nn]") {
  nn::ModelInfo one = some_info(), other = some_info();
  one.bottleneck = {.layers = 1, .start = nn::BottleneckStart::pca};
  other.bottleneck = {.layers = 1, .frozen = true};
  CHECK(nn::metadata_of(one) == nn::metadata_of(other));
}

TEST_CASE("model_info: files of other programs have none", "[nn]") {
  CHECK_FALSE(nn::model_info(file_with({})));
  CHECK_FALSE(nn::model_info(file_with({{"format", "pt"}})));
}

TEST_CASE("model_info: a text that does not make sense is refused", "[nn]") {
  const std::string good = nn::metadata_of(some_info()).at("splitvit");
  CHECK(info_complaint(good) == "accepted");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return info_complaint(text.replace(at, from.size(), to));
  };
  CHECK_THAT(info_complaint("{"), ContainsSubstring("metadata of the model: byte"));
  CHECK_THAT(info_complaint("[]"), ContainsSubstring("no model"));
  CHECK_THAT(changed("\"model\":\"small\"", "\"model\":3"), ContainsSubstring("model is no text"));
  CHECK_THAT(changed("\"dim\":8,", ""), ContainsSubstring("no dim"));
  CHECK_THAT(changed("\"dim\":8,", "\"dim\":8.5,"), ContainsSubstring("dim, wanted a whole"));
  CHECK_THAT(changed("\"dim\":8,", "\"dim\":-8,"), ContainsSubstring("dim, wanted a whole"));
  CHECK_THAT(changed("\"depth\":2,", "\"depth\":16000000,"),
             ContainsSubstring("but the tensors have"));
  CHECK_THAT(changed("\"heads\":2,", "\"heads\":3,"), ContainsSubstring("no multiple of heads"));
  CHECK_THAT(changed("\"heads\":2,", "\"heads\":0,"), ContainsSubstring("at least 1"));
  CHECK_THAT(changed("0.25,1,", "0.25,0,"), ContainsSubstring("std, wanted numbers above 0"));
  CHECK_THAT(changed("0.25,1,", "0.25,"), ContainsSubstring("std are not three numbers"));
  CHECK_THAT(changed("0.25,1,", "0.25,null,"), ContainsSubstring("std is no number"));
  CHECK_THAT(changed("\"cat\",", ""), ContainsSubstring("4 class_names for 5 classes"));
  CHECK_THAT(changed("\"cat\",", "1,"), ContainsSubstring("class_names is no text"));
  CHECK_THAT(changed("[\"cat\",", "{},\"x\":[\"cat\","),
             ContainsSubstring("class_names is no list"));
  CHECK_THAT(
      changed("}", R"(,"bottleneck":{"ratio":2,"layers":1,"decoder_relu":true,"after_block":1}})"),
      ContainsSubstring("bottleneck"));
  CHECK_THAT(
      changed("}", R"(,"bottleneck":{"ratio":0.5,"layers":1,"decoder_relu":1,"after_block":1}})"),
      ContainsSubstring("decoder_relu"));
  CHECK_THAT(
      changed("}",
              R"(,"bottleneck":{"ratio":0.5,"layers":1,"decoder_relu":true,"after_block":2}})"),
      ContainsSubstring("after_block is 2"));
}
