/* The kernels for one kind of processor: compiled once for each, with VARIANT as its name.
 *
 * Built without contraction of a product and a sum into one operation: weights must be bit for bit those of the
 * format's description. Sums of products, where that does no harm, ask for it by name.
 */
#include "kernels.h"
#include "types.h"

#if defined(__AVX512F__) && defined(__AVX512BW__)
enum { LANES = 16 };
typedef __m512 floats;
static inline floats load(const float *from) { return _mm512_loadu_ps(from); }
static inline void store(float *to, floats values) { _mm512_storeu_ps(to, values); }
static inline floats from_codes(const int8_t *from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)));
}
static inline floats multiply_add(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }
static inline floats all(float value) { return _mm512_set1_ps(value); }
#elif defined(__AVX2__) && defined(__FMA__)
enum { LANES = 8 };
typedef __m256 floats;
static inline floats load(const float *from) { return _mm256_loadu_ps(from); }
static inline void store(float *to, floats values) { _mm256_storeu_ps(to, values); }
static inline floats from_codes(const int8_t *from) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)from)));
}
static inline floats multiply_add(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }
static inline floats all(float value) { return _mm256_set1_ps(value); }
#else
enum { LANES = 4 };
typedef float floats __attribute__((vector_size(16)));
static inline floats load(const float *from) {
    floats values;
    memcpy(&values, from, sizeof values);
    return values;
}
static inline void store(float *to, floats values) { memcpy(to, &values, sizeof values); }
static inline floats from_codes(const int8_t *from) {
    return (floats){(float)from[0], (float)from[1], (float)from[2], (float)from[3]};
}
static inline floats multiply_add(floats a, floats b, floats c) { return a * b + c; }
static inline floats all(float value) { return (floats){value, value, value, value}; }
#endif

static inline float sum_of(floats values) {
    float lanes[LANES], sum = 0;
    store(lanes, values);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    sum = lanes[0];
    return sum;
}

/* `count` weights of a tile, exactly as the format describes them. */
static inline __attribute__((always_inline)) void weights_of(const tile *from, int count, int group, int has_offsets,
                                                             float *out) {
    for (int g = 0; g < count / group; g++) {
        floats scale = all(from->scales[g]), offset = all(has_offsets ? from->offsets[g] : 0.0f);
        for (int i = g * group; i < (g + 1) * group; i += LANES) {
            floats weights = scale * from_codes(from->codes + i);
            if (has_offsets)
                weights = weights - offset;
            store(out + i, weights);
        }
    }
}

static inline void round_to_bfloat16(const float *from, int count, uint16_t *out) {
    for (int i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, from + i, sizeof bits);
        uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
        out[i] = (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
    }
}

static inline void add_products(const float *weights, const float *x, int64_t stride, int count, int tokens,
                                floats *sums) {
    for (int token = 0; token < tokens; token++) {
        const float *own = x + token * stride;
        floats even = all(0.0f), odd = all(0.0f);
        for (int i = 0; i < count; i += 2 * LANES) {
            even = multiply_add(load(weights + i), load(own + i), even);
            odd = multiply_add(load(weights + i + LANES), load(own + i + LANES), odd);
        }
        sums[token] += even + odd;
    }
}

#define JOINED_(name, variant) name##_##variant
#define JOINED(name, variant) JOINED_(name, variant)

#define DEFINE(name, number, block, bytes, group, has_offsets)                                                \
    static inline __attribute__((always_inline)) void tile_##name(const uint8_t *packed, int count, float *out) {     \
        tile codes;                                                                                           \
        for (int at = 0; at < count; at += block, packed += bytes)                                            \
            unpack_##name(packed, codes.codes + at, codes.scales + at / group, codes.offsets + at / group);   \
        weights_of(&codes, count, group, has_offsets, out);                                                   \
    }                                                                                                         \
    static void float32_##name(const uint8_t *packed, int64_t count, float *out) {                            \
        int64_t at = 0;                                                                                       \
        for (; at + TILE <= count; at += TILE, packed += TILE / block * bytes)                                \
            tile_##name(packed, TILE, out + at);                                                              \
        if (at < count)                                                                                       \
            tile_##name(packed, (int)(count - at), out + at);                                                 \
    }                                                                                                         \
    static void bfloat16_##name(const uint8_t *packed, int64_t count, uint16_t *out) {                        \
        float weights[TILE];                                                                                  \
        int64_t at = 0;                                                                                       \
        for (; at + TILE <= count; at += TILE, packed += TILE / block * bytes) {                              \
            tile_##name(packed, TILE, weights);                                                               \
            round_to_bfloat16(weights, TILE, out + at);                                                       \
        }                                                                                                     \
        if (at < count) {                                                                                     \
            tile_##name(packed, (int)(count - at), weights);                                                  \
            round_to_bfloat16(weights, (int)(count - at), out + at);                                          \
        }                                                                                                     \
    }                                                                                                         \
    static void row_##name(const uint8_t *packed, int64_t count, const float *x, int tokens, floats *sums) {  \
        float weights[TILE];                                                                                  \
        int64_t at = 0;                                                                                       \
        for (; at + TILE <= count; at += TILE, packed += TILE / block * bytes) {                              \
            tile_##name(packed, TILE, weights);                                                               \
            add_products(weights, x + at, count, TILE, tokens, sums);                                         \
        }                                                                                                     \
        if (at < count) {                                                                                     \
            tile_##name(packed, (int)(count - at), weights);                                                  \
            add_products(weights, x + at, count, (int)(count - at), tokens, sums);                            \
        }                                                                                                     \
    }

EACH_TYPE(DEFINE)

static int to_float32(int type, const uint8_t *packed, int64_t count, float *out) {
#define CASE(name, number, block, bytes, group, has_offsets) \
    case number:                                             \
        float32_##name(packed, count, out);                  \
        return 1;
    switch (type) {
        EACH_TYPE(CASE)
    }
#undef CASE
    return 0;
}

static int to_bfloat16(int type, const uint8_t *packed, int64_t count, uint16_t *out) {
#define CASE(name, number, block, bytes, group, has_offsets) \
    case number:                                             \
        bfloat16_##name(packed, count, out);                 \
        return 1;
    switch (type) {
        EACH_TYPE(CASE)
    }
#undef CASE
    return 0;
}

typedef void (*row_function)(const uint8_t *, int64_t, const float *, int, floats *);

static row_function row_of(int type, int64_t columns, int64_t *row_bytes) {
#define CASE(name, number, block, bytes, group, has_offsets) \
    case number:                                             \
        *row_bytes = columns / block * bytes;                \
        return row_##name;
    switch (type) {
        EACH_TYPE(CASE)
    }
#undef CASE
    return 0;
}

static int linear(int type, const uint8_t *packed, int64_t rows, int64_t columns, const float *x, int64_t tokens,
                  int64_t first, int64_t last, float *out) {
    int64_t row_bytes = 0;
    row_function add_row = row_of(type, columns, &row_bytes);
    if (!add_row || tokens < 1 || tokens > MOST_TOKENS)
        return 0;
    for (int64_t row = first; row < last; row++) {
        floats sums[MOST_TOKENS];
        for (int64_t token = 0; token < tokens; token++)
            sums[token] = all(0.0f);
        add_row(packed + row * row_bytes, columns, x, (int)tokens, sums);
        for (int64_t token = 0; token < tokens; token++)
            out[token * rows + row] = sum_of(sums[token]);
    }
    return 1;
}

const kernels *JOINED(kernels, VARIANT)(void) {
    static const kernels own = {to_float32, to_bfloat16, linear};
    return &own;
}
