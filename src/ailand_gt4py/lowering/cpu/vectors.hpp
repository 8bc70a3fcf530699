// Vectors of numbers, and functions of them.
#pragma once
#include <array>
#include <cmath>
#include <type_traits>
#if defined(__FMA__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace ailand {

#if defined(__AVX512F__)
constexpr long vector_bytes = 64;
#elif defined(__AVX__)
constexpr long vector_bytes = 32;
#else
constexpr long vector_bytes = 16;
#endif

template <class T> struct Lanes;
template <> struct Lanes<float> {
    typedef float vector __attribute__((vector_size(vector_bytes)));
    typedef float in_memory __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
};
template <> struct Lanes<double> {
    typedef double vector __attribute__((vector_size(vector_bytes)));
    typedef double in_memory __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
};
template <class T> using vector_of = typename Lanes<T>::vector;
template <class T> constexpr long lanes = vector_bytes / sizeof(T);

// Loads, stores and constants of a vector V or of one number, so that one expression serves for both.
template <class V, class T> inline V load(const T* from) {
    if constexpr (std::is_same_v<V, T>) return *from;
    else return *reinterpret_cast<const typename Lanes<T>::in_memory*>(from);
}
template <class V, class T> inline void store(T* to, V value) {
    if constexpr (std::is_same_v<V, T>) *to = value;
    else *reinterpret_cast<typename Lanes<T>::in_memory*>(to) = value;
}
template <class V, class T> inline V splat(T value) {
    if constexpr (std::is_same_v<V, T>) return value;
    else return value - V{};
}
// a * b + c, rounded once where the processor can. Left to the compiler, some tiles would be rounded twice: for several
// processors GCC avoids this instruction where one sum depends on the last.
template <class T> inline vector_of<T> multiply_add(vector_of<T> a, vector_of<T> b, vector_of<T> c) {
    [[maybe_unused]] constexpr bool single = std::is_same_v<T, float>;
#if defined(__AVX512F__)
    if constexpr (single) return (vector_of<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
    else return (vector_of<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX__) && defined(__FMA__)
    if constexpr (single) return (vector_of<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
    else return (vector_of<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    if constexpr (single) return (vector_of<T>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
    else return (vector_of<T>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}
// A NaN in the second argument passes, as in the compiled element-wise programs of DaCe.
template <class V> inline V maximum(V a, V b) { return a > b ? a : b; }
template <class V> inline V minimum(V a, V b) { return a < b ? a : b; }
template <class V, class F> inline V each(V value, F function) {
    if constexpr (std::is_floating_point_v<V>) return function(value);
    else {
        for (long lane = 0; lane < (long)(sizeof(V) / sizeof(value[0])); ++lane) value[lane] = function(value[lane]);
        return value;
    }
}

// exp(x), to two units in the last place, of one number as in any lane, also where the C library has no vectors.
// exp(x) = 2^n exp(r) with n the whole number next to x / log(2) and r the rest, of which a Taylor series is taken. Half of
// 2^n at a time, as the whole may overflow, or be less than normal, where the product is not.
template <class T> struct Exponential;
template <> struct Exponential<float> {
    static constexpr int degree = 7, mantissa = 23, bias = 127;
    static constexpr float least = -104.f, largest = 89.f, log2_high = 0x1.63p-1f, log2_low = -0x1.bd0106p-13f;
};
template <> struct Exponential<double> {
    static constexpr int degree = 13, mantissa = 52, bias = 1023;
    static constexpr double least = -746., largest = 710., log2_high = 0x1.62e42feep-1, log2_low = 0x1.a39ef35793c76p-33;
};
template <class V> inline V exponential(V x) {
    if constexpr (std::is_floating_point_v<V>) return exponential(splat<vector_of<V>>(x))[0];
    else {
        using T = std::remove_cvref_t<decltype(x[0])>;
        using Of = Exponential<T>;
        using whole = decltype(x > x);
        constexpr T to_whole = T(3) * T(1L << (Of::mantissa - 1)), inverse = T(1.4426950408889634074);
        constexpr std::array<T, Of::degree + 1> factors = [] {
            std::array<T, Of::degree + 1> found{};
            double factorial = 1;
            for (int k = 0; k <= Of::degree; ++k) found[k] = T(1 / (factorial *= k > 0 ? k : 1));
            return found;
        }();
        // In an order in which NaN stays.
        x = x < Of::least ? splat<V>(Of::least) : x;
        x = x > Of::largest ? splat<V>(Of::largest) : x;
        const V shifted = x * inverse + to_whole;
        const whole n = (whole)shifted - (whole)splat<V>(to_whole);
        const V count = shifted - to_whole;
        const V rest = (x - count * Of::log2_high) - count * Of::log2_low;
        V sum = splat<V>(factors[Of::degree]);
        for (int k = Of::degree - 1; k >= 0; --k) sum = sum * rest + factors[k];
        const whole half = n >> 1;
        return sum * (V)((half + Of::bias) << Of::mantissa) * (V)((n - half + Of::bias) << Of::mantissa);
    }
}

// C++'s functions of one number or of a vector: for whole vectors where the C library has them so (glibc's libmvec, to four
// units in the last place, and a lane depends on no other), else lane by lane.
#if !defined(__x86_64__) || !defined(__GLIBC__)
#define AILAND_FUNCTION(name) AILAND_BY_LANES(name)
#elif !__GLIBC_PREREQ(2, 35)
#define AILAND_FUNCTION(name) AILAND_BY_LANES(name)
#elif defined(__AVX512F__)
#define AILAND_FUNCTION(name) AILAND_BY_VECTORS(name, _ZGVeN16v_##name##f, _ZGVeN8v_##name)
#elif defined(__AVX2__)
#define AILAND_FUNCTION(name) AILAND_BY_VECTORS(name, _ZGVdN8v_##name##f, _ZGVdN4v_##name)
#elif defined(__AVX__)
#define AILAND_FUNCTION(name) AILAND_BY_VECTORS(name, _ZGVcN8v_##name##f, _ZGVcN4v_##name)
#else
#define AILAND_FUNCTION(name) AILAND_BY_VECTORS(name, _ZGVbN4v_##name##f, _ZGVbN2v_##name)
#endif
#define AILAND_BY_LANES(name)                                        \
    template <class V> inline V vector_##name(V x) {                 \
        return each(x, [](auto value) { return std::name(value); }); \
    }
#define AILAND_BY_VECTORS(name, of_floats, of_doubles)                                                    \
    extern "C" [[gnu::visibility("default")]] vector_of<float> of_floats(vector_of<float>) noexcept;      \
    extern "C" [[gnu::visibility("default")]] vector_of<double> of_doubles(vector_of<double>) noexcept;   \
    template <class V> inline V vector_##name(V x) {                                                      \
        if constexpr (std::is_floating_point_v<V>) return std::name(x);                                   \
        else if constexpr (std::is_same_v<V, vector_of<float>>) return of_floats(x);                      \
        else return of_doubles(x);                                                                        \
    }
AILAND_FUNCTION(log)
AILAND_FUNCTION(tanh)
AILAND_FUNCTION(sinh)
AILAND_FUNCTION(cosh)
AILAND_FUNCTION(asinh)
AILAND_FUNCTION(atanh)
AILAND_FUNCTION(sin)
AILAND_FUNCTION(cos)
AILAND_FUNCTION(acos)
AILAND_FUNCTION(atan)

}  // namespace ailand
