// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <splitvit/core/options.hpp>

#include "support/catch.hpp"

namespace splitvit {
namespace {

enum class Order { ascending, random };
inline constexpr auto order_names =
    names_of<Order>({{"ascending", Order::ascending}, {"random", Order::random}});

struct Undescribed {};

struct Pick {
  double keep = 0.5;
  int least = 2;
  int most = 8;
  std::optional<int> first = {};
  Order order = Order::random;
  bool again = false;

  static constexpr std::string_view name = "pick";
  static void each_option(auto& self, auto&& see) {
    see("", self.keep, fraction("R"));
    see("most", self.most, Whole{1, 16, "COUNT"});
    see("least", self.least, Whole{1, self.most, "COUNT"});
    see("first", self.first, OrElse{Whole{1, 16, "COUNT"}, self.least});
    see("order", self.order, order_names);
    see("again", self.again, yes_no);
  }
  std::string description() const { return describe_options(*this); }
};

template <class Inside>
struct Around {
  Inside inside = {};
  Index times = 1;

  static constexpr std::string_view name = "around";
  static void each_option(auto& self, auto&& see) {
    see("", self.inside, Required{Nested{}});
    see("times", self.times, at_least(1, "COUNT"));
  }
  std::string description() const { return describe_options(*this); }
};

static_assert(Described<Pick>);
static_assert(!Described<Undescribed>);

std::string refusal(const Pick& pick) {
  try {
    require_options("Pick", pick);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("options: a description has all of them, in the order of the list", "[core]") {
  CHECK(describe(Pick{}) == "pick:0.5:most=8:least=2:first=2:order=random:again=no");
  CHECK(describe(Pick{.keep = 1, .least = 3, .order = Order::ascending, .again = true}) ==
        "pick:1:most=8:least=3:first=3:order=ascending:again=yes");
  CHECK(describe(Pick{.first = 5}) == "pick:0.5:most=8:least=2:first=5:order=random:again=no");
  CHECK(describe(Around<Around<Undescribed>>{}) == "around(around(custom):times=1):times=1");
  CHECK(describe(Undescribed{}) == "custom");
}

TEST_CASE("options: a value that is not allowed is refused by name", "[core]") {
  CHECK(refusal({}) == "");
  CHECK(refusal({.keep = 1, .least = 8, .first = 16}) == "");
  CHECK(refusal({.keep = 0}) == "Pick: R is 0, wanted a number in (0, 1]");
  CHECK(refusal({.keep = 1.5}) == "Pick: R is 1.5, wanted a number in (0, 1]");
  CHECK(refusal({.keep = std::nan("")}) == "Pick: R is nan, wanted a number in (0, 1]");
  CHECK(refusal({.most = 17}) == "Pick: most is 17, wanted a whole number from 1 to 16");
  CHECK(refusal({.least = 9}) == "Pick: least is 9, wanted a whole number from 1 to 8");
  CHECK(refusal({.least = 2, .most = 1}) == "Pick: least is 2, wanted 1");
  CHECK(refusal({.first = 0}) == "Pick: first is 0, wanted a whole number from 1 to 16");
  CHECK(refusal({.order = static_cast<Order>(7)}) ==
        "Pick: order is 7, wanted one of ascending, random");
  CHECK_THROWS_WITH(require_options("Around", Around<Pick>{.times = 0}),
                    "Around: times is 0, wanted a whole number, at least 1");
}

TEST_CASE("options: kinds read what they write, and no other text", "[core]") {
  const Whole bits{1, 16, "BITS"};
  CHECK(bits.usage() == "BITS");
  CHECK(bits.read<int>(bits.text(12)) == 12);
  CHECK(bits.nearest(0) == 1);
  CHECK(bits.nearest(17) == 16);
  CHECK(bits.nearest(3) == 3);
  CHECK(!bits.read<int>("12x"));
  CHECK(!bits.read<int>("99999999999"));
  CHECK(bits.read<Index>("99999999999") == 99999999999);
  CHECK(Whole{0, std::numeric_limits<std::uint64_t>::max(), "SEED"}.allows(
      std::numeric_limits<std::uint64_t>::max()));
  CHECK(!Whole{0, std::numeric_limits<std::uint64_t>::max(), "SEED"}.allows(-1));

  const Real share{0, 1, "SHARE", false, true};
  CHECK(share.wanted() == "a number in [0, 1)");
  CHECK(share.read<double>(share.text(1.0 / 3)) == 1.0 / 3);
  CHECK(share.allows(0.0));
  CHECK(!share.allows(1.0));
  CHECK(Real{0, std::numeric_limits<double>::infinity(), "X"}.wanted() == "a number, at least 0");

  CHECK(order_names.usage() == "ascending|random");
  CHECK(order_names.read<Order>("random") == Order::random);
  CHECK(!order_names.read<Order>("Random"));
  CHECK(order_names.text(static_cast<Order>(7)) == "7");

  const OrElse open{bits, 4};
  CHECK(open.text({}) == "4");
  CHECK(open.text(7) == "7");
  CHECK(open.allows({}));
  CHECK(!open.allows(0));
  CHECK(open.read<std::optional<int>>("7") == 7);
  CHECK(!open.read<std::optional<int>>("none"));
}

}  // namespace splitvit
