// SPDX-License-Identifier: MIT
#include "split_train/client_role.hpp"

#include <algorithm>   // max
#include <array>       // array
#include <chrono>      // seconds
#include <cstdio>      // fprintf, stderr
#include <cstdlib>     // getenv
#include <ctime>       // gmtime, strftime, time
#include <filesystem>  // path
#include <functional>  // function
#include <iostream>    // cerr
#include <memory>      // make_shared
#include <optional>    // optional
#include <utility>     // exchange, move
#include <vector>      // vector

#include <sys/ioctl.h>  // ioctl, TIOCGWINSZ
#include <unistd.h>     // isatty

#include <splitvit/autograd/variable.hpp>
#include <splitvit/core/parallel.hpp>         // with_threads
#include <splitvit/core/state.hpp>            // StateVisitor
#include <splitvit/core/text.hpp>             // counted
#include <splitvit/data/loader.hpp>           // Loader
#include <splitvit/io/checkpoint_policy.hpp>  // EveryN
#include <splitvit/nn/part.hpp>               // Part
#include <splitvit/nn/principal_axes.hpp>     // pca_bottleneck, TokenMoments
#include <splitvit/optim/adam.hpp>            // AdamW
#include <splitvit/report/format.hpp>         // shortest
#include <splitvit/report/progress.hpp>       // Progress
#include <splitvit/split/checkpoints.hpp>     // Checkpoints
#include <splitvit/split/client.hpp>          // Client
#include <splitvit/transport/any_link.hpp>    // AnyLink

#include "split_train/agreed.hpp"         // agreed_settings, started_part
#include "split_train/augmentation.hpp"   // augmentation_of
#include "split_train/build_info.hpp"     // build_info
#include "split_train/checkpointing.hpp"  // checkpoint_folder, checkpoint_options, tell_found
#include "split_train/dialling.hpp"       // dial
#include "split_train/interruption.hpp"   // Interrupted, remember_signals, signal_that_came
#include "split_train/method.hpp"         // method_of
#include "split_train/run_state.hpp"      // RunState
#include "split_train/schedule.hpp"       // schedule_of, schedule_text
#include "split_train/weights.hpp"        // saved_metadata

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

