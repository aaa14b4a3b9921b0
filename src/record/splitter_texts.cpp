#include "record/splitter_texts.hpp"

namespace sluice {

int SplitterTexts::compare_texts(std::size_t left, std::size_t right) const {
    if (places_[left].at == places_[right].at && places_[left].length == places_[right].length) return 0;
    const auto a = (*this)[left], b = (*this)[right];
    if (const std::size_t both = std::min(a.size(), b.size()); both > 0) {
        if (const int order = std::memcmp(a.data(), b.data(), both)) return order;
    }
    return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

}  // namespace sluice
