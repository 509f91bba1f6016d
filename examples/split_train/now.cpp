// SPDX-License-Identifier: MIT
#include "split_train/now.hpp"

#include <ctime>  // gmtime_r, strftime, time

namespace split_train {

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  char text[32] = "";
  std::tm utc{};
  if (::gmtime_r(&now, &utc) != nullptr)
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace split_train
