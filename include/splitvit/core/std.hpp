// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <splitvit/core/build.hpp>  // SPLITVIT_BUILD

// The parts of the standard library that nearly every header needs. All other headers include this
// one, directly or through another, and do not name these parts again.
