// Any text as a config file, and as words of --set: loads to the same values again, or is refused with Error(config).
#include "fuzz.hpp"
#include "runtime/config.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

void load(const ConfigSources& sources) {
    try {
        const LoadedConfig loaded(sources);
        ConfigSources again;
        again.file_name = "again.toml";
        again.file_text = loaded.effective_toml("h1");
        fuzz_check(LoadedConfig(again).effective_toml("h1") == again.file_text);
        fuzz_check(LoadedConfig(ConfigSources::deserialize(sources.serialize())).hash() == loaded.hash());
    } catch (const Error& error) {
        fuzz_check(error.code() == Errc::config);
    }
}

}  // namespace

void fuzz_one(std::string_view input) {
    ConfigSources file;
    file.file_name = "c.toml";
    file.file_text = input;
    load(file);
    ConfigSources sets;
    for (std::size_t at = 0; at < input.size();) {
        const std::size_t end = std::min(input.find('\n', at), input.size());
        sets.sets.emplace_back(input.substr(at, end - at));
        at = end + 1;
    }
    load(sets);
}

}  // namespace sluice
