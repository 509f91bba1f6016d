// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>     // adjacent_find, min, sort
#include <charconv>      // from_chars
#include <cmath>         // isfinite
#include <system_error>  // errc
#include <variant>       // variant, get_if

#include <splitvit/core/error.hpp>  // joined, Reason, StorageError
#include <splitvit/core/utf8.hpp>   // first_code_point, json_quoted

namespace splitvit::inline SPLITVIT_BUILD::io {

/// A JSON value. Whole numbers that fit are kept exactly; objects keep their order.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;
  using Value =
      std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object>;

  Json() = default;
  explicit Json(Value value) : value_{std::move(value)} {}

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  // Each is null if the value is of another kind.
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const std::int64_t* whole() const { return std::get_if<std::int64_t>(&value_); }
  const double* fraction() const { return std::get_if<double>(&value_); }
  const std::string* text() const { return std::get_if<std::string>(&value_); }
  const Array* array() const { return std::get_if<Array>(&value_); }
  const Object* object() const { return std::get_if<Object>(&value_); }

  /// The value under a key; null if this is no object or has no such key.
  const Json* find(std::string_view key) const {
    if (const Object* members = object())
      for (const auto& [name, value] : *members)
        if (name == key) return &value;
    return nullptr;
  }

 private:
  Value value_ = nullptr;
};

/// What a text may cost, checked while it is read.
struct JsonLimits {
  std::size_t bytes = 100'000'000;
  std::size_t values = 2'000'000;  ///< of all kinds, at all depths
  int depth = 16;                  ///< arrays and objects within each other
};

namespace detail {
class JsonParser {
 public:
  JsonParser(std::string_view text, const std::string& what, const JsonLimits& limits)
      : text_{text}, what_{what}, limits_{limits} {}

  Json whole_text() {
    if (text_.size() > limits_.bytes)
      fail(joined({"more than ", limits_.bytes, " bytes"}), Reason::too_long);
    Json out = value(0);
    skip_spaces();
    if (!ended()) fail("something behind the value");
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& why, Reason reason = Reason::damaged_file) const {
    throw StorageError(reason, {what_, ": byte ", at_, ": ", why});
  }

  bool ended() const { return at_ == text_.size(); }
  char peek() const { return ended() ? '\0' : text_[at_]; }
  /// Skips all of these characters that come next; returns how many.
  std::size_t skip(std::string_view characters) {
    const std::size_t begin = at_;
    at_ = std::min(text_.find_first_not_of(characters, at_), text_.size());
    return at_ - begin;
  }
  std::size_t skip_spaces() { return skip(" \t\n\r"); }
  std::size_t skip_digits() { return skip("0123456789"); }
  bool take(char c) {
    const bool there = !ended() && text_[at_] == c;
    if (there) ++at_;
    return there;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("'") + c + "' is missing");
  }

  Json value(int depth) {
    if (++values_ > limits_.values)
      fail(joined({"more than ", limits_.values, " values"}), Reason::too_long);
    skip_spaces();
    const char first = peek();
    if ((first == '{' || first == '[') && depth >= limits_.depth)
      fail(joined({"nested deeper than ", limits_.depth}), Reason::too_long);
    if (first == '{') return Json{object(depth + 1)};
    if (first == '[') {
      Json::Array out;
      elements(']', [&] { out.push_back(value(depth + 1)); });
      return Json{std::move(out)};
    }
    if (first == '"') return Json{string()};
    if (first == 't') return word("true", Json{true});
    if (first == 'f') return word("false", Json{false});
    if (first == 'n') return word("null", Json{});
    return number();
  }

  /// Reads elements with commas between them, up to the closing bracket.
  void elements(char close, const auto& read_one) {
    ++at_;
    skip_spaces();
    if (take(close)) return;
    do {
      skip_spaces();
      read_one();
      skip_spaces();
    } while (take(','));
    expect(close);
  }

