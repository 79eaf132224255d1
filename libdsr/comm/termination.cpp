// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/termination.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "dsr/core/error.hpp"
#include "libdsr/comm/runtime_state.hpp"

namespace dsr::detail {

namespace {

std::atomic<RuntimeState const*> living{nullptr};
std::atomic_flag terminating = ATOMIC_FLAG_INIT;

/// An uncaught error, once its type is known.
struct Failure {
  enum class Seen { by_all, here };  ///< by_all: every rank is expected to fail alike
  Seen seen = Seen::here;
  int exit_code = 70;
  std::string text;
};

Failure uncaught() {
  std::exception_ptr const error = std::current_exception();
  if (!error) return {.text = "std::terminate was called"};
  try {
    std::rethrow_exception(error);
  } catch (InvalidArgument const& e) {
    return {Failure::Seen::by_all, e.exit_code(), e.what()};
  } catch (AgreedError const& e) {
    return {Failure::Seen::by_all, e.exit_code(), e.what()};
  } catch (Error const& e) {
    return {Failure::Seen::here, e.exit_code(), e.what()};
  } catch (std::exception const& e) {
    return {.text = e.what()};
  } catch (...) {
    return {.text = "an exception that is no std::exception"};
  }
}

[[noreturn]] void on_terminate() {
  // A second thread that fails too waits for the first one to end the process.
  if (terminating.test_and_set()) std::this_thread::sleep_for(std::chrono::seconds(30));
  RuntimeState const* const runtime = living.load();
  if (runtime == nullptr) std::abort();
  Failure const failure = uncaught();
  bool const speaks_for_all = failure.seen == Failure::Seen::by_all && runtime->world.rank() == 0;
  if (failure.seen == Failure::Seen::by_all && !speaks_for_all) {
    // Rank 0 is expected to report the same and to end us; aborting at once could lose its message.
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
  std::string const text = speaks_for_all
                               ? failure.text + "\n"
                               : failure.text + "\ndsr: uncaught on " + runtime->where() + "\n";
  std::fputs(text.c_str(), stderr);
  runtime->abort(failure.exit_code);
}

}  // namespace

TerminateHandler::TerminateHandler(RuntimeState const& runtime)
    : previous_runtime_(living.exchange(&runtime)),
      previous_handler_(std::set_terminate(on_terminate)) {}

TerminateHandler::~TerminateHandler() {
  std::set_terminate(previous_handler_);
  living.store(previous_runtime_);
}

}  // namespace dsr::detail
