#include "runtime/config_reader.hpp"

#include <algorithm>
#include <cctype>

#include "runtime/bounded_text.hpp"
#include "runtime/error.hpp"
#include "runtime/option_table.hpp"
#include "runtime/printable.hpp"
#include "runtime/utf8.hpp"

namespace sluice {
namespace {

// One config may have any number of mistakes; people read the first few.
constexpr std::size_t kMostProblems = 50, kMostProblemBytes = 2000, kMostDisks = 4096;
constexpr std::size_t kSlipDistance = 2;  // letters between a variable and the option that was meant

enum class DiskKey : std::uint8_t { path, role, scope };
constexpr Word<DiskKey> kDiskKeys[] = {{"path", DiskKey::path}, {"role", DiskKey::role}, {"scope", DiskKey::scope}};
std::span<const Word<DiskKey>> words_of(DiskKey) noexcept { return kDiskKeys; }

/// Variables that start with SLUICE_ and are no options: set by our scripts and tests.
bool is_reserved_variable(const std::string& name) {
    return name == "SLUICE_LAUNCH_STAMP" || name == "SLUICE_LAUNCH_STATUS" || name == "SLUICE_FULL_TESTS" ||
           name == "SLUICE_CONFIG" || name.rfind("SLUICE_TEST_", 0) == 0;
}

/// Variables that module systems and package managers set for whatever they load.
bool is_of_module_system(const std::string& name) {
    for (const char* what : {"ROOT", "HOME", "DIR", "VERSION", "LIB", "BIN"}) {
        if (name == std::string("SLUICE_") + what) return true;
    }
    return false;
}

std::string variable_of(const std::string& key) {
    std::string name = "SLUICE_";
    for (const char c : key) name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
}

std::vector<std::string> known_keys() {
    std::vector<std::string> keys = {"disks", "hosts", "input.paths"};
    for (const Option& option : option_table()) keys.push_back(option.key);
    return keys;
}

bool is_table_of_options(const std::string& prefix) {
    return std::any_of(option_table().begin(), option_table().end(),
                       [&](const Option& o) { return o.key.rfind(prefix + ".", 0) == 0; });
}

}  // namespace

void ConfigReader::problem(const std::string& where, const std::string& text) {
    // Values are quoted in messages as they came; control characters among them would cut or fake lines.
    if (problems_.size() >= kMostProblems) {
        ++more_problems_;
        return;
    }
    std::string line = where + ": ";
    for (const char c : std::string_view(text).substr(0, kMostProblemBytes)) {
        const auto code = static_cast<unsigned char>(c);
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\x%02x", code);
        line += code < 0x20 || code == 0x7f ? std::string(escape) : std::string(1, c);
    }
    if (text.size() > kMostProblemBytes) line += "... (" + std::to_string(text.size()) + " bytes)";
    problems_.push_back(std::move(line));
}

std::string ConfigReader::place(const toml::node& node) const {
    const auto& begin = node.source().begin;
    return loaded_.sources_.file_name + ":" + std::to_string(begin.line) + ":" + std::to_string(begin.column);
}

void ConfigReader::read() {
    read_file();
    read_environment();
    read_sets();
    if (problems_.empty()) check_record_shape();
    if (problems_.empty()) return;
    std::string all;
    for (const std::string& one : problems_) all += (all.empty() ? "" : "\n") + one;
    if (more_problems_ != 0) all += "\nand " + std::to_string(more_problems_) + " more problems of this config";
    throw Error(Errc::config, all);
}

void ConfigReader::read_file() {
    if (loaded_.sources_.file_text.empty()) return;
    check_toml_bounds(loaded_.sources_.file_text, loaded_.sources_.file_name);
    try {
        const toml::table table = toml::parse(loaded_.sources_.file_text, loaded_.sources_.file_name);
        read_table(table, "", loaded_.values_);
    } catch (const toml::parse_error& error) {
        const auto& begin = error.source().begin;
        problem(loaded_.sources_.file_name + ":" + std::to_string(begin.line) + ":" + std::to_string(begin.column),
                std::string(error.description()) + "; this is no valid TOML");
    }
}

void ConfigReader::read_table(const toml::table& table, const std::string& prefix, Values& values) {
    const bool in_host = &values != &loaded_.values_;
    for (const auto& [name, node] : table) {
        const std::string key = prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
        if (!in_host && key == "disks") {
            read_disks(node);
        } else if (!in_host && key == "hosts") {
            read_hosts(node);
        } else if (!in_host && key == "input.paths") {
            read_input_paths(node);
        } else if (node.is_table() && is_table_of_options(key)) {
            read_table(*node.as_table(), key, values);
        } else if (find_option(key) != nullptr) {
            read_value(key, node, values);
        } else {
            unknown(place(node), key);
        }
    }
}

void ConfigReader::read_value(const std::string& key, const toml::node& node, Values& values) {
    // TOML has types, and a value of another type is a mistake even where its text could be read.
    const Option& option = *find_option(key);
    const ValueKind kind = option.kind;
    const std::string type = option.type();
    const bool bare = stands_bare(kind);
    std::string text;
    bool fits = false;
    if (const auto* s = node.as_string()) {
        text = s->get();
        if (bare) {
            problem(place(node), key + " = \"" + text + "\": takes a bare " + type + ", without quotes");
            return;
        }
        fits = true;
    } else if (const auto* i = node.as_integer()) {
        text = std::to_string(i->get());
        if (kind == ValueKind::duration) {
            problem(place(node),
                    key + " = " + text + ": a duration needs a unit; write \"" + text + "s\" or \"500ms\"");
            return;
        }
        if (kind == ValueKind::size) {
            problem(place(node), key + " = " + text + ": a size needs a unit; write \"" + text +
                                     "B\", \"4MiB\" (2^22) or \"4MB\" (4000000)");
            return;
        }
        fits = kind == ValueKind::integer || kind == ValueKind::number;
    } else if (const auto* f = node.as_floating_point()) {
        char buffer[40];
        std::snprintf(buffer, sizeof buffer, "%.17g", f->get());
        text = buffer;
        fits = kind == ValueKind::number;
    } else if (const auto* b = node.as_boolean()) {
        text = b->get() ? "true" : "false";
        fits = kind == ValueKind::boolean ||
               std::find(option.words.begin(), option.words.end(), text) != option.words.end();
    }
    if (fits) {
        set(key, text, place(node), values);
    } else {
        problem(place(node), key + (text.empty() ? "" : " = " + text) + ": takes " +
                                 (bare ? "one bare " + type : "a text in quotes (" + type + ")"));
    }
}

void ConfigReader::set(const std::string& key, const std::string& text, const std::string& origin, Values& values) {
    if (!is_utf8(text)) {
        problem(origin, key + ": \"" + escape_bytes(text) + "\" is not UTF-8, as reports and manifests are; rename it");
        return;
    }
    Config scratch;
    if (const auto wrong = find_option(key)->store(scratch, text)) {
        problem(origin, key + ": " + *wrong);
        return;
    }
    values[key] = {text, origin};
}

void ConfigReader::unknown(const std::string& where, const std::string& key) {
    const auto near = nearest(key, known_keys());
    problem(where,
            key + ": unknown key" + (near ? "; did you mean " + *near + "?" : "; `sluice config list` shows all"));
}

void ConfigReader::check_disk_path(const std::string& path, const std::string& where) {
    if (path.empty() || path.front() != '/') {
        problem(where,
                "disks.path = \"" + path + "\": must be absolute, since ranks may start in different directories");
    } else if (!is_utf8(path)) {
        problem(where,
                "disks.path = \"" + escape_bytes(path) + "\": is not UTF-8, as reports and manifests are; rename it");
    } else if (path.size() > 3000 ||
               std::any_of(path.begin(), path.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
        problem(where, "disks.path: too long, or has control characters");
    }
}

void ConfigReader::read_disks(const toml::node& node) {
    const toml::array* list = node.as_array();
    if (list == nullptr || !list->is_array_of_tables()) {
        problem(place(node), "disks: write one [[disks]] table for each directory");
        return;
    }
    loaded_.disks_origin_ = place(node);
    if (list->size() > kMostDisks) {
        problem(place(node), "disks: " + std::to_string(list->size()) + " tables, at most " +
                                 std::to_string(kMostDisks) + " are read");
        return;
    }
    for (const auto& element : *list) read_disk(*element.as_table());
}

template <typename Enum>
void ConfigReader::read_choice(const std::string& key, const toml::node& node, Enum& value) {
    const std::string text = node.as_string()->get();
    if (const auto word = parse_word<Enum>(text)) {
        value = *word;
        return;
    }
    const auto near = nearest(text, word_list<Enum>());
    problem(place(node), "disks." + key + " = \"" + text + "\": none of " + joined_words<Enum>() +
                             (near ? "; did you mean \"" + *near + "\"?" : ""));
}

void ConfigReader::read_disk(const toml::table& table) {
    DiskConfig disk;
    bool has_path = false, has_role = false;
    for (const auto& [name, node] : table) {
        const std::string key(name.str());
        const auto* text = node.as_string();
        const auto known = parse_word<DiskKey>(key);
        if (!known) {
            const auto near = nearest(key, word_list<DiskKey>());
            problem(place(node),
                    "disks." + key + ": unknown key" + (near ? "; did you mean disks." + *near + "?" : ""));
            continue;
        }
        if (text == nullptr) {
            problem(place(node), "disks." + key + ": takes a text in quotes");
            continue;
        }
        switch (*known) {
            case DiskKey::path:
                disk.path = text->get();
                has_path = true;
                check_disk_path(disk.path, place(node));
                break;
            case DiskKey::role:
                has_role = true;
                read_choice(key, node, disk.role);
                break;
            case DiskKey::scope:
                read_choice(key, node, disk.scope);
                break;
        }
    }
    if (!has_path) problem(place(table), "disks: path is missing");
    if (!has_role) problem(place(table), "disks: role is missing (input, intermediate or output)");
    const auto twice = [&](const DiskConfig& other) { return other.path == disk.path && other.role == disk.role; };
    if (std::any_of(loaded_.disks_.begin(), loaded_.disks_.end(), twice)) {
        problem(place(table), "disks: \"" + disk.path + "\" is listed twice for the same role; remove one");
    }
    loaded_.disks_.push_back(std::move(disk));
}

void ConfigReader::read_hosts(const toml::node& node) {
    const toml::table* hosts = node.as_table();
    if (hosts == nullptr) {
        problem(place(node), "hosts: write [hosts.\"NAME\"] tables");
        return;
    }
    for (const auto& [name, section] : *hosts) {
        if (!section.is_table()) {
            problem(place(section), "hosts." + std::string(name.str()) + ": takes a table of options");
            continue;
        }
        read_table(*section.as_table(), "", loaded_.host_values_[std::string(name.str())]);
    }
}

void ConfigReader::read_input_paths(const toml::node& node) {
    const toml::array* list = node.as_array();
    if (list == nullptr || (!list->empty() && !list->is_homogeneous(toml::node_type::string))) {
        problem(place(node), "input.paths: takes a list of texts, such as [\"/data/*.dat\"]");
        return;
    }
    loaded_.input_paths_origin_ = place(node);
    for (const auto& element : *list) {
        const std::string path = element.as_string()->get();
        if (path.empty() || path.front() != '/')
            problem(place(element), "input.paths: \"" + path + "\" must be absolute");
        loaded_.input_paths_.push_back(path);
    }
}

void ConfigReader::set_disks(const std::string& path, const std::string& origin) {
    check_disk_path(path, origin);
    loaded_.disks_ = {{path, DiskRole::input, DiskScope::host},
                      {path, DiskRole::intermediate, DiskScope::host},
                      {path, DiskRole::output, DiskScope::host}};
    loaded_.disks_origin_ = origin;
}

void ConfigReader::read_environment() {
    for (const auto& [name, value] : loaded_.sources_.environment) {
        if (name.rfind("SLUICE_", 0) != 0 || is_reserved_variable(name) || is_of_module_system(name)) continue;
        const std::string origin = "environment " + name;
        const auto& table = option_table();
        const auto option = std::find_if(table.begin(), table.end(),
                                         [&, n = name](const Option& o) { return variable_of(o.key) == n; });
        if (name == "SLUICE_DISKS_PATH") {
            set_disks(value, origin);
        } else if (option != table.end()) {
            set(option->key, value, origin, loaded_.values_);
        } else {
            std::vector<std::string> variables = {"SLUICE_DISKS_PATH"};
            for (const Option& o : table) variables.push_back(variable_of(o.key));
            // A slip of the finger would run with another plan than was meant; what is far from every option was
            // meant for somebody else.
            if (const auto near = nearest(name, variables, kSlipDistance)) {
                problem(origin, "no such option; did you mean " + *near + "?");
            } else {
                loaded_.warnings_.push_back("WARNING " + printable(origin) +
                                            ": is no option of sluice and has no effect");
            }
        }
    }
}

void ConfigReader::read_sets() {
    for (const std::string& assignment : loaded_.sources_.sets) {
        const std::size_t equals = assignment.find('=');
        const std::string origin = "--set";
        if (equals == std::string::npos) {
            problem(origin + " " + assignment, "write KEY=VALUE, such as memory.budget=1GiB");
            continue;
        }
        const std::string key = assignment.substr(0, equals), value = assignment.substr(equals + 1);
        if (key == "disks.path") {
            set_disks(value, origin);
        } else if (key == "input.paths") {
            if (value.empty() || value.front() != '/')
                problem(origin, "input.paths: \"" + value + "\" must be absolute");
            if (loaded_.input_paths_origin_ != origin) loaded_.input_paths_.clear();  // repeated --set adds to the list
            loaded_.input_paths_.push_back(value);
            loaded_.input_paths_origin_ = origin;
        } else if (find_option(key) != nullptr) {
            set(key, value, origin, loaded_.values_);
        } else {
            unknown(origin, key);
        }
    }
}

void ConfigReader::check_record_shape() {
    const RecordConfig record = loaded_.for_host("").record;
    if (record.key_offset_bytes + record.key_size_bytes > record.size_bytes) {
        std::string origin = "default";
        for (const char* key : {"record.size", "record.key_size", "record.key_offset"}) {
            if (loaded_.origin_of(key) != "default") origin = loaded_.origin_of(key);
        }
        problem(origin, "record: a key of " + std::to_string(record.key_size_bytes) + " bytes at " +
                            std::to_string(record.key_offset_bytes) + " does not fit in a record of " +
                            std::to_string(record.size_bytes) + " bytes; lower record.key_offset or record.key_size");
    }
}

}  // namespace sluice
