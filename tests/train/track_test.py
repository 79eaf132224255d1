# SPDX-License-Identifier: Apache-2.0
"""Shows that benchmarks/gpu_train/track.py fails what it is there to fail.

usage: track_test.py <folder of track.py>
"""

import math
import sys
import unittest

sys.path.insert(0, sys.argv.pop(1))
import track  # noqa: E402

LIMITS = track.parse([])
TWIN = [7 - 0.02 * step + 0.01 * math.sin(step) for step in range(100)]


def shaken(size, seed):
    """The twin's losses with noise that averages out."""
    return [loss + size * math.sin(seed + 13 * step) for step, loss in enumerate(TWIN)]


class Judge(unittest.TestCase):
    def judge(self, ours, twin=TWIN, other=None):
        return track.judge(ours, twin, other or shaken(0.002, 1), LIMITS)

    def test_noise_of_the_twins_size_passes(self):
        report = self.judge(shaken(0.002, 2))
        self.assertEqual(report["problems"], [])
        self.assertEqual(report["result"], "PASS")

    def test_other_training_fails(self):
        slower = [TWIN[0] + 0.9 * (loss - TWIN[0]) for loss in TWIN]
        report = self.judge(slower)
        self.assertEqual(report["result"], "FAIL")
        self.assertLess(report["distance"]["mean"], 0.2)
        self.assertGreater(report["distance"]["signed"], 0)

    def test_one_step_far_off_fails(self):
        ours = shaken(0.0005, 2)
        ours[60] += 0.05
        self.assertIn("largest distance", " ".join(self.judge(ours)["problems"]))

    def test_what_is_not_a_number_fails(self):
        ours = shaken(0.001, 2)
        ours[99] = math.nan
        self.assertEqual(self.judge(ours)["result"], "FAIL")

    def test_twins_that_agree_by_luck_leave_some_room(self):
        self.assertEqual(self.judge(shaken(0.001, 2), other=TWIN)["result"], "PASS")

    def test_a_loss_that_does_not_fall_fails(self):
        flat = [7.0] * 100
        self.assertIn("fell by 0.000", self.judge(flat, flat, flat)["problems"][0])


if __name__ == "__main__":
    unittest.main()
