# SPDX-License-Identifier: Apache-2.0
"""Tables of results pages are what their CSV files say, and a stale one is found."""

import os
import subprocess
import sys
import unittest

import tree

SUMMARY = ("mechanism,platform,run.vms,metric,unit,mean,ci95,n\n"
           "native,x86,1,completion_time,s,0.05722,0.0006,5\n"
           "native,x86,1,speedup,ratio,1,0,5\n"
           "free,x86,1,completion_time,s,0.0286,0.0003,5\n"
           "free,x86,1,speedup,ratio,2.0004,0.0061,5\n"
           "free,x86,1,ipis,1,12345,10,5\n"
           "free,x86,1,log_speedup,ln,0.6931472,0.1,5\n"
           "native,x86,1,effective_overcommit,ratio,1.504,0.1,5\n"
           "native,x86,1,ipis,1,0.5,10,5\n"
           "native,arm,1,completion_time,s,9,1,5\n")
PARTS = ("mechanism,part,unit,mean,share\nnative,send,us,4.0804,0.7\nfree,send,us,0,0\n"
         "native,lock,us,0,0\nfree,lock,us,0,0\n")
ROWS = ("experiment,row,role,unit,published,simulated,error_pct\nE3,dry,calibrate,ns,23.92,24,0.326\n"
        "E3,all,predict,ns,,151100,\n")


