// SPDX-License-Identifier: MIT
#include "split_train/options.hpp"

#include <algorithm>  // find, replace
#include <cstdio>     // fputs
#include <map>        // map
#include <thread>     // hardware_concurrency

#include <CLI/CLI.hpp>

#include <splitvit/nn/cut.hpp>         // require_cuts
#include <splitvit/report/format.hpp>  // shortest

#include "split_train/augmentation.hpp"  // augmentation_of
#include "split_train/method.hpp"        // method_of, method_usages, with_defaults
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

/// What CLI11 cannot check by itself.
void check(Options& o, const std::string& listen, const std::string& connect, const Given& given) {
  const auto need = [](bool holds, const std::string& text) {
    if (!holds) throw UsageError(text);
  };
  need(o.role != Role::server || !listen.empty(), "--role server needs --listen HOST:PORT");
  need(o.role != Role::client || !connect.empty(), "--role client needs --connect HOST:PORT");
  need(o.role == Role::server || listen.empty(), "--listen goes with --role server only");
  need(o.role == Role::client || connect.empty(), "--connect goes with --role client only");
  need(o.image >= 0, "--image must be at least 1");
  need(o.batch >= 1, "--batch must be at least 1");
  need(o.epochs >= 1, "--epochs must be at least 1");
  need(!o.steps || *o.steps >= 1, "--steps must be at least 1");
  need(!o.budget_mib || *o.budget_mib > 0, "--budget-mib must be above 0");
  need(o.lr > 0 && o.lr < 1e6, "--lr must be above 0");
  need(!o.test_share || (*o.test_share > 0 && *o.test_share < 1),
       "--test-share must be between 0 and 1, such as 0.2");
  need(o.data_memory_mib >= 0 && o.data_memory_mib <= Index{1} << 30,
       "--data-memory-mib must be 0 to 1073741824");
  for (const std::uint64_t seed : o.seeds) need(seed >> 63 == 0, "--seed must be below 2^63");
  if (const auto* const seed = repeated(o.seeds))
    throw UsageError("--seed " + std::to_string(*seed) + " is given twice");
  if (const auto* const method = repeated(o.methods))
    throw UsageError("--compress " + *method + " is given twice");
  need(!o.resume || !o.out.empty(), "--resume needs --out");
  need(o.threads >= 0, "--threads must be at least 1");
  need(o.classes >= 0, "--classes must be at least 1");
  need(!o.eval_only || !o.weights.empty(), "--eval-only needs --weights");
  need(o.predict.empty() || !o.weights.empty(), "--predict needs --weights");
  need(o.predict.empty() || o.role != Role::server,
       "--predict is for the side that has the images");
  need(o.predict.empty() || o.methods.size() == 1, "--predict takes one method");
  need(o.role != Role::server || o.out.empty(), "--out is for the side that has the images");
  need(!o.json || !o.predict.empty(), "--json goes with --predict");
  need(o.role == Role::both || o.methods.size() == 1,
       "several methods need --role both; give one to each server and client");
  need(o.role == Role::both || o.seeds.size() == 1,
       "several seeds need --role both; give one to each server and client");
  augmentation_of(o.augment);
  need(
      o.role != Role::server || (o.augment == "none" && !o.test_share && o.on_bad_file == "refuse"),
      "--augment, --test-share and --on-bad-file are for the side that has the images");
  try {
    use_weights(o, given);
    if (!listen.empty() || !connect.empty())
      o.endpoint = sv::transport::parse_endpoint(listen.empty() ? connect : listen);
    for (const std::string& method : o.methods) {
      need(o.role == Role::server || !takes_any_stage(method), "--compress any is for servers");
      const Method parsed = method_of(method);
      if (parsed.bottleneck) sv::nn::bottleneck_width(o.vit(2).dim, *parsed.bottleneck);
    }
    const sv::nn::VitConfig config = o.vit(o.classes == 0 ? 2 : o.classes);
    if (o.cut == 0) o.cut = config.depth / 2;
    sv::nn::require_cuts(config, {o.cut});
    sv::kernel::require_compute<float>(o.compute);
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
  if (o.threads == 0)
    o.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace

sv::nn::VitConfig Options::vit(Index data_classes) const {
  sv::nn::VitConfig config = start ? start->sizes : sv::nn::vit_named(model);
  if (image != 0) config.image = image;
  config.classes = data_classes;
  sv::nn::require_valid(config);
  return config;
}

std::string compute_name(sv::Compute compute) {
  return compute == sv::Compute::bf16 ? "bf16" : "float32";
}

std::optional<Options> parse_options(int argc, char** argv) {
  Options o;
  std::string listen, connect, bottleneck, codec;
  CLI::App app{
      "Trains a Vision Transformer cut in two: a client has the images and the first "
      "blocks, a server the rest. Counts every byte between them.",
      "split_train"};
  app.footer(method_usages());
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  const std::map<std::string, Role> roles{
      {"both", Role::both}, {"server", Role::server}, {"client", Role::client}};
  app.add_option("--role", o.role, "both (two processes over loopback), server or client")
      ->transform(CLI::CheckedTransformer(roles).description(""));
  app.add_option("--listen", listen, "HOST:PORT for --role server; port 0 is any free one");
  app.add_option("--connect", connect, "HOST:PORT for --role client");
  app.add_option("--data", o.data,
                 "shapes | folder:TRAIN,TEST | folder:DIR (sub-folders of JPEG and PNG images are "
                 "the classes) | cifar10:DIR | cifar100:DIR | cifar:TRAIN.bin,TEST.bin | "
                 "npz:FILE | idx:TRAIN-IMAGES,TRAIN-LABELS,TEST-IMAGES,TEST-LABELS");
  app.add_option("--test-share", o.test_share, "of folder:DIR, the share kept for the test");
  app.add_option("--data-memory-mib", o.data_memory_mib,
                 "memory for images of a folder; those beyond it are read again in each epoch");
  app.add_option("--on-bad-file", o.on_bad_file, "image files that cannot be read")
      ->check(CLI::IsMember({"refuse", "skip"}));
  app.add_option("--classes", o.classes,
                 "more than the training images have; a server without --data needs it");
  app.add_option("--model", o.model, model_names());
  app.add_option("--image", o.image, "pixels on each side that images are resized to");
  app.add_option("--weights", o.weights,
                 "safetensors file to start from, with the names of this program, timm, DINO, "
                 "Hugging Face or torchvision")
      ->check(CLI::ExistingFile);
  app.add_option("--cut", o.cut, "blocks that stay with the client");
  app.add_option("--compress", o.methods,
                 "methods, see below, such as adc:0.1@q:8; several, with spaces between, run one "
                 "after the other; a server's may be any, or any@CODEC")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--codec", codec, "for methods that name none, such as q:8");
  app.add_option(
      "--bottleneck", bottleneck,
      "R: a trained encoder and decoder that narrow each token to R of its width; for methods "
      "without a bottleneck:R of their own; with options as in 0.1:start=pca:frozen=yes");
  app.add_option("--batch", o.batch, "images in a step");
  auto* const epochs = app.add_option("--epochs", o.epochs, "times through the training images");
  auto* const steps = app.add_option("--steps", o.steps, "stop after so many steps");
  auto* const budget =
      app.add_option("--budget-mib", o.budget_mib,
                     "stop after so many MiB of training traffic; evaluates at 1/100, 1/30, "
                     "1/10, 1/3 and all of it");
  for (auto* const a : {epochs, steps, budget})
    for (auto* const b : {epochs, steps, budget})
      if (a != b) a->excludes(b);
  app.add_option("--lr", o.lr, "learning rate of Adam");
  app.add_option("--augment", o.augment,
                 "random changes to training images: none, or some of flip, crop, resized-crop and "
                 "paper (RandAugment(2, 9), colours, flip), joined by commas");
  app.add_option("--seed", o.seeds,
                 "of everything that is random; several, with spaces between, are averaged")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--threads", o.threads, "of each process; all cores unless given");
  const std::map<std::string, sv::Compute> computes{{"float32", sv::Compute::float32},
                                                    {"bf16", sv::Compute::bf16}};
  app.add_option("--compute", o.compute,
                 "float32, or bf16: faster products of less exact numbers, by processors with "
                 "instructions for them; each side chooses for itself")
      ->transform(CLI::CheckedTransformer(computes).description(""));
  app.add_flag("--recompute", o.recompute,
               "need a fraction of the memory and a seventh more time; the same results");
  app.add_flag("--eval-only", o.eval_only, "only evaluate the weights");
  app.add_option("--predict", o.predict,
                 "image files: print the five most probable classes of each by --weights");
  app.add_flag("--json", o.json, "print what --predict finds as JSON");
  app.add_option("--out", o.out, "folder for metrics, model and report");
  app.add_flag("--resume", o.resume,
               "go on in --out: runs that are finished there are not run again");
  app.add_option("--progress", o.progress, "what to show meanwhile")
      ->check(CLI::IsMember({"auto", "bar", "plain", "none"}));
  app.add_flag("--log-steps", o.log_steps, "a line a step in metrics.jsonl");
  app.add_option("--sessions", o.sessions, "server: end after so many clients; never unless given");
  try {
    app.parse(argc, argv);
    // Without a limit of its own, training by steps or bytes goes through the data for as
    // long as it takes.
    if (steps->count() + budget->count() > 0) o.epochs = Index{1} << 40;
    if (o.role == Role::server && app.count("--compress") == 0) o.methods = {"any"};
    for (std::string& method : o.methods) method = with_defaults(method, bottleneck, codec);
    o.seed = o.seeds.front();
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    std::ranges::replace(text, '\n', ' ');
    throw UsageError(text + " (--help lists all options)");
  }
  check(o, listen, connect,
        {.model = app.count("--model") > 0,
         .cut = app.count("--cut") > 0,
         .method = app.count("--compress") + app.count("--bottleneck") > 0});
  return o;
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
  add("--cut", std::to_string(o.cut));
  add("--compress", method);
  add("--lr", sv::report::shortest(o.lr));
  add("--seed", std::to_string(o.seed));
  add("--threads", std::to_string(o.threads));
  add("--compute", compute_name(o.compute));
  if (o.recompute) all.push_back("--recompute");
  add("--progress", "none");
  add("--sessions", "1");
  return all;
}

}  // namespace split_train
