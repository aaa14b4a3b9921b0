#include "runtime/config.hpp"

#include <cstdio>
#include <sstream>

#include "runtime/config_reader.hpp"
#include "runtime/error.hpp"
#include "runtime/option_table.hpp"
#include "runtime/packing.hpp"
#include "runtime/utf8.hpp"

namespace sluice {
namespace {

/// A basic string of TOML.
std::string quoted(const std::string& text) {
    std::string toml = "\"";
    for (const char c : is_utf8(text) ? text : escape_bytes(text)) {
        const auto code = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') toml += '\\';
        if (code >= 0x20 && code != 0x7f) {
            toml += c;
            continue;
        }
        char escaped[12];
        std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(code));
        toml += escaped;
    }
    return toml + "\"";
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
}

/// Numbers and booleans stand bare in TOML, everything else in quotes.
std::string toml_value(const Option& option, const std::string& value) {
    return stands_bare(option.kind) ? value : quoted(value);
}

}  // namespace

std::vector<DiskConfig> Config::disks_of(DiskRole role) const {
    std::vector<DiskConfig> found;
    for (const DiskConfig& disk : disks) {
        if (disk.role == role) found.push_back(disk);
    }
    return found;
}

std::string expand_path(const std::string& path, const std::string& host, std::uint32_t rank) {
    std::string expanded = path;
    replace_all(expanded, "{host}", host);
    replace_all(expanded, "{rank}", std::to_string(rank));
    return expanded;
}

std::string ConfigSources::serialize() const {
    // Packed, not JSON: paths may be no UTF-8, and all ranks must read the same bytes.
    Packer packer;
    packer.add(file_name);
    packer.add(file_text);
    packer.add(sets);
    packer.add(static_cast<std::uint64_t>(environment.size()));
    for (const auto& [name, value] : environment) {
        packer.add(name);
        packer.add(value);
    }
    return packer.take();
}

ConfigSources ConfigSources::deserialize(const std::string& text) {
    Unpacker unpacker(text);
    ConfigSources sources;
    sources.file_name = unpacker.take<std::string>();
    sources.file_text = unpacker.take<std::string>();
    sources.sets = unpacker.take<std::vector<std::string>>();
    for (auto left = unpacker.take<std::uint64_t>(); left > 0; --left) {
        const auto name = unpacker.take<std::string>();
        sources.environment[name] = unpacker.take<std::string>();
    }
    return sources;
}

LoadedConfig::LoadedConfig(ConfigSources sources) : sources_(std::move(sources)) {
    ConfigReader reader(*this);
    reader.read();
}

Config LoadedConfig::for_host(const std::string& host) const {
    Config config;
    config.disks = disks_;
    config.input.paths = input_paths_;
    for (const Option& option : option_table()) {
        if (const Value* chosen = value_of(option.key, host)) option.store(config, chosen->text);
    }
    return config;
}

const LoadedConfig::Value* LoadedConfig::value_of(const std::string& key, const std::string& host) const {
    const auto general = values_.find(key);
    const Value* chosen = general == values_.end() ? nullptr : &general->second;
    // A host's own section beats the file's general part, not what was typed for this very run.
    const bool typed = chosen != nullptr && (chosen->origin == "--set" || chosen->origin.rfind("environment", 0) == 0);
    if (const auto overrides = host_values_.find(host); overrides != host_values_.end() && !typed) {
        const auto special = overrides->second.find(key);
        if (special != overrides->second.end()) chosen = &special->second;
    }
    return chosen;
}

std::string LoadedConfig::origin_of(const std::string& key, const std::string& host) const {
    if (key == "disks") return disks_origin_;
    if (key == "input.paths") return input_paths_origin_;
    const Value* chosen = value_of(key, host);
    return chosen == nullptr ? "default" : chosen->origin;
}

std::vector<std::string> LoadedConfig::host_names() const {
    std::vector<std::string> names;
    for (const auto& [name, values] : host_values_) names.push_back(name);
    return names;
}

std::string LoadedConfig::effective_toml(const std::string& host) const {
    const Config config = for_host(host);
    std::ostringstream out;
    std::string table;
    out << "weight = " << find_option("weight")->print(config) << "\n";
    for (const Option& option : option_table()) {
        const std::size_t dot = option.key.rfind('.');
        if (dot == std::string::npos) continue;
        const std::string name = option.key.substr(0, dot);
        if (name != table) {
            out << "\n[" << name << "]\n";
            table = name;
            if (name == "input") {
                out << "paths = [";
                for (std::size_t i = 0; i < config.input.paths.size(); ++i)
                    out << (i == 0 ? "" : ", ") << quoted(config.input.paths[i]);
                out << "]\n";
            }
        }
        out << option.key.substr(dot + 1) << " = " << toml_value(option, option.print(config)) << "\n";
    }
    for (const DiskConfig& disk : config.disks) {
        out << "\n[[disks]]\npath = " << quoted(disk.path) << "\nrole = \"" << word_of(disk.role) << "\"\n";
        if (disk.scope == DiskScope::shared) out << "scope = \"" << word_of(disk.scope) << "\"\n";
    }
    return out.str();
}

std::uint64_t LoadedConfig::hash() const {
    std::string all = effective_toml("");
    for (const std::string& host : host_names()) all += host + effective_toml(host);
    std::uint64_t value = 0xcbf29ce484222325u;  // FNV-1a: to compare equal texts, not against forgery
    for (const unsigned char c : all) value = (value ^ c) * 0x100000001b3u;
    return value;
}

}  // namespace sluice
