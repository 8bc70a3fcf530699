"""The generated cuBLAS call, run on the host with a GEMM in the place of cuBLAS, for all layouts of its operands."""

import pathlib
import shutil
import subprocess

import dace
import pytest

from ailand_gt4py.lowering import contraction_node

#: What the generated code needs of CUDA and cuBLAS; ``cublasSgemm`` with cuBLAS's own checks of the leading dimensions.
PRELUDE = """
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>
enum cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_INVALID_VALUE = 7 };
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T };
using cublasHandle_t = int;
struct State { cublasHandle_t ailand_cublas; };
cublasStatus_t cublasSetStream(cublasHandle_t, void*) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSgemm(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                           const float* alpha, const float* a, int lda, const float* b, int ldb, const float* beta,
                           float* c, int ldc) {
    if (lda < (ta == CUBLAS_OP_N ? m : k) || ldb < (tb == CUBLAS_OP_N ? k : n) || ldc < m)
        return CUBLAS_STATUS_INVALID_VALUE;
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
            float sum = 0;
            for (int l = 0; l < k; ++l)
                sum += (ta == CUBLAS_OP_N ? a[i + l * lda] : a[l + i * lda])
                     * (tb == CUBLAS_OP_N ? b[l + j * ldb] : b[j + l * ldb]);
            c[i + j * ldc] = *alpha * sum + (*beta == 0 ? 0 : *beta * c[i + j * ldc]);
        }
    return CUBLAS_STATUS_SUCCESS;
}
void generated(State* __state, void* __dace_current_stream, const float* _x, const float* _weight, float* _result,
               long long n, long long m, long long k, long long xs0, long long xs1, long long ws0, long long ws1,
               long long ys0, long long ys1) {
"""

#: Extents with ones among them; rows first, columns first, and both with room behind.
MAIN = """
}
int main() {
    State state{0};
    for (long long n : {1, 2, 5}) for (long long m : {1, 2, 4}) for (long long k : {2, 3})
    for (int layout = 0; layout < 64; ++layout) {
        long long strides[3][2];
        const long long extents[3][2] = {{n, k}, {m, k}, {n, m}};
        std::vector<float> data[3];
        for (int i = 0; i < 3; ++i) {
            const int rows_first = layout >> (2 * i) & 1, room = layout >> (2 * i + 1) & 1;
            strides[i][rows_first] = 1;
            strides[i][1 - rows_first] = extents[i][rows_first] + room;
            data[i].resize((n + 2) * (m + 2) * (k + 2) * 4);
            for (size_t j = 0; j < data[i].size(); ++j) data[i][j] = float((j * 7 + i) % 11) - 5;
        }
        generated(&state, nullptr, data[0].data(), data[1].data(), data[2].data(), n, m, k, strides[0][0],
                  strides[0][1], strides[1][0], strides[1][1], strides[2][0], strides[2][1]);
        for (int i = 0; i < n; ++i) for (int j = 0; j < m; ++j) {
            float sum = 0;
            for (int l = 0; l < k; ++l)
                sum += data[0][i * strides[0][0] + l * strides[0][1]] * data[1][j * strides[1][0] + l * strides[1][1]];
            if (data[2][i * strides[2][0] + j * strides[2][1]] != sum) {
                std::printf("n=%lld m=%lld k=%lld layout=%d\\n", n, m, k, layout);
                return 1;
            }
        }
    }
    return 0;
}
"""


def generated_code() -> str:
    """The code of a contraction (n, k) x (m, k) -> (n, m) whose extents and strides are symbols."""
    sdfg = dace.SDFG("contraction")
    state = sdfg.add_state()
    edges = []
    for name, extents, stride in (("x", "nk", "xs"), ("w", "mk", "ws"), ("y", "nm", "ys")):
        sizes = [dace.symbol(extent, dace.int64) for extent in extents]
        sdfg.add_array(name, sizes, dace.float32, strides=[dace.symbol(f"{stride}{i}", dace.int64) for i in (0, 1)])
        edges.append((state.add_access(name), dace.Memlet.from_array(name, sdfg.arrays[name])))
    node = contraction_node.add_contraction(state, "contraction", "cublas", (edges[0], edges[1]), edges[2], None)
    return contraction_node.ExpandToCublas.expansion(node, state, sdfg).code.as_string


def test_every_layout_gives_the_product(tmp_path: pathlib.Path) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler on the path")
    source, program = tmp_path / "main.cpp", tmp_path / "main"
    source.write_text(PRELUDE + generated_code() + MAIN)
    subprocess.run([compiler, "-std=c++17", "-O1", "-o", program, source], check=True)
    found = subprocess.run([program], capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
