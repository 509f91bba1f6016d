// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>     // sort, adjacent_find
#include <charconv>      // from_chars
#include <cmath>         // isfinite
#include <cstddef>       // nullptr_t, size_t
#include <cstdint>       // int64_t, uint32_t
#include <string>        // string, to_string
#include <string_view>   // string_view
#include <system_error>  // errc
#include <utility>       // move, pair
#include <variant>       // variant, get_if
#include <vector>        // vector

#include <splitvit/core/error.hpp>  // StorageError

// A small strict JSON reader with limits, and quoting for writers.

namespace splitvit::io {

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

/// Reads one JSON value (RFC 8259) and nothing behind it but spaces.
///
/// Stricter than the RFC: keys of one object differ, texts are valid UTF-8 with paired
/// surrogates, numbers fit a double.
///
/// Errors  StorageError naming `what`, the byte and the reason: too_long above a limit,
///         damaged_file otherwise.
Json parse_json(std::string_view text, const std::string& what = "JSON",
                const JsonLimits& limits = {});

/// A text in quotes, as JSON writes it; bytes from 0x80 on are copied.
inline std::string json_quoted(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (code < 0x20) {
      out += "\\u00";
      out += digits[code >> 4];
      out += digits[code & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

namespace detail {

class JsonParser {
 public:
  JsonParser(std::string_view text, const std::string& what, const JsonLimits& limits)
      : text_{text}, what_{what}, limits_{limits} {}

  Json whole_text() {
    if (text_.size() > limits_.bytes)
      fail("more than " + std::to_string(limits_.bytes) + " bytes", Reason::too_long);
    Json out = value(0);
    skip_spaces();
    if (at_ != text_.size()) fail("something behind the value");
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& why, Reason reason = Reason::damaged_file) const {
    throw StorageError(reason, what_ + ": byte " + std::to_string(at_) + ": " + why);
  }

  bool ended() const { return at_ == text_.size(); }
  char peek() const { return ended() ? '\0' : text_[at_]; }
  void skip_spaces() {
    while (!ended() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  bool take(char c) {
    if (ended() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("'") + c + "' is missing");
  }

  Json value(int depth) {
    if (++values_ > limits_.values)
      fail("more than " + std::to_string(limits_.values) + " values", Reason::too_long);
    skip_spaces();
    switch (peek()) {
      case '{':
        return Json{object(inside(depth))};
      case '[':
        return Json{array(inside(depth))};
      case '"':
        return Json{string()};
      case 't':
        return word("true", Json{true});
      case 'f':
        return word("false", Json{false});
      case 'n':
        return word("null", Json{});
      default:
        return number();
    }
  }

  int inside(int depth) const {
    if (depth >= limits_.depth)
      fail("nested deeper than " + std::to_string(limits_.depth), Reason::too_long);
    return depth + 1;
  }

  Json::Array array(int depth) {
    Json::Array out;
    ++at_;
    skip_spaces();
    if (take(']')) return out;
    do {
      out.push_back(value(depth));
      skip_spaces();
    } while (take(','));
    expect(']');
    return out;
  }

  Json::Object object(int depth) {
    Json::Object out;
    ++at_;
    skip_spaces();
    if (take('}')) return out;
    do {
      skip_spaces();
      if (peek() != '"') fail("a key is missing");
      std::string key = string();
      skip_spaces();
      expect(':');
      out.emplace_back(std::move(key), value(depth));
      skip_spaces();
    } while (take(','));
    expect('}');
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

  std::size_t digits() {
    const std::size_t begin = at_;
    while (!ended() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ - begin;
  }

  Json number() {
    const std::size_t begin = at_;
    take('-');
    if (!take('0') && digits() == 0) fail("not a value");
    bool whole = true;
    if (take('.')) {
      whole = false;
      if (digits() == 0) fail("a digit is missing");
    }
    if (take('e') || take('E')) {
      whole = false;
      if (!take('-')) take('+');
      if (digits() == 0) fail("a digit is missing");
    }
    const char* first = text_.data() + begin;
    const char* last = text_.data() + at_;
    if (std::int64_t exact = 0; whole && std::from_chars(first, last, exact).ec == std::errc{})
      return Json{exact};
    double rounded = 0.0;
    if (std::from_chars(first, last, rounded).ec != std::errc{} || !std::isfinite(rounded))
      fail("a number that does not fit");
    return Json{rounded};
  }

  std::uint32_t four_digits() {
    if (text_.size() - at_ < 4) fail("four hexadecimal digits are missing");
    std::uint32_t code = 0;
    const char* first = text_.data() + at_;
    if (std::from_chars(first, first + 4, code, 16).ptr != first + 4)
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
      return;
    }
    if (letter != 'u') fail("an unknown escape");
    std::uint32_t code = four_digits();
    if (code >= 0xDC00 && code <= 0xDFFF) fail("half a surrogate pair");
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (!take('\\') || !take('u')) fail("half a surrogate pair");
      const std::uint32_t low = four_digits();
      if (low < 0xDC00 || low > 0xDFFF) fail("half a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | (code >> 6));
      put(0x80 | (code & 63));
    } else if (code < 0x10000) {
      put(0xE0 | (code >> 12));
      put(0x80 | ((code >> 6) & 63));
      put(0x80 | (code & 63));
    } else {
      put(0xF0 | (code >> 18));
      put(0x80 | ((code >> 12) & 63));
      put(0x80 | ((code >> 6) & 63));
      put(0x80 | (code & 63));
    }
  }

  /// Copies one character of two to four bytes.
  void multibyte(std::string& out) {
    const auto byte = [this](std::size_t i) {
      return at_ + i < text_.size()
                 ? static_cast<std::uint32_t>(static_cast<unsigned char>(text_[at_ + i]))
                 : 0u;
    };
    const std::uint32_t lead = byte(0);
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    std::uint32_t code = lead & (0xFFu >> (length + 1));
    bool valid = lead >= 0xC2 && lead <= 0xF4;
    for (std::size_t i = 1; i < length; ++i) {
      valid = valid && (byte(i) & 0xC0u) == 0x80u;
      code = (code << 6) | (byte(i) & 63u);
    }
    // The shortest form only, no surrogates, nothing above the last character.
    valid = valid && !(length == 3 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF))) &&
            !(length == 4 && (code < 0x10000 || code > 0x10FFFF));
    if (!valid) fail("not UTF-8");
    out += text_.substr(at_, length);
    at_ += length;
  }

  std::string string() {
    std::string out;
    ++at_;
    while (!take('"')) {
      if (ended()) fail("the text does not end");
      const auto code = static_cast<unsigned char>(text_[at_]);
      if (code < 0x20) fail("a control character in a text");
      if (code >= 0x80) {
        multibyte(out);
      } else if (take('\\')) {
        escape(out);
      } else {
        out += text_[at_++];
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

inline Json parse_json(std::string_view text, const std::string& what, const JsonLimits& limits) {
  return detail::JsonParser{text, what, limits}.whole_text();
}

}  // namespace splitvit::io
