/* The face of the library: plain C functions, each handed on to the variant for the processor at hand.
 *
 * One whose arguments or results change gets another name: by that its caller sees that a library is too old.
 */
#include "kernels.h"

#if defined(_WIN32)
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif

/* Variants by number, worst first; none where the processor lacks what it needs. */
static const kernels *variant(int number) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (number == 2)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
                   ? kernels_avx512()
                   : 0;
    if (number == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")
                   ? kernels_avx2()
                   : 0;
#endif
    return number == 0 ? kernels_baseline() : 0;
}

/* The best variant's number. */
PUBLIC int sfumato_gguf_best_variant(void) {
    int number = 2;
    while (!variant(number))
        number--;
    return number;
}

PUBLIC int sfumato_gguf_to_float32(int number, int type, const uint8_t *packed, int64_t count, float *out) {
    const kernels *own = variant(number);
    return own ? own->to_float32(type, packed, count, out) : 0;
}

PUBLIC int sfumato_gguf_to_bfloat16(int number, int type, const uint8_t *packed, int64_t count, uint16_t *out) {
    const kernels *own = variant(number);
    return own ? own->to_bfloat16(type, packed, count, out) : 0;
}

PUBLIC int sfumato_gguf_linear(int number, int type, const uint8_t *packed, int64_t rows, int64_t columns,
                               const float *x, int64_t stride, int64_t tokens, int64_t first, int64_t last,
                               float *out) {
    const kernels *own = variant(number);
    return own ? own->linear(type, packed, rows, columns, x, stride, tokens, first, last, out) : 0;
}
