"""The shape of the sources: short files and functions, few parameters, classes that are documented, and no word about a file or
chapter that is not here."""

import re

import harness as h

MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 500, 70, 6
NO_FUNCTION = {"if", "for", "while", "switch", "catch", "return", "sizeof", "alignas", "alignof", "decltype", "noexcept", "assert", "defined"}


def tracked(*patterns):
    listed = h.must(h.run(["git", "-C", h.REPO, "ls-files", "-co", "--exclude-standard", *patterns]), "git ls-files")
    return [h.REPO / name for name in listed.split("\n") if name and (h.REPO / name).exists()]


def sources(*folders):
    found = tracked(*(f"{folder}/*.{kind}" for folder in folders for kind in ("cpp", "hpp")))
    h.check(len(found) > 20, f"{folders}: hardly any source was seen")
    return found


def code_of(text):
    """Without comments and what is in quotes; lines stay where they are."""
    def blank(match):
        word = match.group()
        return '""' if word[0] in "\"'" else re.sub(r"[^\n]", " ", word)
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def closing(code, at):
    """Of the bracket that opens at `at`."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "({[") - (code[i] in ")}]")
        if depth == 0:
            return i
    return len(code) - 1


def parameters(inner):
    depth, count = 0, 1
    for c in inner:
        depth += (c in "(<[{") - (c in ")>]}")
        count += c == "," and depth == 0
    return count if inner.strip() else 0


def functions(code):
    """(name, line, lines, parameters) of what has a body, and of constructors and functions that are declared only."""
    for match in re.finditer(r"(?<![\w.>])([A-Za-z_~][\w:~]*)\s*\(", code):
        name = match.group(1)
        if name.split("::")[-1] in NO_FUNCTION or name.isupper() or name.startswith("std::"):
            continue
        end = closing(code, match.end() - 1)
        after = code[end + 1:end + 4000]
        rest = re.match(r"\s*(?:const|noexcept|override|final|mutable|->\s*[\w:<>,&* ]+|\s)*", after)
        at = end + 1 + rest.end()
        if code[at:at + 1] == ":" and code[at:at + 2] != "::":   # members are initialised first
            while at < len(code) and code[at] != "{" or re.search(r"[\w>]\s*$", code[end:at]):
                if code[at] in "({":
                    at = closing(code, at)
                at += 1
                if at >= len(code):
                    break
        if code[at:at + 1] != "{":
            continue
        line = code.count("\n", 0, match.start()) + 1
        yield name, line, code.count("\n", match.start(), closing(code, at)) + 1, parameters(code[match.end():end])


def the_measure_measures():
    code = code_of('int f(int a, std::map<int, int> b) {\n  // }\n  return g("}", 1, 2, 3, 4, 5, 6, 7);\n}\nAb::Ab(int a)\n    : b_(a), c_{1} {\n}\n')
    found = list(functions(code))
    h.check(found == [("f", 1, 4, 2), ("Ab::Ab", 5, 3, 1)], found)


def files_and_functions_are_short_and_take_few_parameters():
    wrong, seen = [], 0
    for path in sources("src", "tests", "bench"):
        text = path.read_text()
        name = path.relative_to(h.REPO)
        if text.count("\n") > MOST_LINES:
            wrong.append(f"{name}: {text.count(chr(10))} lines")
        for function, line, lines, count in functions(code_of(text)):
            seen += 1
            if lines > MOST_FUNCTION_LINES:
                wrong.append(f"{name}:{line}: {function} has {lines} lines")
            if count > MOST_PARAMETERS and name.parts[0] == "src":
                wrong.append(f"{name}:{line}: {function} has {count} parameters")
    h.check(seen > 2000, f"{seen} functions were seen")
    h.check(not wrong, "\n".join(wrong))


def comment_above(lines, number, indent):
    """The `///` lines just above a line (numbers from 0), a template's head passed over."""
    def begins(line, what):
        return line.startswith(" " * indent + what) and not line.startswith(" " * indent + "///<")
    found = []
    for line in reversed(lines[:number]):
        if begins(line, "///"):
            found.append(line)
        elif found or not begins(line, "template"):
            break
    return "\n".join(reversed(found))


