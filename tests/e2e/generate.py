"""`sluice gen`: the same bytes for any ranks and disks, every distribution and record shape, sums and names in the manifest."""

import json
import zlib

import harness as h

KINDS = ["uniform", "skewed", "zipf:0.99", "all-equal", "all-same", "few-distinct:5", "sorted", "reverse", "nearly-sorted", "drift", "hot-range"]


def generated(w, ranks, records, words):
    """The concatenated bytes and the manifest; the data set is removed again."""
    h.must(h.sluice(["gen", *w.options, "--records", records, *words], ranks=ranks), f"gen {words}")
    manifest = json.loads((w.data / "input" / "MANIFEST.json").read_text())["manifest"]
    data = b"".join((w.data / "input" / file["name"]).read_bytes() for file in manifest["files"])
    h.must(h.sluice(["clean", *w.options, "--input", "--yes"]), "clean")
    return data, manifest


def check_sums(data, manifest, size):
    records = [data[i:i + size] for i in range(0, len(data), size)]
    h.check(manifest["total"]["records"] == len(records), f"records: {manifest['total']}")
    h.check(int(manifest["total"]["checksum"], 16) == sum(map(zlib.crc32, records)), "checksum")
    return records


def every_distribution_is_the_same_on_any_ranks():
    with h.Workspace() as w:
        for kind in KINDS:
            data, manifest = generated(w, 0, 2500, ["--keys", kind])
            h.check(kind in manifest["origin"], manifest["origin"])
            keys = [record[:10] for record in check_sums(data, manifest, 100)]
            h.check(kind != "sorted" or keys == sorted(keys), "sorted keys fall")
            h.check(kind != "reverse" or keys == sorted(keys, reverse=True), "reverse keys rise")
            distinct = {"all-equal": 1, "all-same": 1, "few-distinct:5": 5}.get(kind, len(set(keys)))
            h.check(len(set(keys)) == distinct, f"{kind}: {len(set(keys))} distinct keys")
            h.check(generated(w, 3, 2500, ["--keys", kind])[0] == data, f"{kind}: three ranks give other bytes")
        skewed, _ = generated(w, 0, 2500, ["--skewed"])
        h.check(h.run([h.BIN / "gensort", "-s", 2500, w.path / "s"])[0] == 0 and (w.path / "s").read_bytes() == skewed, "not gensort -s")


def records_of_any_size_have_no_gaps():
    with h.Workspace() as w:
        for size, offset, key, records in ((8, 0, 8, 300001), (9, 8, 1, 1000), (101, 3, 50, 30000), (4097, 0, 4097, 700), (1048575, 1000, 10, 5), (1048576, 0, 8, 4)):
            shape = ["--set", f"record.size={size}B", "--set", f"record.key_offset={offset}B", "--set", f"record.key_size={key}B"]
            data, manifest = generated(w, 0, records, [*shape, "--keys", "sorted"])
            h.check(len(data) == size * records, f"{size}: {len(data)} bytes")
            keys = [record[offset:offset + key] for record in check_sums(data, manifest, size)]
            h.check(keys == sorted(keys), f"{size}: keys fall")
            h.check(manifest["record"] == {"size_bytes": size, "key_offset_bytes": offset, "key_size_bytes": key}, str(manifest["record"]))
            h.check(generated(w, 2, records, [*shape, "--keys", "sorted"])[0] == data, f"{size}: two ranks give other bytes")


def nonsense_is_refused():
    with h.Workspace() as w:
        for words, needle in ((["--keys", "zipf"], "zipf:THETA"), (["--keys", "sortd"], "did you mean 'sorted'"), (["--skewed", "--keys", "drift"], "choose one"),
                              (["--keys", "few-distinct:0"], "from 1"), (["--keys", "few-distinct:11"], "from 1 to --records 10"),
                              (["--ascii", "--set", "record.size=128B"], "printable records have 100 bytes")):
            code, _, err = h.sluice(["gen", *w.options, "--records", 10, *words])
            h.check(code == 2 and needle in err, f"{words}: {code} {err}")
        h.check(not (w.data / "input").exists(), "something was written")


h.main([every_distribution_is_the_same_on_any_ranks, records_of_any_size_have_no_gaps, nonsense_is_refused])
