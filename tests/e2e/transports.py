"""Every transport sorts to the same bytes; on one host records travel by shared memory, and those of the same rank not at all."""

import json

import harness as h

RECORDS = 400_000
TRANSPORTS = ("p2p", "alltoallv", "rma")


def newest_result(w):
    return json.loads(max((w.path / "results").glob("sort-*/result.json"), key=lambda p: p.stat().st_mtime).read_text())


def sort(w, transport, ranks):
    words = ["sort", *w.options, "--set", "memory.budget=48MiB", "--set", "run.overwrite=true", "--set", f"net.transport={transport}"]
    return h.result_line(h.must(h.sluice(words, ranks=ranks, timeout=60), f"{transport} on {ranks}"))


def every_transport_sorts_to_the_same_bytes():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", RECORDS]), "gen")
        expected = h.sorted_oracle_sha(w.inputs())
        for ranks in (2, 4):
            for transport in TRANSPORTS:
                fields = sort(w, transport, ranks)
                what = f"{transport} on {ranks} ranks"
                h.check(fields["status"] == "VALID" and fields["records"] == str(RECORDS), f"{what}: {fields}")
                h.check(h.sha_of_files(w.parts()) == expected, f"{what}: output differs from the independent sort")
                result = newest_result(w)
                sent = sum(rank["sent_bytes"] for rank in result["ranks"])
                received = sum(rank["received_bytes"] for rank in result["ranks"])
                # Uniform keys: a record is its own rank's with probability 1/R, and then it is not sent.
                wanted = RECORDS * h.RECORD_BYTES * (ranks - 1) / ranks
                h.check(sent == received and abs(sent - wanted) < 0.02 * wanted, f"{what}: {sent} sent, {received} received, {wanted} due")
                for rank in result["ranks"]:
                    h.check(rank["peak_resident_bytes"] <= rank["budget_bytes"] + 64 * 2**20, f"{what}: peak memory {rank['peak_resident_bytes']}")


LOOPBACK = "ip link set lo up && \"$@\"; code=$?; awk '$1 == \"lo:\" {print \"LOOPBACK \" $2}' /proc/net/dev; exit $code"


def ranks_of_one_host_send_nothing_over_the_loopback_interface():
    if h.run(["unshare", "-n", "sh", "-c", "ip link set lo up"])[0] != 0:
        print("skip  no network namespaces for this user: nobody else's bytes may be counted", flush=True)
        return
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", RECORDS]), "gen")
        for transport in TRANSPORTS:
            words = ["sort", *w.options, "--set", "memory.budget=48MiB", "--set", "run.overwrite=true", "--set", f"net.transport={transport}"]
            command = ["unshare", "-n", "sh", "-c", LOOPBACK, "sh", h.REPO / "scripts" / "launch.sh", "-n", 2, "--timeout", 60, "--",
                       h.BIN / "sluice", *words]
            out = h.must(h.run(command, timeout=90), f"{transport} in a namespace")
            loopback = int(out.split("LOOPBACK ")[1])
            sent = sum(rank["sent_bytes"] for rank in newest_result(w)["ranks"])
            # What the launcher says to its ranks is there, a few 100 kB; records are not.
            h.check(sent > 15_000_000 and loopback < sent / 20, f"{transport}: {loopback} bytes over lo, {sent} shuffled")
        env = {"OMPI_MCA_btl": "self,tcp", "OMPI_MCA_btl_tcp_if_include": "lo"}
        out = h.must(h.run(["unshare", "-n", "sh", "-c", LOOPBACK, "sh", h.REPO / "scripts" / "launch.sh", "-n", 2, "--timeout", 60, "--",
                            h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=48MiB", "--set", "run.overwrite=true", "--set", "net.transport=p2p"],
                           timeout=90, env=env), "p2p over TCP")
        loopback = int(out.split("LOOPBACK ")[1])
        h.check(loopback > sent, f"the counter sees TCP: {loopback} bytes over lo, {sent} shuffled")


def auto_is_shared_memory_where_there_is_room_for_it():
    with h.Workspace() as w:
        words = [h.REPO / "scripts" / "launch.sh", "-n", 2, "--timeout", 60, "--", h.BIN / "sluice", "shuffle", "--records", 200000,
                 "--set", f"results.dir={w.path}/results", "--set", "memory.budget=256MiB"]
        out = h.must(h.run(words, timeout=90), "shuffle")
        h.check("shuffle all-to-all by rma:" in out and "status=VALID" in out, out)
        if h.run(["unshare", "-m", "true"])[0] != 0:
            print("      skipped: no mount namespaces for this user, so /dev/shm stays as large as it is", flush=True)
            return
        small = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"', "sh"]
        out = h.must(h.run([*small, *words], timeout=90), "shuffle with little shared memory, as containers have")
        h.check("shuffle all-to-all by p2p:" in out and "status=VALID" in out, out)


def receive_buffers_below_the_minimum_are_refused_with_the_number():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 1000]), "gen")
        before = h.snapshot(w.data)
        for transport in ("p2p", "rma"):
            code, out, err = h.sluice(["sort", *w.options, "--set", "net.receive_buffers=2", "--set", f"net.transport={transport}"], ranks=4)
            h.check(code == 2 and "net.receive_buffers = 2: too small" in err and "set it >= 3" in err, f"{transport}: exit {code}\n{err}")
        h.check(h.snapshot(w.data) == before, "something was written")
        h.must(h.sluice(["sort", *w.options, "--set", "net.receive_buffers=1", "--set", "net.transport=alltoallv"], ranks=4), "alltoallv with one")


