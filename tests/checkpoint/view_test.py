# SPDX-License-Identifier: Apache-2.0
"""h5py reads what dsr wrote: files of ranks, and the view of a whole set, also after it was moved.

usage: view_test.py <view_program> <folder for sets>     77: h5py is not installed
"""

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

try:
    import h5py
    import numpy
except ImportError:
    sys.exit(77)

try:
    import hdf5plugin
except ImportError:
    hdf5plugin = None

PROGRAM, FOLDER = sys.argv[1], Path(sys.argv[2])
# bf16 is none of numpy's types: h5py shows it as the smallest that holds it.
DTYPES = {"bf16": "<f4", "u8": "u1", "i32": "<i4", "i64": "<i8", "f32": "<f4", "f64": "<f8"}


def wanted(shape):
    return (numpy.arange(numpy.prod(shape, dtype=int)) % 113).reshape(shape)


class View(unittest.TestCase):
    def setUp(self):
        shutil.rmtree(FOLDER, ignore_errors=True)
        self.set = FOLDER / "set"
        self.set.mkdir(parents=True)
        subprocess.run([PROGRAM, self.set], check=True, timeout=60)
        self.manifest = json.loads((self.set / "manifest.json").read_text())

    def tensors(self):
        return {tensor["name"]: tensor for tensor in self.manifest["tensors"]}

    def check_view(self, folder):
        with h5py.File(folder / "checkpoint.h5", "r") as view:
            found = []
            view.visititems(
                lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
            )
            self.assertEqual(sorted(found), sorted(self.tensors()))
            for name, tensor in self.tensors().items():
                self.assertEqual(list(view[name].shape), tensor["shape"], name)
                numpy.testing.assert_array_equal(view[name][()], wanted(tensor["shape"]), name)
                if tensor["dtype"] in DTYPES:
                    self.assertEqual(view[name].dtype, DTYPES[tensor["dtype"]], name)

    def test_the_view_shows_every_tensor_whole(self):
        self.check_view(self.set)

    def test_the_set_may_be_moved(self):
        moved = FOLDER / "elsewhere" / "a % b"
        moved.parent.mkdir()
        self.set.rename(moved)
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir("/")
        self.check_view(moved)

    def test_parts_have_their_own_values_at_the_offsets_of_the_manifest(self):
        files = [h5py.File(self.set / file["name"], "r") for file in self.manifest["files"]]
        for name, tensor in self.tensors().items():
            numbers = [0] * len(files)
            for part in tensor["slices"]:
                dataset = files[part["file"]][f"{name}/slice_{numbers[part['file']]}"]
                numbers[part["file"]] += 1
                self.assertEqual(dataset.id.get_offset(), part["offset"], name)
                self.assertEqual(part["offset"] % 4096, 0, name)
                self.assertEqual(dataset.id.get_storage_size(), part["bytes"], name)
                box = tuple(
                    slice(first, first + count)
                    for first, count in zip(part["start"], part["count"])
                )
                numpy.testing.assert_array_equal(
                    dataset[()], wanted(tensor["shape"])[box], name
                )
        for file in files:
            file.close()

    def test_what_is_missing_is_no_number(self):
        (self.set / "rank_00001.h5").unlink()
        with h5py.File(self.set / "checkpoint.h5", "r") as view:
            for name in ("model/blocks/0/attention/qkv/weight", "model/100%b done"):
                tensor = self.tensors()[name]
                missing = numpy.zeros(tensor["shape"], bool)
                for part in tensor["slices"]:
                    if part["file"] == 1:
                        missing[
                            tuple(
                                slice(first, first + count)
                                for first, count in zip(part["start"], part["count"])
                            )
                        ] = True
                self.assertTrue(missing.any() and not missing.all())
                numpy.testing.assert_array_equal(numpy.isnan(view[name][()]), missing, name)
            self.assertEqual(view["counts/i32"][()].min(), -(2**31))

    def test_files_are_as_long_as_the_manifest_says(self):
        for file in self.manifest["files"]:
            self.assertEqual((self.set / file["name"]).stat().st_size, file["bytes"])

    def test_equal_sets_are_equal_bytes(self):
        again = FOLDER / "again"
        again.mkdir()
        subprocess.run([PROGRAM, again], check=True, timeout=60)
        for path in self.set.iterdir():
            self.assertEqual(path.read_bytes(), (again / path.name).read_bytes(), path.name)


