// A C function around rounded.hpp, where the processor has what that needs; compiled by test_rounded_kernels.py.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>
#include "threads.hpp"
#include "vectors.hpp"
#include "transposition.hpp"
#include "kernels.hpp"
#if defined(__AVX512BF16__)
#include "rounded.hpp"

// By the matrix unit where there is one and it is wanted.
extern "C" void rounded_dense(const float* const* x, const long* strides, const float* const* weights, const long* inputs,
                              int count, long row, long end, long outputs, float* out, long stride, int with_tiles) {
    std::vector<ailand::RoundedTerm> terms;
    for (int t = 0; t < count; ++t) terms.push_back({x[t], strides[t], weights[t], inputs[t]});
    const auto take = [&](auto sums, long r, long j) { ailand::store<decltype(sums)>(out + r * stride + j, sums); };
    ailand::dense_rounded(1, terms.data(), count, row, end, outputs, ailand::finish_of<float>(take), with_tiles);
}
#endif