def bench_net_prints_one_row_a_size_and_finds_nothing_wrong():
    with h.Workspace() as w:
        out = h.must(h.sluice(["bench", "net", *w.options, "--sizes", "4KiB,256KiB", "--seconds", "0.05"], ranks=3), "bench net")
        result = json.loads(next((w.path / "results").glob("bench-net-*/result.json")).read_text())
        h.check(result["schema_version"] == 1 and result["ranks"] == 3 and result["wrong"] == 0, str(result)[:500])
        rows = {(row["transport"], row["pattern"], row["message_bytes"]): row for row in result["rows"]}
        patterns = ("all-to-all", "permutation", "one-to-all", "all-to-one", "stride 1", "ping-pong")
        h.check(set(rows) == {(t, p, s) for t in TRANSPORTS for p in patterns for s in (4096, 262144)}, f"rows: {sorted(rows)}")
        for (transport, pattern, size), row in rows.items():
            pairs = {"all-to-all": 6, "permutation": 3, "one-to-all": 2, "all-to-one": 2, "stride 1": 3, "ping-pong": 2}[pattern]
            h.check(row["pairs"] == pairs and row["messages"] > 0 and row["wire_mb_per_s"] == 0, f"{row}")
            if pattern == "ping-pong":
                latency = row["latency_us"]
                h.check(0 < latency["min"] <= latency["median"] <= latency["max"], f"{row}")
                continue
            h.check(row["verified"] == 8 * pairs and row["wrong"] == 0, f"{row}")
            moved_mb = pairs * row["messages"] * (size - 64) / 1e6
            for key, rate in (("median", "median"), ("max", "min"), ("min", "max")):
                by_hand = moved_mb / row["elapsed_s"][key]
                h.check(abs(row["algorithm_mb_per_s"][rate] - by_hand) < 0.02 * by_hand, f"{rate}: {by_hand} by hand, {row}")
        h.check(out.count("all-to-all") == 6 and "#wrong" in out, out)
        folder = next((w.path / "results").glob("bench-net-*"))
        h.check(len((folder / "result.csv").read_text().splitlines()) == 1 + len(rows), "csv rows")
        for words, message in ((["--transport", "rmaa"], "did you mean rma?"), (["--sizes", "64B"], "is no message size"),
                               (["--pattern", "all-to-al"], "did you mean all-to-all?")):
            code, _, err = h.sluice(["bench", "net", *w.options, *words], ranks=2)
            h.check(code == 2 and message in err, f"{words}: exit {code}\n{err}")
        code, _, err = h.sluice(["bench", "net", *w.options])
        h.check(code == 2 and "two ranks" in err, f"one rank: exit {code}\n{err}")


if __name__ == "__main__":
    h.main([every_transport_sorts_to_the_same_bytes, ranks_of_one_host_send_nothing_over_the_loopback_interface, auto_is_shared_memory_where_there_is_room_for_it,
            receive_buffers_below_the_minimum_are_refused_with_the_number, bench_net_prints_one_row_a_size_and_finds_nothing_wrong])
