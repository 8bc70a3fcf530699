// Whether arrays of the caller are still where and as they were when their addresses were taken.
#pragma once
#include <cstddef>
#include <cstring>

namespace ailand {

struct Watched {
    const void* at;
    const void* copy;
    std::size_t size;
};

// In order: what comes later may be at an address that stands in what comes first.
inline bool as_before(const Watched* watched, std::size_t count) {
    for (std::size_t k = 0; k < count; ++k)
        if (std::memcmp(watched[k].at, watched[k].copy, watched[k].size) != 0) return false;
    return true;
}

}  // namespace ailand
