// SPDX-License-Identifier: MIT
#include "split_train/predict.hpp"

#include "split_train/image_data.hpp"  // built_without_images

#if SPLITVIT_HAS_IMAGES
#include <algorithm>  // min, partial_sort
#include <chrono>     // seconds
#include <cmath>      // exp
#include <cstdio>     // fprintf
#include <numeric>    // iota
#include <optional>   // optional
#include <string>     // string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/compress/then.hpp>      // Identity
#include <splitvit/core/parallel.hpp>      // with_threads
#include <splitvit/data/loader.hpp>        // Loader
#include <splitvit/images/folder_set.hpp>  // FolderSet
#include <splitvit/optim/adam.hpp>         // Adam
#include <splitvit/report/format.hpp>      // percent, shortest
#include <splitvit/report/metrics.hpp>     // json_string
#include <splitvit/report/summary.hpp>     // render_table, Table
#include <splitvit/split/client.hpp>       // Client

#include "split_train/agreed.hpp"            // agreed_settings, started_part
#include "split_train/data.hpp"              // tell_skipped
#include "split_train/method.hpp"            // method_of
#include "split_train/protection.hpp"        // connect
#include "split_train/schedule.hpp"          // schedule_text
#include "split_train/server_role.hpp"       // ServerProcess
#include "split_train/standard_streams.hpp"  // print_result
#include "split_train/weights.hpp"           // weights_notes
#endif

namespace split_train {

#if SPLITVIT_HAS_IMAGES

namespace sv = splitvit;

namespace {

struct Guess {
  Index label;
  double probability;
};

/// The most probable classes of one row of scores; the lower class first where they are equal.
std::vector<Guess> best_of(std::span<const float> scores) {
  const double most = static_cast<double>(*std::ranges::max_element(scores));
  std::vector<Guess> all;
  double sum = 0;
  for (const float score : scores) {
    all.push_back({std::ssize(all), std::exp(static_cast<double>(score) - most)});
    sum += all.back().probability;
  }
  for (Guess& guess : all) guess.probability /= sum;
  std::ranges::stable_sort(all, std::ranges::greater{}, &Guess::probability);
  all.resize(std::min<std::size_t>(all.size(), 5));
  return all;
}

/// The scores of all images, (images, classes).
sv::Tensor<float> scores_of(const Options& o, const sv::images::FolderSet& set,
                            const sv::nn::VitConfig& vit) {
  const Method method = method_of(o.methods.front());
  std::optional<ServerProcess> server;
  if (o.role == Role::both) server.emplace(o, o.methods.front(), vit.classes);
  sv::split::Client<float> client{
      {sv::split::Learner<float>{started_part(o, vit, 0, o.cut, method).part,
                                 sv::optim::Adam{},
                                 {},
                                 {},
                                 client_tail(o, vit, method)},
       sv::split::CutSender<float>{method.stage, method.codec, o.seed}},
      connect(o, server ? server->endpoint() : o.endpoint, {.retry_for = std::chrono::seconds{10}}),
      {.seed = o.seed,
       .agreed = agreed_settings(o, o.methods.front(), schedule_text(false, 0, 0), no_files)}};
  const sv::data::Loader<float, sv::images::FolderSet> loader{
      set,
      {.batch = 32,
       .image = vit.image,
       .shuffle = false,
       .normalise = {.mean = o.start->mean, .deviation = o.start->deviation}}};
  sv::Tensor<float> scores{sv::Shape{set.size(), vit.classes}};
  float* to = scores.data();
  auto batches = loader.epoch(0);
  while (auto batch = batches.next())
    to = std::ranges::copy(client.predict(std::move(batch->images)).span(), to).out;
  client.close();
  return scores;
}

}  // namespace

int predict(const Options& o) {
  const Index classes = o.start->sizes.classes;
  if (classes == 0)
    throw UsageError("--predict: " + o.weights + " has no classifier; train one first");
  const sv::nn::VitConfig vit = o.vit(classes);
  const std::vector<std::string>& names = o.start->class_names;
  const auto name_of = [&](Index label) {
    return names.empty() ? "class " + std::to_string(label)
                         : names[static_cast<std::size_t>(label)];
  };
  sv::images::FolderListing listing{.name = "", .classes = {"--predict"}, .files = {}};
  for (const std::string& file : o.predict) listing.files.push_back({file, 0});
  const sv::images::FolderSet set{
      std::move(listing),
      {.image = vit.image,
       .on_bad_file =
           o.on_bad_file == "skip" ? sv::images::OnBadFile::skip : sv::images::OnBadFile::refuse}};
  if (o.progress != "none")
    std::fprintf(stderr, "%s: %s\n", o.weights.c_str(), weights_notes(o, classes).c_str());
  const sv::Tensor<float> scores =
      sv::with_threads(o.threads, [&] { return scores_of(o, set, vit); });

  sv::report::Table table{.header = {"image", "class", "probability"}, .rows = {}};
  std::string json;
  for (Index i = 0; i < set.size(); ++i) {
    const auto row = scores.view().slice(i, i + 1);
    const std::string file = set.path(i).string();
    json += (i == 0 ? "[" : ",\n ") + std::string{"{\"image\":"} + sv::report::json_string(file) +
            ",\"classes\":[";
    std::string shown = file, comma;
    for (const auto& [label, probability] : best_of(row.span())) {
      table.rows.push_back(
          {std::exchange(shown, ""), name_of(label), sv::report::percent(probability)});
      json += std::exchange(comma, ",") + "{\"label\":" + std::to_string(label) +
              ",\"name\":" + sv::report::json_string(name_of(label)) +
              ",\"probability\":" + sv::report::shortest(probability) + "}";
    }
    json += "]}";
  }
  const bool printed = print_result(o.json ? json + "]\n" : sv::report::render_table(table));
  tell_skipped(set.skipped());
  return printed ? 0 : 1;
}

#else

int predict(const Options&) { throw UsageError(std::string{"--predict: "} + built_without_images); }

#endif

}  // namespace split_train
