// Between arrays that keep each feature of neighbouring columns side by side and rows that keep each column's features so.
//
// One number at a time would be a load and a store each, and would read one variable after the other, of which the
// processor foresees little: a block has few lines of each. Here squares of as many variables and columns as a vector has
// lanes are turned in registers.
#pragma once
#include <cstring>
#include <type_traits>
#include <utility>

namespace ailand {

// L numbers of type T, as vectors are whose lanes are exchanged.
template <class T, int L> struct Line {
    typedef T vector __attribute__((vector_size(L * sizeof(T))));
    typedef std::conditional_t<sizeof(T) == 4, int, long long> integer;
    typedef integer indices __attribute__((vector_size(L * sizeof(T))));
};

// Of every 2 s lanes, the first s of a and of b (`second`: the last s of both), side by side.
template <int s, bool second, class T, int L, int... lane>
inline typename Line<T, L>::vector halves(typename Line<T, L>::vector a, typename Line<T, L>::vector b,
                                          std::integer_sequence<int, lane...>) {
    // Lanes from L on are those of b.
#if defined(__clang__)
    return __builtin_shufflevector(a, b, (lane & s ? L + lane - (second ? 0 : s) : lane + (second ? s : 0))...);
#else
    return __builtin_shuffle(
        a, b, typename Line<T, L>::indices{(lane & s ? L + lane - (second ? 0 : s) : lane + (second ? s : 0))...});
#endif
}

// The square of L lines of L numbers in its transpose: in each pass, lines s apart exchange what is off the diagonal.
template <class T, int L, int s = 1> inline void turn(typename Line<T, L>::vector (&lines)[L]) {
    if constexpr (s < L) {
        constexpr auto all = std::make_integer_sequence<int, L>{};
#pragma GCC unroll 16
        for (int k = 0; k < L; ++k)
            if (!(k & s)) {
                const auto a = lines[k], b = lines[k + s];
                lines[k] = halves<s, false, T, L>(a, b, all);
                lines[k + s] = halves<s, true, T, L>(a, b, all);
            }
        turn<T, L, 2 * s>(lines);
    }
}

// to[j][i] = from[i][j], with the strides between lines: L x L numbers at a time. The last squares overlap those before
// them where the numbers of lines are no multiples, and where there are fewer lines than L, squares are smaller.
template <class T, int L> void transpose(T* to, long to_stride, const T* from, long from_stride, long lines, long length) {
    if constexpr (L == 1) {
        for (long i = 0; i < lines; ++i)
            for (long j = 0; j < length; ++j) to[j * to_stride + i] = from[i * from_stride + j];
    } else {
        if (lines < L || length < L) return transpose<T, L / 2>(to, to_stride, from, from_stride, lines, length);
        const auto square = [&](long i, long j) {
            typename Line<T, L>::vector square[L];
#pragma GCC unroll 16
            for (int k = 0; k < L; ++k) std::memcpy(&square[k], from + (i + k) * from_stride + j, sizeof square[k]);
            turn<T, L>(square);
#pragma GCC unroll 16
            for (int k = 0; k < L; ++k) std::memcpy(to + (j + k) * to_stride + i, &square[k], sizeof square[k]);
        };
        const auto of_lines = [&](long j) {
            long i = 0;
            for (; i + L <= lines; i += L) square(i, j);
            if (i < lines) square(lines - L, j);
        };
        long j = 0;
        for (; j + L <= length; j += L) of_lines(j);
        if (j < length) of_lines(length - L);
    }
}

}  // namespace ailand
