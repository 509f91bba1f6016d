// SPDX-License-Identifier: MIT
#include <cstdint>
#include <stdexcept>
#include <string>

#include <splitvit/spec/codecs.hpp>

#include "codec/laws.hpp"
#include "support/codec_texts.hpp"

using namespace splitvit;
using namespace splitvit::codec;
using spec::parse_codec;

namespace {

std::string parsed(const std::string& text) { return parse_codec<float>(text).description(); }

std::string complaint(const std::string& text) {
  return test::text_of<std::invalid_argument>([&] { parse_codec<float>(text); });
}

}  // namespace

TEST_CASE("parse_codec: texts and the codecs that they name", "[spec]") {
  CHECK(parsed("float32") == Float32{}.description());
  CHECK(parsed("float16") == Float16{}.description());
  CHECK(parsed("float16,scaled=no") == Float16{.scaled = false}.description());
  CHECK(parsed("bfloat16") == Bfloat16{}.description());
  CHECK(parsed("q") == Quantise{}.description());
  CHECK(parsed("q:8") == Quantise{.bits = 8}.description());
  CHECK(parsed("q:4,range=tensor,rounding=stochastic") ==
        Quantise{.bits = 4, .range = RangePer::tensor, .rounding = Rounding::stochastic}
            .description());
  CHECK(parsed("q:4,gradient_bits=6,gradient_range=channel") ==
        Quantise{.bits = 4, .gradient_bits = 6, .gradient_range = RangePer::channel}.description());
  CHECK(parsed("topk:0.25") == TopK<>{.rate = 0.25}.description());
  CHECK(parsed("topk,values=(q:4,range=tensor)") ==
        TopK<Quantise>{.values = {.bits = 4, .range = RangePer::tensor}}.description());
  CHECK(parsed("random_topk:0.1,alpha=0.05") == TopK<>{.rate = 0.1, .alpha = 0.05}.description());
  static const ClsExact<Quantise> exact{.rest = {.bits = 4}};
  CHECK(parsed("cls-exact(q:4)") == exact.description());
  CHECK(parsed("cls-exact(scaled(q:4,range=sample)),cls=float16") ==
        ClsExact<TokenScaled<Quantise>, Float16>{
            .rest = {.inner = {.bits = 4, .range = RangePer::sample}}}
            .description());
  CHECK(parsed("scaled(q:8,range=tensor)") ==
        TokenScaled<Quantise>{.inner = {.range = RangePer::tensor}}.description());
  CHECK(parsed("scaled:(q:8)") == parsed("scaled(q:8)"));
  CHECK(parsed("q:4/float16") == TwoWay<Quantise, Float16>{.up = {.bits = 4}}.description());
  CHECK(parsed("cls-exact(q:4/q:8)") ==
        ClsExact<TwoWay<Quantise, Quantise>>{.rest = {.up = {.bits = 4}}}.description());
  CHECK(parsed("c3:8,seed=7,unitary=yes") ==
        C3{.ratio = 8, .seed = 7, .unitary = true}.description());
  CHECK(parsed("fedlite:4,groups=2,words=16,iterations=3,correction=0.001") ==
        FedLite<>{
            .sub_vectors = 4, .groups = 2, .codewords = 16, .iterations = 3, .correction = 0.001}
            .description());
  CHECK(parsed("slacc:3,min_bits=3,max_bits=6,blend=0.25,direction=-1,range=channel") ==
        SlAcc{.groups = 3,
              .min_bits = 3,
              .max_bits = 6,
              .blend = 0.25,
              .direction = -1,
              .range = SlAccRange::channel}
            .description());
  CHECK(parsed("slfac:0.8,mid_bits=5,min_bits=1,max_bits=7,grid=14x7") ==
        SlFac{.theta = 0.8, .mid_bits = 5, .min_bits = 1, .max_bits = 7, .grid = TokenGrid{14, 7}}
            .description());
  CHECK(
      parsed("splitfc:0.25,up_bits=2.5,down_bits=6,end_bits=7,mean_bits=9,fill=mean,keep_cls=no") ==
      SplitFc{.keep = 0.25,
              .up_bits = 2.5,
              .down_bits = 6,
              .end_bits = 7,
              .mean_bits = 9,
              .fill = SplitFcFill::mean,
              .keep_cls = false}
          .description());
  CHECK(parsed("transform:1.2:gradient_step=0.8:basis=channel:refresh=9:dead_zone=0.1") ==
        Transform{.step = 1.2,
                  .gradient_step = 0.8,
                  .basis = Basis::channel,
                  .refresh = 9,
                  .dead_zone = 0.1}
            .description());
  CHECK(parsed("transform:rate=0.02") == Transform{.rate = 0.02}.description());
  CHECK(parsed("coded(q:4:gradient_bits=6)") ==
        Coded{.inner = {.bits = 4, .gradient_bits = 6}}.description());
  CHECK(parsed("coded:q:4") == parsed("coded(q:4)"));
}

