// SPDX-License-Identifier: MIT
#include "layout/layout.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

// The project keeps its layout; and the checker is worth trusting, since it finds each kind of
// violation in a small tree made for that.

namespace {

namespace fs = std::filesystem;

/// A project with headers that break nothing, in a directory that goes away again.
class FakeTree {
 public:
  FakeTree() {
    header("version.hpp", "");
    header("core/std.hpp", "#include <string>\n");
    header("core/shape.hpp", "#include <vector>\n");
    header("core/parallel.hpp", "#include <oneapi/tbb/parallel_for.h>\n");
    header("kernel/gemm.hpp", "");
    header("kernel/eigen_gemm.hpp", "#include <Eigen/Core>\n");
    header("tensor/tensor.hpp",
           "#include <splitvit/core/shape.hpp>\n#include <splitvit/tensor/detail/own.hpp>\n");
    header("tensor/detail/own.hpp", "");
    header("transport/tcp.hpp", "#include <sys/socket.h>\n#include <splitvit/version.hpp>\n");
    header("splitvit.hpp", "#include <splitvit/tensor/tensor.hpp>\n");
  }
  ~FakeTree() { fs::remove_all(root_); }
  FakeTree(const FakeTree&) = delete;
  FakeTree& operator=(const FakeTree&) = delete;

  const fs::path& root() const { return root_; }

  void file(const fs::path& name, const std::string& text) const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream{root_ / name, std::ios::binary} << text;
  }
  /// A header; the header of its folder includes it if it should.
  void header(const std::string& name, const std::string& includes) {
    text(name, includes);
    const std::string folder = layout::folder_of(name);
    if (!layout::allowed_folders().contains(folder) || layout::included_by_name().contains(name) ||
        name.find("/detail/") != std::string::npos)
      return;
    listed_[folder].insert(name);
    std::string all;
    for (const std::string& one : listed_[folder]) all += "#include <splitvit/" + one + ">\n";
    text(folder + ".hpp", all);
  }

 private:
  void text(const fs::path& name, const std::string& includes) const {
    file("include/splitvit" / name, "// SPDX-License-Identifier: MIT\n#pragma once\n\n" + includes);
  }

  std::map<std::string, std::set<std::string>> listed_;  // by folder
  fs::path root_ =
      fs::temp_directory_path() / ("splitvit-layout-" + std::to_string(std::random_device{}()));
};

std::string listed(const std::vector<std::string>& wrong) {
  std::string text;
  for (const std::string& line : wrong) text += line + "\n";
  return text;
}

}  // namespace

TEST_CASE("layout: every header of splitvit keeps to the table", "[layout]") {
  CHECK(listed(layout::violations(SPLITVIT_SOURCE_DIR)) == "");
}

TEST_CASE("layout: the top of the project holds the agreed names only", "[layout]") {
  CHECK(listed(layout::stray_names(SPLITVIT_SOURCE_DIR)) == "");
}

TEST_CASE("layout: a small tree without violations passes", "[layout]") {
  FakeTree tree;
  CHECK(listed(layout::violations(tree.root())) == "");
}

TEST_CASE("layout: each kind of violation is found, and nothing else", "[layout]") {
  struct Case {
    std::string header, includes, wanted;
  };
  const Case wrong = GENERATE(values<Case>({
      {"core/up.hpp", "#include <splitvit/tensor/tensor.hpp>\n", "core may not include tensor"},
      {"wire/side.hpp", "#include <splitvit/tensor/tensor.hpp>\n", "wire may not include tensor"},
      {"core/hidden.hpp", "#if 0\n  #  include <splitvit/kernel/gemm.hpp>  // no\n#endif\n",
       "core may not include kernel"},
      {"nn/deep.hpp", "#include <splitvit/tensor/detail/own.hpp>\n", "is private to tensor"},
      {"core/tbb.hpp", "#include <oneapi/tbb/task_arena.h>\n", "belongs elsewhere"},
      {"kernel/eigen.hpp", "#include <Eigen/Dense>\n", "belongs elsewhere"},
      {"kernel/gemm.hpp", "#include <xsimd/xsimd.hpp>\n", "belongs elsewhere"},
      {"transport/other.hpp", "#include <poll.h>\n", "belongs elsewhere"},
      {"core/boost.hpp", "#include <boost/asio.hpp>\n", "unknown library"},
      {"core/quoted.hpp", "#include \"shape.hpp\"\n", "write <splitvit/...>"},
      {"core/missing.hpp", "#include <splitvit/core/none.hpp>\n", "does not exist"},
      {"core/umbrella.hpp", "#include <splitvit/splitvit.hpp>\n", "no header includes"},
      {"splitvit.hpp", "#include <splitvit/transport/tcp.hpp>\n", "never by the umbrella"},
      {"kernel.hpp", "", "does not include kernel/gemm.hpp"},
      {"core/all.hpp", "#include <splitvit/tensor.hpp>\n", "no header includes a folder's header"},
      {"core/self.hpp", "#include <splitvit/core/self.hpp>\n", "cycle: core/self.hpp -> core/"},
      {"tensor/detail/own.hpp", "#include <splitvit/tensor/tensor.hpp>\n", "cycle: "},
      {"core/long.hpp", std::string(398, '\n'), "has 401 lines"},
      {"core/again.hpp", "#include <string>\n", "comes from core/std.hpp"},
      {"core/unnamed.hpp", "namespace splitvit {}\n", "does not name the build"},
      {"loose.hpp", "", "belongs into a folder"},
      {"utils/misc.hpp", "", "folder utils is not in the table"},
  }));
  CAPTURE(wrong.header, wrong.includes);
  FakeTree tree;
  tree.header(wrong.header, wrong.includes);

  const auto found = layout::violations(tree.root());
  CAPTURE(listed(found));
  REQUIRE(found.size() == 1);
  CHECK_THAT(found[0], ContainsSubstring(wrong.wanted));
}

TEST_CASE("layout: licence line, guard, and foreign files are looked at", "[layout]") {
  FakeTree tree;
  const std::string spdx = "// SPDX-License-Identifier: MIT\n";
  tree.file("include/splitvit/core/bare.hpp", "#pragma once\n#pragma once\n");
  CHECK_THAT(listed(layout::violations(tree.root())), ContainsSubstring("SPDX"));
  tree.file("include/splitvit/core/bare.hpp", spdx + "// #pragma once\n");
  CHECK_THAT(listed(layout::violations(tree.root())), ContainsSubstring("no #pragma once"));
  tree.header("core/bare.hpp", "");
  tree.file("include/splitvit/core/notes.txt", "");
  CHECK_THAT(listed(layout::violations(tree.root())), ContainsSubstring("notes.txt"));
  fs::remove(tree.root() / "include/splitvit/core/notes.txt");
  tree.file("include/other/core.hpp", "");
  CHECK_THAT(listed(layout::violations(tree.root())), ContainsSubstring("../other/core.hpp"));
}

TEST_CASE("layout: a stray name at the top is found", "[layout]") {
  FakeTree tree;
  tree.file(".gitignore", "");
  tree.file("build-debug/x", "");
  tree.file("README.md", "");
  CHECK(layout::stray_names(tree.root()).empty());
  tree.file("notes.txt", "");
  tree.file("src/main.cpp", "");
  CHECK(listed(layout::stray_names(tree.root())) == "notes.txt\nsrc\n");
}
