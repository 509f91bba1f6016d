// SPDX-License-Identifier: MIT
#include "backwards.hpp"

int seen_by_second();
int seen_by_second() { return SPLITVIT_VERSION_MAJOR; }
