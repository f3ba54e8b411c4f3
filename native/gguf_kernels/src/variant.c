/* The kernels for one kind of processor: compiled once for each, with VARIANT as its name.
 *
 * Built without contraction of a product and a sum into one operation: weights must be bit for bit those of the
 * format's description. Sums of products, where that does no harm, ask for it by name.
 */
#include "kernels.h"
#include "types.h"

#include <stdlib.h>

enum { AT_ONCE = 4 }; /* tokens whose sums are kept in registers */

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

/* Adds the products of two rows' tiles with some tokens' numbers: each number is read once for both rows, each
 * weight made once for all tokens. `tokens` is known when this is compiled, so that sums stay in registers. */
static inline __attribute__((always_inline)) void add_tiles(const tile *rows, int count, int group, int has_offsets,
                                                            const float *x, int64_t stride, int tokens, floats *sums) {
    floats of_first[AT_ONCE], of_second[AT_ONCE];
    for (int token = 0; token < tokens; token++)
        of_first[token] = of_second[token] = all(0.0f);
    for (int g = 0; g < count / group; g++) {
        floats scale = all(rows[0].scales[g]), scale_below = all(rows[1].scales[g]);
        floats offset = all(has_offsets ? -rows[0].offsets[g] : 0.0f);
        floats offset_below = all(has_offsets ? -rows[1].offsets[g] : 0.0f);
        for (int i = g * group; i < (g + 1) * group; i += LANES) {
            floats weight = from_codes(rows[0].codes + i), below = from_codes(rows[1].codes + i);
            if (has_offsets) {
                weight = multiply_add(weight, scale, offset);
                below = multiply_add(below, scale_below, offset_below);
            } else {
                weight = weight * scale;
                below = below * scale_below;
            }
            for (int token = 0; token < tokens; token++) {
                floats number = load(x + token * stride + i);
                of_first[token] = multiply_add(weight, number, of_first[token]);
                of_second[token] = multiply_add(below, number, of_second[token]);
            }
        }
    }
    for (int token = 0; token < tokens; token++) {
        sums[token] += of_first[token];
        sums[MOST_TOKENS + token] += of_second[token];
    }
}

static inline __attribute__((always_inline)) void add_products(const tile *rows, int count, int group, int has_offsets,
                                                               const float *x, int64_t stride, int tokens,
                                                               floats *sums) {
    for (; tokens > AT_ONCE; tokens -= AT_ONCE, x += AT_ONCE * stride, sums += AT_ONCE)
        add_tiles(rows, count, group, has_offsets, x, stride, AT_ONCE, sums);
    if (tokens == 4)
        add_tiles(rows, count, group, has_offsets, x, stride, 4, sums);
    else if (tokens == 3)
        add_tiles(rows, count, group, has_offsets, x, stride, 3, sums);
    else if (tokens == 2)
        add_tiles(rows, count, group, has_offsets, x, stride, 2, sums);
    else
        add_tiles(rows, count, group, has_offsets, x, stride, 1, sums);
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
    static void rows_##name(const uint8_t *first, const uint8_t *second, int64_t count, const float *x, int64_t stride,\
                            int tokens, floats *sums) {                                                               \
        tile rows[2];                                                                                                 \
        int64_t at = 0;                                                                                               \
        for (; at + TILE <= count; at += TILE, first += TILE / block * bytes, second += TILE / block * bytes) {       \
            codes_##name(first, TILE, rows);                                                                          \
            codes_##name(second, TILE, rows + 1);                                                                     \
            add_products(rows, TILE, group, has_offsets, x + at, stride, tokens, sums);                               \
        }                                                                                                             \
        if (at < count) {                                                                                             \
            codes_##name(first, (int)(count - at), rows);                                                             \
            codes_##name(second, (int)(count - at), rows + 1);                                                        \
            add_products(rows, (int)(count - at), group, has_offsets, x + at, stride, tokens, sums);                  \
        }                                                                                                             \
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
    void (*few)(const uint8_t *, const uint8_t *, int64_t, const float *, int64_t, int, floats *);
    floats (*one)(const uint8_t *, int64_t, const float *, const float *);
} row_functions;

static int functions_of(int type, int64_t columns, row_functions *found) {
#define CASE(name, number, block, size, group, has_offsets)                                               \
    case number:                                                                                          \
        *found = (row_functions){group, columns / block * size, rows_##name, row_of_one_##name};           \
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

static int linear(int type, const uint8_t *packed, int64_t rows, int64_t columns, const float *x, int64_t stride,
                  int64_t tokens, int64_t first, int64_t last, float *out) {
    row_functions row_type;
    if (tokens < 1 || tokens > MOST_TOKENS || !functions_of(type, columns, &row_type))
        return 0;
    float *group_sums = tokens == 1 ? sums_of_groups(x, columns, row_type.group) : 0;
    for (int64_t row = first; group_sums && row < last; row++)
        out[row] = sum_of(row_type.one(packed + row * row_type.bytes, columns, x, group_sums));
    for (int64_t row = first; !group_sums && row < last; row += 2) {
        int64_t below = row + 1 < last ? row + 1 : row; /* the last of an odd number is its own neighbour */
        floats sums[2 * MOST_TOKENS];
        for (int i = 0; i < 2 * MOST_TOKENS; i++)
            sums[i] = all(0.0f);
        row_type.few(packed + row * row_type.bytes, packed + below * row_type.bytes, columns, x, stride,
                     (int)tokens, sums);
        for (int64_t token = 0; token < tokens; token++) {
            out[token * rows + row] = sum_of(sums[token]);
            out[token * rows + below] = sum_of(sums[below == row ? token : MOST_TOKENS + token]);
        }
    }
    free(group_sums);
    return 1;
}

const kernels *JOINED(kernels, VARIANT)(void) {
    static const kernels own = {to_float32, to_bfloat16, linear};
    return &own;
}
