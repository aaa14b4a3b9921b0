"""Many input files with a short watchdog: looking at them is work that moves on, on one rank and on two.

    many_files.py          20,000 files
    many_files.py --full   100,000
"""

import os
import sys

import harness as h

FILES = 100000 if "--full" in sys.argv else 20000


def every_file_is_sorted_though_listing_takes_longer_than_the_watchdog_allows():
    with h.Workspace() as w:
        raw = w.path / "raw"
        raw.mkdir()
        for number in range(FILES):
            (raw / f"f{number:06}").write_bytes(os.urandom(10) + b"%090d" % number)
        oracle = h.sorted_oracle_sha(sorted(raw.iterdir()))
        for ranks in (0, 2):
            out = h.must(h.sluice(["sort", *w.options, "--set", f"input.paths={raw}/*", "--set", "memory.budget=256MiB", "--set",
                                   "run.watchdog=1s", "--set", "run.overwrite=true"], ranks=ranks, timeout=300), f"{ranks} ranks")
            result = h.result_line(out)
            h.check(result["status"] == "VALID" and result["input_files"] == str(FILES) and result["records"] == str(FILES), out)
            h.check(h.sha_of_files(w.parts()) == oracle, f"{ranks} ranks: the output is wrong")
            h.must(h.sluice(["validate", *w.options, "--set", f"input.paths={raw}/*", "--set", "run.watchdog=1s"], ranks=ranks), "validate")


h.main([every_file_is_sorted_though_listing_takes_longer_than_the_watchdog_allows])
