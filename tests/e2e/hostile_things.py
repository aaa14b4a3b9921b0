"""What hostile.py puts on a disk: each thing is a function that gets the Lair and returns the names of which a message must hold
one, if the thing stops a program or stays behind. Things are made by root; `theirs` hands them to another user."""

import json
import os
import shutil
import socket
import stat
import subprocess
import zlib

RUN, OTHER_RUN = "a" * 32, "b" * 32
NOBODY = 65534
OWNER_BYTES = 4096

THINGS = {}


def thing(function):
    THINGS[function.__name__] = function
    return function


def family(name, cases):
    """One thing for each case of a function of two arguments."""
    def put(function):
        for label, case in cases.items():
            THINGS[f"{name}: {label}"] = lambda lair, case=case: function(lair, case)
        return function
    return put


# ------------------------------------------------------------------------------------------- manifests and records as we write them

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def compact(body):
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def edit_manifest(path, change):
    """Changes what a manifest says, and its checksum with it: only the content can tell."""
    document = json.loads(path.read_text())
    change(document["manifest"])
    document["crc32"] = zlib.crc32(compact(document["manifest"]).encode())
    path.write_text(json.dumps(document))


def edit_record(path, change):
    document = json.loads(path.read_text())
    change(document["owner"])
    state = document["owner"].pop("state", document["state"].strip())
    path.write_bytes(record_block(document["owner"], state))


def record_block(owner, state="writing"):
    text = compact(owner)
    head = f'{{"sluice_owner":1,\n"owner":{text},\n"crc32c":{crc32c(text.encode())},\n'.encode()
    tail = f'"state":"{state:<12}","counter":"{0:016x}"}}'.encode()
    return head.ljust(OWNER_BYTES - 512) + tail.ljust(511) + b"\n"


def owner(lair, run=RUN, **changed):
    """Of a run of this boot whose process is gone."""
    record = json.loads((lair.data / "sorted" / "OWNER.json").read_text())["owner"]
    record.update(run_id=run, verb="sort", target="sorted", patterns=["part-#", "log-r#-#", "MANIFEST.json", "probe-#"], reads=[], **changed)
    return record


def dead_run(lair, name=f"sluice-{RUN}-logs", files=("log-r0-0",), **changed):
    directory = lair.data / name
    directory.mkdir()
    (directory / "OWNER.json").write_bytes(record_block(owner(lair, **changed)))
    for file in files:
        (directory / file).write_text("of a dead run")
    return directory


def theirs(path):
    for each in [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]:
        os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
    return path


