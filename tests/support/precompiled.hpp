// SPDX-License-Identifier: MIT
#pragma once

// What is slow to parse and used by most tests. No test may count on it: tests also build
// without it, and headers are compiled alone.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

#if SPLITVIT_USE_XSIMD
#include <xsimd/xsimd.hpp>
#endif
#if SPLITVIT_USE_TBB
#include <oneapi/tbb/parallel_for.h>
#endif