TEST_CASE("parse_codec: what is left out has the default of the type", "[spec]") {
  CHECK(parsed("topk") == TopK<>{}.description());
  CHECK(parsed("random_topk") == TopK<>{.alpha = 0.1}.description());
  CHECK(parsed("c3") == C3{}.description());
  CHECK(parsed("fedlite") == FedLite<>{}.description());
  CHECK(parsed("slacc") == SlAcc{}.description());
  CHECK(parsed("slacc,max_bits=1") == SlAcc{.min_bits = 1, .max_bits = 1}.description());
  CHECK(parsed("slfac") == SlFac{}.description());
  CHECK(parsed("splitfc") == SplitFc{}.description());
  CHECK(parsed("coded(q)") == Coded{}.description());
  CHECK(parsed("transform:2") == Transform{}.description());
  CHECK(parsed("transform:3") == Transform{.step = 3, .gradient_step = 3}.description());
}

TEST_CASE("parse_codec: a codec in a codec may be given with colons", "[spec]") {
  CHECK(parsed("q:4:range=tensor:rounding=stochastic") ==
        parsed("q:4,range=tensor,rounding=stochastic"));
  CHECK(parsed("scaled:q:8") == parsed("scaled(q:8)"));
  CHECK(parsed("topk:0.1,values=q:4") == parsed("topk:0.1:values=(q:4)"));
  CHECK(parsed("cls-exact:q:4,cls=scaled:q:6") == parsed("cls-exact(q:4):cls=(scaled(q:6))"));
  CHECK(parsed("cls-exact(q:4:range=tensor/q:8):cls=(float16:scaled=no)") ==
        parsed("cls-exact(q:4,range=tensor/q:8),cls=(float16,scaled=no)"));
  CHECK(parsed("fedlite:2:gradient=(q:6)") ==
        FedLite<Quantise>{.sub_vectors = 2, .gradient = {.bits = 6}}.description());
  CHECK(parsed("c3:2:seed=18446744073709551615") ==
        C3{.ratio = 2, .seed = ~std::uint64_t{0}}.description());
}

TEST_CASE("parse_codec: every codec of the list works for both types", "[spec]") {
  for (const std::string& text : test::codec_texts()) {
    INFO(text);
    test::check_laws<float>(parse_codec<float>(text), {3, 4, 6});
    test::check_laws<double>(parse_codec<double>(text), {3, 4, 6});
  }
}

