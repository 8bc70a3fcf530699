// What the generated programs are made of: matrix products on blocks of columns, and the plan of the blocks; of vectors.hpp
// and transposition.hpp.
//
// A block holds some columns, each a row of features that is padded to whole vectors. The lanes of a vector are
// neighbouring features of one column, so a column's numbers do not depend on how many columns there are, on where in a
// block it is, or on what the others hold: its sums run over the inputs in order, in every tile alike. In a program that has
// one number of each column in every array, the lanes are neighbouring columns, each by itself.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace ailand {

// A tile of sums fills the vector registers but for those that hold weights and one input.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int tile_vectors = 4;
#else
constexpr int tile_vectors = 2;
#endif
constexpr int tile_rows = 6, narrow_tile_rows = 2 * tile_rows;
// Of one column's directions, or of two layers of one column, there are few rows: with so many vectors no sum waits for the
// last, and a panel of weights stays in the first-level cache.
constexpr int most_of_one = 4;
// One column waits for its weights: they are asked for so many inputs ahead.
constexpr long rows_ahead = 16;
// So many inputs are added up for all rows before the next: of a tile they stay in the first-level cache, and of a panel
// of weights in the second.
constexpr long inputs_at_once = 512;

// Rows are padded to whole vectors, and by one more: strides that are powers of two would crowd in few cache sets.
template <class T> constexpr long padded(long extent) { return (extent + lanes<T> - 1) / lanes<T> * lanes<T>; }
template <class T> constexpr long row_stride(long extent) { return padded<T>(extent) + lanes<T>; }

// One factor of a layer's sums: x (rows, inputs) with its row stride, weights (inputs, outputs) with theirs; `positions`,
// if any, say for each column how many and which inputs are not zero.
template <class T> struct Term {
    const T* x;
    long x_stride;
    const T* weight;
    long weight_stride;
    long inputs;
    const int* positions = nullptr;
    long positions_stride = 0;
};

// tile[r][output] = sum over the terms and their inputs, of R rows from `row` on and V vectors of outputs, `from_zero` or
// added to what the tile holds. The rows are those of R columns, or, `of_one`, of `column`, whose inputs may be listed, and
// of which those from `first` to `stop` may be taken alone; the second may be one of `other` terms.
template <class T, int R, int V, bool of_one = false>
[[gnu::noinline]] void multiply(const Term<T>* terms, int count, long row, long output, T* tile, bool from_zero = true,
                                long column = 0, const Term<T>* other = nullptr, long first = 0, long stop = 0) {
    using vector = vector_of<T>;
    vector sums[R][V];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) sums[r][v] = vector{};
    for (int t = 0; t < count; ++t) {
        const long weight_stride = terms[t].weight_stride, inputs = terms[t].inputs;
        const T* const x = terms[t].x + row * terms[t].x_stride;
        const long stride = other ? other[t].x + row * other[t].x_stride - x : terms[t].x_stride;
        const T* const panel = terms[t].weight + output;
        const auto add = [&](long k) {
            const T* const weight = panel + k * weight_stride;
            if constexpr (R == 1 && !of_one)
                for (int v = 0; v < V; ++v) __builtin_prefetch(weight + rows_ahead * weight_stride + v * lanes<T>);
            vector weights[V];
            for (int v = 0; v < V; ++v) weights[v] = load<vector>(weight + v * lanes<T>);
            for (int r = 0; r < R; ++r) {
                const vector input = splat<vector>(x[r * stride + k]);
                for (int v = 0; v < V; ++v) sums[r][v] = multiply_add<T>(input, weights[v], sums[r][v]);
            }
        };
        if (of_one && terms[t].positions) {
            const int* const list = terms[t].positions + column * terms[t].positions_stride;
            const int *k = list + 1, *end = k + list[0];
            if (stop) k = std::lower_bound(k, end, first), end = std::lower_bound(k, end, stop);
            for (; k < end; ++k) add(*k);
        } else {
            const long end = of_one && stop ? stop : inputs;
#pragma GCC unroll 4
            for (long k = of_one ? first : 0; k < end; ++k) add(k);
        }
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) {
            T* const to = tile + (r * V + v) * lanes<T>;
            store(to, from_zero ? sums[r][v] : load<vector>(to) + sums[r][v]);
        }
}

