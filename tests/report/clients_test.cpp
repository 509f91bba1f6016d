// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <splitvit/report/clients.hpp>
#include <splitvit/report/html.hpp>

#include "report/samples.hpp"
#include "report/well_formed.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;
using report::ClassScore;
using report::ClientSummary;

namespace {

/// Three classes, of which the last has no test image, and three clients.
report::Run run_of_three() {
  report::Run run = samples::run("none", 7, 1000, 0.6);
  run.classes = {{"a", 10, 9}, {"b", 20, 10}, {"c", 0, 0}};
  run.clients = {{.client = 1,
                  .images = {30, 10, 0},
                  .steps = 5,
                  .cut = {{100, 36}, {50, 36}},
                  .weights = {{2000, 72}, {1000, 72}},
                  .left_out = {"round 2, 12:00:00: it is <late>"}},
                 {.client = 2, .images = {0, 8, 100}, .steps = 5},
                 {.client = 3, .images = {0, 0, 4}, .steps = 1}};
  return run;
}

}  // namespace

TEST_CASE("clients: accuracy on images like a client's own", "[report]") {
  const report::Run run = run_of_three();
  CHECK(*report::own_accuracy(run.clients[0], run.classes) == Approx((30 * 0.9 + 10 * 0.5) / 40));
  CHECK(*report::own_accuracy(run.clients[1], run.classes) == Approx(0.5));
  CHECK_FALSE(report::own_accuracy(run.clients[2], run.classes));
  CHECK_FALSE(report::own_accuracy(run.clients[0], {}));
  CHECK_FALSE(report::own_accuracy({}, run.classes));

  // The images of all clients together count like the test images where they are alike.
  const ClientSummary all{.client = 1, .images = {10, 20, 0}};
  CHECK(*report::own_accuracy(all, run.classes) == Approx(19.0 / 30));
}

TEST_CASE("clients: the best, the worst, and the deviation", "[report]") {
  report::Run run = run_of_three();
  const auto fair = report::fairness(run);
  REQUIRE(fair);
  CHECK(fair->best.client == 1);
  CHECK(fair->best.accuracy == Approx(0.8));
  CHECK(fair->worst.client == 2);
  CHECK(fair->worst.accuracy == Approx(0.5));
  CHECK(fair->deviation == Approx(0.15));
  CHECK(report::fairness_text(fair->best) == "80.0 % (client 1)");

  run.clients.resize(1);
  run.clients.push_back(run.clients.front());
  run.clients.back().client = 2;
  const auto alike = report::fairness(run);
  CHECK(alike->best.client == 1);
  CHECK(alike->worst.client == 1);
  CHECK(alike->deviation == 0);

  run.clients.clear();
  CHECK_FALSE(report::fairness(run));
}

TEST_CASE("clients: clients.csv has a line a client", "[report]") {
  CHECK(report::clients_csv(run_of_three()) ==
        "client,images,classes,steps,accuracy,cut_up,cut_down,weights_up,weights_down,left_out\n"
        "1,40,2,5,0.8,136,86,2072,1072,1\n"
        "2,108,2,5,0.5,0,0,0,0,0\n"
        "3,4,1,1,,0,0,0,0,0\n");
  CHECK(report::clients_csv({}) == std::string{report::clients_header});
  CHECK(report::weights_traffic(run_of_three()).total() == 2072 + 1072);
}

TEST_CASE("clients: the table has a row for each run of several clients", "[report]") {
  CHECK(report::render_table(report::clients_table(
            std::vector<report::Run>{samples::run("none", 1, 100, 0.5)})) == "");
  const report::Table table =
      report::clients_table(std::vector<report::Run>{run_of_three(), {.method = "x"}});
  REQUIRE(table.rows.size() == 1);
  CHECK(table.rows[0] == std::vector<std::string>{"none, seed 7", "66.7 %", "80.0 % (client 1)",
                                                  "50.0 % (client 2)", "15.0 %", "3.07 KiB"});

  report::Run unknown = run_of_three();
  unknown.classes.clear();
  const std::string none{report::no_number};
  CHECK(report::clients_table(std::vector{unknown}).rows[0] ==
        std::vector<std::string>{"none, seed 7", none, none, none, none, "3.07 KiB"});
}

TEST_CASE("clients: the page has a row for each run of several clients", "[report]") {
  std::vector<report::Run> runs{run_of_three(), samples::run("adc:0.1", 1, 100, 0.5)};
  std::string page = report::render_html(runs);
  CHECK(well_formed::fault(page) == "");
  for (const char* text :
       {"<h2>Clients</h2>",
        "<td>7</td><td>3</td><td>80.0 % (client 1)</td><td>50.0 % (client 2)</td>"
        "<td>15.0 %</td><td>2.02 KiB</td><td>1.05 KiB</td>",
        "none, seed 7: client 1, round 2, 12:00:00: it is &lt;late&gt;"})
    CHECK_THAT(page, ContainsSubstring(text));

  // As large with 64 clients.
  const std::size_t small = page.size();
  runs[0].clients.resize(64);
  page = report::render_html(runs);
  CHECK(well_formed::fault(page) == "");
  CHECK(page.size() < small + 20);

  runs[0].clients.clear();
  CHECK(report::render_html(runs).find("<h2>Clients</h2>") == std::string::npos);
}