def copies(name, inner):
    """The parameters of a copy or move constructor."""
    return re.fullmatch(rf"(const )?{name}\s?&&?\s?\w*", inner)


def every_member_is_commented(body):
    """Of a plain struct: each line that declares data says what it is, behind it or above."""
    lines = body.strip("\n").split("\n")
    declare = [i for i, line in enumerate(lines) if re.match(r"    \w[^(]*;", line) and not re.match(r"    (static|using|friend)\b", line)]
    return bool(declare) and all("///<" in lines[i] or comment_above(lines, i, 4) for i in declare)


def undocumented(text):
    """(line, what) of the classes of a header, and of their public constructors with parameters, that nothing is said of."""
    code, lines = code_of(text), text.split("\n")
    for match in re.finditer(r"^(class|struct) (?:alignas\(\d+\) )?(\w+)[^;{()]*\{", code, re.M):
        kind, name = match.groups()
        number = code.count("\n", 0, match.start())
        body = code[match.end():closing(code, match.end() - 1)]
        first = code.count("\n", 0, match.end())
        said = comment_above(lines, number, 0)
        if not said and not every_member_is_commented("\n".join(lines[first + 1:first + body.count("\n")])):
            yield number + 1, f"{kind} {name}"
        public, at = kind == "struct", 0
        for i, line in enumerate(body.split("\n")):
            label = re.match(r"(public|private|protected):", line)
            public = label.group(1) == "public" if label else public
            opens = re.match(rf"    (?:(?:explicit|constexpr) )*{name}\(", line)
            if opens and public:
                end = closing(body, at + opens.end() - 1)
                inner = re.sub(r"\s+", " ", body[at + opens.end():end]).strip()
                deleted = re.match(r"\s*= delete", body[end + 1:])
                if inner and not copies(name, inner) and not deleted and "@param" not in said and not comment_above(lines, first + i, 4):
                    yield first + i + 1, f"{name}({inner})"
            at += len(line) + 1


def the_measure_of_documents_measures():
    text = """
/// Said.
template <typename T>
class A {
public:
    explicit A(int a);
    /// Said.
    A(int a, int b) : a_(a) {}
    A(const A&) = delete;
    A(A&& other) noexcept;
    A();

private:
    A(char hidden);
    int a_ = 0;  // "{"
};

struct Plain {
    int a = 0;  ///< said
    /// Said.
    int b = 0;
};
struct Bare {
    int a = 0;  ///< said
    int b = 0;
};
class Forward;
/// @param a  said
class B {
public:
    B(int a);
};
"""
    found = list(undocumented(text))
    h.check(found == [(6, "A(int a)"), (23, "struct Bare")], found)


def classes_and_their_constructors_are_documented():
    wrong, seen = [], 0
    for path in sources("src"):
        if path.suffix == ".hpp":
            seen += 1
            wrong += [f"{path.relative_to(h.REPO)}:{line}: {what} has no /// comment" for line, what in undocumented(path.read_text())]
    h.check(seen > 150, f"{seen} headers were seen")
    h.check(not wrong, "\n".join(wrong))


def places_in(document):
    """What a comment may point at behind the document's name: headings, and the bold words that begin a paragraph."""
    return set(re.findall(r"^#+ (.+)$", document, re.M)) | set(re.findall(r"^(?:- )?\*\*([^*]+?)\.?\*\*", document, re.M))


def comments_point_at_chapters_that_are_here():
    places = {path.name: places_in(path.read_text()) for path in tracked("*.md")}
    wrong, seen = [], 0
    for path in sources("src", "tests", "bench"):
        said = re.sub(r"\n\s*//+<? ?", " ", path.read_text())   # one line each comment
        for document, place in re.findall(r"\b([\w-]+\.md), ([A-Z][\w ]*?)[.):]", said):
            seen += 1
            if place not in places.get(document, set()):
                wrong.append(f"{path.relative_to(h.REPO)}: {document} has no '{place}'")
    h.check(seen > 15, f"{seen} were seen")
    h.check(not wrong, "\n".join(wrong))


