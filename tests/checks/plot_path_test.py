# SPDX-License-Identifier: Apache-2.0
"""scripts/plot_path.py: bars of the parts of a shootdown, points kept and left, and bad input."""

import unittest

import plotting

HEAD = "mechanism,platform,run.vms,part,unit,mean,share,shootdowns\n"
PATH = HEAD + "".join(
    f"{m},{platform},{vms},{part},us,{mean},{share},100\n"
    for platform in ("x86", "arm") for vms in (1, 4) for m in ("native_concurrent", "hyperv")
    for part, mean, share in (("send", 3 * vms, 0.75), ("ack", vms, 0.25), ("total", 4 * vms, 1)))


class PlotPath(plotting.PlotTest):
    SCRIPT = "plot_path.py"
    FILES = ["critical_path.png", "critical_path.svg"]

    def svg(self):
        return self.bytes_of(["critical_path.svg"])[0].decode()

    def test_drawn_and_deterministic(self):
        self.check_drawn({"critical_path.csv": PATH}, self.FILES)
        for text in ("x86, run.vms 1", "arm, run.vms 4", "native_concurrent", "send", "16"):
            self.assertIn(f"<!-- {text} -->", self.svg())
        self.assertNotIn("<!-- handler -->", self.svg())
        self.assertNotIn("<!-- total -->", self.svg())

    def test_points_that_are_kept(self):
        done = self.plot({"critical_path.csv": PATH}, "--keep", "run.vms=4", "--keep",
                         "platform=x86", "--title", "A storm")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("<!-- A storm -->", self.svg())
        self.assertIn("<!-- x86, run.vms 4 -->", self.svg())
        self.assertNotIn("<!-- x86, run.vms 1 -->", self.svg())
        self.assertNotIn("<!-- arm, run.vms 4 -->", self.svg())

    def test_a_part_of_another_version_and_no_swept_key(self):
        text = "mechanism,part,unit,mean,share,shootdowns\n"
        text += "kvm_pv,teleport,us,1,0.5,1\nkvm_pv,send,us,1,0.5,1\nkvm_pv,total,us,2,1,1\n"
        self.assertEqual(self.plot({"critical_path.csv": text}).returncode, 0)
        self.assertIn("<!-- teleport -->", self.svg())

    def test_refused(self):
        for what, text, *arguments in (
                ("empty", ""), ("no rows", HEAD), ("column", PATH.replace("share", "part_of")),
                ("number", PATH.replace(",12,", ",twelve,")), ("unit", PATH.replace(",us,", ",s,", 1)),
                ("twice", PATH + PATH.splitlines()[1] + "\n"),
                ("total", "\n".join(r for r in PATH.splitlines() if "1,total" not in r) + "\n"),
                ("key", PATH, "--keep", "run.vcpus=4"), ("value", PATH, "--keep", "run.vms=3")):
            self.check_refused(what, {"critical_path.csv": text}, "critical_path.png", *arguments)
        self.check_refused("missing", {}, "critical_path.png")


if __name__ == "__main__":
    unittest.main()
