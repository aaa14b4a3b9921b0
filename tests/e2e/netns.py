"""Four hosts as network namespaces with their own addresses and disks, over real TCP: generated, sorted, validated."""

import os
import shutil
import sys

import harness as h

RACK = h.REPO / "scripts" / "rack-in-a-box.sh"


def four_hosts_over_tcp_sort_validly():
    with h.Workspace() as w:
        # A rack of its own, whatever else is up.
        env = {"RACK_DIR": str(w.path / "rack"), "RACK_MOUNT": "/mnt/sluice-test-rack", "RACK_PREFIX": f"sluice-n{os.getpid()}"}
        code, out, err = h.run([RACK, "up", "4"], env=env)
        try:
            h.check(code == 0, f"rack up: {out}{err}")
            options = ["--set", "disks.path=/mnt/sluice-test-rack", "--set", f"results.dir={w.path}/results", "--set", "memory.budget=48MiB"]

            def on_rack(*words):
                return h.must(h.run([RACK, "mpirun", "-n", "4", "--timeout", "120", h.BIN / "sluice", words[0], *options, *words[1:]], timeout=150, env=env), words[0])

            on_rack("gen", "--records", "2000000")
            hosts = [w.path / "rack" / f"h{k}" for k in range(1, 5)]
            inputs = [p for host in hosts for p in sorted(host.glob("input/data-*"))]
            expected = h.sorted_oracle_sha(inputs)
            for transport in ("p2p", "alltoallv", "rma"):
                fields = h.result_line(on_rack("sort", "--set", f"net.transport={transport}", "--set", "run.overwrite=true"))
                h.check(fields["status"] == "VALID" and fields["records"] == "2000000", f"{transport}: {fields}")
                h.check("status=VALID" in on_rack("validate"), f"{transport}: validate")
                for host in hosts:
                    h.check(list(host.glob("input/data-*")) and list(host.glob("sorted/part-*")) and (host / "sorted" / "MANIFEST.json").exists(), f"{transport}: {host} holds no share")
                parts = sorted((p for host in hosts for p in host.glob("sorted/part-*")), key=lambda p: p.name)
                h.check(h.sha_of_files(parts) == expected, f"{transport}: the parts of all hosts in order are not the sorted input")
        finally:
            h.run([RACK, "down"], env=env)


if os.geteuid() != 0 or shutil.which("ip") is None or h.run(["ip", "netns", "add", "sluice-test-probe"])[0] != 0:
    print("skipped: no network namespaces here (root and iproute2 are needed)")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
h.run(["ip", "netns", "del", "sluice-test-probe"])
h.main([four_hosts_over_tcp_sort_validly])
