// SPDX-License-Identifier: MIT
#include "split_train/schedule.hpp"

#include <algorithm>    // min
#include <string_view>  // string_view

#include <splitvit/core/error.hpp>      // ArgumentError
#include <splitvit/core/text.hpp>       // number_from
#include <splitvit/optim/schedule.hpp>  // Constant, Cosine, warm_up

namespace split_train {

namespace optim = splitvit::optim;

std::string schedule_text(bool cosine, std::uint64_t steps, std::uint64_t warmup) {
  return std::string{cosine ? "cosine" : "constant"} + "," + std::to_string(cosine ? steps : 0) +
         "," + std::to_string(warmup);
}

std::function<double(std::uint64_t step)> schedule_of(const std::string& text, double lr) {
  const std::string_view all = text;
  const std::size_t first = std::min(all.find(','), all.size());
  const std::size_t second = std::min(all.find(',', first + 1), all.size());
  const std::string_view name = all.substr(0, first);
  const auto number = [&](std::size_t begin, std::size_t end) {
    return begin < end
               ? splitvit::number_from<std::uint64_t>(all.substr(begin + 1, end - begin - 1))
               : std::nullopt;
  };
  const auto steps = number(first, second), warmup = number(second, all.size());
  if (!steps || !warmup || (name != "constant" && name != "cosine"))
    throw splitvit::ArgumentError(
        {"schedule '", text, "': wanted cosine,STEPS,WARMUP or constant,0,WARMUP"});
  if (name == "constant") return optim::warm_up(*warmup, optim::Constant{.lr = lr});
  return optim::warm_up(*warmup,
                        optim::Cosine{.lr = lr, .steps = *steps - std::min(*steps, *warmup)});
}

}  // namespace split_train
