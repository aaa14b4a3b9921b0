#include "cli/config_places.hpp"

#include <filesystem>

#include "io/owner_record.hpp"
#include "runtime/error.hpp"

namespace sluice {

void refuse_names_of_runs(const Config& config) {
    for (const auto& [key, name] : {std::pair("input.name", config.input.name), {"output.name", config.output.name}}) {
        if (parse_run_directory(name)) {
            throw Error(Errc::config,
                        std::string(key) + " = \"" + name + "\" is the name of a run's own directory; choose another");
        }
    }
}

void refuse_results_in_a_set(const Config& config, const std::string& host, std::uint32_t rank) {
    std::error_code ignored;
    const auto real = [&](const std::string& path) {
        return std::filesystem::weakly_canonical(path, ignored).string();
    };
    const std::string results = real(config.results.dir);
    for (const DiskConfig& disk : config.disks) {
        if (disk.role == DiskRole::intermediate) continue;
        const std::string& name = disk.role == DiskRole::input ? config.input.name : config.output.name;
        // Not through a link that has the set's name: no set is made there.
        const std::string set = (std::filesystem::path(real(expand_path(disk.path, host, rank))) / name).string();
        if (results != set && results.compare(0, set.size() + 1, set + "/") != 0) continue;
        throw Error(Errc::config, "results.dir = \"" + config.results.dir + "\" lies in '" + set +
                                      "', the place of a data set; choose another directory for results");
    }
}

std::string absolute_results_dir(const std::string& directory) {
    std::error_code error;
    const auto absolute = std::filesystem::absolute(directory, error);
    if (!error) return absolute.string();
    throw Error(Errc::config, "results.dir = \"" + directory +
                                  "\" starts from the working directory, which cannot be found (" + error.message() +
                                  "): it was removed or may not be searched; change to another directory, or "
                                  "set results.dir to an absolute path");
}

}  // namespace sluice