def documents_and_comments_name_files_that_are_here():
    here = {str(path.relative_to(h.REPO)) for path in tracked()}
    names = {name.rsplit("/", 1)[-1] for name in here}
    made = {"MANIFEST.json", "OWNER.json", "status.json", "error.json", "result.json", "system.json"}   # by the program
    wrong = []
    for path in tracked("*.md", "*.cpp", "*.hpp", "*.py", "*.sh", "*.cmake", "CMakeLists.txt"):
        if path.name == "CHANGELOG.md":   # it tells of what was
            continue
        for number, line in enumerate(path.read_text().split("\n"), 1):
            where = f"{path.relative_to(h.REPO)}:{number}"
            for word in re.findall(r"(?<![\w/.$*-])(?:src|docs|tests|scripts|configs|bench|cmake)/[\w./-]+\.(?:cpp|hpp|md|py|sh|cmake|toml|txt)\b", line):
                if word not in here and "NAME" not in word:   # of a file to be
                    wrong.append(f"{where}: {word}")
            for word in re.findall(r"\b(?:DESIGN|FAULTS|EXAMPLES)\b(?!\.)|\b(?:chapter|sections?) \d+", line):
                if path.name not in ("tidy.py", "start.py"):   # of papers that are not here
                    wrong.append(f"{where}: {word}")
            for word in re.findall(r"(?<![\w/.])[A-Z][A-Z_]+\.md\b", line):
                if word not in names and word not in made:
                    wrong.append(f"{where}: {word}")
    h.check(not wrong, "\n".join(wrong))


# Texts from elsewhere that src compares with a word, how often, and why that is right. A choice of ours is an enum with its
# words (src/runtime/choices.hpp), parsed once.
COMPARED = {
    "names of variables that our scripts set": {"SLUICE_LAUNCH_STAMP": 1, "SLUICE_LAUNCH_STATUS": 1, "SLUICE_FULL_TESTS": 1, "SLUICE_CONFIG": 1, "SLUICE_DISKS_PATH": 1},
    "keys of a config file that are no options": {"disks": 2, "hosts": 1, "input": 1, "input.paths": 3, "disks.path": 1},
    "where a value came from, which is a text with a file's line in all other cases": {"default": 1, "--set": 1},
    "the two values of a boolean": {"true": 2, "false": 1},
    "a unit that is read and never written": {"KB": 1},
    "file systems and control groups by the kernel's names": {"cgroup": 1, "cgroup2": 1, "btrfs": 1, "overlay": 1, "mnt_id:": 1, "/dev/null": 1},
    "a word in the place of a run id, or of a pattern of traffic": {"all": 3, "ping-pong": 1},
    "what a person answers": {"yes": 1},
}


def compared_words(text):
    code = re.sub(r"//[^\n]*", "", text)
    return [word for word in re.findall(r'[=!]=\s*"([^"\n]*)"|"([^"\n]*)"\s*[=!]=', code) for word in word if len(word) > 1 and word != ".."]


def texts_are_compared_only_where_they_come_from_elsewhere():
    found = compared_words('if (a == "sort" || "gen" != b) c = "x";  // d == "no"')
    h.check(found == ["sort", "gen"], found)
    counts, where = {}, {}
    for path in sources("src"):
        for word in compared_words(path.read_text()):
            counts[word] = counts.get(word, 0) + 1
            where.setdefault(word, []).append(str(path.relative_to(h.REPO)))
    allowed = {word: most for words in COMPARED.values() for word, most in words.items()}
    wrong = [f"{word}: compared {count} times, {allowed.get(word, 0)} are right: {where[word]}" for word, count in counts.items() if count > allowed.get(word, 0)]
    h.check(not wrong, "\n".join(wrong))
    gone = [word for word, most in allowed.items() if counts.get(word, 0) < most]
    h.check(not gone, f"fewer are left, the list can be shorter: {gone}")
    print(f"{sum(counts.values())} comparisons with a text are left in src")


