"""CUDA of a chunk of columns, with cuBLAS for the layers."""
