// SPDX-License-Identifier: MIT
#include "split_train/client_role.hpp"

#include <algorithm>   // max
#include <array>       // array
#include <chrono>      // seconds
#include <cstdio>      // fileno, stderr
#include <cstdlib>     // getenv
#include <filesystem>  // path
#include <functional>  // function
#include <iostream>    // cerr
#include <optional>    // optional
#include <thread>      // hardware_concurrency
#include <utility>     // exchange, move
#include <vector>      // vector

#include <sys/ioctl.h>  // ioctl, TIOCGWINSZ
#include <unistd.h>     // isatty

#include <splitvit/autograd/variable.hpp>
#include <splitvit/core/parallel.hpp>      // with_threads
#include <splitvit/core/text.hpp>          // counted
#include <splitvit/data/loader.hpp>        // Loader
#include <splitvit/nn/part.hpp>            // Part
#include <splitvit/nn/principal_axes.hpp>  // pca_bottleneck, TokenMoments
#include <splitvit/optim/adam.hpp>         // AdamW
#include <splitvit/report/format.hpp>      // shortest
#include <splitvit/report/progress.hpp>    // Progress
#include <splitvit/split/client.hpp>       // Client
#include <splitvit/transport/tcp.hpp>      // connect_tcp

#include "split_train/agreed.hpp"        // agreed_settings, started_part
#include "split_train/augmentation.hpp"  // augmentation_of
#include "split_train/build_info.hpp"    // build_info
#include "split_train/method.hpp"        // method_of
#include "split_train/now.hpp"           // now_text
#include "split_train/schedule.hpp"      // schedule_of, schedule_text
#include "split_train/weights.hpp"       // saved_metadata

namespace split_train {

namespace sv = splitvit;

namespace {

sv::report::Style progress_style(const Options& options) {
  const char* const term = std::getenv("TERM");
  return sv::report::choose_style(::isatty(STDERR_FILENO) != 0, term == nullptr ? "" : term,
                                  options.progress);
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

/// When to stop, as people read it.
std::string length_text(const Options& o) {
  if (o.eval_only) return "evaluation only";
  if (o.steps) return sv::counted(*o.steps, "step");
  if (o.budget_mib) return sv::report::shortest(*o.budget_mib) + " MiB";
  return sv::counted(o.epochs, "epoch");
}

std::string optimiser_text(const Options& o) {
  std::string text = "Adam, lr " + sv::report::shortest(o.lr);
  if (o.weight_decay > 0) text += ", weight decay " + sv::report::shortest(o.weight_decay);
  if (o.warmup > 0) text += ", rising for " + std::to_string(o.warmup) + " steps";
  return o.cosine ? text + ", falling as a cosine" : text;
}

}  // namespace

sv::report::Run describe_run(const Options& o, const std::string& method, const Data& data) {
  const auto number = [](auto n) { return std::to_string(n); };
  const sv::nn::VitConfig vit = o.vit(data.train.classes());
  sv::report::Run run{
      .method = method,
      .seed = o.seed,
      .settings =
          {{"data", data.name},
           {"training images", number(data.train.size())},
           {"test images", number(data.test.size())},
           {"classes", number(data.train.classes())},
           {"model", o.model},
           {"image", number(vit.image)},
           {"blocks", number(vit.depth)},
           {"cut after block", number(o.cut)},
           {"start",
            o.weights.empty() ? "random" : std::filesystem::path{o.weights}.filename().string()},
           {"batch", number(o.batch)},
           {"length", length_text(o)},
           {"evaluation", method_of(method).bottleneck ? "no stages or codec, but the bottleneck"
                                                       : "uncompressed"},
           {"optimiser", optimiser_text(o)},
           {"augmentation", o.augment},
           {"threads of each process", number(o.threads)},
           {o.role == Role::both ? "compute" : "compute of the client", compute_text(o.compute)}},
      .rows = {},
      .test_samples = static_cast<std::uint64_t>(data.test.size()),
      .evaluation_traffic = {}};
  if (o.start) run.settings.push_back({"weights", data.weights_notes});
  if (!data.skipped.empty()) run.settings.push_back({"files skipped", number(data.skipped.size())});
  run.program = build_info();
  run.options = o.effective;
  return run;
}

namespace {

/// Parts of a budget at which to look at the accuracy, so that methods can be compared all along.
constexpr std::array<double, 5> budget_marks{0.01, 1.0 / 30, 0.1, 1.0 / 3, 1.0};

/// Training with one method, one row of the log an epoch.
class Training {
 public:
  Training(const Options& options, const std::string& method, const sv::transport::Endpoint& server,
           const Data& data, Output& output)
      : options_{options},
        vit_{options.vit(data.train.classes())},
        run_{describe_run(options, method, data)},
        output_{output},
        data_{data},
        train_{data.train, loader_options(true)},
        test_{data.test, loader_options(false)},
        method_{method_of(method)},
        client_{start_part(),
                sv::optim::AdamW{.lr = options.lr, .weight_decay = options.weight_decay},
                method_.stage,
                method_.codec,
                sv::transport::connect_tcp(server, {.retry_for = std::chrono::seconds{10}}),
                {.seed = options.seed,
                 .training = {.schedule = schedule_of(schedule(), options.lr)},
                 .agreed = agreed_settings(options, method, schedule())}},
        progress_{std::cerr, progress_style(options), {.width = terminal_width}} {
    if (decoder_) client_.give_decoder(*decoder_);
  }