NO_TYPE = {"return", "throw", "new", "delete", "else", "case", "co_return", "goto", "and", "or", "not", "typename", "do"}
DECLARED = r"(?:(?<![\w])([A-Za-z_]\w*)|[\w>]([&*]+)|[\w>]>|>) ((?:[A-Za-z_]\w*(?:<[^<>()]*>)?::)*)([a-z_]\w*)\("


def declarations(code):
    """Where a function's name stands behind a type, as it does where it is declared or defined, and nowhere else."""
    for match in re.finditer(DECLARED, code):
        if match.group(1) in NO_TYPE or (match.group(1) is None and match.group(2) is None and code[match.start() - 1:match.start()].isspace()):
            continue
        yield match.group(4), match.start(4)


# Functions that only tests name, and why they stay in src.
FOR_TESTS = {
    "all_strata": "how many places of the input a sample reads",
    "find_input": "the steps of InputSearch in one, with calls of their own",
    "find_place": "a rank's place by a call of its own; the program knows all hosts by the handshake",
    "affinity_of_this_thread": "what binding came to, by the kernel",
    "force_wide_tags": "tags of 16 bytes without 2^24 records",
    "load_extent_index": "opens the logs of a run that has ended; no verb does so yet",
    "save_extent_index": "the same",
    "make_null_backend": "a disk of known speed",
    "numa_node_of_block_device": "a device's memory node in a tree of files; the program asks by path",
    "queue_bytes": "what a sender's queues take",
    "synthetic": "a machine that is not here",
    "used_bytes": "how full an arena or a log is",
}


def functions_have_a_caller():
    code = "int one(int a);\nstd::vector<A>& B::two(C c) {\n  return one(3) && three(4);\n}\nE* four();\n"
    h.check([name for name, _ in declarations(code)] == ["one", "two", "four"], list(declarations(code)))
    declared, words = {}, {"src": {}, "tests": {}}
    for path in sources("src", "tests", "bench"):
        code = code_of(path.read_text())
        part = words["src" if path.relative_to(h.REPO).parts[0] == "src" else "tests"]
        for word in re.findall(r"[A-Za-z_]\w*", code):
            part[word] = part.get(word, 0) + 1
        for name, _ in declarations(code):
            part[name] -= 1
            if path.suffix == ".hpp" and path.relative_to(h.REPO).parts[0] == "src":
                declared.setdefault(name, path.relative_to(h.REPO))
    h.check(len(declared) > 500, f"{len(declared)} functions were seen")
    uncalled = {name for name in declared if words["src"].get(name, 0) <= 0}
    dead = {name for name in uncalled if words["tests"].get(name, 0) <= 0}
    simulated = {name for name in uncalled if declared[name].parts[1] == "simulated"}   # a library for tests
    wrong = [f"{declared[name]}: {name} is named nowhere else" for name in sorted(dead)]
    wrong += [f"{declared[name]}: {name} is named by tests only" for name in sorted(uncalled - dead - simulated - set(FOR_TESTS))]
    h.check(not wrong, "\n".join(wrong))
    gone = [name for name in FOR_TESTS if name not in uncalled - dead]
    h.check(not gone, f"no exceptions any more: {gone}")
    print(f"{len(declared)} functions of headers; {len(FOR_TESTS)} are for tests only")


h.main([the_measure_measures, files_and_functions_are_short_and_take_few_parameters, texts_are_compared_only_where_they_come_from_elsewhere,
        functions_have_a_caller, the_measure_of_documents_measures, classes_and_their_constructors_are_documented,
        comments_point_at_chapters_that_are_here, documents_and_comments_name_files_that_are_here])
