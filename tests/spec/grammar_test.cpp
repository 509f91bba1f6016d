// SPDX-License-Identifier: MIT
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <splitvit/spec/grammar.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using spec::PolicyText;

namespace {

/// Takes any text that follows the grammar.
struct Loose {
  std::string value, a, b;

  struct AnyText {
    std::string usage() const { return "TEXT"; }
    std::string wanted() const { return "a text"; }
    bool allows(const std::string&) const { return true; }
    std::string text(const std::string& given) const { return given; }
    template <class V>
    std::optional<V> read(std::string_view text) const {
      return V{text};
    }
  };

  static constexpr std::string_view name = "mix";
  static void each_option(auto& self, auto&& see) {
    see("", self.value, AnyText{});
    see("a", self.a, AnyText{});
    see("b", self.b, AnyText{});
  }
};

/// name|value|a|b, as they were taken apart.
std::string taken_apart(std::string_view written) {
  const PolicyText text{"reader", written};
  const auto loose = spec::read_policy<Loose>(text);
  return std::string{text.name()} + "|" + loose.value + "|" + loose.a + "|" + loose.b;
}

struct Mix {
  double share = 0.5;
  int most = 4;
  int least = 2;

  static constexpr std::string_view name = "mix";
  static void each_option(auto& self, auto&& see) {
    see("", self.share, Required{fraction("R")});
    see("most", self.most, Whole{1, 9, "COUNT"});
    see("least", self.least, Whole{1, self.most, "COUNT"});
  }
};

struct Plain {
  static constexpr std::string_view name = "plain";
  static void each_option(auto&, auto&&) {}
};

Mix read_mix(std::string_view text) { return spec::read_policy<Mix>({"reader", text}); }

}  // namespace

TEST_CASE("grammar: name, value and options", "[spec]") {
  CHECK(taken_apart("mix") == "mix|||");
  CHECK(taken_apart("mix:3") == "mix|3||");
  CHECK(taken_apart("mix:3:a=1:b=x") == "mix|3|1|x");
  CHECK(taken_apart("mix:3,b=1:a=x") == "mix|3|x|1");
  CHECK(taken_apart("mix,a=1") == "mix||1|");
  CHECK(taken_apart("mix(in:1,x=2):a=(b(c/d))") == "mix|in:1,x=2|b(c/d)|");
  CHECK(taken_apart("mix:(3)") == "mix|3||");
  CHECK(taken_apart("mix:in:1,a=out:2:3") == "mix|in:1|out:2:3|");
  CHECK(taken_apart("mix:a=:b=()") == "mix|||");
  CHECK(taken_apart("") == "|||");
}

TEST_CASE("grammar: what does not follow it is refused with the reader's name", "[spec]") {
  const auto refused = [](std::string_view text, const std::string& what) {
    CHECK_THROWS_WITH(taken_apart(text), "reader: '" + std::string{text} + "' " + what);
  };
  refused("mix:1,a", "has 'a', wanted option=value");
  refused("mix:1,", "has '', wanted option=value");
  refused("mix:=1", "has '=1', wanted option=value");
  refused("mix(1", "has a parenthesis without counterpart");
  refused("mix:1)", "has a parenthesis without counterpart");
  refused("mix(1)2", "has text behind a parenthesis");
  CHECK_THROWS_WITH(taken_apart("mix(1)(2)"), ContainsSubstring("without counterpart"));
}

TEST_CASE("grammar: policies from texts", "[spec]") {
  const Mix mix = read_mix("mix:0.25:least=3");
  CHECK(mix.share == 0.25);
  CHECK(mix.most == 4);
  CHECK(mix.least == 3);
  CHECK(read_mix("mix:1:most=1").least == 1);  // the nearest that is possible
  CHECK(spec::usage<Mix>() == "mix:R[:most=COUNT][:least=COUNT]");

  const std::string written = "; it is written mix:R[:most=COUNT][:least=COUNT]";
  CHECK_THROWS_WITH(read_mix("mix"),
                    "reader: 'mix' needs a value behind its name: a number in (0, 1]" + written);
  CHECK_THROWS_WITH(read_mix("mix:2"),
                    "reader: 'mix:2' has '2', wanted a number in (0, 1]" + written);
  CHECK_THROWS_WITH(read_mix("mix:1:most=1:least=2"),
                    ContainsSubstring("has least '2', wanted 1;"));
  CHECK_THROWS_WITH(read_mix("mix:1:most=x"),
                    ContainsSubstring("has most 'x', wanted a whole number from 1 to 9"));
  CHECK_THROWS_WITH(read_mix("mix:1:more=2"), ContainsSubstring("has an option 'more' that"));
  CHECK_THROWS_WITH(read_mix("mix:1:most=2:most=2"), ContainsSubstring("has it twice"));
}

TEST_CASE("grammar: a list of policies picks the one of the name", "[spec]") {
  using List = spec::PolicyList<Plain, Mix>;
  CHECK(List::usages() == "plain\nmix:R[:most=COUNT][:least=COUNT]\n");
  std::string read;
  const auto use = [&](const auto& policy) { read = describe_options(policy); };
  List::read({"reader", "mix:0.5"}, "thing", use);
  CHECK(read == "mix:0.5:most=4:least=2");
  List::read({"reader", "plain"}, "thing", use);
  CHECK(read == "plain");
  CHECK_THROWS_WITH(List::read({"reader", "zip:3"}, "thing", use),
                    "reader: 'zip:3' names no thing; possible are plain, mix");
  CHECK_THROWS_WITH(List::read({"reader", "plain:3"}, "thing", use),
                    ContainsSubstring("takes no value behind its name"));
}
