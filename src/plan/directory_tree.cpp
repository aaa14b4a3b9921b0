#include "plan/directory_tree.hpp"

#include <algorithm>

#include "plan/preflight_paths.hpp"

namespace sluice {
namespace {

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

bool DirectoryTree::Place::lies_in(const Place& directory) const {
    return std::binary_search(way_up.begin(), way_up.end(), directory.number);
}

const DirectoryTree::Place& DirectoryTree::place_of(const std::string& path) {
    const auto [known, fresh] = real_paths_.try_emplace(path);
    if (fresh) known->second = job_.files.real_path(path);
    return place_of_real(known->second);
}

const DirectoryTree::Place& DirectoryTree::place_of_real(const std::string& real) {
    if (const auto known = places_.find(real); known != places_.end()) return known->second;
    Place place;
    if (real != "/" && !real.empty()) place.way_up = place_of_real(parent_of(real)).way_up;
    place.number = number_of(real);
    // A bind mount can put a directory below itself.
    const auto at = std::lower_bound(place.way_up.begin(), place.way_up.end(), place.number);
    if (at == place.way_up.end() || *at != place.number) place.way_up.insert(at, place.number);
    return places_.emplace(real, std::move(place)).first->second;
}

std::uint32_t DirectoryTree::number_of(const std::string& real) {
    const auto info = look(job_, real);
    if (!info) return count_++;
    const auto [known, fresh] = numbers_.emplace(std::pair(info->device, info->inode), count_);
    if (fresh) ++count_;
    return known->second;
}

}  // namespace sluice
