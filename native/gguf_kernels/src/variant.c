/* The kernels for one kind of processor: compiled once for each, with VARIANT as its name.
 *
 * Built without contraction of a product and a sum into one operation: weights must be bit for bit those of the
 * format's description. Sums of products, where that does no harm, ask for it by name.
 */
#include "kernels.h"
#include "types.h"

#include <stdlib.h>

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

/* Adds the products of a tile's weights with one token's numbers: each group's codes are summed before they are
 * scaled. `group_sums` has the sum of the numbers of each group, for the offsets. */
static inline __attribute__((always_inline)) floats add_tile(const tile *from, int count, int group, int has_offsets,
                                                             const float *x, const float *group_sums, floats sum) {
    floats even = all(0.0f), odd = all(0.0f);
    for (int g = 0; g < count / group; g++, x += group) {
        floats part = from_codes(from->codes + g * group) * load(x);
        for (int i = LANES; i < group; i += LANES)
            part = multiply_add(from_codes(from->codes + g * group + i), load(x + i), part);
        floats scaled = multiply_add(part, all(from->scales[g]), g & 1 ? odd : even);
        if (g & 1)
            odd = scaled;
        else
            even = scaled;
    }
    if (has_offsets)
        for (int g = 0; g < MOST_GROUPS; g += LANES)
            even = even - load(from->offsets + g) * load(group_sums + g);
    return sum + even + odd;
}

#define JOINED_(name, variant) name##_##variant
#define JOINED(name, variant) JOINED_(name, variant)

#define DEFINE(name, number, block, bytes, group, has_offsets)                                                \
    static inline __attribute__((always_inline)) void codes_##name(const uint8_t *packed, int count, tile *out) {     \
        for (int at = 0; at < count; at += block, packed += bytes)                                            \
            unpack_##name(packed, out->codes + at, out->scales + at / group, out->offsets + at / group);      \
    }                                                                                                         \
    static inline __attribute__((always_inline)) void tile_##name(const uint8_t *packed, int count, float *out) {     \
        tile codes;                                                                                           \
        codes_##name(packed, count, &codes);                                                                  \
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
        _Alignas(64) float weights[TILE];                                                                     \
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
    static floats row_of_one_##name(const uint8_t *packed, int64_t count, const float *x, const float *sums) { \
        tile codes;                                                                                           \
        floats sum = all(0.0f);                                                                               \
        int64_t at = 0;                                                                                       \
        memset(codes.offsets, 0, sizeof codes.offsets);                                                       \
        for (; at + TILE <= count; at += TILE, packed += TILE / block * bytes) {                              \
            codes_##name(packed, TILE, &codes);                                                               \
            sum = add_tile(&codes, TILE, group, has_offsets, x + at, sums + at / group, sum);                 \
        }                                                                                                     \
        if (at < count) {                                                                                     \
            memset(codes.offsets, 0, sizeof codes.offsets);                                                   \
            codes_##name(packed, (int)(count - at), &codes);                                                  \
            sum = add_tile(&codes, (int)(count - at), group, has_offsets, x + at, sums + at / group, sum);    \
        }                                                                                                     \
        return sum;                                                                                           \
    }                                                                                                         \
    static void row_##name(const uint8_t *packed, int64_t count, const float *x, int tokens, floats *sums) {  \
        _Alignas(64) float weights[TILE];                                                                     \
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
#undef DEFINE

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

typedef struct {
    int group;
    int64_t bytes;
    void (*few)(const uint8_t *, int64_t, const float *, int, floats *);
    floats (*one)(const uint8_t *, int64_t, const float *, const float *);
} row_functions;

static int functions_of(int type, int64_t columns, row_functions *found) {
#define CASE(name, number, block, size, group, has_offsets)                                               \
    case number:                                                                                          \
        *found = (row_functions){group, columns / block * size, row_##name, row_of_one_##name};           \
        return 1;
    switch (type) {
        EACH_TYPE(CASE)
    }
#undef CASE
    return 0;
}

/* Sums of the numbers of each group, with zeros after the last. */
static float *sums_of_groups(const float *x, int64_t columns, int group) {
    int64_t groups = columns / group;
    float *sums = calloc((size_t)groups + MOST_GROUPS, sizeof *sums);
    if (sums)
        for (int64_t g = 0; g < groups; g++)
            for (int i = 0; i < group; i++)
                sums[g] += x[g * group + i];
    return sums;
}

static int linear(int type, const uint8_t *packed, int64_t rows, int64_t columns, const float *x, int64_t tokens,
                  int64_t first, int64_t last, float *out) {
    row_functions row_type;
    if (tokens < 1 || tokens > MOST_TOKENS || !functions_of(type, columns, &row_type))
        return 0;
    float *group_sums = tokens == 1 ? sums_of_groups(x, columns, row_type.group) : 0;
    for (int64_t row = first; row < last; row++) {
        const uint8_t *own = packed + row * row_type.bytes;
        if (group_sums) {
            out[row] = sum_of(row_type.one(own, columns, x, group_sums));
            continue;
        }
        floats sums[MOST_TOKENS];
        for (int64_t token = 0; token < tokens; token++)
            sums[token] = all(0.0f);
        row_type.few(own, columns, x, (int)tokens, sums);
        for (int64_t token = 0; token < tokens; token++)
            out[token * rows + row] = sum_of(sums[token]);
    }
    free(group_sums);
    return 1;
}

const kernels *JOINED(kernels, VARIANT)(void) {
    static const kernels own = {to_float32, to_bfloat16, linear};
    return &own;
}
