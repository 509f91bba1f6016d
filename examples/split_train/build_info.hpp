// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string
#include <vector>  // vector

#include <splitvit/report/run.hpp>  // Setting

// How this program was built.

namespace split_train {

/// Version, compiler, instruction set, whether xsimd, oneTBB and images are built in, and, if the
/// sources are a checkout of git, their commit.
std::vector<splitvit::report::Setting> build_info();

/// The same as --version prints it, several lines.
std::string version_text();

}  // namespace split_train