// `multiply` for numbers of rows and of vectors that are known at run time.
template <class T>
using Multiply = void (*)(const Term<T>*, int, long, long, T*, bool, long, const Term<T>*, long, long);
template <class T, int R, bool of_one = false> Multiply<T> multiply_rows(int vectors) {
    switch (vectors) {
    case 1: return multiply<T, R, 1, of_one>;
    case 2: return multiply<T, R, 2, of_one>;
    case 3:
        if constexpr (of_one) return multiply<T, R, 3, true>;
        [[fallthrough]];
    default: return multiply<T, R, of_one ? most_of_one : tile_vectors, of_one>;
    }
}

// What becomes of the sums of a tile: of so many rows from one on, or of so many directions of a row. It is one function of a
// layer, for tiles of all sizes: code of its own for each size would be most of what a compiler has to make of a program.
template <class T> struct Finish {
    void (*call)(const void* layer, const T* tile, long row, long direction, long count, long output, int vectors);
    const void* layer;
    void operator()(const T* tile, long row, long direction, long count, long output, int vectors) const {
        call(layer, tile, row, direction, count, output, vectors);
    }
};
// `take(sums, row, output)` or, of directions, `take(sums, row, direction, output)` takes each vector of sums.
template <class T, bool of_directions = false, class Take> Finish<T> finish_of(const Take& take) {
    const auto call = [](const void* layer, const T* tile, long row, long direction, long count, long output,
                         int vectors) {
        const Take take = *static_cast<const Take*>(layer);
        for (long k = 0; k < count; ++k)
            for (int v = 0; v < vectors; ++v) {
                const auto sums = load<vector_of<T>>(tile + (k * vectors + v) * lanes<T>);
                if constexpr (of_directions) take(sums, row, direction + k, output + v * lanes<T>);
                else take(sums, row + k, output + v * lanes<T>);
            }
    };
    return {call, &take};
}

// Memory that a thread keeps from call to call, so that a step allocates nothing.
template <class T, int which> T* workspace(long size) {
    struct Free {
        void operator()(T* memory) const { std::free(memory); }
    };
    static thread_local std::unique_ptr<T, Free> memory;
    static thread_local long capacity = 0;
    if (size > capacity) {
        const size_t bytes = (size * sizeof(T) + vector_bytes - 1) / vector_bytes * vector_bytes;
        memory.reset();
        memory.reset(static_cast<T*>(std::aligned_alloc(vector_bytes, bytes)));
        if (!memory) {
            std::fprintf(stderr, "ailand_gt4py: no memory for a work space of %zu bytes\n", bytes);
            std::abort();
        }
        std::memset(memory.get(), 0, bytes);
        capacity = size;
    }
    return memory.get();
}

// `multiply` of up to `tile_rows` rows, by their number.
template <class T, bool of_one = false> std::array<Multiply<T>, tile_rows + 1> multiply_any_rows(int vectors) {
    static_assert(tile_rows == 6);
    return {nullptr,
            multiply_rows<T, 1, of_one>(vectors),
            multiply_rows<T, 2, of_one>(vectors),
            multiply_rows<T, 3, of_one>(vectors),
            multiply_rows<T, 4, of_one>(vectors),
            multiply_rows<T, 5, of_one>(vectors),
            multiply_rows<T, 6, of_one>(vectors)};
}

