#include "cli/results_folder.hpp"

namespace sluice {
namespace {

/// No half report stays; what of it cannot be removed either is not worth another word.
void remove_half(FileSystem& system, const std::string& directory,
                 const std::vector<std::pair<std::string, std::string>>& files) noexcept {
    try {
        for (const auto& [file, content] : files) {
            if (system.info(directory + "/" + file)) system.remove_file(directory + "/" + file);
        }
        system.remove_empty_directory(directory);
    } catch (const std::exception&) {
    }
}

}  // namespace

std::string write_results_folder(Application& app, const std::string& kind, const std::string& run_id,
                                 const std::vector<std::pair<std::string, std::string>>& files) {
    FileSystem& system = app.job().files;
    const std::string base = system.real_path(app.job().config.results.dir),
                      name = base + "/" + kind + "-" + run_id.substr(0, 12);
    const std::string temporary = name + ".tmp";
    try {
        system.make_directories(temporary);
        for (const auto& [file, content] : files) system.write_durably(temporary + "/" + file, content);
        system.rename_no_replace(temporary, name);
    } catch (const Error&) {
        remove_half(system, temporary, files);
        throw;
    }
    return name;
}

}  // namespace sluice
