// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/bits.hpp>
#include <splitvit/core/build.hpp>
#include <splitvit/core/bytes.hpp>
#include <splitvit/core/crc32c.hpp>
#include <splitvit/core/digest.hpp>
#include <splitvit/core/dtype.hpp>
#include <splitvit/core/error.hpp>
#include <splitvit/core/file.hpp>
#include <splitvit/core/finite.hpp>
#include <splitvit/core/hash_set.hpp>
#include <splitvit/core/labels.hpp>
#include <splitvit/core/options.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/core/random.hpp>
#include <splitvit/core/shape.hpp>
#include <splitvit/core/state.hpp>
#include <splitvit/core/std.hpp>
#include <splitvit/core/text.hpp>
#include <splitvit/core/utf8.hpp>
#include <splitvit/core/workspace.hpp>
