// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/report/bars.hpp>
#include <splitvit/report/charts.hpp>
#include <splitvit/report/clients.hpp>
#include <splitvit/report/format.hpp>
#include <splitvit/report/html.hpp>
#include <splitvit/report/metrics.hpp>
#include <splitvit/report/progress.hpp>
#include <splitvit/report/run.hpp>
#include <splitvit/report/summary.hpp>
#include <splitvit/report/svg.hpp>
#include <splitvit/report/table.hpp>
#include <splitvit/report/ticks.hpp>
