// As much of CUDA and cuBLAS as generated programs use, on the host: what is compiled with it computes the same, slowly.
//
// A warp is 32 threads of the operating system; its lanes meet where they exchange values. Memory is fresh from the
// allocator as NaN, so that reading what was not written shows.
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(threads)

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2 };
enum cudaDeviceAttr { cudaDevAttrComputeCapabilityMajor, cudaDevAttrL2CacheSize };
inline const char* cudaGetErrorString(cudaError_t) { return "error"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { *device = 0; return cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    *value = attribute == cudaDevAttrL2CacheSize ? 50 << 20 : 9;
    return cudaSuccess;
}
inline int host_cuda_count = 0;
extern "C" int host_cuda_allocations() { return host_cuda_count; }
inline cudaError_t cudaMalloc(void** memory, size_t bytes) {
    ++host_cuda_count;
    *memory = std::malloc(bytes);
    std::memset(*memory, 0xff, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) { std::free(memory); return cudaSuccess; }

struct __nv_bfloat16 {
    uint16_t bits;
    __nv_bfloat16() = default;
    explicit __nv_bfloat16(float value) {
        uint32_t whole;
        std::memcpy(&whole, &value, 4);
        bits = std::isnan(value) ? 0x7fff : (whole + 0x7fff + (whole >> 16 & 1)) >> 16;
    }
    operator float() const {
        const uint32_t whole = (uint32_t)bits << 16;
        float value;
        std::memcpy(&value, &whole, 4);
        return value;
    }
};

struct Index { unsigned x; };
inline thread_local Index blockIdx, threadIdx;
struct Warp {
    std::barrier<> meeting{32};
    double values[32];
};
inline thread_local Warp* host_warp;
template <class T> T __ldg(const T* from) { return *from; }
template <class T> T __shfl_xor_sync(unsigned, T value, int other) {
    host_warp->values[threadIdx.x % 32] = value;
    host_warp->meeting.arrive_and_wait();
    const T result = (T)host_warp->values[threadIdx.x % 32 ^ other];
    host_warp->meeting.arrive_and_wait();
    return result;
}
template <class Body> void host_launch(long blocks, int threads, void (*kernel)(Body), const Body& body) {
    static std::mutex one_at_a_time;
    std::lock_guard guard(one_at_a_time);
    const long count = blocks * threads / 32;
    std::vector<std::unique_ptr<Warp>> warps(count);
    for (auto& warp : warps) warp = std::make_unique<Warp>();
    std::vector<std::thread> lanes;
    for (unsigned lane = 0; lane < 32; ++lane)
        lanes.emplace_back([&, lane] {
            for (long k = 0; k < count; ++k) {
                host_warp = warps[k].get();
                blockIdx.x = (unsigned)(k * 32 / threads);
                threadIdx.x = (unsigned)(k * 32 % threads) + lane;
                kernel(body);
                host_warp->meeting.arrive_and_drop();  // a lane that has left is not waited for
            }
        });
    for (auto& lane : lanes) lane.join();
}

using cublasHandle_t = void*;
enum cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_INVALID_VALUE = 7 };
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T };
enum cudaDataType_t { CUDA_R_32F, CUDA_R_64F, CUDA_R_16BF };
enum cublasComputeType_t {
    CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_64F
};
enum cublasGemmAlgo_t { CUBLAS_GEMM_DEFAULT };
inline const char* cublasGetStatusString(cublasStatus_t) { return "invalid value"; }
inline cublasStatus_t cublasCreate(cublasHandle_t* handle) { *handle = nullptr; return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasDestroy(cublasHandle_t) { return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t) { return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasSetWorkspace(cublasHandle_t, void*, size_t) { return CUBLAS_STATUS_SUCCESS; }
inline double host_number(const void* from, cudaDataType_t type, long position, bool tf32) {
    if (type == CUDA_R_64F) return ((const double*)from)[position];
    if (type == CUDA_R_16BF) return ((const __nv_bfloat16*)from)[position];
    float value = ((const float*)from)[position];
    if (tf32 && !std::isnan(value)) {
        uint32_t bits;
        std::memcpy(&bits, &value, 4);
        bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
        std::memcpy(&value, &bits, 4);
    }
    return value;
}
// Column-major, with cuBLAS's own demands on leading dimensions and on types that go together.
inline cublasStatus_t cublasGemmEx(
    cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void* alpha, const void* a,
    cudaDataType_t a_type, int lda, const void* b, cudaDataType_t b_type, int ldb, const void* beta, void* c,
    cudaDataType_t c_type, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t
) {
    const bool is_double = compute == CUBLAS_COMPUTE_64F, tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    if (lda < (ta == CUBLAS_OP_N ? m : k) || ldb < (tb == CUBLAS_OP_N ? k : n) || ldc < m || a_type != b_type ||
        (c_type == CUDA_R_64F) != is_double || (a_type == CUDA_R_64F) != is_double || c_type == CUDA_R_16BF ||
        ((tf32 || compute == CUBLAS_COMPUTE_32F_PEDANTIC) && a_type != CUDA_R_32F))
        return CUBLAS_STATUS_INVALID_VALUE;
    const double one = is_double ? *(const double*)alpha : *(const float*)alpha;
    const double old = is_double ? *(const double*)beta : *(const float*)beta;
    for (long i = 0; i < m; ++i)
        for (long j = 0; j < n; ++j) {
            double sum = 0;
            for (long l = 0; l < k; ++l)
                sum += host_number(a, a_type, ta == CUBLAS_OP_N ? i + l * lda : l + i * lda, tf32) *
                       host_number(b, b_type, tb == CUBLAS_OP_N ? l + j * ldb : j + l * ldb, tf32);
            const long position = i + j * ldc;
            sum = one * sum + (old == 0 ? 0 : old * host_number(c, c_type, position, false));
            if (is_double) ((double*)c)[position] = sum;
            else ((float*)c)[position] = (float)sum;
        }
    return CUBLAS_STATUS_SUCCESS;
}