  sv::report::Run operator()() {
    run_.program.push_back({"started", now_text()});
    output_.begin(run_);
    if (options_.eval_only)
      log(0);
    else
      train();
    progress_.finish();
    if (!options_.eval_only) {
      const auto server_part = client_.fetch_server_part();
      output_.save_model(run_, sv::nn::joined_weights(client_.part(), server_part),
                         saved_metadata(options_, run_.method, data_));
    }
    client_.close();
    output_.end(run_);
    return std::move(run_);
  }

  /// Means of a few steps. The first one is not counted: it takes memory that later ones use again.
  StepCost measure(const std::function<void()>& before_goodbye) {
    constexpr Index wanted = 3;
    StepCost cost{.steps_of_epoch = train_.batches_per_epoch()};
    sv::split::EpochReport sum;
    for (Index epoch = 0; cost.measured < wanted; ++epoch)
      client_.train_epoch(train_.epoch(epoch), [&](const sv::split::StepReport& step) {
        if (step.step > 1) {
          sum.add(step);
          ++cost.measured;
        }
        return cost.measured < wanted;
      });
    const auto mean = [&](sv::split::Bytes& bytes) {
      bytes = {bytes.payload / sum.steps, bytes.framing / sum.steps};
    };
    cost.traffic = sum.traffic;
    mean(cost.traffic.up);
    mean(cost.traffic.down);
    const auto n = static_cast<double>(sum.steps);
    const sv::split::Seconds& all = sum.seconds;
    cost.seconds = {all.client / n, all.compression / n, all.server / n, all.link / n};
    cost.evaluation = client_.evaluate(OneBatch{test_.epoch(0).next()}).traffic;
    const auto times = static_cast<std::uint64_t>(test_.batches_per_epoch());
    for (sv::split::Bytes* const bytes : {&cost.evaluation.up, &cost.evaluation.down})
      *bytes = {bytes->payload * times, bytes->framing * times};
    before_goodbye();
    client_.close();
    return cost;
  }

 private:
  /// A source of one batch.
  struct OneBatch {
    std::optional<sv::data::Batch<float>> batch;
    std::optional<sv::data::Batch<float>> next() { return std::exchange(batch, std::nullopt); }
  };

  sv::data::LoaderOptions loader_options(bool training) const {
    return {.batch = training ? options_.batch : std::max<Index>(options_.batch, 32),
            .image = vit_.image,
            .shuffle = training,
            .augment = augmentation_of(training ? options_.augment : "none"),
            .normalise = data_.statistics,
            .seed = options_.seed};
  }

  std::string schedule() const {
    return schedule_text(
        options_.cosine,
        options_.steps.value_or(static_cast<std::uint64_t>(options_.epochs) *
                                static_cast<std::uint64_t>(train_.batches_per_epoch())),
        options_.warmup);
  }

  sv::nn::Part<float> start_part() {
    auto [part, loaded] = started_part(options_, vit_, 0, options_.cut, method_);
    const bool from_file = !options_.weights.empty() && !loaded.bottleneck_kept;
    const bool by_pca =
        method_.bottleneck && method_.bottleneck->start == sv::nn::BottleneckStart::pca;
    if (by_pca && !from_file) {
      auto pair = sv::nn::pca_bottleneck<float>(tokens_at_cut(part), *method_.bottleneck);
      part.encoder = std::move(pair.encoder);
      decoder_ = std::move(pair.decoder);
    }
    return std::move(part);
  }

  /// Of some batches of training images.
  sv::nn::TokenMoments tokens_at_cut(const sv::nn::Part<float>& part) {
    constexpr int batches = 8;
    const sv::NoGrad no_grad;
    sv::nn::TokenMoments moments{vit_.dim};
    auto source = train_.epoch(0);
    for (int i = 0; i < batches; ++i)
      if (const auto batch = source.next())
        moments.add(
            part.to_cut(sv::Variable<float>{batch->images}, sv::NeedWeights::none).tokens.value());
    return moments;
  }

