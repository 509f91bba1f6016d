// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string
#include <vector>  // vector

// A file of options, for --config: one option a line, in the words of the command line, such as
//
//   # four blocks, a tenth of the bytes
//   --compress none adc:0.1
//   --data folder:"my photos"
//
// The two dashes may be left out. A line that begins with # is a comment.

namespace split_train {

struct ConfigLine {
  int number = 0;                  ///< from 1
  std::vector<std::string> words;  ///< the option with its dashes, then its values
};

/// The lines of a file that are not empty or comments.
///
/// Errors  UsageError naming file and line: a file that is missing, no regular file, larger than
///         64 KiB or no text; a quotation mark without counterpart.
std::vector<ConfigLine> read_config(const std::string& path);

}  // namespace split_train
