// Matrix products of factors that are rounded to bfloat16, with sums in float32: by the matrix unit (AMX) where the
// processor has one and the system lets us use it, else by AVX512-BF16.
//
// Inputs are taken in pairs, as both instructions do: a 32-bit word of a packed weight holds two inputs of one output. Sums
// run over the pairs in order, in every tile alike, so a column's numbers depend neither on the others nor on where it is.
#pragma once
#include <algorithm>
#include <cstdint>
#include <immintrin.h>
#include <utility>
#if defined(__AMX_BF16__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if !defined(__AVX512BF16__)
#error "products in bfloat16 need a processor with AVX512-BF16, and a compiler that is told to use it (-march=native)"
#endif

namespace ailand {

// Of a packed weight: a panel has so many outputs, side by side, and inputs in multiples of so many (`core.matrices`).
constexpr long panel_outputs = 16, packed_inputs = 32;
// Of so many rows a tile of sums is made at a time.
constexpr long rounded_rows = 32, most_pair_rows = 12;
// Where the matrix unit reads rows, strides that are powers of two would crowd in few cache sets.
constexpr long rounded_padding = 32;

constexpr long whole_inputs(long inputs) { return (inputs + packed_inputs - 1) / packed_inputs * packed_inputs; }

// One factor of a layer's sums: x (rows, inputs) with its row stride, and packed weights.
struct RoundedTerm {
    const float* x;
    long x_stride;
    const float* weight;
    long inputs;
};

inline void round_row(uint16_t* to, const float* from, long inputs) {
    for (long k = 0; k < whole_inputs(inputs); k += packed_inputs) {
        const auto part = [&](long first) {
            const long left = std::clamp(inputs - first, 0L, panel_outputs);
            return _mm512_maskz_loadu_ps((__mmask16)((1u << left) - 1), from + first);
        };
        _mm512_storeu_si512(to + k, (__m512i)_mm512_cvtne2ps_pbh(part(k + panel_outputs), part(k)));
    }
}

#if defined(__AMX_BF16__)
// Whether Linux gives this process the tiles, which are not in a thread's state unless it asks for them.
inline bool has_tiles() {
    static const bool given = [] {
        constexpr long request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
        return syscall(SYS_arch_prctl, request, tile_data) == 0;
    }();
    return given;
}
// The tiles of a thread while this lives: eight of 16 rows of 64 bytes.
class Tiles {
public:
    Tiles() {
        struct alignas(64) {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t bytes[16] = {};
            uint8_t rows[16] = {};
        } shape;
        std::fill_n(shape.bytes, 8, 64), std::fill_n(shape.rows, 8, 16);
        _tile_loadconfig(&shape);
    }
    ~Tiles() { _tile_release(); }
};
// tile[r][output] = sums over the inputs of 16 or 32 rows, `stride` apart, and of one or two panels of outputs.
template <int halves, int panels>
void multiply_tiles(const RoundedTerm* terms, int count, const uint16_t* rows, long stride, long panel, float* tile) {
    // The intrinsics are macros of whole statements for some compilers, and take literal numbers of tiles.
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int t = 0; t < count; ++t) {
        const long inputs = whole_inputs(terms[t].inputs), words = inputs / 2 * panel_outputs;
        const float* weight = terms[t].weight + panel * words;
        for (long k = 0; k < inputs; k += packed_inputs) {
            _tile_loadd(4, rows, stride * sizeof(uint16_t));
            _tile_loadd(6, weight, 64);
            _tile_dpbf16ps(0, 4, 6);
            if constexpr (panels == 2) {
                _tile_loadd(7, weight + words, 64);
                _tile_dpbf16ps(1, 4, 7);
            }
            if constexpr (halves == 2) {
                _tile_loadd(5, rows + 16 * stride, stride * sizeof(uint16_t));
                _tile_dpbf16ps(2, 5, 6);
                if constexpr (panels == 2) { _tile_dpbf16ps(3, 5, 7); }
            }
            rows += packed_inputs, weight += 16 * panel_outputs;
        }
    }
    constexpr long bytes = panels * panel_outputs * sizeof(float);
    [[maybe_unused]] float* const second = tile + 16 * panels * panel_outputs;
    _tile_stored(0, tile, bytes);
    if constexpr (panels == 2) { _tile_stored(1, tile + panel_outputs, bytes); }
    if constexpr (halves == 2) {
        _tile_stored(2, second, bytes);
        if constexpr (panels == 2) { _tile_stored(3, second + panel_outputs, bytes); }
    }
}
#endif

