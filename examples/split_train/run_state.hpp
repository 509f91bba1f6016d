// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>      // size_t
#include <cstdint>      // uint64_t
#include <optional>     // optional
#include <string>       // string
#include <type_traits>  // is_floating_point_v
#include <vector>       // vector

#include <splitvit/core/shape.hpp>    // Index
#include <splitvit/core/state.hpp>    // StateVisitor
#include <splitvit/report/run.hpp>    // Row, Run
#include <splitvit/split/report.hpp>  // EpochReport, Seconds, Traffic

#include "split_train/data.hpp"  // Data

// What a checkpoint of split_train holds besides the client.

namespace split_train {

/// The rows of a run and the sums since the last one. All are numbers, which are shown as lists.
struct RunState {
  splitvit::report::Run& run;
  splitvit::split::EpochReport& since_row;  ///< the traffic and the seconds in it are not kept
  splitvit::split::Seconds& seconds;
  std::uint64_t& images;
  std::optional<double>& best_accuracy;

  /// See core/state.hpp. The names of classes are not kept: they come from the data.
  void each_state(splitvit::StateVisitor& see, const Data& data) {
    show(see, "sums", [&](auto& list) { show_sums(list); });
    show(see, "rows", [&](auto& list) {
      list.resize_as(run.rows);
      for (splitvit::report::Row& row : run.rows) show_row(list, row);
    });
    show(see, "compressed", [&](auto& list) {
      for (splitvit::report::Row& row : run.rows) {
        show_optional(list, row.compressed_accuracy);
        list(row.compressed_bytes);
      }
    });
    show(see, "classes", [&](auto& list) {
      list.resize_as(run.classes);
      for (std::size_t i = 0; i < run.classes.size(); ++i) {
        splitvit::report::ClassScore& score = run.classes[i];
        score.name = data.class_name(i);
        list(score.samples, score.correct);
      }
    });
  }

 private:
  /// Appends numbers to a list, or takes them from it; 0 where it ends too early.
  struct Numbers {
    std::vector<double>& list;
    bool writes;
    std::size_t at = 0;

    void operator()(auto&... all) { (one(all), ...); }
    template <class Rows>
    void resize_as(Rows& rows) {
      double size = static_cast<double>(rows.size());
      one(size);
      if (!writes)
        rows.resize(size >= 0 && size <= static_cast<double>(list.size())
                        ? static_cast<std::size_t>(size)
                        : 0);
    }

   private:
    template <class Number>
    void one(Number& number) {
      if (writes) return list.push_back(static_cast<double>(number));
      const double value = at < list.size() ? list[at++] : 0;
      if constexpr (std::is_floating_point_v<Number>)
        number = value;
      else  // only what is a whole number of its type
        number = value >= 0 && value < 0x1p62 ? static_cast<Number>(value) : Number{};
    }
  };

  /// The list is made from the values, shown, and read back.
  static void show(splitvit::StateVisitor& see, const char* name, const auto& each) {
    std::vector<double> list;
    for (const bool writes : {true, false}) {
      Numbers numbers{list, writes};
      each(numbers);
      if (writes) see(std::string{name}, list);
    }
  }

  static void show_optional(Numbers& list, std::optional<double>& value) {
    bool is_there = value.has_value();
    double number = value.value_or(0);
    list(is_there, number);
    value.reset();
    if (is_there) value = number;
  }
  static void show_traffic(Numbers& list, splitvit::split::Traffic& traffic) {
    list(traffic.up.payload, traffic.up.framing, traffic.down.payload, traffic.down.framing);
  }
  static void show_seconds(Numbers& list, splitvit::split::Seconds& all) {
    list(all.client, all.compression, all.server, all.link);
  }
  static void show_row(Numbers& list, splitvit::report::Row& row) {
    list(row.epoch, row.step, row.loss);
    show_optional(list, row.test_accuracy);
    show_traffic(list, row.traffic);
    show_seconds(list, row.seconds);
  }
  void show_sums(Numbers& list) {
    list(since_row.steps, since_row.loss, since_row.samples, since_row.saturated, images);
    show_seconds(list, seconds);
    show_traffic(list, run.evaluation_traffic);
    show_optional(list, best_accuracy);
  }
};

}  // namespace split_train
