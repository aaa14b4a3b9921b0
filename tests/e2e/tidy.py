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


h.main([the_measure_measures, files_and_functions_are_short_and_take_few_parameters, the_measure_of_documents_measures,
        classes_and_their_constructors_are_documented, comments_point_at_chapters_that_are_here, documents_and_comments_name_files_that_are_here])
