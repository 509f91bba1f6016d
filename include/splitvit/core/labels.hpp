// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>         // ranges::max_element, ranges::sort
#include <cmath>             // abs
#include <cstddef>           // size_t
#include <initializer_list>  // initializer_list
#include <numeric>           // accumulate, iota
#include <span>              // span
#include <stdexcept>         // invalid_argument
#include <string>            // string, to_string
#include <utility>           // move
#include <vector>            // vector

#include <splitvit/core/finite.hpp>     // all_finite
#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // RecycledVector

// Labels: which classes the samples of a batch belong to, as a short list for each sample.

namespace splitvit {

/// A class and its probability.
struct ClassWeight {
  Index id = 0;
  float weight = 0;
};

/// The labels of a batch: one row for each sample, and in each row a list of classes.
///
/// All rows of a Labels are of the same kind.
///
///   counted   classes with counts. The probability of a class is its count, divided by the sum
///             of the row's counts. A class id is a list of one class with count 1, and the
///             list of a merged sample says how many of its members have each class.
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
  /// How far the sum of a row's weights may be from 1.
  static constexpr double sum_tolerance = 1e-4;
  /// The same for rows that may have been merged: each merge rounds the weights to float32.
  static constexpr double merged_sum_tolerance = sum_tolerance + 1e-6;
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
        return std::ranges::max_element(values) - values.begin();
      };
      return classes[static_cast<std::size_t>(counts.empty() ? largest(weights) : largest(counts))];
    }
    /// The sum of the counts; 0 in weighted rows.
    Index total() const { return std::accumulate(counts.begin(), counts.end(), Index{0}); }
  };

  /// No rows.
  Labels() = default;

  /// One class id for each row.
  ///
  /// Errors  std::invalid_argument for a negative id.
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
  static Labels weighted(std::span<const std::vector<ClassWeight>> rows);
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
                           RecycledVector<Index> counts);
  /// The same for weighted rows.
  ///
  /// Errors  as above, and as in weighted() for weights, with merged_sum_tolerance.
  static Labels from_lists(RecycledVector<Index> ends, RecycledVector<Index> classes,
                           RecycledVector<float> weights);

  Index row_count() const { return static_cast<Index>(ends_.size()); }
  bool empty() const { return ends_.empty(); }
  bool is_weighted() const { return is_weighted_; }

  /// Row i, 0 <= i < row_count().
  ///
  /// Errors  std::invalid_argument if there is no such row.
  Row row(Index i) const {
    if (i < 0 || i >= row_count())
      throw std::invalid_argument("Labels: row " + std::to_string(i) + ", wanted 0 to " +
                                  std::to_string(row_count() - 1));
    const auto at = static_cast<std::size_t>(i);
    const auto begin = at == 0 ? 0 : static_cast<std::size_t>(ends_[at - 1]);
    const std::size_t size = static_cast<std::size_t>(ends_[at]) - begin;
    Row found{.classes = std::span{classes_}.subspan(begin, size), .counts = {}, .weights = {}};
    if (is_weighted_)
      found.weights = std::span{weights_}.subspan(begin, size);
    else
      found.counts = std::span{counts_}.subspan(begin, size);
    return found;
  }

  /// The chosen rows, in the order of `rows`.
  ///
  /// Errors  std::invalid_argument for a row that does not exist.
  Labels gather(std::span<const Index> rows) const;

  /// One row for each group of rows: group k has the rows members[starts[k]], ...,
  /// members[starts[k + 1] - 1]. Counts of a class are added. Weights of a class are added in
  /// double precision, in the order of the members, and divided by the number of members.
  ///
  /// Shapes  starts (K + 1), members as many as starts.back() -> K rows.
  /// Errors  std::invalid_argument for a row that does not exist, a group without members, and
  ///         starts that do not ascend from 0 to the number of members.
  Labels merge(std::span<const Index> starts, std::span<const Index> members) const;

  /// Errors  std::invalid_argument that begins with `operation` and names the row, for a class id
  ///         that is not below `classes`.
  void require_classes(const char* operation, Index classes) const {
    for (Index i = 0; i < row_count(); ++i)
      if (const Index largest = row(i).classes.back(); largest >= classes)
        throw std::invalid_argument(std::string{operation} + ": row " + std::to_string(i) +
                                    " of the labels has class " + std::to_string(largest) +
                                    ", wanted less than " + std::to_string(classes));
  }

  /// The same rows of the same kind, with equal counts or weights.
  friend bool operator==(const Labels&, const Labels&) = default;

 private:
  [[noreturn]] static void refuse_row(std::size_t row, const std::string& text) {
    throw std::invalid_argument("Labels: row " + std::to_string(row) + " has " + text);
  }
  static void require_class(std::size_t row, Index id) {
    if (id < 0) refuse_row(row, "class " + std::to_string(id) + ", wanted 0 or more");
  }
  static void require_weight(std::size_t row, float weight) {
    if (!all_finite(std::span<const float>{&weight, 1}) || weight < 0)
      refuse_row(
          row, "weight " + std::to_string(weight) + ", wanted a finite number that is at least 0");
  }
  static void require_sum(std::size_t row, double sum, double tolerance) {
    if (!(std::abs(sum - 1.0) <= tolerance))
      refuse_row(row, "weights that sum to " + std::to_string(sum) + ", wanted 1 (+- 1e-4)");
  }
  /// Errors  as in from_lists, for ends and classes.
  void require_lists(std::size_t values) const;

  /// A class of a row that is being put together.
  struct Entry {
    Index id;
    std::size_t place;  // so that equal classes are added in their order
    double value;
  };
  /// Appends a row, with equal classes added and everything divided by `divisor`.
  void add_row(std::span<Entry> entries, double divisor);

  RecycledVector<Index> ends_;     // (rows): where the lists end
  RecycledVector<Index> classes_;  // the lists of all rows
  RecycledVector<Index> counts_;   // of all classes, or
  RecycledVector<float> weights_;  // of all classes
  bool is_weighted_ = false;
};

