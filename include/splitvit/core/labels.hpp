// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>         // lower_bound, max_element, sort, unique
#include <cmath>             // abs
#include <initializer_list>  // initializer_list
#include <numeric>           // accumulate, iota

#include <splitvit/core/error.hpp>      // ArgumentError, joined, TextParts
#include <splitvit/core/finite.hpp>     // all_finite
#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // RecycledVector

namespace splitvit::inline SPLITVIT_BUILD {

/// A class and its probability.
struct ClassWeight {
  Index id = 0;
  float weight = 0;
};

/// The labels of a batch: for each sample a row, which lists classes. All rows are of one kind:
///
///   counted   classes with counts. The probability of a class is its count, divided by the sum
///             of the row's counts: for a class id 1 / 1, for a merged sample the share of its
///             members that have the class.
///   weighted  classes with probabilities, for soft labels, such as from mixup.
///
///   const Labels hard = std::vector<Index>{3, 0};
///   const Labels soft = Labels::weighted({{{3, 0.75f}, {5, 0.25f}}, {{0, 1.0f}}});
///
/// No row is empty, and the class ids of a row ascend strictly.
///
/// Units   weights: probabilities in float32, finite, at least 0; the sum of a row is 1 (+- 1e-4).
class Labels {
 public:
  /// How far the sum of a row's weights may be from 1; and after merges, which round to float32.
  static constexpr double sum_tolerance = 1e-4, merged_sum_tolerance = sum_tolerance + 1e-6;
  /// The largest sum of a row's counts that from_lists takes.
  static constexpr Index largest_count = 0x7FFFFFFF;

  /// The classes of one row. Borrows from the Labels.
  struct Row {
    std::span<const Index> classes;  ///< ids, strictly ascending
    std::span<const Index> counts;   ///< one for each class, at least 1; empty in weighted rows
    std::span<const float> weights;  ///< one for each class; empty in counted rows

    /// The most probable class; the lowest id if there are several.
    Index argmax() const {
      const auto largest = [](auto values) {
        return std::max_element(values.begin(), values.end()) - values.begin();
      };
      return classes[static_cast<std::size_t>(counts.empty() ? largest(weights) : largest(counts))];
    }
    /// The sum of the counts; 0 in weighted rows.
    Index total() const { return std::accumulate(counts.begin(), counts.end(), Index{0}); }
  };

  Labels() = default;
  /// One class id for each row. Errors  std::invalid_argument for a negative id.
  Labels(std::span<const Index> ids)
      : ends_(ids.size()), classes_(ids.begin(), ids.end()), counts_(ids.size(), 1) {
    std::iota(ends_.begin(), ends_.end(), Index{1});
    for (std::size_t i = 0; i < ids.size(); ++i) require_class(i, ids[i]);
  }
  Labels(const std::vector<Index>& ids) : Labels(std::span<const Index>{ids}) {}

  /// Soft labels: a list of classes and probabilities for each row, in any order. The weights of
  /// a class that a row lists twice are added.
  ///
  /// Errors  std::invalid_argument naming the row, for an empty row, a negative id, a weight that
  ///         is not finite or is negative, and weights that do not sum to 1 (+- 1e-4).
  static Labels weighted(std::span<const std::vector<ClassWeight>> rows) {
    Labels labels;
    labels.is_weighted_ = true;
    RecycledVector<Entry> entries;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      require_some(i, rows[i].size());
      require_weights(i, rows[i], sum_tolerance);
      entries.clear();
      for (const auto& [id, weight] : rows[i]) {
        require_class(i, id);
        entries.push_back({id, static_cast<double>(weight)});
      }
      labels.add_row(entries, 1.0);
    }
    return labels;
  }
  static Labels weighted(std::initializer_list<std::vector<ClassWeight>> rows) {
    return weighted(std::span{rows.begin(), rows.size()});
  }

