// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/visitor.hpp"

#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {

void Visitor::parameter(std::string_view name, Parameter& parameter) {
  on_parameter(new_path(name), parameter);
}

void Visitor::text(std::string_view name, SaveText save, LoadText load) {
  on_text(new_path(name), std::move(save), std::move(load));
}

void Visitor::child(std::string_view name, Visitable& visitable) {
  std::string const outer = std::exchange(prefix_, path_of(name) + "/");
  visitable.visit(*this);
  prefix_ = outer;
}

std::string Visitor::path_of(std::string_view name) const {
  if (name.empty()) {
    throw InvalidArgument(
        problem("name below \"" + prefix_ + "\"", "\"\"", "a name that is not empty"));
  }
  return prefix_ + std::string{name};
}

std::string const& Visitor::new_path(std::string_view name) {
  auto const [path, is_new] = paths_.insert(path_of(name));
  if (!is_new) throw InvalidArgument(problem("name \"" + *path + "\"", "given twice", "once"));
  return *path;
}

}  // namespace dsr
