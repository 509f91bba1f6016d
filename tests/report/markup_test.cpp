// SPDX-License-Identifier: MIT
#include <string>

#include <splitvit/report/markup.hpp>

#include "support/catch.hpp"

using splitvit::report::escape_markup;

TEST_CASE("escape_markup: safe as content and as an attribute", "[report]") {
  CHECK(escape_markup("a<b> & \"c\" 'd'") == "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  CHECK(escape_markup("\xC2\xB1 1 %\n") == "\xC2\xB1 1 %\n");
}

TEST_CASE("escape_markup: what XML does not allow is replaced", "[report]") {
  const std::string replaced = "\xEF\xBF\xBD";
  CHECK(escape_markup(std::string{"\0\x1b\xFF", 3}) == replaced + replaced + replaced);
  CHECK(escape_markup("\xEF\xBF\xBE") == replaced);
}
