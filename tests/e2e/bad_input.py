"""Bad input and bad configs: one clear message, the exit code of docs/exit-codes.md, and not one byte written."""

import os

import harness as h


def refused(w, code, needles, words, ranks=0, env=None):
    before = h.snapshot(w.path)
    got, out, err = h.sluice(["sort", *words], ranks=ranks, env=env)
    h.check(got == code, f"exit code {got} instead of {code}: {out}{err}")
    h.check(err.count("ERROR") == 1, f"{err.count('ERROR')} error messages:\n{err}")
    for needle in needles:
        h.check(needle in err, f"'{needle}' is not in: {err}")
    after = h.snapshot(w.path)
    h.check(after == before, f"written or changed: {[p for p in {**before, **after} if before.get(p) != after.get(p)]}")


def each_mistake_is_refused_before_the_first_byte():
    with h.Workspace() as w:
        o = w.options
        h.must(h.sluice(["gen", *o, "--records", 40000]), "gen")
        small = ["--set", "memory.budget=32MiB"]
        for ranks in (0, 2):
            refused(w, 3, ["/nowhere/at/all", "is not there"], ["--set", "disks.path=/nowhere/at/all"], ranks)
            refused(w, 2, ["io.depht: unknown key", "did you mean io.depth?"], [*o, "--set", "io.depht=3"], ranks)
            refused(w, 2, ["memory.budget", "is no size"], [*o, "--set", "memory.budget=100"], ranks)
            refused(w, 2, ["too small", "smallest that works is"], [*o, "--set", "memory.budget=1MiB", "--set", "partitions.count=1"], ranks)
            refused(w, 2, ["same file"], [*o, *small, "--set", f"input.paths={w.inputs()[0]}", "--set", f"input.paths={w.inputs()[0]}"], ranks)
            refused(w, 4, ["not there"], [*o, *small, "--set", f"input.paths={w.path}/absent.dat"], ranks)
            refused(w, 4, ["0 input files match"], [*o, *small, "--set", f"input.paths={w.path}/absent*.dat"], ranks)
            refused(w, 4, ["is no regular file"], [*o, *small, "--set", f"input.paths={w.data}"], ranks)
        refused(w, 2, ["SLUICE_IO_DEPHT", "did you mean SLUICE_IO_DEPTH?"], o, env={"SLUICE_IO_DEPHT": "3"})
        link = w.path / "hardlink.dat"
        os.link(w.inputs()[0], link)
        refused(w, 2, ["same file"], [*o, *small, "--set", f"input.paths={w.inputs()[0]}", "--set", f"input.paths={link}"])
        torn = w.path / "torn.dat"
        torn.write_bytes(w.inputs()[0].read_bytes()[:-37])
        refused(w, 4, [str(torn), "63 bytes of a torn record", "offset 3999900"], [*o, *small, "--set", f"input.paths={torn}"], 2)


def output_that_is_there_is_never_touched():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 40000]), "gen")
        h.must(h.sluice(["sort", *w.options, "--set", "memory.budget=32MiB"]), "sort")
        refused(w, 2, ["is there already", "run.overwrite"], [*w.options, "--set", "memory.budget=32MiB"], 2)
        stranger = w.data / "sorted" / "notes.txt"
        stranger.write_text("not ours")
        overwrite = [*w.options, "--set", "memory.budget=32MiB", "--set", "run.overwrite=true"]
        refused(w, 2, ["holds 'notes.txt'", "no file that its MANIFEST lists", "output.name"], overwrite, 2)
        stranger.unlink()
        manifest = w.data / "sorted" / "MANIFEST.json"
        kept = manifest.read_text()
        record = w.data / "sorted" / "OWNER.json"
        kept_record = record.read_bytes()
        record.unlink()
        refused(w, 2, ["is there already, without an owner record"], overwrite)
        record.write_bytes(kept_record)
        manifest.write_text(kept.replace('"sorted"', '"sorter"'))
        refused(w, 6, [str(manifest), "damaged", "remove the data set yourself"], overwrite)
        manifest.write_text(kept)
        h.must(h.sluice(["sort", *overwrite], ranks=2), "sort over the old output")
        h.must(h.sluice(["validate", *w.options]), "validate")
        (w.data / "input" / "stranger").write_text("not ours")
        code, _, err = h.sluice(["gen", *overwrite, "--records", 100])
        h.check(code == 2 and "holds 'stranger'" in err and len(w.inputs()) == 1, f"gen over a stranger: exit {code}: {err}")