// Tiles of so many vectors of outputs, for rows from `row` to `end`. The tile goes through memory, which costs little: the
// products of all layers are then one function, not one for each. Of many inputs a part is added up for all rows, then the
// next one, whose weights are asked for meanwhile: no processor foresees by itself which these are.
template <class T>
[[gnu::noinline]] void multiply_panel(const Term<T>* terms, int count, long row, long end, long output, int vectors,
                                      Finish<T> finish) {
    const long most = vectors == 1 ? narrow_tile_rows : tile_rows, width = vectors * lanes<T>;
    const auto of_rows = multiply_any_rows<T>(vectors);
    const auto of_most = vectors == 1 ? multiply<T, narrow_tile_rows, 1> : of_rows[tile_rows];
    alignas(vector_bytes) T tile[std::max(tile_rows * tile_vectors, narrow_tile_rows) * lanes<T>];
    const auto tiles = [&](const Term<T>* parts, int n, T* sums, long stride, bool is_first, bool is_last,
                           const T* next = nullptr) {
        const long asked = next ? parts->inputs : 0;
        for (long r = row; r < end;) {
            // The last rows in as few tiles as they go into, each of which takes all weights of the panel.
            const long left = end - r;
            const long size = left >= 2 * tile_rows ? most : left > tile_rows ? (left + 1) / 2 : left;
            for (long k = asked * (r - row) / (end - row); k < asked * (r + size - row) / (end - row); ++k)
                for (int v = 0; v < vectors; ++v)
                    __builtin_prefetch(next + k * parts->weight_stride + v * lanes<T>, 0, 2);
            T* const here = sums + (r - row) * stride;
            const auto product = size == most ? of_most : of_rows[size];
            product(parts, n, r, output, here, is_first, 0, nullptr, 0, 0);
            if (is_last) finish(here, r, 0, size, output, vectors);
            r += size;
        }
    };
    long inputs = 0;
    for (int t = 0; t < count; ++t) inputs += terms[t].inputs;
    if (inputs <= inputs_at_once) return tiles(terms, count, tile, 0, true, true);
    T* const sums = workspace<T, 5>((end - row) * width);
    long done = 0;
    for (int t = 0; t < count; ++t)
        for (long k = 0; k < terms[t].inputs; k += inputs_at_once) {
            Term<T> part = terms[t];
            part.x += k;
            part.weight += k * part.weight_stride;
            part.inputs = std::min(inputs_at_once, part.inputs - k);
            const bool is_first = done == 0, is_last = (done += part.inputs) == inputs;
            const T* const next = is_last ? terms[0].weight + width : part.weight + part.inputs * part.weight_stride;
            tiles(&part, 1, sums, width, is_first, is_last, next + output);
        }
}

// The same for two layers by the same weights, over the inputs that are not zero in both; many in the same parts, so that
// a value has the bits that it has alone.
template <class T>
[[gnu::noinline]] void multiply_both(const Term<T>* terms, const Term<T>* other, int count, long row, long end,
                                     long output, int vectors, Finish<T> finish, Finish<T> finish_other) {
    alignas(vector_bytes) T tile[2 * most_of_one * lanes<T>];
    const auto product = multiply_rows<T, 2, true>(vectors);
    long inputs = 0;
    for (int t = 0; t < count; ++t) inputs += terms[t].inputs;
    for (long r = row; r < end; ++r) {
        if (inputs <= inputs_at_once) product(terms, count, r, output, tile, true, r - row, other, 0, 0);
        else {
            bool is_first = true;
            for (int t = 0; t < count; ++t)
                for (long k = 0; k < terms[t].inputs; k += inputs_at_once, is_first = false) {
                    const long stop = std::min(k + inputs_at_once, terms[t].inputs);
                    product(terms + t, 1, r, output, tile, is_first, r - row, other + t, k, stop);
                }
        }
        finish(tile, r, 0, 1, output, vectors);
        finish_other(tile + vectors * lanes<T>, r, 0, 1, output, vectors);
    }
}

