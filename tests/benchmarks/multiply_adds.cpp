// As many multiply-adds a second as the processor can: in registers, each independent of the last few.
#include "vectors.hpp"
#include "transposition.hpp"
#include "kernels.hpp"

// Runs `count` rounds; returns the floating-point operations done. `result` keeps the compiler from leaving them out.
extern "C" double multiply_adds(long count, float* result) {
    using vector = ailand::vector_of<float>;
    constexpr int sums = ailand::tile_vectors > 2 ? 24 : 12;
    const vector factor = ailand::splat<vector>(result[0]), term = ailand::splat<vector>(result[1]);
    vector sum[sums];  // different from the beginning: the compiler would make one of equal ones
    for (int s = 0; s < sums; ++s) sum[s] = ailand::splat<vector>(result[2] * s);
    for (long i = 0; i < count; ++i)
#pragma GCC unroll 24
        for (int s = 0; s < sums; ++s) sum[s] = ailand::multiply_add<float>(sum[s], factor, term);
    vector total = {};
    for (int s = 0; s < sums; ++s) total += sum[s];
    result[2] = total[0];
    return 2.0 * count * sums * ailand::lanes<float>;
}
