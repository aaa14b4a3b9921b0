"""The scripts, the shipped configs, the documents made from the program, and the layering of the sources."""

import os
import pathlib
import re

import harness as h

LAYERS = {  # a layer and what it may include
    "runtime": {"runtime"}, "record": {"runtime", "record"}, "io": {"runtime", "record", "io"}, "net": {"runtime", "record", "net"},
    "sort": {"runtime", "record", "sort"}, "simulated": {"runtime", "record", "io", "net", "simulated"},
}
for upper in ("stages", "plan", "jobs", "report", "cli"):   # each stands on all before it, but no program on what is simulated
    LAYERS[upper] = {*LAYERS, upper} - {"simulated"}


def lower_layers_never_include_higher_ones():
    folders = {path.name for path in (h.REPO / "src").iterdir() if path.is_dir()} - {"programs"}
    h.check(folders == set(LAYERS), f"folders of src that have no place in the order: {folders ^ set(LAYERS)}")
    seen = 0
    for layer, allowed in LAYERS.items():
        for path in (h.REPO / "src" / layer).glob("*.[ch]pp"):
            for name in re.findall(r'#include "(\w+)/', path.read_text()):
                seen += 1
                h.check(name in allowed, f"{path.name} of {layer} includes {name}")
    h.check(seen > 100, "hardly any include was seen")


def only_the_network_layer_and_hwloc_only_the_topology_know_their_library():
    for path in (h.REPO / "src").rglob("*.[ch]pp"):
        text = path.read_text()
        h.check("<mpi.h>" not in text or path.parent.name == "net", f"{path} includes mpi.h")
        h.check("<hwloc.h>" not in text or path.name == "topology.cpp", f"{path} includes hwloc.h")
        h.check("<libaio.h>" not in text or path.name == "libaio_backend.cpp", f"{path} includes libaio.h")


def option_document_is_what_the_program_prints():
    out = h.must(h.sluice(["config", "list", "--markdown"]), "config list")
    h.check((h.REPO / "docs" / "config.md").read_text() == out, "docs/config.md: run build/release/bin/sluice config list --markdown > docs/config.md")


def shipped_configs_make_plans_for_the_machines_they_describe():
    machines = {
        "laptop.toml": ["--hosts", "1", "--cores", "2", "--memory", "8GiB", "--input", "10GB"],
        "rack-nvme.toml": ["--hosts", "16", "--cores", "32", "--memory", "256GiB", "--input", "16TB"],
        "tritonsort-2010.toml": ["--hosts", "52", "--cores", "8", "--memory", "24GiB", "--input", "100TB"],
    }
    shipped = {p.name for p in (h.REPO / "configs").glob("*.toml")}
    h.check(shipped == set(machines), f"configs without a described machine: {shipped ^ set(machines)}")
    for name, words in machines.items():
        out = h.must(h.sluice(["config", "check", h.REPO / "configs" / name, *words]), name)
        h.check("smallest budget that works" in out and "partitions" in out, out)


def effective_config_and_origins_are_shown():
    with h.Workspace() as w:
        config = w.path / "c.toml"
        config.write_text('[io]\ndepth = 7\n[memory]\nbudget = "1GiB"\n')
        out = h.must(h.sluice(["config", "show", config, "--set", "io.depth=9"], env={"SLUICE_NET_POLL": "spin"}), "config show")
        h.check(re.search(r"io\.depth\s+9\s+--set", out), out)
        h.check(re.search(r"memory\.budget\s+1GiB\s+.*c\.toml:4:", out), out)
        h.check(re.search(r"net\.poll\s+spin\s+environment SLUICE_NET_POLL", out), out)
        h.check(re.search(r"run\.seed\s+42\s+default", out), out)