  double evaluate() {
    const sv::split::Evaluation result = client_.evaluate(test_.epoch(0));
    run_.evaluation_traffic += result.traffic;
    run_.classes.clear();
    const std::vector<std::string>& names = data_.class_names;
    for (std::size_t i = 0; i < result.classes.size(); ++i)
      run_.classes.push_back({.name = i < names.size() ? names[i] : std::to_string(i),
                              .samples = static_cast<std::uint64_t>(result.classes[i].samples),
                              .correct = static_cast<std::uint64_t>(result.classes[i].correct)});
    return result.accuracy();
  }

  void train() {
    for (Index epoch = 1; epoch <= options_.epochs && !enough(); ++epoch) {
      std::uint64_t in_epoch = 0;
      client_.train_epoch(train_.epoch(epoch - 1), [&](const sv::split::StepReport& step) {
        since_row_.add(step);
        seconds_ += step.seconds;
        images_ += static_cast<std::uint64_t>(step.samples);
        show(epoch, ++in_epoch, step);
        if (options_.log_steps) log_step(epoch, step);
        if (past_mark()) log(epoch);
        return !enough();
      });
      if (!options_.budget_mib) log(epoch);
    }
    if (run_.rows.empty()) log(0);  // the budget did not last for a step
  }

  double spent_mib() const {
    return static_cast<double>(client_.traffic(sv::split::Column::training).total()) /
           (1024.0 * 1024.0);
  }

  /// The step that goes past the budget is applied and is the last.
  bool enough() const {
    return (options_.steps && client_.steps() >= *options_.steps) ||
           (options_.budget_mib && spent_mib() >= *options_.budget_mib);
  }

  /// Whether a part of the budget is spent for the first time.
  bool past_mark() {
    bool past = false;
    while (options_.budget_mib && mark_ < budget_marks.size() &&
           spent_mib() >= budget_marks[mark_] * *options_.budget_mib) {
      past = true;
      ++mark_;
    }
    return past;
  }

  void show(Index epoch, std::uint64_t in_epoch, const sv::split::StepReport& step) {
    const bool known = !options_.steps && !options_.budget_mib;
    progress_.update({.epoch = static_cast<std::uint64_t>(epoch),
                      .epochs = known ? static_cast<std::uint64_t>(options_.epochs) : 0,
                      .step = in_epoch,
                      .steps = static_cast<std::uint64_t>(train_.batches_per_epoch()),
                      .loss = step.loss,
                      .images = images_,
                      .traffic = client_.traffic(sv::split::Column::training)});
  }

  void log_step(Index epoch, const sv::split::StepReport& step) {
    output_.append_step(run_, {.epoch = static_cast<std::uint64_t>(epoch),
                               .step = step.step,
                               .loss = step.loss,
                               .test_accuracy = {},
                               .traffic = client_.traffic(sv::split::Column::training),
                               .seconds = seconds_});
  }

  /// Evaluates, and writes a row for the steps since the row before.
  void log(Index epoch) {
    if (since_row_.saturated > 0)
      progress_.note("too large for the codec and sent as its largest number: " +
                     sv::counted(since_row_.saturated, "activation"));
    run_.rows.push_back({.epoch = static_cast<std::uint64_t>(epoch),
                         .step = client_.steps(),
                         .loss = since_row_.loss,
                         .test_accuracy = evaluate(),
                         .traffic = client_.traffic(sv::split::Column::training),
                         .seconds = seconds_});
    since_row_ = {};
    output_.append(run_, run_.rows.back());
  }

  const Options& options_;
  sv::nn::VitConfig vit_;
  sv::report::Run run_;
  Output& output_;
  const Data& data_;
  sv::data::Loader<float, sv::data::AnyDataset> train_, test_;
  Method method_;
  std::optional<sv::nn::Decoder<float>> decoder_;  ///< for the server to start with
  sv::split::Client<float> client_;
  sv::report::Progress progress_;
  sv::split::Seconds seconds_;
  sv::split::EpochReport since_row_;
  std::uint64_t images_ = 0;
  std::size_t mark_ = 0;  ///< the next of budget_marks
};

}  // namespace

StepCost measure_steps(const Options& options, const std::string& method,
                       const sv::transport::Endpoint& server, const Data& data,
                       const std::function<void()>& before_goodbye) {
  Output nowhere{{}, {}};
  return sv::with_threads(options.threads, [&] {
    return Training{options, method, server, data, nowhere}.measure(before_goodbye);
  });
}

sv::report::Run run_client(const Options& options, const std::string& method,
                           const sv::transport::Endpoint& server, const Data& data,
                           Output& output) {
  return sv::with_threads(options.threads,
                          [&] { return Training{options, method, server, data, output}(); });
}

}  // namespace split_train