  Json::Object object(int depth) {
    Json::Object out;
    elements('}', [&] {
      if (peek() != '"') fail("a key is missing");
      std::string key = string();
      skip_spaces();
      expect(':');
      out.emplace_back(std::move(key), value(depth));
    });
    std::vector<std::string_view> keys;
    keys.reserve(out.size());
    for (const auto& member : out) keys.push_back(member.first);
    std::ranges::sort(keys);
    if (const auto twice = std::ranges::adjacent_find(keys); twice != keys.end())
      fail("key " + json_quoted(*twice) + " comes twice");
    return out;
  }

  Json word(std::string_view wanted, Json meaning) {
    if (text_.substr(at_, wanted.size()) != wanted) fail("not a value");
    at_ += wanted.size();
    return meaning;
  }

  Json number() {
    const std::size_t begin = at_;
    take('-');
    if (!take('0') && skip_digits() == 0) fail("not a value");
    const bool point = take('.');
    if (point && skip_digits() == 0) fail("a digit is missing");
    const bool exponent = take('e') || take('E');
    if (exponent && !take('-')) take('+');
    if (exponent && skip_digits() == 0) fail("a digit is missing");
    const char* first = text_.data() + begin;
    const char* last = text_.data() + at_;
    std::int64_t exact = 0;
    if (!point && !exponent && std::from_chars(first, last, exact).ec == std::errc{})
      return Json{exact};
    double rounded = 0.0;
    if (std::from_chars(first, last, rounded).ec != std::errc{} || !std::isfinite(rounded))
      fail("a number that does not fit");
    return Json{rounded};
  }

  std::uint32_t four_digits() {
    std::uint32_t code = 0;
    const char* first = text_.data() + at_;
    if (text_.size() - at_ < 4 || std::from_chars(first, first + 4, code, 16).ptr != first + 4)
      fail("four hexadecimal digits are missing");
    at_ += 4;
    return code;
  }

  void escape(std::string& out) {
    if (ended()) fail("the text does not end");
    constexpr std::string_view letters = "\"\\/bfnrt";
    constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    const char letter = text_[at_++];
    if (const auto i = letters.find(letter); i != std::string_view::npos) {
      out += meanings[i];
    } else {
      if (letter != 'u') fail("an unknown escape");
      std::uint32_t code = four_digits();
      if (code >= 0xD800 && code <= 0xDFFF) {
        const bool paired = code <= 0xDBFF && take('\\') && take('u');
        const std::uint32_t low = paired ? four_digits() : 0;
        if (low < 0xDC00 || low > 0xDFFF) fail("half a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      }
      append_utf8(out, code);
    }
  }

  static void append_utf8(std::string& out, std::uint32_t code) {
    constexpr std::array<std::uint32_t, 4> marks{0, 0xC0, 0xE0, 0xF0};  // of the first byte
    const std::size_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    out += static_cast<char>(marks[more] | (code >> (6 * more)));
    for (std::size_t i = more; i-- > 0;) out += static_cast<char>(0x80 | ((code >> (6 * i)) & 63));
  }

  std::string string() {
    std::string out;
    ++at_;
    while (!take('"')) {
      if (ended()) fail("the text does not end");
      const CodePoint c = first_code_point(text_.substr(at_));
      if (c.value < 0x20) fail("a control character in a text");
      if (!c.valid) fail("not UTF-8");
      if (take('\\')) {
        escape(out);
      } else {
        out += text_.substr(at_, c.bytes);
        at_ += c.bytes;
      }
    }
    return out;
  }

  std::string_view text_;
  const std::string& what_;
  const JsonLimits& limits_;
  std::size_t at_ = 0;
  std::size_t values_ = 0;
};
}  // namespace detail

/// Reads one JSON value (RFC 8259) and nothing behind it but spaces. Stricter than the RFC: keys of
/// one object differ, texts are valid UTF-8 with paired surrogates, numbers fit a double.
/// Errors  StorageError naming `what` and the byte: too_long above a limit, else damaged_file.
inline Json parse_json(std::string_view text, const std::string& what = "JSON",
                       const JsonLimits& limits = {}) {
  return detail::JsonParser{text, what, limits}.whole_text();
}

}  // namespace splitvit::inline SPLITVIT_BUILD::io
