/* What every variant of the kernels offers; the library picks the best that the processor runs. */
#ifndef SFUMATO_KERNELS_H
#define SFUMATO_KERNELS_H

#include <stdint.h>

enum { MOST_TOKENS = 8 };

typedef struct {
    /* `count` weights as float32; `count` is whole blocks. */
    int (*to_float32)(int type, const uint8_t *packed, int64_t count, float *out);
    /* The same, rounded to the nearest bfloat16, ties to even. */
    int (*to_bfloat16)(int type, const uint8_t *packed, int64_t count, uint16_t *out);
    /* out[token][row] = sum over columns of weight[row][column] * x[token][column], for rows first..last-1;
     * out has `rows` columns, and a token's numbers begin `stride` after the previous one's. */
    int (*linear)(int type, const uint8_t *packed, int64_t rows, int64_t columns, const float *x, int64_t stride,
                  int64_t tokens, int64_t first, int64_t last, float *out);
} kernels;

const kernels *kernels_baseline(void);
const kernels *kernels_avx2(void);
const kernels *kernels_avx512(void);

#endif