// A dense layer on rows of a block: panel by panel of weights, so that a panel stays in the cache for all these rows, and
// for all layers that `multiply(output, vectors)` makes with the same weights. A panel has `most` vectors, at most four, or
// fewer; `threads` may share the panels.
template <class T, class Panel> void dense(int threads, int most, long outputs, Panel multiply) {
    const long all = padded<T>(outputs) / lanes<T>, whole = all / most, rest = all % most;
    const auto make = [&](long panel) {
        const bool is_whole = panel < whole, is_of_two = panel == whole && rest > 1;
        multiply((is_whole ? panel * most : is_of_two ? whole * most : all - 1) * lanes<T>,
                 is_whole ? most : is_of_two ? 2 : 1);
    };
    const long panels = whole + rest / 2 + rest % 2;
    if (threads > 1) share(panels, threads, make);
    else
        for (long panel = 0; panel < panels; ++panel) make(panel);
}

// The same by a BLAS: its `gemm` for each term, then a pass over the sums while they are in the cache.
template <class T, class Gemm, class Finish>
void dense_by(Gemm gemm, const Term<T>* terms, int count, long row, long end, long outputs, T* sums, Finish finish) {
    const long stride = row_stride<T>(outputs);
    for (int t = 0; t < count; ++t)
        gemm(end - row, outputs, terms[t].inputs, terms[t].x + row * terms[t].x_stride, terms[t].x_stride,
             terms[t].weight, terms[t].weight_stride, T(t > 0), sums, stride);
    for (long r = row; r < end; ++r)
        for (long output = 0; output < outputs; output += lanes<T>)
            finish(load<vector_of<T>>(sums + (r - row) * stride + output), r, output);
}

#if defined(__AVX2__)
// For every eight bits, the positions of those that are set, one byte each.
inline constexpr auto lanes_of_bits = [] {
    std::array<unsigned long long, 256> table{};
    for (unsigned bits = 0; bits < 256; ++bits)
        for (unsigned long long lane = 0, shift = 0; lane < 8; ++lane)
            if (bits >> lane & 1) table[bits] |= lane << shift, shift += 8;
    return table;
}();
#endif

// list = the number of features where `holds`, and these in order; some numbers behind them are written, too.
template <class T> constexpr long list_size(long features) { return 1 + padded<T>(features) + lanes<T>; }
template <class T, class Holds> inline void list_positions(int* list, long features, Holds holds) {
    int* const first = list + 1;
    int count = 0;
    for (long j = 0; j < features; j += lanes<T>) {
        const auto mask = holds(j);
        const int here = (int)std::min<long>(lanes<T>, features - j);
#if defined(__AVX2__) && !defined(__AVX512F__)
        if constexpr (std::is_same_v<T, float>) {
            const unsigned bits = (unsigned)_mm256_movemask_ps((__m256)mask) & ((1u << here) - 1);
            const __m256i positions = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)lanes_of_bits[bits]));
            _mm256_storeu_si256((__m256i*)(first + count), _mm256_add_epi32(positions, _mm256_set1_epi32((int)j)));
            count += __builtin_popcount(bits);
            continue;
        }
#endif
        for (int lane = 0; lane < here; ++lane) {
            first[count] = (int)j + lane;
            count += mask[lane] != 0;
        }
    }
    list[0] = count;
}

template <class T>
[[gnu::noinline]] void directed_panel(const Term<T>* terms, int count, long row, long end, long directions, long output,
                                      int vectors, Finish<T> finish) {
    const auto products = multiply_any_rows<T, true>(vectors);
    alignas(vector_bytes) T tile[tile_rows * most_of_one * lanes<T>];
    const long tiles = (directions + tile_rows - 1) / tile_rows;
    for (long r = row; r < end; ++r)
        for (long t = 0; t < tiles; ++t) {
            const long begin = directions * t / tiles, size = directions * (t + 1) / tiles - begin;
            const long here = r - row, first = here * directions + begin;
            products[size](terms, count, first, output, tile, true, here, nullptr, 0, 0);
            finish(tile, r, begin, size, output, vectors);
        }
}