def changed_input_is_noticed():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 40000]), "gen")
        with open(w.inputs()[0], "r+b") as file:
            file.seek(12345)
            file.write(b"?")
        code, out, err = h.sluice(["sort", *w.options, "--set", "memory.budget=32MiB"], ranks=2)
        h.check(code == 6 and str(w.inputs()[0]) in err and "its manifest says" in err and "RESULT" not in out, f"exit {code}: {err}")
        h.check(not (w.data / "sorted").exists(), "published all the same")
        with open(w.inputs()[0], "ab") as file:
            file.write(b"x" * 100)
        refused(w, 4, ["its manifest says"], [*w.options, "--set", "memory.budget=32MiB"])
        manifest = w.data / "input" / "MANIFEST.json"
        manifest.write_text(manifest.read_text().replace("40000", "40001", 1))
        refused(w, 6, ["MANIFEST.json", "checksum"], [*w.options, "--set", "memory.budget=32MiB"])


def config_files_are_strict():
    with h.Workspace() as w:
        config = w.path / "bad.toml"
        cases = {
            '[memroy]\nbudget = "1GiB"\n': "bad.toml:1:",
            '[io]\ndepth = 4\ndepth = 5\n': "bad.toml:3:",
            '[io]\nread_size = 4096\n': "needs a unit",
            '[io]\nread_size = "4MiBx"\n': "bad.toml:2:",
            '[[disks]]\npath = "relative"\nrole = "input"\n': "must be absolute",
            '[[disks]]\npath = "/tmp"\nrole = "inptu"\n': 'did you mean "input"?',
        }
        for text, needle in cases.items():
            config.write_text(text)
            refused(w, 2, [needle], [config])
        refused(w, 2, ["No such file"], [w.path / "absent.toml"])
        for text in ("a." * 100_000, "x = " + "[" * 100_000, "x = " + "{a=" * 100_000):
            config.write_text(text)
            refused(w, 2, ["bad.toml:1:", "nests deeper than 64"], [config])
        config.write_text("# " + "x" * 4_000_000)
        refused(w, 2, ["is larger than the 4000000 bytes"], [config])


def only_regular_files_are_read_as_configs_and_manifests():
    with h.Workspace() as w:
        pipe = w.path / "pipe"
        os.mkfifo(pipe)   # nobody writes to it: who waits for it waits for ever
        for path, what in ((pipe, "is a pipe"), ("/dev/zero", "is a device"), (w.path, "is a directory")):
            refused(w, 2, [what], [path])
        h.must(h.sluice(["gen", *w.options, "--records", 1000]), "gen")
        manifest = w.data / "input" / "MANIFEST.json"
        kept = manifest.read_text()
        for text, needle in ((kept.replace('"disks": [', '"deep": ' + "[" * 100_000 + "]" * 100_000 + ', "disks": ['), "nests deeper than 64"),
                             ("[" * 100_000, "nests deeper than 64"), (kept.replace('"disk": 0', '"disk": 18446744073709551616'), "damaged")):
            manifest.write_text(text)
            for verb in ("sort", "validate"):
                code, _, err = h.sluice([verb, *w.options, *(["--set", "input.name=input"] if verb == "sort" else ["--set", "output.name=input"])], timeout=30)
                h.check(code == 6 and needle in err, f"{verb}: exit {code}: {err}")
        manifest.unlink()
        os.mkfifo(manifest)
        for verb in ("sort", "validate", "clean"):
            code, _, err = h.sluice([verb, *w.options], timeout=30)
            h.check(code != 137 and code != 1, f"{verb} with a pipe as manifest: exit {code}: {err}")
        code, _, err = h.sluice(["sort", *w.options], timeout=30)
        h.check(code in (4, 6) and "MANIFEST.json" in err, f"exit {code}: {err}")


h.main([only_regular_files_are_read_as_configs_and_manifests, each_mistake_is_refused_before_the_first_byte, output_that_is_there_is_never_touched, changed_input_is_noticed, config_files_are_strict])