class ResultTables(tree.TreeTest):
    def run_tables(self, *arguments):
        script = os.path.join(tree.ROOT, "scripts", "result-tables")
        done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True,
                              check=False)
        self.assertNotIn("Traceback", done.stderr)
        return done.returncode, done.stdout + done.stderr

    def made(self, directive, code=0):
        self.write("results/a/summary.csv", SUMMARY)
        self.write("results/a/parts.csv", PARTS)
        self.write("results/a/e.csv", ROWS)
        self.write("results/a/README.md",
                   f"x\n<!-- table: {directive} -->\n| 7 |\n<!-- end of table -->\ny\n")
        got, said = self.run_tables("--root", self.root)
        self.assertEqual(got, code, said)
        if code:
            return said
        with open(os.path.join(self.root, "results/a/README.md"), encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.startswith("x\n<!-- table: ") and text.endswith(" -->\ny\n"), text)
        return text.splitlines()[2:-2]

    def test_validity(self):
        self.write("results/a/f.csv", "experiment,row,role,error_pct,tolerance_pct\nE4,a,predict,-3,5\n"
                   "E4,b,predict,9,5\nE4,c,predict,4,\nE4,d,predict,,5\nE5,x,calibrate,0.04,1\n")
        self.assertEqual(
            self.made("validity f.csv"),
            ["| experiment | rows are | rows | median error | worst | within tolerance |", "|---|---|---|---|---|---|",
             "| E4 | predicted | 3 | 4.0 % | 9.0 %: b | 1 of 2 |", "| E5 | fitted | 1 | 0.0 % | 0.0 %: x | 1 of 1 |"])
        self.write("results/a/g.csv", "experiment,row,role,error_pct,tolerance_pct\nE6,y,predict,1,\n")
        self.assertIn("| E6 | predicted | 1 | 1.0 % | 1.0 %: y | - |", self.made("validity f.csv,g.csv"))

    def test_validation(self):
        self.write("results/a/v.csv", "row,role,unit,real,real_q1,real_q3,n,simulated,error_percent\n"
                   "\"mprotect pair, 1 page\",used,ns,4200,4100,4300,900,4200,0.0\n"
                   "storm,held_out,ns,24500000,23000000,26000000,7,12250000,-50.0\n"
                   "idle,held_out,ns,0,0,0,3,10,\ncounts,held_out,interrupts,1.962,1.9,2,8,2,1.9\n")
        self.assertEqual(
            self.made("validation v.csv"),
            ["| row | role | real | quartiles | n | simulated | error |", "|---|---|---|---|---|---|---|",
             "| mprotect pair, 1 page | used | 4.2 us | 4.1 us to 4.3 us | 900 | 4.2 us | +0 % |",
             "| storm | held out | 24.5 ms | 23 ms to 26 ms | 7 | 12.2 ms | -50 % |",
             "| idle | held out | 0 ps | 0 ps to 0 ps | 3 | 10 ns | - |",
             "| counts | held out | 1.96 | 1.90 to 2.00 | 8 | 2.00 | +2 % |"])
        self.assertEqual(len(self.made("validation v.csv role=used")), 3)

    def test_fit(self):
        self.write("results/a/fit.csv", "parameter,keys,low,high,start,fitted,standard_error,at_bound\n"
                   "exit,a.exit a.entry,5cycles,9cycles,6cycles,7cycles,2cycles,\n"
                   "wire,a.wire,1ns,3ns,2ns,3ns,,high\nalone,a.alone,1,3,2,2,,\n")
        self.assertEqual(
            self.made("fit fit.csv"),
            ["| parameter | keys | bounds | start | fitted | standard error |", "|---|---|---|---|---|---|",
             "| exit | `a.exit`, `a.entry` | 5cycles to 9cycles | 6cycles | 7cycles | 2cycles |",
             "| wire | `a.wire` | 1ns to 3ns | 2ns | 3ns | at its high bound |",
             "| alone | `a.alone` | 1 to 3 | 2 | 2 | - |"])

    def test_rows_of_a_fit(self):
        self.write("results/a/rows.csv", "row,fitted,unit,published,at_start,simulated,error_pct,left_out_error_pct\n"
                   "dry,yes,ns,23.92,9,24.16,1.003,-4.56\nall,yes,ns,15110.4,9,15000,-0.73,\n"
                   "other,no,ns,100,9,90,-10,\n")
        self.assertEqual(
            self.made("fit_rows rows.csv")[2:],
            ["| dry | fitted | ns | 23.9 | 24.2 | +1.0 % | -4.6 % |",
             "| all | fitted | ns | 15,110 | 15,000 | -0.7 % | by itself |",
             "| other | predicted | ns | 100.0 | 90.0 | -10.0 % | - |"])

    def test_sensitivity(self):
        self.write("results/a/s.csv", "result,parameter,mechanism,value,low,high,elasticity,standard_error,seeds\n"
                   "storm,a.one,native,4,2,8,0.5,0.01,3\nstorm,a.one,free,4,2,8,-0.6,0.02,3\n"
                   "storm,a.noise,native,4,2,8,0.9,0.5,3\nloop,a.two,native,1ns,0ns,2ns,0.7,0.1,3\n")
        head = ["| parameter | varied | storm | loop |", "|---|---|---|---|"]
        rows = ["| `a.two` | 0ns to 2ns | - | +0.70 +- 0.10 (native) |",
                "| `a.one` | 2 to 8 | -0.60 +- 0.02 (free) | - |"]
        self.assertEqual(self.made("sensitivity s.csv"), head + rows) # noise is not beyond twice its error
        self.assertEqual(self.made("sensitivity s.csv top=1"), head + rows[:1])

    def test_pages_of_the_tree(self):
        self.assertEqual(self.run_tables("--check"), (0, ""))

    def test_kinds(self):
        self.assertEqual(
            self.made("speedup summary.csv platform=x86 rows=run.vms title=VMs baseline=native"),
            ["| VMs | native | free |", "|---|---|---|", "| 1 | 57.2 ms | x 2.000 +- 0.006 |"])
        self.assertEqual(
            self.made("geometric summary.csv platform=x86 rows=run.vms title=VMs baseline=native"),
            ["| VMs | effective | native | free |", "|---|---|---|---|",
             "| 1 | 1.50 | 57.2 ms | x 2 (1.8 to 2.2) |"])
        self.assertEqual(self.made("metric summary.csv platform=x86 rows=run.vms metric=ipis"),
                         ["| run.vms | native | free |", "|---|---|---|", "| 1 | 0.5 | 12,345 |"])
        self.assertEqual(self.made("path parts.csv"),
                         ["| part, us | native | free |", "|---|---|---|", "| `send` | 4.08 | 0 |"])
        self.assertEqual(self.made("reproduce e.csv")[2:],
                         ["| dry | calibrate | 23.9 | 24.0 | +0.3 % |",
                          "| all | predict | - | 151,100 | - |"])

    def test_two_on_a_page(self):
        table = "<!-- table: path parts.csv -->\n<!-- end of table -->\n"
        self.made("path parts.csv")
        self.write("results/a/README.md", table + "between\n" + table)
        self.assertEqual(self.run_tables("--root", self.root)[0], 0)
        with open(os.path.join(self.root, "results/a/README.md"), encoding="utf-8") as file:
            self.assertEqual(file.read().count("| `send` | 4.08 | 0 |"), 2)

    def test_stale(self):
        self.made("path parts.csv")
        self.assertEqual(self.run_tables("--root", self.root, "--check"), (0, ""))
        self.write("results/a/parts.csv", PARTS.replace("4.0804", "4.2"))
        self.assertEqual(self.run_tables("--root", self.root, "--check"),
                         (1, "results/a/README.md: tables differ from their files\n"))

    def test_wrong(self):
        for directive, says in (
                ("path gone.csv", "README.md:2: "), ("path", "wants a kind and a file"),
                ("paths parts.csv", "no kind paths; there are speedup, "),
                ("speedup summary.csv rows=run.vms", "a table of kind speedup wants baseline="),
                ("metric summary.csv rows=run.vms metric=ipi", "0 rows of "),
                ("path parts.csv vms=1", "has no column vms"),
                ("path parts.csv part=exit", "no row of ")):
            self.assertIn(says, self.made(directive, 2), directive)
        self.write("results/a/README.md", "<!-- table: path parts.csv -->\n| 7 |\n")
        self.assertEqual(self.run_tables("--root", self.root)[0], 2)


if __name__ == "__main__":
    unittest.main()
