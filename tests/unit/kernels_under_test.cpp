// C functions around the templates of vectors.hpp and kernels.hpp, for float and double; compiled by test_kernels.py.
// Several builds are loaded in one process: hidden, their static variables stay apart.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
#if defined(__FMA__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif
#pragma GCC visibility push(hidden)
#include "threads.hpp"
#include "vectors.hpp"
#include "transposition.hpp"
#include "kernels.hpp"
#pragma GCC visibility pop


template <class T> void naive_gemm(long m, long n, long k, const T* a, long lda, const T* b, long ldb, T beta, T* c,
                                   long ldc) {
    for (long i = 0; i < m; ++i)
        for (long j = 0; j < n; ++j) {
            T sum = beta == 0 ? T(0) : c[i * ldc + j] * beta;
            for (long l = 0; l < k; ++l) sum += a[i * lda + l] * b[l * ldb + j];
            c[i * ldc + j] = sum;
        }
}

// A function of as many whole vectors.
#define OF_VECTORS(T, name, function)                                                                                  \
    void name##_##function(long count, const T* x, T* out) {                                                           \
        using V = ailand::vector_of<T>;                                                                                \
        for (long k = 0; k < count; k += ailand::lanes<T>)                                                             \
            ailand::store<V>(out + k, ailand::vector_##function(ailand::load<V>(x + k)));                              \
    }