// The same of R rows by AVX512-BF16.
template <int R, int panels>
void multiply_pairs(const RoundedTerm* terms, int count, const uint16_t* rows, long stride, long panel,
                           float* tile) {
    __m512 sums[R][panels];
    for (int r = 0; r < R; ++r)
        for (int p = 0; p < panels; ++p) sums[r][p] = _mm512_setzero_ps();
    for (int t = 0; t < count; ++t) {
        const long inputs = whole_inputs(terms[t].inputs), words = inputs / 2 * panel_outputs;
        const float* weight = terms[t].weight + panel * words;
        for (long k = 0; k < terms[t].inputs; k += 2, weight += panel_outputs) {
            __m512bh weights[panels];
            for (int p = 0; p < panels; ++p) weights[p] = (__m512bh)_mm512_loadu_ps(weight + p * words);
            for (int r = 0; r < R; ++r) {
                int pair;
                std::memcpy(&pair, rows + r * stride + k, sizeof pair);
                const auto input = (__m512bh)_mm512_set1_epi32(pair);
                for (int p = 0; p < panels; ++p) sums[r][p] = _mm512_dpbf16_ps(sums[r][p], input, weights[p]);
            }
        }
        rows += inputs;
    }
    for (int r = 0; r < R; ++r)
        for (int p = 0; p < panels; ++p) _mm512_storeu_ps(tile + (r * panels + p) * panel_outputs, sums[r][p]);
}

// `multiply_pairs` for numbers of rows and panels that are known at run time.
using MultiplyPairs = void (*)(const RoundedTerm*, int, const uint16_t*, long, long, float*);
template <int panels, int... R> MultiplyPairs pairs_of_rows(long rows, std::integer_sequence<int, R...>) {
    static constexpr MultiplyPairs of_rows[] = {multiply_pairs<R + 1, panels>...};
    return of_rows[rows - 1];
}
inline MultiplyPairs pairs_of(long rows, int panels) {
    constexpr auto all = std::make_integer_sequence<int, most_pair_rows>();
    return panels == 2 ? pairs_of_rows<2>(rows, all) : pairs_of_rows<1>(rows, all);
}

// A dense layer on rows of a block, panel by panel of weights; `finish` takes the sums of each tile. Tests may do without
// the matrix unit.
[[gnu::noinline]] inline void dense_rounded(int threads, const RoundedTerm* terms, int count, long row, long end,
                                            long outputs, Finish<float> finish,
                                            [[maybe_unused]] bool may_have_tiles = true) {
    long inputs = 0;
    for (int t = 0; t < count; ++t) inputs += whole_inputs(terms[t].inputs);
    const long stride = inputs + rounded_padding, n = end - row;
    const long whole = (n + rounded_rows - 1) / rounded_rows * rounded_rows;
    uint16_t* const rows = workspace<uint16_t, 6>(whole * stride);
    for (long r = 0; r < n; ++r) {
        uint16_t* to = rows + r * stride;
        for (int t = 0; t < count; to += whole_inputs(terms[t].inputs), ++t)
            round_row(to, terms[t].x + (row + r) * terms[t].x_stride, terms[t].inputs);
    }
    const long panels = (outputs + panel_outputs - 1) / panel_outputs;
    const auto make_panels = [&](long first, long last, auto of_rows) {
        alignas(vector_bytes) float tile[rounded_rows * 2 * panel_outputs];
        for (long panel = first; panel < last; panel += 2) {
            const int at_once = (int)std::min(2L, last - panel);
            for (long r = 0; r < n;) {
                const long taken = of_rows(rows + r * stride, n - r, panel, at_once, tile);
                finish(tile, row + r, 0, taken, panel * panel_outputs, at_once);
                r += taken;
            }
        }
    };
    const auto make = [&](long first, long last) {
#if defined(__AMX_BF16__)
        if (may_have_tiles && has_tiles()) {
            const Tiles tiles;
            return make_panels(first, last, [&](const uint16_t* from, long left, long panel, int at_once, float* tile) {
                const auto multiply = left > 16 ? (at_once == 2 ? multiply_tiles<2, 2> : multiply_tiles<2, 1>)
                                                : (at_once == 2 ? multiply_tiles<1, 2> : multiply_tiles<1, 1>);
                multiply(terms, count, from, stride, panel, tile);
                return std::min(left, rounded_rows);
            });
        }
#endif
        make_panels(first, last, [&](const uint16_t* from, long left, long panel, int at_once, float* tile) {
            // The rows in as few tiles as they go into, as equal as can be.
            const long tiles = (left + most_pair_rows - 1) / most_pair_rows, taken = (left + tiles - 1) / tiles;
            pairs_of(taken, at_once)(terms, count, from, stride, panel, tile);
            return taken;
        });
    };
    if (threads > 1) share((panels + 1) / 2, threads, [&](long k) { make(2 * k, std::min(2 * k + 2, panels)); });
    else make(0, panels);
}

}  // namespace ailand
