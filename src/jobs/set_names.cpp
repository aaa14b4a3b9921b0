#include "jobs/set_names.hpp"

#include "jobs/run_directory.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {
using Renamed = Directory::Renamed;
}

Renamed rename_to_free_name(Directory& disk, const std::string& from, const std::string& to) {
    const Renamed renamed = disk.rename_no_replace(from, to);
    if (renamed != Renamed::unsupported) return renamed;
    if (!disk.make(to)) return Renamed::exists;
    disk.rename_over(from, to);
    return Renamed::done;
}

RenameTrial try_renames(Directory& directory) {
    const std::string one = std::string(kTrialPrefix) + "1", other = std::string(kTrialPrefix) + "2";
    RenameTrial trial;
    directory.make(one);
    trial.can_no_replace = directory.rename_no_replace(one, other) == Renamed::done;
    directory.make(one);
    const Renamed again = trial.can_no_replace ? directory.rename_no_replace(one, other) : Renamed::unsupported;
    trial.can_no_replace = again == Renamed::exists;
    if (again == Renamed::done) {
        throw Error(Errc::environment, "rename in '" + directory.path() +
                                           "': takes RENAME_NOREPLACE and replaces all the same; results cannot be "
                                           "published here without risk, use another file system");
    }
    directory.make(other);
    trial.can_exchange = directory.exchange(one, other) == Renamed::done;
    if (!trial.can_no_replace) directory.rename_over(one, other);
    if (directory.look(one)) directory.remove_directory(one);
    directory.remove_directory(other);
    directory.sync();
    return trial;
}

}  // namespace sluice
