// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/spec/codecs.hpp>
#include <splitvit/spec/grammar.hpp>
#include <splitvit/spec/method.hpp>
#include <splitvit/spec/stages.hpp>
