// SPDX-License-Identifier: Apache-2.0
#include "support/faulty_files.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/io/system.hpp"

namespace dsr::test {
namespace {

class FaultyFile final : public File {
 public:
  FaultyFile(FaultyFiles& files, std::unique_ptr<File> file, std::string path)
      : files_(files), file_(std::move(file)), path_(std::move(path)) {}

  void write_at(Size offset, std::span<std::byte const> bytes) override {
    try {
      files_.begin(Call::write_at, path_);
    } catch (IoError const&) {
      file_->write_at(offset, bytes.first(bytes.size() / 2));
      throw;
    }
    file_->write_at(offset, bytes);
  }
  Size read_at(Size offset, std::span<std::byte> bytes) override {
    files_.begin(Call::read_at, path_);
    return file_->read_at(offset, bytes);
  }
  void allocate(Size bytes) override {
    if (!files_.begin(Call::allocate, path_)) file_->allocate(bytes);
  }
  Size size() override {
    files_.begin(Call::size, path_);
    return file_->size();
  }
  void sync_data() override {
    if (!files_.begin(Call::sync_data, path_)) file_->sync_data();
  }
  void close() override {
    bool weak = false;
    try {
      weak = files_.begin(Call::close, path_);
    } catch (IoError const&) {
      file_->close();
      throw;
    }
    if (!weak) file_->close();
  }

 private:
  FaultyFiles& files_;
  std::unique_ptr<File> file_;
  std::string path_;
};

}  // namespace

void FaultyFiles::weaken(Call call) {
  std::scoped_lock const lock{mutex_};
  weak_.insert(call);
}

void FaultyFiles::weaken(CallPlace place) {
  std::scoped_lock const lock{mutex_};
  weak_place_ = std::move(place);
}

void FaultyFiles::watch(Watch watch) {
  std::scoped_lock const lock{mutex_};
  watch_ = std::move(watch);
}

bool FaultyFiles::begin(Call call, std::string const& path) {
  CallPlace place{call, path};
  Watch watch;
  bool weak = false;
  {
    std::scoped_lock const lock{mutex_};
    place.nth = ++made_[{call, path}];
    watch = watch_;
    weak = weak_.contains(call) || weak_place_ == place;
  }
  if (watch) watch(place);
  int const error = faults_.next(call);
  if (error != 0 && (error != EINTR || !restarts(call))) detail::fail_io(path, "go on", error);
  return weak;
}

std::unique_ptr<File> FaultyFiles::wrapped(std::unique_ptr<File> file, std::string const& path) {
  return std::make_unique<FaultyFile>(*this, std::move(file), path);
}

bool FaultyFiles::is_directory(std::string const& path) {
  DirectoryEntry const entry{path.substr(path.find_last_of('/') + 1), EntryKind::directory};
  return std::ranges::count(files_.list(parent_directory(path)), entry) > 0;
}

/// In two writes: a reader or a crash between them sees half.
void FaultyFiles::copy(std::string const& from, std::string const& to) {
  auto const source = files_.open(from);
  std::vector<std::byte> bytes(static_cast<std::size_t>(source->size()));
  source->read_at(0, bytes);
  if (files_.exists(to)) files_.remove_file(to);
  auto const target = files_.create(to);
  std::span const all{bytes};
  auto const half = bytes.size() / 2;
  target->write_at(0, all.first(half));
  target->write_at(static_cast<Size>(half), all.subspan(half));
}

/// One after the other, the last by name first.
void FaultyFiles::move_entries(std::string const& from, std::string const& to) {
  files_.make_directory(to);
  std::vector<DirectoryEntry> entries = files_.list(from);
  std::ranges::reverse(entries);
  for (DirectoryEntry const& entry : entries)
    files_.rename(from + "/" + entry.name, to + "/" + entry.name);
  files_.remove_directory(from);
}

std::unique_ptr<File> FaultyFiles::create(std::string const& path) {
  if (begin(Call::create, path) && files_.exists(path))
    return wrapped(files_.open_for_writing(path), path);
  return wrapped(files_.create(path), path);
}

std::unique_ptr<File> FaultyFiles::open(std::string const& path) {
  begin(Call::open, path);
  return wrapped(files_.open(path), path);
}

std::unique_ptr<File> FaultyFiles::open_for_writing(std::string const& path) {
  begin(Call::open_for_writing, path);
  return wrapped(files_.open_for_writing(path), path);
}

bool FaultyFiles::make_directory(std::string const& path) {
  bool const weak = begin(Call::make_directory, path);
  return files_.make_directory(path) || weak;
}

void FaultyFiles::sync_directory(std::string const& path) {
  if (!begin(Call::sync_directory, path)) files_.sync_directory(path);
}

void FaultyFiles::rename(std::string const& from, std::string const& to) {
  if (!begin(Call::rename, from)) return files_.rename(from, to);
  if (is_directory(from)) return move_entries(from, to);
  copy(from, to);
  files_.remove_file(from);
}

void FaultyFiles::link(std::string const& from, std::string const& to) {
  if (!begin(Call::link, from)) return files_.link(from, to);
  copy(from, to);
}

void FaultyFiles::remove_file(std::string const& path) {
  begin(Call::remove_file, path);
  files_.remove_file(path);
}

void FaultyFiles::remove_directory(std::string const& path) {
  begin(Call::remove_directory, path);
  files_.remove_directory(path);
}

std::vector<DirectoryEntry> FaultyFiles::list(std::string const& path) {
  begin(Call::list, path);
  return files_.list(path);
}

bool FaultyFiles::exists(std::string const& path) {
  begin(Call::exists, path);
  return files_.exists(path);
}

Size FaultyFiles::free_bytes(std::string const& path) {
  begin(Call::free_bytes, path);
  return files_.free_bytes(path);
}

}  // namespace dsr::test
