// SPDX-License-Identifier: Apache-2.0
#pragma once
/// How an uncaught error ends a job. std::set_terminate takes a plain function, so the handler
/// finds the living Runtime through one process-wide pointer: the only such state in the library.
#include <exception>

namespace dsr::detail {

class RuntimeState;

/// Installed while it lives; the previous handler and Runtime are restored after. Neither copies
/// nor moves.
class TerminateHandler {
 public:
  explicit TerminateHandler(RuntimeState const& runtime);
  ~TerminateHandler();
  TerminateHandler(TerminateHandler const&) = delete;
  TerminateHandler& operator=(TerminateHandler const&) = delete;

 private:
  RuntimeState const* previous_runtime_;
  std::terminate_handler previous_handler_;
};

}  // namespace dsr::detail
