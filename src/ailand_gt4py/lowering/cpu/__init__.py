"""C++ of a block of columns, with kernels of our own or a BLAS."""
