// What the generated CUDA programs are made of: matrix products by cuBLAS on rows of a work space, kernels over
// (columns, lanes), and what a program keeps from step to step.
//
// A row of the work space holds the features of one column. All work goes to one stream. After the first step with a
// number of columns nothing is allocated, copied from or to the host, or waited for, so a step can be captured in a graph.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>
#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace ailand {

inline void check(cudaError_t status, const char* what) {
    if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}
inline void check(cublasStatus_t status, const char* what) {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw std::runtime_error(std::string(what) + ": " + cublasGetStatusString(status));
}
inline void require(bool condition, const char* what) {
    if (!condition) throw std::runtime_error(what);
}

template <class T> constexpr cudaDataType_t data_type = CUDA_R_32F;
template <> constexpr cudaDataType_t data_type<double> = CUDA_R_64F;
template <> constexpr cudaDataType_t data_type<__nv_bfloat16> = CUDA_R_16BF;

// CUDA's own fmax and fmin drop a NaN; here one in the second argument passes, as on the CPU.
template <class T> __device__ inline T maximum(T a, T b) { return a > b ? a : b; }
template <class T> __device__ inline T minimum(T a, T b) { return a < b ? a : b; }
// The caller's arrays are not written while a kernel reads them.
template <class T> __device__ inline T read(const T* from) { return __ldg(from); }
// The sum over the lanes of a column, the same bits in each of them.
template <int lanes, class T> __device__ inline T sum_of_lanes(T value) {
    for (int other = lanes / 2; other > 0; other /= 2) value += __shfl_xor_sync(0xffffffffu, value, other);
    return value;
}

// A body has `rows`, a constant `lanes` (a power of two, at most a warp), and is called for each row and lane.
constexpr int block_threads = 256;
template <class Body> __global__ void __launch_bounds__(block_threads) on_rows(const Body body) {
    const long thread = (long)blockIdx.x * block_threads + threadIdx.x;
    const long row = thread / Body::lanes;
    if (row < body.rows) body(row, (int)(thread % Body::lanes));
}
template <class Body> void launch(const Body& body, cudaStream_t stream) {
    const long blocks = (body.rows * Body::lanes + block_threads - 1) / block_threads;
    on_rows<Body><<<(unsigned)blocks, block_threads, 0, stream>>>(body);
    check(cudaGetLastError(), Body::name());
}

// Weights (outputs, inputs) as the products take them: side by side by output, or by input.
struct Weight {
    const void* data;
    int leading;
    bool by_input;
};
// Weights (outputs, inputs) of the caller's.
template <class T> struct Part {
    const T* from;
    long output_stride, input_stride, inputs;
};
// A copy of weights in the operands' type, parts behind each other, made when the caller's weights are seen first.
struct Prepared {
    std::vector<const void*> from;
    void* data = nullptr;
    size_t bytes = 0;
};
template <class T, class O> struct Prepare {
    static constexpr int lanes = 32;
    static const char* name() { return "preparation of weights"; }
    long rows, outputs, stride, output_stride, input_stride;
    const T* from;
    O* to;
    __device__ void operator()(long input, int lane) const {
        for (long output = lane; output < outputs; output += lanes)
            to[input * stride + output] = static_cast<O>(from[output * output_stride + input * input_stride]);
    }
};

// Rows begin at 64 bytes or, where they are short, at 16: cuBLAS reads vectors, and tensor cores want no less.
template <class T> long row_stride(long features) {
    const long unit = (features * (long)sizeof(T) > 64 ? 64 : 16) / (long)sizeof(T);
    return (features + unit - 1) / unit * unit;
}

// What a program keeps.
struct Device {
    cublasHandle_t blas = nullptr;
    void* blas_room = nullptr;
    size_t blas_bytes = 0;
    void* room = nullptr;
    size_t bytes = 0;
    long l2_bytes = 0, most_columns = 0;
    std::vector<Prepared> weights;

