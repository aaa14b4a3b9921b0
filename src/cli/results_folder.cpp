#include "cli/results_folder.hpp"

namespace sluice {

std::string write_results_folder(Application& app, const std::string& kind, const std::string& run_id,
                                 const std::vector<std::pair<std::string, std::string>>& files) {
    FileSystem& system = app.job().files;
    const std::string base = system.real_path(app.job().config.results.dir),
                      name = base + "/" + kind + "-" + run_id.substr(0, 12);
    const std::string temporary = name + ".tmp";
    system.make_directories(temporary);
    for (const auto& [file, content] : files) system.write_durably(temporary + "/" + file, content);
    system.rename_no_replace(temporary, name);
    return name;
}

}  // namespace sluice