def replace(path):
    """Frees a name for something else."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
    return path


# --------------------------------------------------------------------------------------------------------------- names in manifests

BAD_NAMES = {"absolute": "{canary}/part-000000", "upwards": "../{canary_name}/part-000000", "below": "a/b", "empty": "", "dot": ".", "two dots": "..",
             "NUL": "part\0", "line end": "part-0\nERROR rank=0", "escape": "\x1b]0;title\x07part", "too long": "p" * 300}


@family("sorted manifest names", BAD_NAMES)
def sorted_names(lair, name):
    name = name.format(canary=lair.canary, canary_name=lair.canary.name)
    edit_manifest(lair.data / "sorted" / "MANIFEST.json", lambda body: body["files"][0].update(name=name))
    return ["sorted/MANIFEST.json", "'sorted'", "sorted'"]


@family("input manifest names", {key: BAD_NAMES[key] for key in ("absolute", "upwards", "below", "empty", "line end")})
def input_names(lair, name):
    name = name.format(canary=lair.canary, canary_name=lair.canary.name)
    edit_manifest(lair.data / "input" / "MANIFEST.json", lambda body: body["files"][0].update(name=name))
    return ["input/MANIFEST.json", "input'"]


@family("manifest disk number", {"beyond": 7, "negative": -1, "33 bits": 1 << 32, "half": 0.5, "text": "0", "none": None})
def disk_numbers(lair, number):
    edit_manifest(lair.data / "sorted" / "MANIFEST.json", lambda body: body["files"][0].update(disk=number))
    return ["sorted/MANIFEST.json", "sorted'"]


@thing
def manifest_lists_a_file_twice(lair):
    edit_manifest(lair.data / "sorted" / "MANIFEST.json", lambda body: body["files"].append(body["files"][0]))
    return ["sorted/MANIFEST.json", "sorted'"]


@thing
def manifest_of_old_with_paths_elsewhere(lair):
    path = lair.data / "sorted" / "MANIFEST.json"
    document = json.loads(path.read_text())
    body = document["manifest"]
    host = body["disks"][0]["host"]
    for file in body["files"]:
        file.update(host=host, path=f"{lair.canary}/{file.pop('name')}")
        del file["disk"]
    document.update(schema_version=1, crc32=zlib.crc32(compact(body).encode()))
    path.write_text(json.dumps(document))
    return ["sorted/MANIFEST.json", "sorted'"]


@family("manifest text", {"torn": lambda text: text[:len(text) // 2], "none": lambda text: "", "noise": lambda text: "\x00\x1b[2J\n",
                          "brackets": lambda text: "[" * 100000, "names": lambda text: '{"a":' * 100000,
                          "keys twice": lambda text: text.replace('"schema_version"', '"schema_version": 1, "schema_version"', 1)})
def manifest_texts(lair, change):
    path = lair.data / "sorted" / "MANIFEST.json"
    path.write_text(change(path.read_text()))
    return ["sorted/MANIFEST.json", "sorted'"]


@thing
def manifest_of_a_terabyte(lair):
    os.truncate(lair.data / "sorted" / "MANIFEST.json", 1 << 40)
    return ["sorted/MANIFEST.json", "sorted'"]


# ----------------------------------------------------------------------------------------------------------------------------- links

@family("link as", {name: name for name in ("sorted", "input", f".partial-{RUN}", f"sluice-{RUN}-logs", f".replaced-{RUN}", f".removed-{RUN}")})
def links_as_directories(lair, name):
    replace(lair.data / name).symlink_to(lair.canary)
    return [name]


@family("link in the set", {name: name for name in ("sorted/part-000000", "sorted/MANIFEST.json", "sorted/OWNER.json", "input/data-000000",
                                                     "input/MANIFEST.json", "input/OWNER.json")})
def links_in_sets(lair, name):
    path = next(iter((lair.data / name).parent.glob((lair.data / name).name.replace("000000", "*0"))))
    replace(path).symlink_to(lair.canary / path.name)
    return [path.name, name.split("/")[0] + "'"]


@thing
def link_as_log_of_a_dead_run(lair):
    (dead_run(lair, files=()) / "log-r0-0").symlink_to(lair.canary / "notes")
    return ["log-r0-0"]


@thing
def link_as_record_of_a_dead_run(lair):
    directory = dead_run(lair)
    replace(directory / "OWNER.json").symlink_to(lair.canary / "OWNER.json")
    return [directory.name]


@family("magic link", {"set to the working directory": ("sorted", "/proc/self/cwd"), "part to stdin": ("sorted/part-000000", "/proc/self/fd/0"),
                       "record to memory": ("sorted/OWNER.json", "/proc/self/mem"), "logs to the root": (f"sluice-{RUN}-logs", "/proc/self/root")})
def magic_links(lair, link):
    name, target = link
    path = lair.data / name
    if "000000" in name:
        path = sorted(path.parent.glob("part-*"))[0]
    replace(path).symlink_to(target)
    return [path.name, name.split("/")[0]]


@family("hard link to a stranger's file", {"as part": "sorted/part-000000", "as log": f"sluice-{RUN}-logs/log-r0-0", "as notes": "sorted/notes"})
def hard_links(lair, name):
    if "logs" in name:
        dead_run(lair, files=())
    path = lair.data / name
    if "part" in name:
        path = sorted(path.parent.glob("part-*"))[0]
    os.link(lair.canary / "theirs", replace(path))
    return [path.name, "sorted'"]


# ------------------------------------------------------------------------------------------- what is neither file nor directory of ours

def make_special(path, kind):
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)  # socket names are short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
        os.chdir(here)


@family("no file", {f"{kind} as {name}": (kind, name) for kind in ("fifo", "socket", "device", "directory")
                    for name in ("sorted/part-000000", "sorted/MANIFEST.json", "sorted/OWNER.json", f"sluice-{RUN}-logs/log-r0-0")})
def no_files(lair, what):
    kind, name = what
    if "logs" in name:
        dead_run(lair, files=())
    path = lair.data / name
    if "part" in name:
        path = sorted(path.parent.glob("part-*"))[0]
    make_special(replace(path), kind)
    return [path.name, path.parent.name + "'"]


@family("alone as a record", {kind: kind for kind in ("fifo", "socket", "device", "directory", "link")})
def alone_as_records(lair, kind):
    """As what a run leaves that was killed before its record was there, but that no run makes."""
    path = lair.data / f".partial-{RUN}" / "OWNER.json"
    path.parent.mkdir()
    path.symlink_to(lair.canary / "notes") if kind == "link" else make_special(path, kind)
    lair.guarded.append(path)
    return [path.parent.name]


@family("no directory", {f"{kind} as {name}": (kind, name) for kind in ("fifo", "socket", "file") for name in ("sorted", f".partial-{RUN}", f"sluice-{RUN}-logs")})
def no_directories(lair, what):
    kind, name = what
    path = replace(lair.data / name)
    path.write_text("mine") if kind == "file" else make_special(path, kind)
    return [name]


# --------------------------------------------------------------------------------------------------------------------------- records

@thing
def copy_of_a_set_beside_it(lair):
    """Its record and manifest name the original, whose files no verb of the copy may touch."""
    original = lair.data / "original"
    (lair.data / "sorted").rename(original)
    subprocess.run(["cp", "-a", original, lair.data / "sorted"], check=True)
    lair.guarded.append(original)
    return ["sorted"]


@thing
def record_of_another_run(lair):
    edit_record(lair.data / "sorted" / "OWNER.json", lambda body: body.update(run_id=OTHER_RUN))
    return ["sorted'", OTHER_RUN]


@thing
def partial_of_one_run_with_the_record_of_another(lair):
    directory = dead_run(lair, name=f".partial-{RUN}", files=("part-000000",), run=OTHER_RUN)
    return [directory.name, OTHER_RUN, "sorted"]


@family("record says", {"disk beyond": {"disk": 9}, "target elsewhere": {"target": "../canary"}, "target elsewhere, to be published": {"target": "../canary", "state": "publishing"},
                        "target with a line end": {"target": "x\nERROR"}, "verb that clears the screen": {"verb": "\x1b[2J"}, "patterns that match all": {"patterns": ["#", "../#", "/etc/#"]}})
def records_say(lair, words):
    directory = dead_run(lair, name=f".partial-{RUN}", files=("part-000000",), **{k: v for k, v in words.items() if k not in ("verb", "target", "patterns", "state")})
    edit_record(directory / "OWNER.json", lambda body: body.update(words))
    return [directory.name, RUN, "part-000000"]


@family("record text", {"torn": lambda block: block[:100], "none": lambda block: b"", "a megabyte": lambda block: block * 256, "noise": lambda block: os.urandom(OWNER_BYTES),
                        "brackets": lambda block: b"[" * OWNER_BYTES, "keys twice": lambda block: block.replace(b'"disk":0,', b'"disk":0,"disk":0,', 1)[:OWNER_BYTES]})
def record_texts(lair, change):
    directory = dead_run(lair, name=f".partial-{RUN}", files=("part-000000",))
    path = directory / "OWNER.json"
    path.write_bytes(change(path.read_bytes()))
    return [directory.name, RUN]


@thing
def record_of_a_set_is_torn(lair):
    os.truncate(lair.data / "sorted" / "OWNER.json", 100)
    return ["sorted'"]


# --------------------------------------------------------------------------------------------------------------- what another user made

@family("another user's", {name: name for name in (f".partial-{RUN}", f"sluice-{RUN}-logs", f".replaced-{RUN}", f".removed-{RUN}")})
def run_directories_of_theirs(lair, name):
    lair.guarded.append(theirs(dead_run(lair, name=name, files=("part-000000", "log-r0-0"))))
    return [name]


@family("another user's empty", {name: name for name in ("sorted", f".partial-{RUN}", f"sluice-{RUN}-logs")})
def empty_directories_of_theirs(lair, name):
    path = replace(lair.data / name)
    path.mkdir()
    lair.guarded.append(theirs(path))
    return [name]


@thing
def sorted_set_of_theirs(lair):
    lair.guarded.append(theirs(lair.data / "sorted"))
    return ["sorted'"]


@thing
def sorted_set_of_theirs_with_our_file(lair):
    path = sorted((theirs(lair.data / "sorted")).glob("part-*"))[0]
    os.link(lair.canary / "notes", replace(path))
    lair.guarded.append(lair.data / "sorted")
    return ["sorted'", path.name]


@thing
def part_of_theirs_in_our_set(lair):
    path = theirs(sorted((lair.data / "sorted").glob("part-*"))[0])
    lair.guarded.append(path)
    return [path.name, "sorted'"]


@thing
def record_of_theirs_in_our_directory(lair):
    directory = dead_run(lair, name=f".partial-{RUN}", files=("part-000000",))
    theirs(directory / "OWNER.json")
    lair.guarded.append(directory)
    return [directory.name]


@thing
def closed_directory_of_theirs(lair):
    path = lair.data / "closed"
    path.mkdir(mode=0o700)
    (path / "OWNER.json").write_text("private")
    lair.guarded.append(theirs(path))
    return []


@thing
def half_set_of_theirs(lair):
    replace(lair.data / "sorted")
    shutil.copytree(lair.saved / "sorted", lair.data / "sorted")
    (lair.data / "sorted" / "MANIFEST.json").unlink()
    edit_record(lair.data / "sorted" / "OWNER.json", lambda body: body.update(run_id=RUN))
    lair.guarded.append(theirs(lair.data / "sorted"))
    return ["sorted"]


# ------------------------------------------------------------------------------------------------------------------- mounts and names

@family("mount point", {name: name for name in ("sorted", f".partial-{RUN}", f"sluice-{RUN}-logs")})
def mount_points(lair, name):
    path = replace(lair.data / name)
    path.mkdir()
    lair.bind(lair.canary, path)
    return [name]


@thing
def mount_point_as_part(lair):
    path = sorted((lair.data / "sorted").glob("part-*"))[0]
    lair.bind(lair.canary / "notes", path)
    return [path.name, "sorted'"]


@family("name in the set", {"line end": "part-9\nERROR rank=0 host=x code=internal(1): forged", "escape": "\x1b]0;title\x07\x1b[2J", "bell": "notes\x07", "not UTF-8": b"notes\xff".decode(errors="surrogateescape"),
                            "percent": "%s%n%s", "shell": "$(touch x); `touch y`", "C1": "notes\x9b2J"})
def names_in_sets(lair, name):
    (lair.data / "sorted" / name).write_text("mine")
    return ["sorted"]


@family("directory name", {"line end": "half\nERROR", "escape": "half\x1b[2J", "plain": "half"})
def directory_names(lair, name):
    """Of a name that no run gives: whoever moved a dead run's directory there may want what is in it."""
    lair.guarded.append(dead_run(lair, name=name, files=("part-000000",)))
    return ["half"]