def help_of_each_verb_gives_two_examples():
    verbs = re.findall(r"^  (\w+) ", h.must(h.sluice(["--help"]), "help"), re.M)
    for verb in ("gen", "sort", "validate", "bench", "config", "clean", "sysinfo"):
        h.check(verb in verbs, f"{verb} is not in --help")
        out = h.must(h.sluice([verb, "--help"]), verb)
        h.check(out.count("  ") >= 2 and out.count("sluice " + verb) >= 2, out)
    code, _, err = h.sluice(["srot"])
    h.check(code == 2 and "did you mean 'sort'?" in err, err)


def launcher_builds_the_right_commands():
    launch = h.REPO / "scripts" / "launch.sh"
    with h.Workspace() as w:
        hosts = w.path / "hosts"
        hosts.write_text("a slots=2\nb slots=2\n")
        clean = {k: "" for k in ("SLURM_JOB_ID",)}
        out = h.must(h.run([launch, "--dry-run", "-n", "4", "--hostfile", hosts, "--ranks-per-host", "2", "--", "sluice", "sort", "x"], env=clean), "dry run")
        h.check("--hostfile" in out and "--bind-to none" in out and "ppr:2:node" in out and "SLUICE_LAUNCH_STAMP" in out and "--oversubscribe" not in out, out)
        out = h.must(h.run([launch, "--dry-run", "-n", "4", "--", "sluice", "sort", "x"], env=clean), "dry run")
        h.check("--oversubscribe" in out and out.rstrip().endswith("sluice sort x"), out)
        out = h.must(h.run([launch, "--dry-run", "-n", "8", "--ranks-per-host", "2", "--", "sluice", "sort", "x"], env={"SLURM_JOB_ID": "7"}), "dry run")
        h.check(out.startswith("srun --mpi pmix --ntasks 8") and "--ntasks-per-node 2" in out and "--cpu-bind=none" in out, out)
        code, _, _ = h.run([launch, "-n", "2", "--hostfile", w.path / "absent", "--", "true"], env=clean)
        h.check(code == 2, "a missing host file must be refused")


def scripts_explain_themselves():
    for name in ("build", "test", "quickstart", "launch", "rack-in-a-box"):
        for words in (["--help"], ["-h"]):
            out = h.must(h.run([h.REPO / "scripts" / f"{name}.sh", *words]), f"{name}.sh {words[0]}")
            h.check(f"scripts/{name}.sh" in out and "set -euo" not in out, out)
    for name in ("build", "test", "quickstart", "launch"):
        code, _, err = h.run([h.REPO / "scripts" / f"{name}.sh", "--nonsense"])
        h.check(code == 2 and err, f"{name}.sh --nonsense: {code}")


def installed_program_runs_from_another_place():
    with h.Workspace() as w:
        place = w.path / "opt"
        h.must(h.run(["cmake", "--install", h.BIN.parent, "--prefix", place]), "cmake --install")
        options = [*w.options, "--set", "memory.budget=64MiB"]
        for words in (["gen", *options, "--records", "50000"], ["sort", *options], ["validate", *options]):
            out = h.must(h.run([place / "libexec" / "sluice" / "launch.sh", "-n", "2", "--", place / "bin" / "sluice", *words], cwd=w.path), words[0])
        h.check("status=VALID" in out, out)
        config = place / "share" / "sluice" / "configs" / "laptop.toml"
        h.must(h.run([place / "bin" / "sluice", "config", "show", config]), "the installed config")
        h.must(h.run([place / "bin" / "gensort", "-c", "10", w.path / "ten"]), "gensort")
        code, _, err = h.run([place / "bin" / "valsort", w.path / "ten"])
        h.check(code == 1 and "Records: 10" in err, f"valsort of unsorted data: {code} {err}")


h.main([lower_layers_never_include_higher_ones, only_the_network_layer_and_hwloc_only_the_topology_know_their_library, option_document_is_what_the_program_prints,
         shipped_configs_make_plans_for_the_machines_they_describe, effective_config_and_origins_are_shown, help_of_each_verb_gives_two_examples,
         launcher_builds_the_right_commands, scripts_explain_themselves, installed_program_runs_from_another_place])
