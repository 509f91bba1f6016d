// SPDX-License-Identifier: MIT
#include "split_train/limits.hpp"

#include <algorithm>  // find, min
#include <cstdint>    // uint64_t
#include <string>     // string, to_string

#include <splitvit/nn/concepts.hpp>    // parameters
#include <splitvit/nn/part.hpp>        // Part
#include <splitvit/report/format.hpp>  // human_bytes
#include <splitvit/report/run.hpp>     // reference_method
#include <splitvit/wire/frame.hpp>     // message_ceiling

#include "split_train/agreed.hpp"  // end_of_server

namespace split_train {

namespace sv = splitvit;

namespace {

constexpr std::uint64_t of_header = 256;  // of a message or a tensor, more than it takes

void require_below_ceiling(std::uint64_t bytes, const std::string& what,
                           const std::string& advice) {
  if (bytes > sv::wire::message_ceiling)
    throw UsageError(what + " would take a message of " + sv::report::human_bytes(bytes) +
                     ", but " + sv::report::human_bytes(sv::wire::message_ceiling) +
                     " is the most that can be sent; " + advice);
}

/// Of its activations in float32, and its label.
std::uint64_t bytes_of_image(const sv::nn::VitConfig& vit) {
  return static_cast<std::uint64_t>(vit.tokens() * vit.dim) * sizeof(float) + sizeof(std::uint64_t);
}

std::uint64_t bytes_of_weights(const sv::nn::Part<float>& part) {
  std::uint64_t bytes = of_header;
  for (const auto& [name, parameter] : sv::nn::parameters<float>(part))
    bytes += of_header + parameter.value().span().size_bytes();
  return bytes;
}

}  // namespace

Index largest_batch(const sv::nn::VitConfig& vit) {
  return static_cast<Index>((sv::wire::message_ceiling - of_header) / bytes_of_image(vit));
}

void require_messages_fit(const Options& o, const Data& data) {
  const sv::nn::VitConfig vit = o.vit(data.train.classes());
  const Index most = largest_batch(vit);
  require_below_ceiling(bytes_of_image(vit) + of_header, "one image", "take a smaller --image");
  const bool uncompressed =
      std::ranges::find(o.methods, sv::report::reference_method) != o.methods.end();
  if (uncompressed && !o.eval_only)
    require_below_ceiling(
        static_cast<std::uint64_t>(std::min(o.batch, data.train.size())) * bytes_of_image(vit) +
            of_header,
        "--batch " + std::to_string(o.batch) + ": a step without compression",
        "--batch may be " + std::to_string(most) + " at most");
  if (o.clients > 0)  // whose server part is not sent
    return require_below_ceiling(bytes_of_weights({vit, 0, o.cut}), "a client's part of the model",
                                 "leave fewer blocks with the clients, by a smaller --cut");
  if (o.out.empty() || o.eval_only) return;
  require_below_ceiling(bytes_of_weights({vit, o.cut, end_of_server(o, vit)}),
                        "--out: the server's part of the model",
                        "leave more blocks with the client, by a larger --cut");
}

}  // namespace split_train