TEST_CASE("parse_codec: what names nothing is refused, with what is wrong", "[spec]") {
  for (const char* text :
       {"", ":", "/", "float", "Float32", "zip", "float32/", "/q", "q:8/q:8/q:8", "q:8,", ",q:8"}) {
    INFO("'" << text << "'");
    CHECK_THROWS_AS(parse_codec<float>(text), std::invalid_argument);
  }
  CHECK_THAT(complaint("zip:3"),
             ContainsSubstring("'zip:3' names no codec; possible are float32, float16"));
  CHECK_THAT(complaint("q:17"), ContainsSubstring("'17', wanted a whole number from 1 to 16"));
  CHECK_THAT(complaint("q:17"), ContainsSubstring("it is written q[:BITS]"));
  for (const char* text :
       {"q:0", "q:-1", "q:4.5", "q:x", "q:", "q:8x", "q: 8", "q:99999999999999999999"})
    CHECK_THAT(complaint(text), ContainsSubstring("parse_codec: '"));
  CHECK_THAT(complaint("q:8,range=row"),
             ContainsSubstring("has range 'row', wanted one of tensor, sample, token, channel"));
  CHECK_THAT(complaint("q:8,bits=4"), ContainsSubstring("has an option 'bits' that it does not"));
  CHECK_THAT(complaint("q:8,range=token,range=token"), ContainsSubstring("twice"));
  CHECK_THAT(complaint("q:8,range"), ContainsSubstring("wanted option=value"));
  CHECK_THAT(complaint("q:8,range="), ContainsSubstring("has range '', wanted one of"));
  CHECK_THAT(complaint("float32:1"), ContainsSubstring("takes no value behind its name"));
  for (const char* text : {"topk:0", "topk:1.01", "topk:nan", "topk:inf", "topk:-0.5"})
    CHECK_THAT(complaint(text), ContainsSubstring("wanted a number in (0, 1]"));
  CHECK_THAT(complaint("random_topk:0.1,alpha=1"),
             ContainsSubstring("alpha '1', wanted a number in [0, 1)"));
  CHECK_THAT(complaint("topk:0.1,values=zip"), ContainsSubstring("'zip' names no codec"));
  CHECK_THAT(complaint("float16,scaled=maybe"), ContainsSubstring("wanted one of yes, no"));
  CHECK_THAT(complaint("c3:0"), ContainsSubstring("from 1 to"));
  CHECK_THAT(complaint("fedlite:4,groups=5"), ContainsSubstring("from 1 to 4"));
  CHECK_THAT(complaint("slacc,min_bits=9"), ContainsSubstring("from 1 to 8"));
  CHECK_THAT(complaint("slacc,direction=0"), ContainsSubstring("wanted one of 1, -1"));
  for (const char* text : {"slfac,grid=14", "slfac,grid=x14", "slfac,grid=14x", "slfac,grid=0x9"})
    CHECK_THAT(complaint(text), ContainsSubstring("as in 14x14"));
  // Wrappers and parentheses.
  CHECK_THAT(
      complaint("scaled"),
      ContainsSubstring("needs a value behind its name: a codec; it is written scaled(CODEC)"));
  CHECK_THAT(complaint("scaled()"), ContainsSubstring("'' names no codec"));
  CHECK_THAT(complaint("scaled(zip)"), ContainsSubstring("'zip' names no codec"));
  for (const char* text : {"scaled(q:8", "scaled q:8)", "scaled(q))(", ")", "("})
    CHECK_THAT(complaint(text), ContainsSubstring("parenthesis"));
  CHECK_THAT(complaint("scaled(q)x"), ContainsSubstring("text behind a parenthesis"));
  CHECK_THAT(complaint("scaled(q)(q)"), ContainsSubstring("parenthesis"));
  CHECK_THAT(complaint("coded"), ContainsSubstring("needs a value behind its name: q"));
  CHECK_THAT(complaint("coded(topk:0.1)"), ContainsSubstring("'topk:0.1', wanted q"));
  CHECK_THAT(complaint("coded(q:17)"), ContainsSubstring("from 1 to 16"));
  CHECK_THAT(complaint("transform:0"), ContainsSubstring("wanted a number in [0.001, 1000]"));
  // One way each.
  CHECK_THAT(complaint("topk:0.1/float32"),
             ContainsSubstring("'topk:0.1' in 'topk:0.1/float32' needs its context"));
  CHECK_THAT(complaint("float32/topk:0.1"), ContainsSubstring("'topk:0.1' in"));
  CHECK_THAT(complaint("scaled(topk)/q"), ContainsSubstring("'scaled(topk)' in"));
  CHECK_THAT(complaint("fedlite,gradient=topk"),
             ContainsSubstring("'topk' in 'fedlite,gradient=topk'"));
}
