// SPDX-License-Identifier: MIT
#include "split_train/config_file.hpp"

#include <algorithm>    // min
#include <cstdint>      // uintmax_t
#include <string_view>  // string_view
#include <utility>      // move

#include <splitvit/core/error.hpp>  // StorageError
#include <splitvit/core/file.hpp>   // read_file

#include "split_train/options.hpp"  // UsageError

namespace split_train {

namespace {

constexpr std::uintmax_t largest_file = 64 * 1024;

std::string text_of(const std::string& path) {
  try {
    const auto bytes = splitvit::read_file(path, largest_file);
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // what some editors put before a text
    return text;
  } catch (const splitvit::StorageError& error) {
    throw UsageError(std::string{"--config "} + error.what());
  }
}

/// The words of a line; `where` is for errors.
std::vector<std::string> words_of(std::string_view line, const std::string& where) {
  std::vector<std::string> words;
  bool in_word = false, quoted = false, comment = false;
  for (const char c : line) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t')
      throw UsageError(where + ": not a text file");
    comment = comment || (words.empty() && c == '#');
    if (comment) continue;
    if (!quoted && (c == ' ' || c == '\t')) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == '"')
      quoted = !quoted;
    else
      words.back() += c;
  }
  if (quoted) throw UsageError(where + ": a quotation mark has no counterpart");
  return words;
}

}  // namespace

std::vector<ConfigLine> read_config(const std::string& path) {
  const std::string text = text_of(path);
  std::vector<ConfigLine> lines;
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    auto words = words_of(line, path + ":" + std::to_string(number));
    if (words.empty()) continue;
    if (!words.front().starts_with('-')) words.front().insert(0, "--");
    lines.push_back({number, std::move(words)});
  }
  return lines;
}

}  // namespace split_train