  /// Counted rows from lists that follow each other: row i has the classes [ends[i - 1], ends[i]).
  ///
  /// Shapes  ends: one value a row; classes and counts: ends.back() values each.
  /// Errors  std::invalid_argument for ends that do not ascend strictly to the number of classes,
  ///         for ids that are negative or do not ascend strictly in their row, for counts below 1
  ///         or with a sum above largest_count in a row.
  static Labels from_lists(RecycledVector<Index> ends, RecycledVector<Index> classes,
                           RecycledVector<Index> counts) {
    Labels labels{std::move(ends), std::move(classes), counts.size()};
    labels.counts_ = std::move(counts);
    for (Index i = 0; i < labels.row_count(); ++i) {
      Index left = largest_count;
      for (const Index count : labels.row(i).counts) {
        if (count < 1 || count > left)
          refuse_row(static_cast<std::size_t>(i),
                     {"count ", count, ", wanted at least 1 and a sum of at most ", largest_count});
        left -= count;
      }
    }
    return labels;
  }
  /// Weighted rows. Errors  as above, and as in weighted(), with merged_sum_tolerance.
  static Labels from_lists(RecycledVector<Index> ends, RecycledVector<Index> classes,
                           RecycledVector<float> weights) {
    Labels labels{std::move(ends), std::move(classes), weights.size()};
    labels.is_weighted_ = true;
    labels.weights_ = std::move(weights);
    for (Index i = 0; i < labels.row_count(); ++i)
      require_weights(static_cast<std::size_t>(i), labels.row(i).weights, merged_sum_tolerance);
    return labels;
  }

  Index row_count() const { return static_cast<Index>(ends_.size()); }
  bool empty() const { return ends_.empty(); }
  bool is_weighted() const { return is_weighted_; }

  /// Errors  std::invalid_argument if there is no such row.
  Row row(Index i) const {
    if (i < 0 || i >= row_count())
      throw ArgumentError({"Labels: row ", i, ", wanted 0 to ", row_count() - 1});
    const auto at = static_cast<std::size_t>(i);
    const auto begin = at == 0 ? 0 : static_cast<std::size_t>(ends_[at - 1]);
    const std::size_t size = static_cast<std::size_t>(ends_[at]) - begin;
    const auto part_of = [&](const auto& list) { return std::span{list}.subspan(begin, size); };
    if (is_weighted_) return {part_of(classes_), {}, part_of(weights_)};
    return {part_of(classes_), part_of(counts_), {}};
  }

  /// The chosen rows, in that order. Errors  std::invalid_argument for a row that does not exist.
  Labels gather(std::span<const Index> rows) const {
    RecycledVector<Index> starts(rows.size() + 1);
    std::iota(starts.begin(), starts.end(), Index{0});
    return merge(starts, rows);
  }

  /// One row for each group of rows: group k has the rows members[starts[k]], ...,
  /// members[starts[k + 1] - 1]. Counts of a class are added. Weights of a class are added in
  /// double precision, in the order of the members, and divided by the number of members.
  ///
  /// Shapes  starts (K + 1), members as many as starts.back() -> K rows.
  /// Errors  std::invalid_argument for a row that does not exist, a group without members, and
  ///         starts that do not ascend from 0 to the number of members.
  Labels merge(std::span<const Index> starts, std::span<const Index> members) const {
    if (starts.empty() || starts.front() != 0 ||
        starts.back() != static_cast<Index>(members.size()))
      throw ArgumentError(
          {"Labels: merge: wanted starts from 0 to ", members.size(), ", the number of members"});
    Labels merged;
    merged.is_weighted_ = is_weighted_;
    RecycledVector<Entry> entries;
    for (std::size_t k = 0; k + 1 < starts.size(); ++k) {
      if (starts[k + 1] <= starts[k] || starts[k + 1] > starts.back())
        throw ArgumentError({"Labels: merge: group ", k, " has no members, wanted at least one"});
      const auto group = members.subspan(static_cast<std::size_t>(starts[k]),
                                         static_cast<std::size_t>(starts[k + 1] - starts[k]));
      entries.clear();
      for (const Index member : group) {
        const Row from = row(member);
        for (std::size_t c = 0; c < from.classes.size(); ++c)
          entries.push_back({from.classes[c], is_weighted_ ? static_cast<double>(from.weights[c])
                                                           : static_cast<double>(from.counts[c])});
      }
      merged.add_row(entries, static_cast<double>(group.size()));
    }
    return merged;
  }