// A dense layer on all directions of some rows of a block; of few directions with more outputs at a time, as far as
// there are registers. The directions' own rows begin with those of `row`.
template <class T>
void dense_directed(int threads, const Term<T>* terms, int count, long row, long end, long directions, long outputs,
                    Finish<T> finish) {
    const int most = tile_vectors == 4 || directions <= 2 ? 4 : directions == 3 ? 3 : 2;
    dense<T>(threads, most, outputs, [&](long output, int vectors) {
        directed_panel<T>(terms, count, row, end, directions, output, vectors, finish);
    });
}

// The sum over k of value(k) * weight[k] of one row; value gives a vector from k on, garbage behind the last input.
template <class T, class Value> inline T reduce_row(long inputs, const T* weight, Value value) {
    using vector = vector_of<T>;
    // Several sums, for each addition waits for the one before.
    constexpr int many = 4;
    vector several[many] = {};
    long k = 0;
    for (; k + many * lanes<T> <= inputs; k += many * lanes<T>)
        for (int i = 0; i < many; ++i) several[i] += value(k + i * lanes<T>) * load<vector>(weight + k + i * lanes<T>);
    vector sums = (several[0] + several[1]) + (several[2] + several[3]);
    for (; k + lanes<T> <= inputs; k += lanes<T>) sums += value(k) * load<vector>(weight + k);
    T part[lanes<T>];
    std::memcpy(part, &sums, sizeof part);
    if (k < inputs) {
        const vector rest = value(k);
        for (long lane = 0; lane < inputs - k; ++lane) part[lane] += rest[lane] * weight[k + lane];
    }
    for (long half = lanes<T> / 2; half > 0; half /= 2)
        for (long lane = 0; lane < half; ++lane) part[lane] += part[lane + half];
    return part[0];
}

template <class T>
[[gnu::noinline]] void copy(T* to, long t0, long t1, const T* from, long f0, long f1, long rows, long features) {
    if (t1 == 1 && f1 == 1)
        for (long r = 0; r < rows; ++r) std::memcpy(to + r * t0, from + r * f0, features * sizeof(T));
    else if (t1 == 1 && f0 == 1) transpose<T, lanes<T>>(to, t0, from, f1, features, rows);
    else if (t0 == 1 && f1 == 1) transpose<T, lanes<T>>(to, t1, from, f0, rows, features);
    else
        for (long f = 0; f < features; ++f)
            for (long r = 0; r < rows; ++r) to[r * t0 + f * t1] = from[r * f0 + f * f1];
}
// Between the caller's array (columns, directions, features) and rows of a block, a column's directions together.
template <class T>
[[gnu::noinline]] void copy_in(T* to, long stride, const T* from, long s0, long s1, long s2, long rows, long directions, long features) {
    for (long d = 0; d < directions; ++d)
        copy(to + d * stride, directions * stride, 1L, from + d * s1, s0, s2, rows, features);
}
template <class T>
[[gnu::noinline]] void copy_out(T* to, long s0, long s1, long s2, const T* from, long stride, long rows, long directions, long features) {
    if (s2 == 1 || s1 != 1)
        for (long d = 0; d < directions; ++d)
            copy(to + d * s1, s0, s2, from + d * stride, directions * stride, 1L, rows, features);
    else
        for (long r = 0; r < rows; ++r)
            for (long f = 0; f < features; ++f)
                for (long d = 0; d < directions; ++d) to[r * s0 + f * s2 + d] = from[(r * directions + d) * stride + f];
}