#define FUNCTIONS(T, name)                                                                                             \
    extern "C" {                                                                                                       \
    long name##_lanes() { return ailand::lanes<T>; }                                                                   \
    long name##_padded(long extent) { return ailand::padded<T>(extent); }                                              \
    long name##_row_stride(long extent) { return ailand::row_stride<T>(extent); }                                      \
    /* The panels shared by so many threads. */                                                                        \
    void name##_dense_of(int threads, const void* pointer, int count, long row, long end, long outputs, T* out,        \
                         long stride) {                                                                                \
        const auto terms = static_cast<const ailand::Term<T>*>(pointer);                                               \
        ailand::dense<T>(threads, ailand::tile_vectors, outputs, [&](long output, int vectors) {                       \
            const auto take = [&](auto sums, long r, long j) {                                                         \
                using V = decltype(sums);                                                                              \
                ailand::store<V>(out + r * stride + j, sums);                                                          \
            };                                                                                                         \
            ailand::multiply_panel<T>(terms, count, row, end, output, vectors, ailand::finish_of<T>(take));            \
        });                                                                                                            \
    }                                                                                                                  \
    void name##_dense(const void* pointer, int count, long row, long end, long outputs, T* out, long stride) {         \
        name##_dense_of(1, pointer, count, row, end, outputs, out, stride);                                            \
    }                                                                                                                  \
    void name##_dense_shared(const void* pointer, int count, long row, long end, long outputs, T* out, long stride) {  \
        name##_dense_of(3, pointer, count, row, end, outputs, out, stride);                                            \
    }                                                                                                                  \
    void name##_dense_by(const void* pointer, int count, long row, long end, long outputs, T* out, long stride) {      \
        const auto terms = static_cast<const ailand::Term<T>*>(pointer);                                               \
        T* const sums = ailand::workspace<T, 2>((end - row) * ailand::row_stride<T>(outputs));                         \
        const auto gemm = [](auto... arguments) { naive_gemm<T>(arguments...); };                                      \
        ailand::dense_by<T>(gemm, terms, count, row, end, outputs, sums, [&](auto values, long r, long j) {            \
            using V = decltype(values);                                                                                \
            ailand::store<V>(out + r * stride + j, values);                                                            \
        });                                                                                                            \
    }                                                                                                                  \
    /* Two layers with the weights of `first`; inputs that are zero in its first term's rows are left out. */             \
    void name##_dense_of_both(const void* first, const void* second, int count, long row, long end, long outputs,      \
                              T* out, T* other_out, long stride) {                                                     \
        const auto given = static_cast<const ailand::Term<T>*>(first);                                                 \
        const auto other = static_cast<const ailand::Term<T>*>(second);                                                \
        const long inputs = given[0].inputs, size = ailand::list_size<T>(inputs);                                      \
        int* const list = ailand::workspace<int, 4>((end - row) * size);                                               \
        for (long r = row; r < end; ++r)                                                                               \
            ailand::list_positions<T>(list + (r - row) * size, inputs, [&](long j) {                                   \
                using V = ailand::vector_of<T>;                                                                        \
                return ailand::load<V>(given[0].x + r * given[0].x_stride + j) != V{};                                 \
            });                                                                                                        \
        std::vector<ailand::Term<T>> one(given, given + count);                                                        \
        one[0].positions = list;                                                                                       \
        one[0].positions_stride = size;                                                                                \
        ailand::dense<T>(1, ailand::most_of_one, outputs, [&](long output, int vectors) {                                 \
            const auto into = [=](T* to) {                                                                             \
                return [=](auto sums, long r, long j) {                                                                \
                    using V = decltype(sums);                                                                          \
                    ailand::store<V>(to + r * stride + j, sums);                                                       \
                };                                                                                                     \
            };                                                                                                         \
            const auto take = into(out), take_other = into(other_out);                                                 \
            ailand::multiply_both<T>(one.data(), other, count, row, end, output, vectors,                              \
                                     ailand::finish_of<T>(take), ailand::finish_of<T>(take_other));                    \
        });                                                                                                            \
    }                                                                                                                  \
    T name##_reduce_squares(long inputs, const T* weight, const T* x) {                                                \
        return ailand::reduce_row<T>(inputs, weight, [&](long k) {                                                     \
            const auto value = ailand::load<ailand::vector_of<T>>(x + k);                                              \
            return value * value;                                                                                      \
        });                                                                                                            \
    }                                                                                                                  \
    /* Of as many whole vectors, and of the first number alone, which is the same. */                                  \
    bool name##_exponential(long count, const T* x, T* out) {                                                          \
        using V = ailand::vector_of<T>;                                                                                \
        for (long k = 0; k < count; k += ailand::lanes<T>)                                                             \
            ailand::store<V>(out + k, ailand::exponential(ailand::load<V>(x + k)));                                    \
        return ailand::exponential(x[0]) == out[0];                                                                    \
    }                                                                                                                  \
    OF_VECTORS(T, name, log) OF_VECTORS(T, name, tanh) OF_VECTORS(T, name, sinh) OF_VECTORS(T, name, cosh)             \
    OF_VECTORS(T, name, asinh) OF_VECTORS(T, name, atanh) OF_VECTORS(T, name, sin) OF_VECTORS(T, name, cos)            \
    OF_VECTORS(T, name, acos) OF_VECTORS(T, name, atan)                                                                \
    void name##_copy_in(T* to, long stride, const T* from, long s0, long s1, long s2, long rows, long directions,      \
                        long features) {                                                                               \
        ailand::copy_in<T>(to, stride, from, s0, s1, s2, rows, directions, features);                                  \
    }                                                                                                                  \
    void name##_copy_out(T* to, long s0, long s1, long s2, const T* from, long stride, long rows, long directions,     \
                         long features) {                                                                              \
        ailand::copy_out<T>(to, s0, s1, s2, from, stride, rows, directions, features);                                 \
    }                                                                                                                  \
    long name##_room_for_weight(long output_stride, long input_stride, long outputs, long inputs) {                    \
        return ailand::room_for_weight<T>(output_stride, input_stride, outputs, inputs);                               \
    }                                                                                                                  \
    /* Gives the number of elements of `room` that it took. */                                                         \
    long name##_keep_weight(T* room, const T* from, long output_stride, long input_stride, long outputs, long inputs,  \
                            const T** data, long* stride) {                                                            \
        T* end = room;                                                                                                 \
        const auto weight = ailand::keep_weight<T>(end, from, output_stride, input_stride, outputs, inputs);           \
        *data = weight.data;                                                                                           \
        *stride = weight.stride;                                                                                       \
        return end - room;                                                                                             \
    }                                                                                                                  \
    long name##_keep_rows(T* room, const T* from, long s0, long s1, long rows, long extent) {                          \
        T* end = room;                                                                                                 \
        if (ailand::keep_rows<T>(end, from, s0, s1, rows, extent) != room) return -1;                                  \
        return end - room;                                                                                             \
    }                                                                                                                  \
    /* which: 0 maximum, 1 minimum, 2 square root element by element, 3 a constant in every lane */                    \
    void name##_lanewise(int which, const T* a, const T* b, T* out) {                                                  \
        using V = ailand::vector_of<T>;                                                                                \
        const V x = ailand::load<V>(a), y = ailand::load<V>(b);                                                        \
        const V result = which == 0   ? ailand::maximum(x, y)                                                          \
                         : which == 1 ? ailand::minimum(x, y)                                                          \
                         : which == 2 ? ailand::each(x, [](T value) { return std::sqrt(value); })                      \
                                      : ailand::splat<V>(b[0]);                                                        \
        ailand::store<V>(out, result);                                                                                 \
    }                                                                                                                  \
    T name##_of_one(int which, T a, T b) {                                                                             \
        return which == 0   ? ailand::maximum(a, b)                                                                    \
               : which == 1 ? ailand::minimum(a, b)                                                                    \
               : which == 2 ? ailand::each(a, [](T value) { return std::sqrt(value); })                                \
                            : ailand::splat<T>(b);                                                                     \
    }                                                                                                                  \
    T* name##_workspace(long size) { return ailand::workspace<T, 7>(size); }                                           \
    }

FUNCTIONS(float, float32)
FUNCTIONS(double, float64)

extern "C" {
long vector_bytes() { return ailand::vector_bytes; }
void plan(long columns, long bytes_of_a_row, double bytes_of_weights, double flops_of_a_column, long* rows, int* threads,
          int* within) {
    const ailand::Plan found = ailand::plan(columns, bytes_of_a_row, bytes_of_weights, flops_of_a_column);
    *rows = found.rows;
    *threads = found.threads;
    *within = found.within;
}
long cache_bytes() { return ailand::cache_bytes(); }
#ifdef _OPENMP
int threads_within_a_team(long columns, double flops_of_a_column) {
    int threads = 0;
#pragma omp parallel num_threads(2)
    {
#pragma omp single
        threads = ailand::plan(columns, 1000, 0.0, flops_of_a_column).threads;
    }
    return threads;
}
void set_most_threads(int number) { omp_set_num_threads(number); }
int most_threads() { return omp_get_max_threads(); }
#else
int threads_within_a_team(long, double) { return 1; }
void set_most_threads(int) {}
int most_threads() { return 1; }
#endif
}
