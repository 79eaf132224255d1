// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Visitor: how a layer names its children, parameters and other saved state, in the order of its
/// forward pass.
///
///     void visit(Visitor& v) override { v.parameter("weight", weight_); v.child("norm", norm_); }
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "dsr/state/parameter.hpp"

namespace dsr {

class Visitor;

/// Anything that has parameters: every Layer, or a user's own model.
class Visitable {
 public:
  virtual ~Visitable() = default;
  virtual void visit(Visitor& visitor) = 0;
};

using SaveText = std::function<std::string()>;
using LoadText = std::function<void(std::string const&)>;

/// Throws InvalidArgument if a name is empty, or a full name is given twice to the same Visitor.
class Visitor {
 public:
  virtual ~Visitor() = default;
  /// Names a parameter.
  void parameter(std::string_view name, Parameter& parameter);
  /// Names state that is not a parameter.
  void text(std::string_view name, SaveText save, LoadText load);
  /// Visits a child below "name/".
  void child(std::string_view name, Visitable& visitable);

 protected:
  virtual void on_parameter(std::string const& path, Parameter& parameter) = 0;
  virtual void on_text(std::string const& /*path*/, SaveText /*save*/, LoadText /*load*/) {}

 private:
  std::string path_of(std::string_view name) const;
  std::string const& new_path(std::string_view name);
  std::string prefix_;           // "" or "blocks/3/"
  std::set<std::string> paths_;  // given so far
};

}  // namespace dsr
