// SPDX-License-Identifier: MIT
// The main of Catch2 2, where that of the package is for another processor.
#define CATCH_CONFIG_MAIN
#include "support/catch.hpp"