inline void Labels::add_row(std::span<Entry> entries, double divisor) {
  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return a.id < b.id || (a.id == b.id && a.place < b.place);
  });
  for (std::size_t i = 0; i < entries.size();) {
    const Index id = entries[i].id;
    double sum = 0;
    for (; i < entries.size() && entries[i].id == id; ++i) sum += entries[i].value;
    classes_.push_back(id);
    if (is_weighted_)
      weights_.push_back(static_cast<float>(sum / divisor));
    else
      counts_.push_back(static_cast<Index>(sum));
  }
  ends_.push_back(static_cast<Index>(classes_.size()));
}

inline Labels Labels::weighted(std::span<const std::vector<ClassWeight>> rows) {
  Labels labels;
  labels.is_weighted_ = true;
  RecycledVector<Entry> entries;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].empty()) refuse_row(i, "no class, wanted at least one");
    entries.clear();
    double sum = 0;
    for (const auto& [id, weight] : rows[i]) {
      require_class(i, id);
      require_weight(i, weight);
      sum += static_cast<double>(weight);
      entries.push_back({id, entries.size(), static_cast<double>(weight)});
    }
    require_sum(i, sum, sum_tolerance);
    labels.add_row(entries, 1.0);
  }
  return labels;
}

inline void Labels::require_lists(std::size_t values) const {
  if (values != classes_.size())
    throw std::invalid_argument("Labels: " + std::to_string(values) + " counts or weights for " +
                                std::to_string(classes_.size()) + " classes");
  std::size_t begin = 0;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    if (ends_[i] <= static_cast<Index>(begin)) refuse_row(i, "no class, wanted at least one");
    const auto end = static_cast<std::size_t>(ends_[i]);
    if (end > classes_.size())
      refuse_row(i, "a list that ends at " + std::to_string(end) + ", wanted at most " +
                        std::to_string(classes_.size()));
    require_class(i, classes_[begin]);
    for (std::size_t c = begin + 1; c < end; ++c)
      if (classes_[c] <= classes_[c - 1])
        refuse_row(i, "class " + std::to_string(classes_[c]) + " after class " +
                          std::to_string(classes_[c - 1]) + ", wanted ascending ids");
    begin = end;
  }
  if (begin != classes_.size())
    throw std::invalid_argument("Labels: the lists end at " + std::to_string(begin) +
                                ", wanted the number of classes, " +
                                std::to_string(classes_.size()));
}