/// The present date and time in UTC.
std::string now_text() {
  const std::time_t now = std::time(nullptr);
  char text[32] = "";
  if (const std::tm* const utc = std::gmtime(&now))
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", utc);
  return text;
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
        server_{server},
        vit_{options.vit(data.train.classes())},
        run_{describe_run(options, method, data)},
        output_{output},
        data_{data},
        train_{data.train, loader_options(true)},
        test_{data.test, loader_options(false)},
        method_{method_of(method)},
        client_{sv::split::ClientRole<float>{
                    sv::split::Learner<float>{
                        start_part(),
                        sv::optim::AdamW{.lr = options.lr, .weight_decay = options.weight_decay},
                        {.schedule = schedule_of(schedule(), options.lr)}},
                    sv::split::CutSender<float>{method_.stage, method_.codec, options.seed}},
                {.seed = options.seed, .agreed = agreed_settings(options, method, schedule())}},
        progress_{std::cerr, progress_style(options), {.width = terminal_width}} {
    if (decoder_) client_.give_decoder(*decoder_);
    if (!options.checkpoint.empty()) keep_checkpoints();
  }

  sv::report::Run operator()() {
    run_.program.push_back({"started", now_text()});
    if (client_.steps() > 0)
      output_.go_on(run_, client_.steps());
    else
      output_.begin(run_);
    if (had_ended_ && is_complete()) {
      std::fprintf(stderr, "split_train: the run had come to its end at step %s\n",
                   std::to_string(client_.steps()).c_str());
      output_.end(run_);
      return std::move(run_);
    }
    remember_signals();
    std::chrono::seconds patience{10};
    while (true) {
      try {
        connect(patience);
        work();
        return std::move(run_);
      } catch (const sv::ReasonedError& error) {
        progress_.finish();
        if (!is_worth_dialling(error)) throw;
        if (is_saved_) return say_goodbye(error);
        patience = std::chrono::seconds{options_.reconnect_for};
        std::fprintf(stderr, "split_train: %s; dialling again\n", error.what());
      }
    }
  }

  /// Means of a few steps. The first one is not counted: it takes memory that later ones use again.
  StepCost measure(const std::function<void()>& before_goodbye) {
    constexpr Index wanted = 3;
    connect(std::chrono::seconds{10});
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

  /// An evaluation that a signal stops between two batches.
  struct Stoppable {
    Training& training;
    sv::data::Loader<float, sv::data::AnyDataset>::Epoch epoch;
    auto next() {
      training.stop_if_asked();
      return epoch.next();
    }
  };

  void keep_checkpoints() {
    auto how = checkpoint_options(options_);
    how.more = [this](sv::StateVisitor& see) { each_state(see); };
    for (const auto& [key, value] : run_.settings)
      if (key != "length" && key != "threads of each process") how.settings.push_back({key, value});
    const auto steps =
        options_.checkpoint_every.value_or(static_cast<std::uint64_t>(train_.batches_per_epoch()));
    const auto checkpoints = std::make_shared<sv::split::Checkpoints>(
        checkpoint_folder(options_, run_.method, "client-0"), sv::io::EveryN{.steps = steps}, how);
    client_.keep_checkpoints(checkpoints);
    tell_found(*checkpoints, options_);
    had_ended_ = checkpoints->had_ended();
  }

  /// What a checkpoint holds besides the client. All of it are counts and sums, so they are shown
  /// as one list of numbers. The position in the data follows from the number of steps.
  void each_state(sv::StateVisitor& see) {
    RunState state{.run = run_,
                   .since_row = since_row_,
                   .seconds = seconds_,
                   .images = images_,
                   .mark = mark_,
                   .row_is_due = row_is_due_};
    state.each_state(see, data_.class_names);
  }

  /// Connects for the first time or again. Errors  As dial; Interrupted.
  void connect(std::chrono::nanoseconds patience) {
    const std::uint64_t steps = client_.steps();
    dial(
        server_, patience, [&](sv::transport::AnyLink link) { client_.reconnect(std::move(link)); },
        [&] {
          if (signal_that_came() == 0) return;
          client_.checkpoint();
          interrupt();
        });
    was_connected_ = true;
    if (client_.steps() == steps) return;
    std::fprintf(stderr, "split_train: back to step %s, the last that both parties hold\n",
                 std::to_string(client_.steps()).c_str());
    output_.go_on(run_, client_.steps());
  }

  /// Whether the run can go on over another connection: after the loss of one; and once after a
  /// failure of the server, which may be that of the old connection.
  bool is_worth_dialling(const sv::ReasonedError& error) {
    if (!was_connected_ || options_.reconnect_for == 0 || options_.role == Role::both) return false;
    if (dynamic_cast<const sv::TransportError*>(&error) != nullptr) return true;
    const bool may_be_other =
        error.reason() == sv::Reason::peer_failed || error.reason() == sv::Reason::bad_checksum;
    return may_be_other && std::exchange(failed_at_, client_.steps()) != client_.steps();
  }

  [[noreturn]] void interrupt() {
    progress_.finish();
    throw Interrupted{
        signal_that_came(),
        "stopped at step " + std::to_string(client_.steps()) +
            (options_.checkpoint.empty() ? "; nothing is kept without --out or --checkpoint"
                                         : "; the same command with --resume goes on from there")};
  }
  /// After a signal: saves what there is, and ends the run.
  void stop_if_asked() {
    if (signal_that_came() == 0) return;
    client_.checkpoint();
    save_model();
    interrupt();
  }

  /// The goodbye was lost: once more, so that the server need not wait.
  sv::report::Run say_goodbye(const sv::ReasonedError& lost) {
    try {
      connect(std::chrono::seconds{10});
      client_.close();
    } catch (const sv::ReasonedError&) {
      std::fprintf(stderr, "split_train: the server was not told of the end: %s\n", lost.what());
    }
    return std::move(run_);
  }

  void save_model() {
    if (options_.out.empty() || options_.eval_only) return;
    output_.save_model(run_, sv::nn::joined_weights(client_.part(), client_.fetch_server_part()),
                       saved_metadata(options_, run_.method, data_));
  }

  /// Trains, and saves the model and the end of the run, before the goodbye.
  void work() {
    if (options_.eval_only)
      log(0);
    else
      train();
    progress_.finish();
    save_model();
    if (!std::exchange(is_saved_, true)) output_.end(run_);
    client_.close();
  }

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
    const sv::split::Evaluation result = client_.evaluate(Stoppable{*this, test_.epoch(0)});
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
    const auto per_epoch = static_cast<std::uint64_t>(train_.batches_per_epoch());
    if (row_is_due_) log(epoch());
    while (!is_complete()) {
      const std::uint64_t done = client_.steps();
      auto batches =
          train_.epoch(static_cast<Index>(done / per_epoch), static_cast<Index>(done % per_epoch));
      while (auto batch = is_complete() ? std::nullopt : batches.next()) {
        const auto step = client_.train_step(std::move(batch->images), batch->labels);
        since_row_.add(step);
        seconds_ += step.seconds;
        images_ += static_cast<std::uint64_t>(step.samples);
        show(epoch(), (step.step - 1) % per_epoch + 1, step);
        if (options_.log_steps) log_step(epoch(), step);
        row_is_due_ = options_.budget_mib ? past_mark() : step.step % per_epoch == 0 || enough();
        if (row_is_due_) log(epoch());
        client_.checkpoint_if_due();
        stop_if_asked();
      }
    }
    if (run_.rows.empty()) log(0);  // the budget did not last for a step
  }

  /// Of the last step, from 1.
  Index epoch() const {
    return (static_cast<Index>(client_.steps()) - 1) / train_.batches_per_epoch() + 1;
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

  bool is_complete() const {
    return enough() ||
           static_cast<Index>(client_.steps()) / train_.batches_per_epoch() >= options_.epochs;
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
    row_is_due_ = false;
    output_.append(run_, run_.rows.back());
  }

  const Options& options_;
  sv::transport::Endpoint server_;
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
  std::uint64_t mark_ = 0;   ///< the next of budget_marks
  bool row_is_due_ = false;  ///< for the last step
  bool was_connected_ = false;
  bool had_ended_ = false;                       ///< an earlier process had come to the end
  bool is_saved_ = false;                        ///< model and metrics are written
  std::uint64_t failed_at_ = ~std::uint64_t{0};  ///< the step after which the server failed
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
