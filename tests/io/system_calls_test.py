# SPDX-License-Identifier: Apache-2.0
"""Which system calls system_files() makes, in which order, and what it does with their errors.

system_calls_test.py PROGRAM

PROGRAM replaces a file in a directory (system_calls.cpp). strace shows its calls, and makes some of
them fail that no healthy disk makes fail. Skipped (77) where strace is absent or may not trace.
"""
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
SKIPPED = 77
CALLS = "openat,mkdir,fallocate,ftruncate,pwrite64,pread64,fdatasync,fsync,close,/rename.*"


class Run:
    """One traced run: exit code, both outputs, and the calls on the directory in order."""

    def __init__(self, *options):
        with tempfile.TemporaryDirectory() as directory, tempfile.NamedTemporaryFile("r") as log:
            names = ["", "/sub", "/sub/note.tmp", "/sub/note"]
            paths = [option for name in names for option in ("-P", directory + name)]
            command = ["strace", "-qq", "-o", log.name, "-e", "trace=" + CALLS, *paths, *options]
            command += [PROGRAM, directory]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            self.code, self.out, self.error = done.returncode, done.stdout.strip(), done.stderr
            self.lines = [line.replace(directory, "D") for line in log.read().splitlines()]

    def names(self):
        return [re.match(r"\w+", line).group() for line in self.lines]

    def count(self, text):
        return sum(text in line for line in self.lines)


def fail(call, error, when):
    return ("-e", f"inject={call}:error={error}:when={when}")


class Protocol(unittest.TestCase):
    def test_order_and_flags(self):
        run = Run()
        self.assertEqual((run.code, run.out), (0, "0123456789"))
        sync = ["openat", "fsync", "close"]
        write = ["openat", "fallocate", "pwrite64", "fallocate", "fdatasync", "close"]
        names = ["rename" if name.startswith("rename") else name for name in run.names()]
        # The directory that holds D is synced too, and is not among the traced paths.
        read = ["openat", "pread64", "close"]
        self.assertEqual(names, ["mkdir", *sync, *write, "rename", *sync, *read])
        opened = [line for line in run.lines if line.startswith("openat")]
        for flag in ("O_RDWR", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC", "0666"):
            self.assertIn(flag, opened[1])
        for flag in ("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK"):
            self.assertIn(flag, opened[3])
        for line in (opened[0], opened[2]):
            self.assertIn("O_DIRECTORY", line)

    def test_interrupted_calls_are_repeated(self):
        for call in ("openat", "fallocate", "pwrite64", "pread64"):
            with self.subTest(call):
                run = Run(*fail(call, "EINTR", "1..2"))
                self.assertEqual((run.code, run.out, run.count("INJECTED")), (0, "0123456789", 2))

    def test_syncs_and_closes_are_not_repeated(self):
        # The second fsync is that of the file's directory, the second close the file's.
        for call, when, total in (("fdatasync", 1, 1), ("fsync", 2, 2), ("close", 2, 2)):
            for error in ("EINTR", "EIO", "EDQUOT"):
                with self.subTest(call, error=error):
                    run = Run(*fail(call, error, when))
                    self.assertEqual((run.code, run.count("INJECTED")), (74, 1))
                    self.assertEqual(run.names().count("rename"), int(call == "fsync"))
                    if call != "close":  # the directory's descriptor is closed after any error
                        self.assertEqual(run.names().count(call), total)

    def test_transfers_go_on_where_the_system_stopped(self):
        for call, last in (("pwrite64", "6, 4)"), ("pread64", "6, 4)")):
            with self.subTest(call):
                run = Run("-e", f"inject={call}:retval=4:when=1")
                self.assertEqual(run.code, 0)
                self.assertEqual(run.names().count(call), 2)
                self.assertIn(last, [line for line in run.lines if line.startswith(call)][1])

    def test_a_write_without_progress_ends(self):
        self.assertEqual(Run("-e", "inject=pwrite64:retval=0").code, 74)

    def test_a_system_that_cannot_reserve(self):
        for error in ("EOPNOTSUPP", "ENOSYS"):
            run = Run(*fail("fallocate", error, "1+"))
            self.assertEqual((run.code, run.out), (0, "0123456789"))
            self.assertEqual(run.names().count("ftruncate"), 1)

    def test_errors_are_reported(self):
        for call, reason in (
            ("mkdir", "ENOSPC"),
            ("fallocate", "ENOSPC"),
            ("pwrite64", "EDQUOT"),
            ("pread64", "EIO"),
            ("openat", "EACCES"),
        ):
            with self.subTest(call):
                run = Run(*fail(call, reason, "1+"))
                self.assertEqual(run.code, 74)
                self.assertIn("cannot", run.error)


def can_trace():
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True)
    return tried.returncode == 0


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    if not can_trace():
        print("skipped: strace is absent or may not trace")
        sys.exit(SKIPPED)
    unittest.main()
