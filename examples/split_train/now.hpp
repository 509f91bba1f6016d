// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

namespace split_train {

/// The present date and time in UTC, such as "2026-01-31T12:00:00Z".
std::string now_text();

}  // namespace split_train