// Operands of all columns are kept behind each other in rows of whole vectors.
template <class T>
[[gnu::noinline]] const T* keep_rows(T*& room, const T* from, long s0, long s1, long rows, long extent) {
    const T* const kept = room;
    copy(room, padded<T>(extent), 1L, from, s0, s1, rows, extent);
    room += rows * padded<T>(extent);
    return kept;
}
// Weights (outputs, inputs) whose outputs lie side by side in padded rows are used as they are; others are copied.
template <class T> bool usable(long output_stride, long input_stride, long outputs) {
    return output_stride == 1 && input_stride >= padded<T>(outputs);
}
template <class T> long room_for_weight(long output_stride, long input_stride, long outputs, long inputs) {
    return usable<T>(output_stride, input_stride, outputs) ? 0 : inputs * padded<T>(outputs);
}
template <class T> struct Weight {
    const T* data;
    long stride;
};
template <class T>
[[gnu::noinline]] Weight<T> keep_weight(T*& room, const T* from, long output_stride, long input_stride, long outputs, long inputs) {
    if (usable<T>(output_stride, input_stride, outputs)) return {from, input_stride};
    T* const kept = room;
    const long stride = padded<T>(outputs);
    for (long k = 0; k < inputs; ++k)
        for (long o = 0; o < outputs; ++o) kept[k * stride + o] = from[o * output_stride + k * input_stride];
    room += inputs * stride;
    return {kept, stride};
}

inline long cache_bytes() {
    static const long bytes = [] {
#ifdef _SC_LEVEL2_CACHE_SIZE
        const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
        if (size > 0) return size;
#endif
        return 512L * 1024;
    }();
    return bytes;
}

// After how many rows of layers that follow which is done row by row, normalisation above all. If the layers' weights stay
// in the second-level cache anyway, a few rows at a time: they are then still in the first level.
template <class T> long rows_at_once(long inputs, long outputs, long rows, long few = 2 * narrow_tile_rows) {
    const bool stay = inputs * padded<T>(outputs) * (long)sizeof(T) <= cache_bytes() / 2;
    return stay ? few : rows;
}

// For how many columns of a block all that their directions have is made at a time.
inline long few_rows(long bytes_of_a_row) {
    return std::clamp(cache_bytes() / 2 / std::max(bytes_of_a_row, 1L), 4L, 2L * narrow_tile_rows);
}

// How many columns a block has, how many threads share the blocks, and, of one block, the panels of each layer.
struct Plan {
    long rows;
    int threads;
    int within;
};
inline Plan plan(long columns, long bytes_of_a_row, double bytes_of_weights, [[maybe_unused]] double flops_of_a_column,
                 long unit = narrow_tile_rows, long tile = tile_rows) {
    // Half of the second-level cache is for the block, the other half for the panels of weights. Where that is too small
    // for some rows, it costs less to fetch them from the third level than to fetch all weights for so few.
    // Weights of many such caches come from afar for each block anew: they take as long as the products of some rows.
    const long least = bytes_of_weights > 8.0 * cache_bytes() ? 16 * unit : 2 * unit;
    const long most = std::clamp(cache_bytes() / 2 / bytes_of_a_row / unit * unit, least, 32 * unit);
    long threads = 1, within = 1;
#ifdef _OPENMP
    // What a thread must have to do, some ten microseconds of work: starting it costs one or two while it is awake.
    constexpr double worthwhile = 2.5e6;
    if (!omp_in_parallel()) {
        threads = std::clamp<long>((long)(columns * flops_of_a_column / worthwhile), 1, omp_get_max_threads());
        // A few columns wait for weights that come from beyond the second-level cache: two threads fetch twice as many.
        if (columns <= 2 * unit && bytes_of_weights > cache_bytes()) within = omp_get_max_threads();
    }
#endif
    if (within > 1) return {columns, 1, (int)within};
    threads = std::min(threads, (columns + unit - 1) / unit);
    long blocks = (columns + most - 1) / most;
    blocks = (blocks + threads - 1) / threads * threads;
    long rows = (columns + blocks - 1) / blocks;
    // Whole tiles, unless the last block would then leave its thread idle for long.
    if (blocks > threads) rows = (rows + tile - 1) / tile * tile;
    return {std::max(rows, 1L), (int)threads, 1};
}

}  // namespace ailand
