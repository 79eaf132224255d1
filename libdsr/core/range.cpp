// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/range.hpp"

#include "libdsr/core/profiler.hpp"

namespace dsr {

Range::Range(std::string& path, std::string_view name) : path_(&path), outer_(path.size()) {
  begin(name);
}

Range::~Range() { end(); }

void Range::next(std::string_view name) {
  end();
  begin(name);
}

void Range::begin(std::string_view name) {
  if (outer_ > 0) path_->append("/");
  path_->append(name);
  detail::begin_range(path_->c_str());
}

void Range::end() {
  detail::end_range();
  path_->resize(outer_);
}

}  // namespace dsr