class ColdView(unittest.TestCase):
    """Compressed sets. Reading their values needs hdf5plugin; what is where does not."""

    def setUp(self):
        shutil.rmtree(FOLDER, ignore_errors=True)
        self.set = FOLDER / "cold"
        self.set.mkdir(parents=True)
        subprocess.run([PROGRAM, self.set, "cold"], check=True, timeout=60)
        self.manifest = json.loads((self.set / "manifest.json").read_text())

    def parts(self):
        """(tensor, slice, its dataset) of all."""
        files = [h5py.File(self.set / file["name"], "r") for file in self.manifest["files"]]
        for file in files:
            self.addCleanup(file.close)
        for tensor in self.manifest["tensors"]:
            numbers = [0] * len(files)
            for part in tensor["slices"]:
                name = f"{tensor['name']}/slice_{numbers[part['file']]}"
                numbers[part["file"]] += 1
                yield tensor, part, files[part["file"]][name]

    def test_each_slice_is_one_chunk_at_its_offset_with_both_filters(self):
        slices = 0
        for tensor, part, dataset in self.parts():
            slices += 1
            self.assertEqual(tensor["codec"], "shuffle-zstd")
            self.assertEqual(list(dataset.shape), part["count"] or [1], tensor["name"])
            self.assertEqual(dataset.chunks, dataset.shape)
            self.assertEqual(dataset.id.get_num_chunks(), 1)
            info = dataset.id.get_chunk_info(0)
            self.assertEqual((info.byte_offset, info.size), (part["offset"], part["bytes"]))
            self.assertEqual(info.filter_mask, 0)
            filters = dataset.id.get_create_plist()
            kinds = [filters.get_filter(i) for i in range(filters.get_nfilters())]
            self.assertEqual([kind[0] for kind in kinds], [2, 32015])
            self.assertEqual(kinds[1][1:3], (h5py.h5z.FLAG_OPTIONAL, (1,)))
        self.assertGreater(slices, len(self.manifest["tensors"]) * 2)

    def test_files_are_as_long_as_the_manifest_says(self):
        for file in self.manifest["files"]:
            self.assertEqual((self.set / file["name"]).stat().st_size, file["bytes"])

    @unittest.skipIf(hdf5plugin is None, "hdf5plugin is not installed")
    def test_values_of_slices(self):
        for tensor, part, dataset in self.parts():
            box = tuple(
                slice(first, first + count) for first, count in zip(part["start"], part["count"])
            )
            expected = wanted(tensor["shape"])[box].reshape(dataset.shape)
            numpy.testing.assert_array_equal(dataset[()], expected, tensor["name"])

    @unittest.skipIf(hdf5plugin is None, "hdf5plugin is not installed")
    def test_the_view_shows_every_tensor_whole(self):
        with h5py.File(self.set / "checkpoint.h5", "r") as view:
            for tensor in self.manifest["tensors"]:
                found = view[tensor["name"]]
                self.assertEqual(list(found.shape), tensor["shape"])
                numpy.testing.assert_array_equal(found[()], wanted(tensor["shape"]))
                self.assertEqual(found.dtype, DTYPES.get(tensor["dtype"]), tensor["name"])

    @unittest.skipIf(hdf5plugin is not None, "hdf5plugin is installed")
    def test_without_the_filter_reading_is_an_error_and_no_number(self):
        for tensor, part, dataset in self.parts():
            with self.assertRaises(OSError):
                dataset[()]


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
