// SPDX-License-Identifier: MIT
#include <thread>

#include <splitvit/transport/conformance.hpp>
#include <splitvit/transport/memory.hpp>

#include "support/catch.hpp"
#include "support/links.hpp"

using namespace splitvit;
using namespace std::chrono_literals;
using test::Defect;
using test::DefectiveLink;

namespace {

/// What check_transport says about a link with this defect; nothing if it finds none.
std::string finding(Defect defect, std::chrono::nanoseconds patience = 30s) {
  const auto world = std::make_shared<DefectiveLink::World>();
  std::string text;
  try {
    transport::check_transport(
        [defect, world] {
          auto ends = transport::memory_pair(1000);
          return std::pair{DefectiveLink{std::move(ends.first), defect, world},
                           DefectiveLink{std::move(ends.second), defect, world}};
        },
        {.large_transfer = 20'000, .patience = patience});
  } catch (const std::runtime_error& error) {
    text = error.what();
  }
  // Threads that were left behind end now.
  world->over = true;
  for (int i = 0; i < 1000 && world.use_count() > 1; ++i) std::this_thread::sleep_for(2ms);
  return text;
}

}  // namespace

TEST_CASE("check_transport: finds nothing wrong with a good link", "[transport]") {
  CHECK(finding(Defect::none) == "");
}

TEST_CASE("check_transport: names the clause that is broken", "[transport]") {
  CHECK_THAT(finding(Defect::swaps_bytes), ContainsSubstring("other bytes arrived"));
  CHECK_THAT(finding(Defect::writes_too_far), ContainsSubstring("more bytes than there was room"));
  CHECK_THAT(finding(Defect::takes_nothing), ContainsSubstring("write_some returned 0"));
  CHECK_THAT(finding(Defect::does_not_wait), ContainsSubstring("the peer has not closed"));
  CHECK_THAT(finding(Defect::throws_at_the_end), ContainsSubstring("then 0: end of stream"));
  CHECK_THAT(finding(Defect::wrong_reason), ContainsSubstring("for another reason: something"));
  CHECK_THAT(finding(Defect::deadline_too_early), ContainsSubstring("before the deadline"));
}

TEST_CASE("check_transport: a link that hangs is reported, not waited for", "[transport]") {
  CHECK_THAT(finding(Defect::never_closes, 1s), ContainsSubstring("did not finish in time"));
  CHECK_THAT(finding(Defect::deadline_too_late, 1s), ContainsSubstring("a deadline ends the wait"));
}