  /// Errors  std::invalid_argument naming `operation` and the row, for an id not below `classes`.
  void require_classes(const char* operation, Index classes) const {
    for (Index i = 0; i < row_count(); ++i)
      if (const Index largest = row(i).classes.back(); largest >= classes)
        throw ArgumentError({operation, ": row ", i, " of the labels has class ", largest,
                             ", wanted less than ", classes});
  }

  /// The same rows of the same kind, with equal counts or weights.
  friend bool operator==(const Labels&, const Labels&) = default;

 private:
  [[noreturn]] static void refuse_row(std::size_t row, TextParts what) {
    throw ArgumentError({"Labels: row ", row, " has ", joined(what)});
  }
  static void require_some(std::size_t row, std::size_t classes) {
    if (classes == 0) refuse_row(row, {"no class, wanted at least one"});
  }
  static void require_class(std::size_t row, Index id) {
    if (id < 0) refuse_row(row, {"class ", id, ", wanted 0 or more"});
  }
  static float weight_of(float weight) { return weight; }
  static float weight_of(const ClassWeight& one) { return one.weight; }
  static void require_weights(std::size_t row, const auto& weights, double tolerance) {
    double sum = 0;
    for (const auto& one : weights) {
      const float weight = weight_of(one);
      if (!all_finite(std::span<const float>{&weight, 1}) || weight < 0)
        refuse_row(row, {"weight ", weight, ", wanted a finite number that is at least 0"});
      sum += static_cast<double>(weight);
    }
    if (!(std::abs(sum - 1.0) <= tolerance))
      refuse_row(row, {"weights that sum to ", sum, ", wanted 1 (+- 1e-4)"});
  }
  /// Errors  as in from_lists, for ends and classes. `values` is the number of counts or weights.
  Labels(RecycledVector<Index> ends, RecycledVector<Index> classes, std::size_t values)
      : ends_{std::move(ends)}, classes_{std::move(classes)} {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < ends_.size(); ++i) {
      require_some(i, ends_[i] > static_cast<Index>(begin) ? 1 : 0);
      const auto end = static_cast<std::size_t>(ends_[i]);
      if (end > classes_.size())
        refuse_row(i, {"a list that ends at ", end, ", wanted at most ", classes_.size()});
      require_class(i, classes_[begin]);
      for (std::size_t c = begin + 1; c < end; ++c)
        if (classes_[c] <= classes_[c - 1])
          refuse_row(i, {"class ", classes_[c], " after class ", classes_[c - 1],
                         ", wanted ascending ids"});
      begin = end;
    }
    if (begin != classes_.size() || values != classes_.size())
      throw ArgumentError({"Labels: the lists end at ", begin, ", and there are ", values,
                           " counts or weights for ", classes_.size(), " classes"});
  }

  /// A class of a row that is being put together.
  struct Entry {
    Index id;
    double value;
  };
  /// Appends a row, with equal classes added in their order and weights divided by `divisor`.
  void add_row(const RecycledVector<Entry>& entries, double divisor) {
    RecycledVector<Index> ids;
    for (const Entry& entry : entries) ids.push_back(entry.id);
    std::sort(ids.begin(), ids.end());
    Index* const end = std::unique(ids.begin(), ids.end());
    RecycledVector<double> sums(static_cast<std::size_t>(end - ids.begin()));
    for (const auto& [id, value] : entries)
      sums.data()[std::lower_bound(ids.begin(), end, id) - ids.begin()] += value;
    classes_.append(ids.begin(), end);
    for (const double sum : sums) {
      if (is_weighted_)
        weights_.push_back(static_cast<float>(sum / divisor));
      else
        counts_.push_back(static_cast<Index>(sum));
    }
    ends_.push_back(static_cast<Index>(classes_.size()));
  }

  RecycledVector<Index> ends_;     // (rows): where the lists end
  RecycledVector<Index> classes_;  // the lists of all rows
  RecycledVector<Index> counts_;   // of all classes, or
  RecycledVector<float> weights_;  // of all classes
  bool is_weighted_ = false;
};

}  // namespace splitvit::inline SPLITVIT_BUILD
