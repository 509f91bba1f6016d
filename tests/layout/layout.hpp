// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // any_of, count, find, sort
#include <filesystem>  // path, recursive_directory_iterator
#include <fstream>     // ifstream
#include <map>         // map
#include <set>         // set
#include <sstream>     // ostringstream
#include <stdexcept>   // runtime_error
#include <string>      // string
#include <vector>      // vector

// Reads every #include below include/ and says which ones break the layout. The tables below
// and the one in CONTRIBUTING.md say the same and are changed together.

namespace layout {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

/// Which folders a folder may include, besides itself and version.hpp.
inline const std::map<std::string, Names>& allowed_folders() {
  static const std::map<std::string, Names> table{
      {"core", {}},
      {"kernel", {"core"}},
      {"transport", {"core"}},
      {"tensor", {"core", "kernel"}},
      {"wire", {"core", "transport"}},
      {"autograd", {"core", "kernel", "tensor"}},
      {"codec", {"core", "kernel", "tensor"}},
      {"data", {"core", "kernel", "tensor"}},
      {"images", {"core", "kernel", "tensor", "data"}},
      {"io", {"core", "kernel", "tensor"}},
      {"nn", {"core", "kernel", "tensor", "autograd", "io"}},
      {"optim", {"core", "kernel", "tensor", "autograd", "io"}},
      {"compress", {"core", "kernel", "tensor", "autograd"}},
      {"split",
       {"core", "kernel", "transport", "tensor", "wire", "autograd", "codec", "io", "nn", "optim",
        "compress"}},
      {"spec", {"core", "codec", "compress", "nn"}},
      {"report", {"core", "split"}},
      {"leakage",
       {"core", "kernel", "tensor", "wire", "autograd", "codec", "nn", "optim", "compress",
        "split"}},
  };
  return table;
}

/// Headers that come with neither the language nor splitvit: the start of their name, and which
/// of our headers (or which folder, ending in '/') may name them.
struct Library {
  std::string prefix;
  std::vector<std::string> where;
};

inline const std::vector<Library>& libraries() {
  static const std::vector<std::string> tcp{"transport/tcp.hpp"};
  static const std::vector<std::string> files{"transport/tcp.hpp", "io/"};
  static const std::vector<std::string> intrinsics{"core/", "kernel/"};
  static const std::vector<Library> table{
      {"oneapi/tbb", {"core/parallel.hpp"}},
      {"xsimd/", {"kernel/simd.hpp"}},
      {"Eigen/", {"kernel/eigen_gemm.hpp", "kernel/symmetric_eigen.hpp"}},
      {"jpeglib.h", {"images/jpeg.hpp"}},
      {"jerror.h", {"images/jpeg.hpp"}},
      {"png.h", {"images/png.hpp"}},
      {"zlib.h", {"images/gzip.hpp"}},
      {"openssl/", {"transport/tls_context.hpp", "transport/tls_engine.hpp"}},
      {"mpi.h", {"transport/mpi_job.hpp"}},
      {"sys/socket.h", tcp},
      {"sys/un.h", tcp},
      {"netinet/", tcp},
      {"arpa/", tcp},
      {"netdb.h", tcp},
      {"poll.h", tcp},
      {"unistd.h", {"transport/tcp.hpp", "io/", "kernel/matrix_unit.hpp"}},
      {"sys/syscall.h", {"kernel/matrix_unit.hpp"}},
      {"sys/random.h", {"wire/handshake.hpp"}},
      {"fcntl.h", files},
      {"sys/stat.h", files},
      {"sys/file.h", {"io/file_layer.hpp"}},
      {"immintrin.h", intrinsics},
      {"nmmintrin.h", intrinsics},
      {"xmmintrin.h", intrinsics},
      {"arm_neon.h", intrinsics},
  };
  return table;
}

/// What splitvit.hpp and its folder's header leave out: sockets, OpenSSL, MPI, and what is slow
/// to compile.
inline const Names& included_by_name() {
  static const Names names{
      "transport/tcp.hpp",        "transport/tls.hpp",          "transport/tls_context.hpp",
      "transport/tls_engine.hpp", "transport/mpi.hpp",          "transport/mpi_job.hpp",
      "kernel/eigen_gemm.hpp",    "kernel/symmetric_eigen.hpp", "nn/principal_axes.hpp"};
  return names;
}

inline constexpr long max_lines = 400;

struct Header {
  std::string text;
  std::vector<std::string> angled;  // names between < and >
  std::vector<std::string> quoted;
};

/// The headers below include/splitvit by their path from there.
using Headers = std::map<std::string, Header>;

inline std::string read(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in) throw std::runtime_error("layout: cannot read " + file.string());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

inline Header parse(std::string text) {
  Header header{.text = std::move(text), .angled = {}, .quoted = {}};
  std::istringstream lines{header.text};
  for (std::string line; std::getline(lines, line);) {
    const auto hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') continue;
    const auto word = line.find_first_not_of(" \t", hash + 1);
    if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
    const auto open = line.find_first_of("<\"", word + 7);
    if (open == std::string::npos) continue;
    const auto close = line.find(line[open] == '<' ? '>' : '"', open + 1);
    if (close == std::string::npos) continue;
    auto& names = line[open] == '<' ? header.angled : header.quoted;
    names.push_back(line.substr(open + 1, close - open - 1));
  }
  return header;
}

inline std::string folder_of(const std::string& name) {
  const auto slash = name.find('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

inline bool is_standard(const std::string& name) {
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

/// What is wrong with the edge from header `from` to our header `to`; empty if nothing is.
inline std::string wrong_edge(const std::string& from, const std::string& to) {
  if (to == "version.hpp") return "";
  if (from == "version.hpp") return "version.hpp includes nothing";
  if (to == "splitvit.hpp") return "no header includes the umbrella";
  if (folder_of(to).empty()) return "no header includes a folder's header";
  if (folder_of(from).empty()) {
    if (included_by_name().contains(to)) return "is included by name, never by the umbrella";
    if (from != "splitvit.hpp" && from != folder_of(to) + ".hpp") return "is of another folder";
  } else if (folder_of(from) != folder_of(to)) {
    const auto row = allowed_folders().find(folder_of(from));
    if (row == allowed_folders().end() || !row->second.contains(folder_of(to)))
      return folder_of(from) + " may not include " + folder_of(to);
  }
  if (folder_of(from) != folder_of(to) && to.find("/detail/") != std::string::npos)
    return "is private to " + folder_of(to);
  return "";
}

/// What is wrong with header `from` naming `name`, which is not ours; empty if nothing is.
inline std::string wrong_library(const std::string& from, const std::string& name) {
  if (is_standard(name)) return "";
  for (const Library& library : libraries()) {
    if (!name.starts_with(library.prefix)) continue;
    const bool fits = std::ranges::any_of(library.where, [&](const std::string& where) {
      return where.ends_with('/') ? from.starts_with(where) : from == where;
    });
    return fits ? "" : "names a library that belongs elsewhere";
  }
  return "names an unknown library";
}

/// Follows includes from `name`; adds a sentence for each that leads back to where it came from.
inline void find_cycles(const std::string& name, const Headers& headers,
                        std::vector<std::string>& path, Names& done,
                        std::vector<std::string>& wrong) {
  const auto here = headers.find(name);
  if (here == headers.end() || done.contains(name)) return;
  if (const auto seen = std::ranges::find(path, name); seen != path.end()) {
    std::string ring;
    for (auto step = seen; step != path.end(); ++step) ring += *step + " -> ";
    wrong.push_back("cycle: " + ring + name);
    return;
  }
  path.push_back(name);
  for (const std::string& next : here->second.angled)
    if (next.starts_with("splitvit/")) find_cycles(next.substr(9), headers, path, done, wrong);
  path.pop_back();
  done.insert(name);
}

inline void check_header(const std::string& name, const Header& header, const Headers& headers,
                         std::vector<std::string>& wrong) {
  const auto complain = [&](const std::string& what) { wrong.push_back(name + ": " + what); };

  if (!header.text.starts_with("// SPDX-License-Identifier: MIT\n"))
    complain("first line is not the SPDX line");
  if (header.text.find("\n#pragma once\n") == std::string::npos) complain("no #pragma once");
  if (header.text.find("\nnamespace splitvit") != std::string::npos &&
      header.text.find("\nnamespace splitvit::inline SPLITVIT_BUILD") == std::string::npos)
    complain("its namespace does not name the build, see core/build.hpp");
  const auto lines = std::ranges::count(header.text, '\n');
  if (lines > max_lines) complain("has " + std::to_string(lines) + " lines: split it");

  if (const std::string folder = folder_of(name); folder.empty()) {
    const std::string own = name.substr(0, name.size() - 4);
    if (name != "splitvit.hpp" && name != "version.hpp" && !allowed_folders().contains(own))
      complain("belongs into a folder");
  } else if (!allowed_folders().contains(folder)) {
    complain("folder " + folder + " is not in the table");
  }

  for (const std::string& quoted : header.quoted)
    complain("\"" + quoted + "\": write <splitvit/...>");
  for (const std::string& angled : header.angled) {
    const bool ours = angled.starts_with("splitvit/");
    const std::string to = ours ? angled.substr(9) : angled;
    if (ours && !headers.contains(to)) complain("<" + angled + "> does not exist");
    const auto common = headers.find("core/std.hpp");
    if (!ours && name != "core/std.hpp" && common != headers.end() &&
        std::ranges::count(common->second.angled, angled) > 0)
      complain("<" + angled + "> comes from core/std.hpp");
    const std::string what = ours ? wrong_edge(name, to) : wrong_library(name, angled);
    if (!what.empty()) complain("<" + angled + "> " + what);
  }
}

/// A folder's header FOLDER.hpp includes every header of the folder that is not private.
inline void check_folders(const Headers& headers, std::vector<std::string>& wrong) {
  for (const auto& [name, header] : headers) {
    const std::string folder = folder_of(name);
    if (!allowed_folders().contains(folder) || included_by_name().contains(name) ||
        name.find("/detail/") != std::string::npos)
      continue;
    const auto all = headers.find(folder + ".hpp");
    if (all == headers.end())
      wrong.push_back(folder + ".hpp: is missing");
    else if (std::ranges::find(all->second.angled, "splitvit/" + name) == all->second.angled.end())
      wrong.push_back(folder + ".hpp: does not include " + name);
  }
}

/// Everything below `root`/include that breaks the layout, one sentence each.
inline std::vector<std::string> violations(const fs::path& root) {
  std::vector<std::string> wrong;
  Headers headers;
  const fs::path base = root / "include" / "splitvit";
  for (const auto& entry : fs::recursive_directory_iterator{root / "include"}) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().lexically_relative(base).generic_string();
    if (name.starts_with("..") || entry.path().extension() != ".hpp")
      wrong.push_back(name + ": only include/splitvit/**.hpp belongs here");
    else
      headers.emplace(name, parse(read(entry.path())));
  }
  for (const auto& [name, header] : headers) check_header(name, header, headers, wrong);
  check_folders(headers, wrong);

  Names done;
  std::vector<std::string> path;
  for (const auto& [name, header] : headers) find_cycles(name, headers, path, done, wrong);
  return wrong;
}

/// Names at the top of the project that were not agreed on. What git ignores may be there.
inline std::vector<std::string> stray_names(const fs::path& root) {
  static const Names agreed{"CMakeLists.txt",  "CMakePresets.json",
                            "README.md",       "LICENSE",
                            "CONTRIBUTING.md", "CHANGELOG.md",
                            "include",         "tests",
                            "examples",        "bench",
                            "cmake",           "CMakeUserPresets.json"};
  std::vector<std::string> stray;
  for (const auto& entry : fs::directory_iterator{root}) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('.') && !name.starts_with("build") && !agreed.contains(name))
      stray.push_back(name);
  }
  std::ranges::sort(stray);
  return stray;
}

}  // namespace layout
