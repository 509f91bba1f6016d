// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

// printable: text from the peer, fit for an error message.

namespace splitvit::wire::detail {

/// The text with '?' for all characters that are not printable ASCII, so that a peer cannot control
/// the terminal that shows an error.
inline std::string printable(std::string text) {
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

}  // namespace splitvit::wire::detail