    Device() = default;
    // By way of the other constructor, so that a failure in this one destroys what was made.
    explicit Device(size_t n_weights) : Device() {
        weights.resize(n_weights);
        int device = 0, major = 0, l2 = 0;
        check(cudaGetDevice(&device), "device");
        check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "device");
        check(cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize, device), "device");
        l2_bytes = l2;
        // What NVIDIA recommends; a room of one's own is what lets cuBLAS be captured in graphs without allocating.
        blas_bytes = (major >= 9 ? 32 : 8) << 20;
        check(cublasCreate(&blas), "cuBLAS");
        check(cudaMalloc(&blas_room, blas_bytes), "cuBLAS's work space");
        if (const char* text = std::getenv("AILAND_DEVICE_COLUMNS")) most_columns = std::atol(text);
    }
    // Nothing can be done about failures here, such as those of a process whose CUDA has gone before.
    ~Device() {
        for (Prepared& weight : weights) cudaFree(weight.data);
        cudaFree(room);
        cudaFree(blas_room);
        if (blas) cublasDestroy(blas);
    }
    void use(cudaStream_t stream) {
        cudaGetLastError();  // what others have left is none of this program's failures
        check(cublasSetStream(blas, stream), "cuBLAS's stream");
        // A change of stream takes cuBLAS back to a room of its own.
        check(cublasSetWorkspace(blas, blas_room, blas_bytes), "cuBLAS's work space");
    }
    // Columns that go through the program together: their rows lie in two thirds of the second-level cache, as long as
    // they are enough to fill the device.
    long chunk(long columns, long bytes_of_a_column) const {
        constexpr long unit = 128, least = 4096;
        long most = most_columns > 0 ? most_columns : std::max(l2_bytes / 3 * 2 / bytes_of_a_column / unit * unit, least);
        const long chunks = (columns + most - 1) / most;
        const long rows = (columns + chunks - 1) / chunks;
        return most_columns > 0 ? rows : std::min((rows + unit - 1) / unit * unit, most);
    }
    static void grow(void*& memory, size_t& bytes, size_t wanted, const char* what) {
        cudaFree(memory);
        memory = nullptr;
        bytes = 0;
        check(cudaMalloc(&memory, wanted), what);
        bytes = wanted;
    }
    char* reserve(size_t wanted) {
        if (wanted > bytes) grow(room, bytes, wanted, "work space");
        return static_cast<char*>(room);
    }
    // Weights of type T as operands of type O: as they are where cuBLAS can read them, else, or if there are several
    // parts to join, as a copy.
    template <class T, class O>
    Weight weight(size_t position, std::initializer_list<Part<T>> parts, long outputs, cudaStream_t stream) {
        const Part<T>& first = *parts.begin();
        const bool alone = std::is_same<T, O>::value && parts.size() == 1;
        if (alone && first.output_stride == 1 && first.input_stride >= outputs)
            return {first.from, (int)first.input_stride, false};
        if (alone && first.input_stride == 1 && first.output_stride >= first.inputs)
            return {first.from, (int)first.output_stride, true};
        Prepared& kept = weights.at(position);
        const long stride = row_stride<O>(outputs);
        std::vector<const void*> from;
        long inputs = 0;
        for (const Part<T>& part : parts) {
            from.push_back(part.from);
            inputs += part.inputs;
        }
        const size_t wanted = inputs * stride * sizeof(O);
        if (kept.bytes < wanted) grow(kept.data, kept.bytes, wanted, "copy of weights");
        if (kept.from != from) {
            O* to = static_cast<O*>(kept.data);
            for (const Part<T>& part : parts) {
                launch(Prepare<T, O>{part.inputs, outputs, stride, part.output_stride, part.input_stride, part.from, to},
                       stream);
                to += part.inputs * stride;
            }
            kept.from = from;
        }
        return {kept.data, (int)stride, false};
    }
    // sums (rows, outputs) = or += x (rows, inputs) weight (outputs, inputs)^T; rows of features are columns to cuBLAS.
    template <class T, class O>
    void product(cublasComputeType_t compute, const Weight& weight, const O* x, long x_stride, T* sums, long sums_stride,
                 long rows, long outputs, long inputs, bool add) const {
        const T one = 1, before = add ? 1 : 0;
        check(cublasGemmEx(blas, weight.by_input ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_OP_N, (int)outputs, (int)rows,
                           (int)inputs, &one, weight.data, data_type<O>, weight.leading, x, data_type<O>, (int)x_stride,
                           &before, sums, data_type<T>, (int)sums_stride, compute, CUBLAS_GEMM_DEFAULT),
              "matrix product");
    }
};

inline Device& device_of(void** kept, size_t n_weights) {
    if (*kept == nullptr) *kept = new Device(n_weights);
    return *static_cast<Device*>(*kept);
}

// Rows of the work space, one kind after another.
struct Room {
    char* next;
    template <class T> T* take(long rows, long stride) {
        T* const taken = reinterpret_cast<T*>(next);
        next += bytes<T>(rows, stride);
        return taken;
    }
    template <class T> static size_t bytes(long rows, long stride) {
        return (rows * stride * sizeof(T) + 255) / 256 * 256;
    }
};

}  // namespace ailand
