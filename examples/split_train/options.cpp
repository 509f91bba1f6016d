// SPDX-License-Identifier: MIT
#include "split_train/options.hpp"

#include <algorithm>    // any_of, find, replace, reverse
#include <cstdio>       // fputs
#include <filesystem>   // path
#include <limits>       // numeric_limits
#include <map>          // map
#include <string_view>  // string_view
#include <thread>       // hardware_concurrency
#include <utility>      // move
#include <vector>       // vector

#include <CLI/CLI.hpp>

#include <splitvit/core/error.hpp>     // joined
#include <splitvit/core/text.hpp>      // counted, number_from
#include <splitvit/report/format.hpp>  // shortest
#include <splitvit/wire/steps.hpp>     // most_parts

#include "split_train/augmentation.hpp"  // augmentation_of
#include "split_train/build_info.hpp"    // version_text
#include "split_train/config_file.hpp"   // read_config
#include "split_train/group_reader.hpp"  // GroupReader, require_fit_for_group
#include "split_train/method.hpp"        // method_of, method_usages, with_defaults
#include "split_train/option_list.hpp"   // OptionList
#include "split_train/protection.hpp"    // protection_of
#include "split_train/weights.hpp"       // use_weights

namespace split_train {

namespace sv = splitvit;

namespace {

std::string model_names() {
  std::string names;
  for (const sv::nn::NamedVit& vit : sv::nn::named_vits)
    names += (names.empty() ? "" : ", ") + std::string{vit.name};
  return names;
}

bool is_named(const std::string& model) {
  return std::ranges::find(sv::nn::named_vits, model, &sv::nn::NamedVit::name) !=
         sv::nn::named_vits.end();
}

/// The first of several values that comes again; null if all differ.
template <class Value>
const Value* repeated(const std::vector<Value>& values) {
  for (auto at = values.begin(); at != values.end(); ++at)
    if (std::find(values.begin(), at, *at) != at) return &*at;
  return nullptr;
}

/// What an option by itself cannot know.
void check(Options& o, const std::string& listen, const std::string& connect, const Given& given) {
  const auto need = [](bool holds, const std::string& text) {
    if (!holds) throw UsageError(text);
  };
  need(!o.mpi || (listen.empty() && connect.empty()),
       "--link mpi goes without --listen and --connect");
  need(o.role != Role::server || o.mpi || !listen.empty(),
       "--role server needs --listen HOST:PORT");
  need(o.role != Role::client || o.mpi || !connect.empty(),
       "--role client needs --connect HOST:PORT");
  need(o.role == Role::server || listen.empty(), "--listen goes with --role server only");
  need(o.role == Role::client || connect.empty(), "--connect goes with --role client only");
  need(!o.evaluate_at || o.budget_mib, "--evaluate-at goes with --budget-mib");
  need(!o.cosine || !o.budget_mib,
       "--schedule cosine needs to know the steps: --epochs or --steps");
  need(o.role != Role::server || (!o.cosine && o.warmup == 0),
       "--schedule and --warmup are for the client, which tells its server");
  if (const auto* const seed = repeated(o.seeds))
    throw UsageError("--seed " + std::to_string(*seed) + " is given twice");
  if (const auto* const method = repeated(o.methods))
    throw UsageError("--compress " + *method + " is given twice");
  need(!o.resume || !o.out.empty() || !o.checkpoint.empty(),
       "--resume needs --out or --checkpoint");
  need(!o.retry_failed || o.resume, "--retry-failed goes with --resume");
  need(!o.overwrite || !o.out.empty(), "--overwrite goes with --out");
  need(!o.eval_only || !o.weights.empty(), "--eval-only needs --weights");
  need(o.predict.empty() || !o.weights.empty(), "--predict needs --weights");
  need(o.predict.empty() || o.role != Role::server,
       "--predict is for the side that has the images");
  need(o.predict.empty() || o.methods.size() == 1, "--predict takes one method");
  need(o.role != Role::server || o.out.empty() || o.clients > 0,
       "--out is for the side that has the images, or the server of --clients");
  // A run of no steps has none.
  if (o.eval_only || o.dry_run || !o.predict.empty())
    o.checkpoint.clear();
  else if (o.checkpoint.empty() && !o.out.empty() && o.role != Role::server && !o.mpi)
    o.checkpoint = (std::filesystem::path{o.out} / "checkpoints").string();
  need(!o.checkpoint_every || !o.checkpoint.empty(),
       "--checkpoint-every needs --out or --checkpoint");
  need(!o.json || !o.predict.empty(), "--json goes with --predict");
  need(!o.dry_run || o.role != Role::server, "--dry-run is for the side that has the images");
  need(o.role == Role::both || o.methods.size() == 1,
       "several methods need --role both; give one to each server and client");
  need(o.role == Role::both || o.seeds.size() == 1,
       "several seeds need --role both; give one to each server and client");
  need(o.second_cut == 0 || o.micro_batches <= 1,
       "--labels client does not go with --micro-batches");
  need(o.second_cut == 0 || o.evaluate == Options{}.evaluate,
       "--evaluate does not go with --labels client");
  need(
      o.role != Role::server ||
          (o.drop_patches == 0 && o.distance_correlation == 0 && o.evaluate == Options{}.evaluate),
      "--drop-patches, --distance-correlation and --evaluate are for the side that has the images");
  need(o.role != Role::server || o.micro_batches == 1,
       "--micro-batches is for the side that has the images");
  need(!(o.link_mbit || o.link_ms) || o.role != Role::both || o.clients == 0,
       "--link-mbit and --link-ms go without --clients in one process, whose links are no streams");
  augmentation_of(o.augment);
  const bool has_images = o.role != Role::server || o.clients > 0;
  need(has_images || (!o.test_share && o.on_bad_file == "refuse"),
       "--augment, --test-share and --on-bad-file are for the side that has the images");
  need(o.role != Role::server || o.augment == "none",
       "--augment, --test-share and --on-bad-file are for the side that has the images");
  // An error of the library names the option instead of a function.
  const auto naming = [](const std::string& option, const auto& work) {
    try {
      work();
    } catch (const std::invalid_argument& error) {
      throw UsageError(option + ": " + without_operation(error));
    }
  };
  if (!listen.empty())
    naming("--listen", [&] { o.endpoint = sv::transport::parse_endpoint(listen); });
  if (!connect.empty())
    naming("--connect", [&] { o.endpoint = sv::transport::parse_endpoint(connect); });
  need(connect.empty() || o.endpoint.port != 0,
       "--connect " + connect + ": port 0 is for --listen");
  o.protection = protection_of(o);
  if (given.model || o.weights.empty()) naming("--model", [&] { sv::nn::vit_named(o.model); });
  use_weights(o, given);
  sv::nn::VitConfig config;
  naming("--image", [&] { config = o.vit(o.classes == 0 ? 2 : o.classes); });
  o.image = config.image;
  if (o.cut == 0) o.cut = config.depth / 2;
  need(o.cut < config.depth,
       sv::joined({"--cut ", o.cut, ": ", o.model, " has ", sv::counted(config.depth, "block"),
                   " and can be cut after 1 to ", config.depth - 1}));
  need(o.second_cut == 0 || (o.second_cut > o.cut && o.second_cut <= config.depth),
       sv::joined({"--cut ", cuts_text(o), ": ", o.model, " has ",
                   sv::counted(config.depth, "block"), ": the second cut comes after ", o.cut + 1,
                   " to ", config.depth}));
  for (const std::string& method : o.methods) {
    need((o.role == Role::server && o.clients == 0) || !takes_any_stage(method),
         "--compress any is for servers of one client at a time");
    naming("--compress", [&] {
      const Method parsed = method_of(method);
      if (parsed.bottleneck) sv::nn::bottleneck_width(config.dim, *parsed.bottleneck);
      if (o.clients > 0) require_fit_for_group(parsed);
      if (o.second_cut > 0 && parsed.feedback.needs_head())
        throw std::invalid_argument(parsed.feedback.description() +
                                    " does not go with --labels client, which has the loss itself");
    });
  }
  try {
    sv::kernel::require_compute<float>(o.compute);
  } catch (const std::invalid_argument& error) {
    throw UsageError(std::string{"--"} + error.what());
  }
  if (o.threads == 0)
    o.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

/// The options of split_train, read from one list of words.
class Reader {
 public:
  Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Errors  UsageError; CLI::Success where help or the version is asked for.
  void parse(std::vector<std::string> words) {
    std::ranges::reverse(words);  // as CLI11 wants them
    try {
      app.parse(std::move(words));
    } catch (const CLI::Success&) {
      throw;
    } catch (const CLI::ExtrasError&) {
      const std::string first = app.remaining().front();
      throw UsageError(first.starts_with('-')
                           ? first + ": no such option (--help lists all options)"
                           : "'" + first + "' belongs to no option");
    } catch (const CLI::ArgumentMismatch& error) {
      const std::string text = error.what();
      throw UsageError(text.substr(0, text.find(':')) + " needs a value");
    } catch (const CLI::ParseError& error) {
      std::string text = error.what();
      std::ranges::replace(text, '\n', ' ');
      throw UsageError(text);
    }
  }

  /// Errors  UsageError.
  void read_cuts() {
    std::vector<Index> all;
    std::string_view rest = cuts;
    while (app.count("--cut") > 0) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const auto cut = sv::number_from<Index>(rest.substr(0, comma));
      if (!cut || *cut < 1 || *cut > 1000 || all.size() == 2)
        OptionList::refuse("--cut", cuts, "a whole number from 1 to 1000, or two with a comma");
      all.push_back(*cut);
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
    if (!all.empty()) o.cut = all.front();
    if (all.size() == 2) o.second_cut = all.back();
    if (labels_at_client != (o.second_cut > 0))
      throw UsageError(labels_at_client ? "--labels client needs two cuts, such as --cut 2,4"
                                        : "--cut " + cuts + ": two cuts go with --labels client");
  }

  /// The values, checked together.
  Options finish() {
    // Without a limit of its own, training by steps or bytes goes through the data for as
    // long as it takes.
    if (app.count("--steps") + app.count("--budget-mib") > 0) o.epochs = 0;
    if (o.role == Role::server && app.count("--compress") == 0 && o.clients == 0)
      o.methods = {"any"};
    if (o.role == Role::server && app.count("--feedback") > 0)
      throw UsageError("--feedback is for the client, which tells its server");
    for (std::string& method : o.methods)
      method = with_defaults(method, bottleneck, feedback, codec);
    o.seed = o.seeds.front();
    group.check(o);
    read_cuts();
    check(o, listen, connect,
          {.model = app.count("--model") > 0,
           .cut = app.count("--cut") > 0,
           .method = app.count("--compress") + app.count("--bottleneck") > 0});
    o.effective = list.effective();
    if (o.epochs == 0) o.epochs = Index{1} << 40;
    return std::move(o);
  }

  CLI::App app{
      "Trains a Vision Transformer cut in two: a client has the images and the first "
      "blocks, a server the rest. Counts every byte between them.",
      "split_train"};
  std::string config;

 private:
  OptionList list{app};
  Options o;
  GroupReader group;
  std::string listen, connect, cuts, bottleneck, feedback, codec;
  bool labels_at_client = false;
};

Reader::Reader() {
  constexpr std::int64_t many = 1'000'000'000;
  app.footer(method_usages());
  app.set_version_flag("--version", version_text, "version, compiler and parts built in");
  app.add_option(
         "--config", config,
         "file with an option a line, as here, the dashes may be left out; what the command "
         "line has counts instead")
      ->type_name("FILE");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  list.choice<Role>("--role", o.role,
                    {{"both", Role::both}, {"server", Role::server}, {"client", Role::client}},
                    "both: two processes over loopback");
  list.text("--listen", listen,
            "HOST:PORT for --role server; port 0 is any free one; 0.0.0.0:PORT is every IPv4 "
            "address of this machine, [::]:PORT every address");
  list.text("--connect", connect, "HOST:PORT for --role client");
  list.text("--psk-file", o.psk_file,
            "secret key of both sides, 64 hexadecimal digits in a file that nobody else may read: "
            "protects the link by TLS");
  list.text("--tls-cert", o.tls_cert, "this side's certificate, PEM: protects the link by TLS");
  list.text("--tls-key", o.tls_key, "its private key, PEM, in a file that nobody else may read");
  list.text("--tls-ca", o.tls_ca, "who must have signed the other side's certificate, PEM");
  list.text("--tls-name", o.tls_name,
            "name in the server's certificate; the host of --connect unless given");
  list.flag("--insecure", o.insecure,
            "plain TCP to or from other machines, where everybody can read and change it");
  list.number(
      "--link-mbit", o.link_mbit, {0, 1'000'000},
      "Mbit/s, in each direction, of a slow line that this process's links are put through");
  list.number("--link-ms", o.link_ms, {0, 1'000'000, true},
              "one-way latency of that line in milliseconds; give both at one end only");
  list.text("--data", o.data,
            "shapes | folder:TRAIN,TEST | folder:DIR (sub-folders of JPEG and PNG images are "
            "the classes) | cifar10:DIR | cifar100:DIR | cifar:TRAIN.bin,TEST.bin | "
            "npz:FILE | idx:TRAIN-IMAGES,TRAIN-LABELS,TEST-IMAGES,TEST-LABELS");
  list.number("--test-share", o.test_share, {0, 1},
              "of folder:DIR, the share kept for the test, such as 0.2");
  list.whole("--data-memory-mib", o.data_memory_mib, 0, 1 << 30,
             "memory for images of a folder; those beyond it are read again in each epoch");
  list.choice<std::string>("--on-bad-file", o.on_bad_file, {{"refuse", "refuse"}, {"skip", "skip"}},
                           "image files that cannot be read");
  list.whole("--classes,--num-classes", o.classes, 1, 1'000'000,
             "more than the training images have; a server without --data needs it");
  list.text("--model", o.model, model_names());
  list.whole("--image,--img-size", o.image, 1, 8192,
             "pixels on each side that images are resized to");
  list.text("--weights", o.weights,
            "safetensors file to start from, with the names of this program, timm, DINO, Hugging "
            "Face "
            "or torchvision")
      ->check(CLI::ExistingFile);
  list.text("--cut", cuts,
            "L: blocks that stay with the client; half of them unless given; L,M with --labels "
            "client: those behind M, too");
  list.remember("--cut", [this] { return cuts_text(o); });
  list.choice<bool>("--labels", labels_at_client, {{"server", false}, {"client", true}},
                    "where the loss is taken: server, which is the default; client: no label "
                    "leaves it, and it has the last part of the model, see --cut");
  app.add_option("--compress", o.methods,
                 "methods, see below, such as adc:0.1@q:8; several, with spaces between, run one "
                 "after the other; a server's may be any, or any@CODEC")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  list.remember("--compress", [this] {
    std::string all;
    for (const std::string& method : o.methods) all += (all.empty() ? "" : " ") + method;
    return all;
  });
  list.text("--codec", codec, "for methods that name none, such as q:8");
  list.text(
      "--bottleneck", bottleneck,
      "R: a trained encoder and decoder that narrow each token to R of its width; for methods "
      "without a bottleneck:R of their own; with options as in 0.1:start=pca:frozen=yes");
  list.text("--feedback", feedback,
            "gradient|local|every:K: what the client learns from: the server's gradient, which is "
            "the default, a classifier of its own at the cut, or the server's gradient in each "
            "K-th step; for methods without a feedback:... of their own");
  list.whole("--batch,--batch-size", o.batch, 1, 1'000'000, "images in a step");
  list.whole(
      "--micro-batches", o.micro_batches, 1, sv::wire::most_parts,
      "parts of a batch: the client computes and sends the next one while the server has the "
      "one before; stages merge within a part");
  auto* const epochs =
      list.whole("--epochs", o.epochs, 1, many, "times through the training images");
  auto* const steps =
      list.whole("--steps", o.steps, 1, many * 1'000'000, "stop after so many steps");
  auto* const budget =
      list.number("--budget-mib", o.budget_mib, {0, many},
                  "stop after so many MiB of training traffic, or after --steps if they are fewer; "
                  "evaluates at 1/100, 1/30, 1/10, 1/3 and all of it");
  epochs->excludes(steps)->excludes(budget);
  list.whole("--evaluate-at", o.evaluate_at, 1, 1000,
             "with --budget-mib: evaluate so often instead, at places evenly spaced in the "
             "logarithm of bytes, from a thousandth of the budget to all of it");
  using enum sv::split::EvaluationMode;
  list.choice<std::vector<sv::split::EvaluationMode>>(
      "--evaluate", o.evaluate,
      {{"uncompressed", {uncompressed}},
       {"compressed", {compressed}},
       {"both", {uncompressed, compressed}}},
      "what crosses the cut in an evaluation: all tokens as numbers, or, as a model is deployed, "
      "what the token stages leave, written by the codec; samples are never merged");
  list.number("--lr,--learning-rate", o.lr, {0, 1'000'000}, "learning rate of Adam");
  list.choice<bool>("--schedule", o.cosine, {{"constant", false}, {"cosine", true}},
                    "of the learning rate; cosine ends at zero");
  list.whole("--warmup", o.warmup, 0, many,
             "steps in which the learning rate rises from almost zero");
  list.number("--weight-decay", o.weight_decay, {0, 1'000'000, true},
              "of the weights themselves, as in AdamW");
  list.text("--augment", o.augment,
            "random changes to training images: none, or some of flip, crop, resized-crop and "
            "paper (RandAugment(2, 9), colours, flip), joined by commas");
  list.number("--drop-patches", o.drop_patches, {0, 1, true},
              "share of the patches of each training image, chosen at random, that no block sees");
  list.number("--distance-correlation", o.distance_correlation, {0, 1'000'000, true},
              "weight, in the client's loss, of what its tokens say of the images (NoPeek)");
  list.whole("--seed", o.seeds, 0, std::numeric_limits<std::int64_t>::max(),
             "of everything that is random; several, with spaces between, are averaged");
  list.whole("--threads", o.threads, 1, 1024, "of each process; all cores unless given");
  list.choice<sv::Compute>("--compute", o.compute,
                           {{"float32", sv::Compute::float32}, {"bf16", sv::Compute::bf16}},
                           "bf16: faster products of less exact numbers, by processors with "
                           "instructions for them; each side chooses for itself");
  list.flag("--recompute", o.recompute,
            "need a fraction of the memory and a seventh more time; the same results");
  auto* const eval_only = list.flag("--eval-only", o.eval_only, "only evaluate the weights");
  app.add_option("--predict", o.predict,
                 "image files: print the five most probable classes of each by --weights")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("IMAGE...");
  list.flag("--json", o.json, "print what --predict finds as JSON");
  list.flag("--dry-run", o.dry_run,
            "take a few steps and print what a step, an epoch and the run cost: bytes, memory, "
            "time; writes nothing")
      ->excludes(eval_only);
  list.text("--out,--output", o.out, "folder for metrics, model and report");
  auto* const resume = list.flag(
      "--resume", o.resume,
      "go on where --out and --checkpoint have come to, in the middle of a run, too; runs "
      "that are finished there, or have failed, are not run again");
  list.flag("--retry-failed", o.retry_failed, "with --resume: run again what has failed");
  list.flag("--overwrite", o.overwrite,
            "replace what is in --out already, also the file of --weights, and the checkpoints")
      ->excludes(resume);
  list.text("--checkpoint", o.checkpoint,
            "folder for checkpoints, from which --resume goes on; checkpoints in --out unless "
            "given");
  list.whole("--checkpoint-every", o.checkpoint_every, 1, many * 1'000'000,
             "steps between checkpoints; an epoch unless given, and at most five minutes; of a "
             "client's and a server's the smaller one holds");
  list.whole("--keep", o.keep, 2, 64, "checkpoints of a party");
  list.whole("--reconnect-for", o.reconnect_for, 0, many,
             "seconds for which a client whose link broke dials again");
  list.choice<std::string>("--progress", o.progress,
                           {{"auto", "auto"}, {"bar", "bar"}, {"plain", "plain"}, {"none", "none"}},
                           "what to show meanwhile");
  list.flag("--log-steps", o.log_steps, "a line a step in metrics.jsonl");
  list.whole("--sessions", o.sessions, 1, many,
             "server: end after so many clients have finished; never unless given");
  group.add_to(list, o);
}

/// The options of a file that the command line does not replace, as words before its own.
///
/// Errors  UsageError naming file and line.
std::vector<std::string> with_config(Reader& command_line, const std::vector<std::string>& words) {
  const std::string& path = command_line.config;
  std::vector<std::string> all;
  std::map<std::string, int> lines;  // of the options of the file
  for (const ConfigLine& line : read_config(path)) {
    const auto fail = [&](const std::string& text) {
      throw UsageError(path + ":" + std::to_string(line.number) + ": " + text);
    };
    Reader one;
    try {
      one.parse(line.words);
    } catch (const UsageError& error) {
      fail(error.what());
    } catch (const CLI::Success&) {
      fail(line.words.front() + " is for the command line only");
    }
    const auto given = one.app.get_options([](const CLI::Option* o) { return o->count() > 0; });
    if (given.size() != 1) fail("wanted one option a line");
    const std::string name = given.front()->get_lnames().front();
    if (name == "config") fail("--config is for the command line only");
    if (const auto [before, is_new] = lines.try_emplace(name, line.number); !is_new)
      fail("--" + name + " stands in line " + std::to_string(before->second) + " already");
    const CLI::Option* const same = command_line.app.get_option("--" + name);
    const auto counts = [](const CLI::Option* o) { return o->count() > 0; };
    if (counts(same) || std::ranges::any_of(same->get_excludes(), counts)) continue;
    for (const CLI::Option* const other : same->get_excludes())
      if (const auto there = lines.find(other->get_lnames().front()); there != lines.end())
        fail("--" + name + " does not go with --" + there->first + " of line " +
             std::to_string(there->second));
    all.insert(all.end(), line.words.begin(), line.words.end());
  }
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

}  // namespace

sv::nn::VitConfig Options::vit(Index data_classes) const {
  sv::nn::VitConfig config = start ? start->sizes : sv::nn::vit_named(model);
  if (image != 0) config.image = image;
  config.classes = data_classes;
  sv::nn::require_valid(config);
  return config;
}

std::string without_operation(const std::exception& error) {
  const std::string text = error.what();
  const std::size_t end = text.find(' ');  // of a function's name and a colon
  return end != std::string::npos && end > 0 && text[end - 1] == ':' ? text.substr(end + 1) : text;
}

std::string compute_name(sv::Compute compute) {
  return compute == sv::Compute::bf16 ? "bf16" : "float32";
}

std::optional<Options> parse_options(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  Reader first;
  try {
    first.parse(words);
    if (first.config.empty()) return first.finish();
    Reader second;
    second.parse(with_config(first, words));
    return second.finish();
  } catch (const CLI::CallForVersion& version) {
    std::printf("%s\n", version.what());
  } catch (const CLI::Success&) {
    std::fputs(first.app.help().c_str(), stdout);
  }
  return std::nullopt;
}

std::string cuts_text(const Options& o) {
  const std::string first = std::to_string(o.cut);
  return o.second_cut > 0 ? first + "," + std::to_string(o.second_cut) : first;
}

std::vector<std::string> server_arguments(const Options& o, const std::string& method,
                                          Index classes) {
  std::vector<std::string> all{"split_train", "--role", "server", "--listen", "127.0.0.1:0"};
  const auto add = [&](const std::string& name, const std::string& value) {
    all.push_back(name);
    all.push_back(value);
  };
  add("--classes", std::to_string(classes));
  if (!o.start || (!o.own_weights && is_named(o.model))) add("--model", o.model);
  add("--image", std::to_string(o.vit(classes).image));
  if (!o.weights.empty()) add("--weights", o.weights);
  add("--cut", cuts_text(o));
  if (o.second_cut > 0) add("--labels", "client");
  add("--compress", method);
  add("--lr", sv::report::shortest(o.lr));
  add("--weight-decay", sv::report::shortest(o.weight_decay));
  add("--seed", std::to_string(o.seed));
  add("--threads", std::to_string(o.threads));
  add("--compute", compute_name(o.compute));
  if (o.recompute) all.push_back("--recompute");
  if (!o.checkpoint.empty()) {
    add("--checkpoint", o.checkpoint);
    add("--keep", std::to_string(o.keep));
    if (o.resume) all.push_back("--resume");
  }
  add("--progress", "none");
  add("--sessions", "1");
  return all;
}

}  // namespace split_train