inline Labels Labels::from_lists(RecycledVector<Index> ends, RecycledVector<Index> classes,
                                 RecycledVector<Index> counts) {
  Labels labels;
  labels.ends_ = std::move(ends);
  labels.classes_ = std::move(classes);
  labels.counts_ = std::move(counts);
  labels.require_lists(labels.counts_.size());
  for (Index i = 0; i < labels.row_count(); ++i) {
    Index left = largest_count;
    for (const Index count : labels.row(i).counts) {
      if (count < 1 || count > left)
        refuse_row(static_cast<std::size_t>(i), "count " + std::to_string(count) +
                                                    ", wanted at least 1 and a sum of at most " +
                                                    std::to_string(largest_count));
      left -= count;
    }
  }
  return labels;
}

inline Labels Labels::from_lists(RecycledVector<Index> ends, RecycledVector<Index> classes,
                                 RecycledVector<float> weights) {
  Labels labels;
  labels.is_weighted_ = true;
  labels.ends_ = std::move(ends);
  labels.classes_ = std::move(classes);
  labels.weights_ = std::move(weights);
  labels.require_lists(labels.weights_.size());
  for (Index i = 0; i < labels.row_count(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    double sum = 0;
    for (const float weight : labels.row(i).weights) {
      require_weight(at, weight);
      sum += static_cast<double>(weight);
    }
    require_sum(at, sum, merged_sum_tolerance);
  }
  return labels;
}

inline Labels Labels::gather(std::span<const Index> rows) const {
  Labels chosen;
  chosen.is_weighted_ = is_weighted_;
  for (const Index i : rows) {
    const Row from = row(i);
    chosen.classes_.insert(chosen.classes_.end(), from.classes.begin(), from.classes.end());
    chosen.counts_.insert(chosen.counts_.end(), from.counts.begin(), from.counts.end());
    chosen.weights_.insert(chosen.weights_.end(), from.weights.begin(), from.weights.end());
    chosen.ends_.push_back(static_cast<Index>(chosen.classes_.size()));
  }
  return chosen;
}

inline Labels Labels::merge(std::span<const Index> starts, std::span<const Index> members) const {
  const auto refuse = [](const std::string& text) {
    throw std::invalid_argument("Labels: merge: " + text);
  };
  if (starts.empty() || starts.front() != 0 || starts.back() != static_cast<Index>(members.size()))
    refuse("starts that do not go from 0 to the number of members, " +
           std::to_string(members.size()));
  Labels merged;
  merged.is_weighted_ = is_weighted_;
  RecycledVector<Entry> entries;
  for (std::size_t k = 0; k + 1 < starts.size(); ++k) {
    if (starts[k + 1] <= starts[k] || starts[k + 1] > starts.back())
      refuse("group " + std::to_string(k) + " has no members, wanted at least one");
    const auto group = members.subspan(static_cast<std::size_t>(starts[k]),
                                       static_cast<std::size_t>(starts[k + 1] - starts[k]));
    entries.clear();
    for (const Index member : group) {
      const Row from = row(member);
      for (std::size_t c = 0; c < from.classes.size(); ++c)
        entries.push_back({from.classes[c], entries.size(),
                           is_weighted_ ? static_cast<double>(from.weights[c])
                                        : static_cast<double>(from.counts[c])});
    }
    merged.add_row(entries, static_cast<double>(group.size()));
  }
  return merged;
}

}  // namespace splitvit
