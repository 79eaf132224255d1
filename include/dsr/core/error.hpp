// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Errors, sorted by who can act on them. Every message has one form:
///
///     dsr: <what>: <found>, allowed <x>; nearest <y>
///
///     throw InvalidArgument(problem("model.heads", "heads % (row·col) = 4 % 3", "0", "row = 2"));
///
/// Destructors never throw. The library never calls exit(): a program's main decides, with
/// exit_code().
#include <stdexcept>
#include <string>
#include <string_view>

namespace dsr {

/// Base of all errors that dsr throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  /// What a program should exit with (sysexits.h).
  virtual int exit_code() const noexcept { return 70; }
};

/// The caller can act: thrown before any launch or collective, from inputs all ranks share. Exit
/// code 78.
class InvalidArgument : public Error {
 public:
  using Error::Error;
  int exit_code() const noexcept override { return 78; }
};

/// The command line is wrong. Exit code 64.
class UsageError : public InvalidArgument {
 public:
  using InvalidArgument::InvalidArgument;
  int exit_code() const noexcept override { return 64; }
};

/// An allocation or an arena is too small; the text says what was needed and by what. Exit code 71.
class OutOfMemory : public Error {
 public:
  using Error::Error;
  int exit_code() const noexcept override { return 71; }
};

/// A file cannot be opened, read, written, synced or renamed; the text names it and the system's
/// reason. Exit code 74.
class IoError : public Error {
 public:
  explicit IoError(std::string const& text, int error_number = 0)
      : Error(text), error_number_(error_number) {}
  int exit_code() const noexcept override { return 74; }
  /// The system's (errno); 0 where no system call failed.
  int error_number() const noexcept { return error_number_; }

 private:
  int error_number_;
};

/// A file's content is not what its format says; the text names file and offset. Exit code 65.
class CorruptData : public Error {
 public:
  using Error::Error;
  int exit_code() const noexcept override { return 65; }
};

/// A CUDA library failed, or CUDA was asked for and is absent. Exit code 70.
class CudaError : public Error {
 public:
  using Error::Error;
};

/// A peer is lost or silent for too long: the communicator is dead. Only `train` handles it. Exit
/// code 75.
class CommError : public Error {
 public:
  using Error::Error;
  int exit_code() const noexcept override { return 75; }
};

/// An error that one rank met and all ranks throw (see agree() in comm/agree.hpp): it is printed
/// once.
class AgreedError : public Error {
 public:
  AgreedError(std::string const& text, int exit_code) : Error(text), exit_code_(exit_code) {}
  int exit_code() const noexcept override { return exit_code_; }

 private:
  int exit_code_;
};

/// Composes "dsr: <what>: <found>, allowed <allowed>; nearest <nearest>"; empty parts are left out.
std::string problem(std::string_view what, std::string_view found, std::string_view allowed = {},
                    std::string_view nearest = {});

}  // namespace dsr
