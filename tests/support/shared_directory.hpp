// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A directory that all ranks of a test know, removed with all that is in it when the last rank is
/// done with it. Collective over the world, made and destroyed.
#include <optional>
#include <string>

#include "dsr/comm/collectives.hpp"
#include "io/temporary_directory.hpp"
#include "support/ranks.hpp"

namespace dsr::test {

class SharedDirectory {
 public:
  SharedDirectory() {
    if (runtime().rank() == 0) made_.emplace();
    path_ = broadcast_text(made_ ? made_->path() : std::string{}, 0, runtime().world());
  }
  ~SharedDirectory() { wait_for_all(runtime().world()); }
  SharedDirectory(SharedDirectory const&) = delete;
  SharedDirectory& operator=(SharedDirectory const&) = delete;

  std::string const& path() const { return path_; }

 private:
  std::optional<TemporaryDirectory> made_;  // of rank 0
  std::string path_;
};

}  // namespace dsr::test
