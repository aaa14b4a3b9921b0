#pragma once
/// Turns the sources of a config into checked values. Internal to the config; use config.hpp.

#include <toml++/toml.h>

#include <string>
#include <vector>

#include "runtime/config.hpp"

namespace sluice {

/// Collects every problem before it throws, so that one run shows them all.
class ConfigReader {
public:
    /// @param loaded  whose sources are read and whose values read() fills in; must outlive this
    explicit ConfigReader(LoadedConfig& loaded) : loaded_(loaded) {}
    void read();

private:
    using Values = std::map<std::string, LoadedConfig::Value>;
    void read_file();
    void read_table(const toml::table& table, const std::string& prefix, Values& values);
    void read_value(const std::string& key, const toml::node& node, Values& values);
    void read_disks(const toml::node& node);
    void read_disk(const toml::table& table);
    /// Of a [[disks]] table; `node` is a text.
    template <typename Enum>
    void read_choice(const std::string& key, const toml::node& node, Enum& value);
    void read_hosts(const toml::node& node);
    void read_input_paths(const toml::node& node);
    void read_environment();
    void read_sets();
    void set(const std::string& key, const std::string& text, const std::string& origin, Values& values);
    void set_disks(const std::string& path, const std::string& origin);
    void check_disk_path(const std::string& path, const std::string& where);
    void check_record_shape();
    void unknown(const std::string& where, const std::string& key);
    void problem(const std::string& where, const std::string& text);
    std::string place(const toml::node& node) const;

    LoadedConfig& loaded_;
    std::vector<std::string> problems_;
    std::size_t more_problems_ = 0;  // beyond those that are shown
};

}  // namespace sluice
