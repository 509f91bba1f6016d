// SPDX-License-Identifier: MIT
#pragma once

// The version of splitvit. CMake reads it from here.

#define SPLITVIT_VERSION_MAJOR 0
#define SPLITVIT_VERSION_MINOR 2
#define SPLITVIT_VERSION_PATCH 0
