/* The types of GGUF's blocks: how a tile of weights is taken apart into small integers, scales and offsets.
 *
 * Every type stores a weight as `scale * code - offset`: a code of eight bits or fewer for each weight, a scale
 * (and, in some types, an offset) for each group of 16 or 32. A tile is 256 weights: one block of a "K" type,
 * or up to eight blocks of 32. Layouts: the specification of GGUF.
 */
#ifndef SFUMATO_TYPES_H
#define SFUMATO_TYPES_H

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

enum { TILE = 256, MOST_GROUPS = 16 };

typedef struct {
    int8_t codes[TILE];
    float scales[MOST_GROUPS];
    float offsets[MOST_GROUPS];
} tile;

/* IEEE binary16 to binary32, subnormal numbers and NaN included; little-endian, as all of GGUF. */
static inline float half_at(const uint8_t *bytes) {
    uint32_t half = bytes[0] | (uint32_t)bytes[1] << 8;
#if defined(__F16C__)
    return _cvtsh_ss((unsigned short)half);
#else
    uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    float magnitude;
    if (exponent == 0) {
        magnitude = (float)fraction * 0x1p-24f;
    } else {
        uint32_t bits = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
        memcpy(&magnitude, &bits, sizeof bits);
    }
    uint32_t bits;
    memcpy(&bits, &magnitude, sizeof bits);
    bits |= sign;
    memcpy(&magnitude, &bits, sizeof bits);
    return magnitude;
#endif
}

/* The values that the four bits of IQ4_NL and IQ4_XS stand for. */
static const int8_t NON_LINEAR[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

typedef uint8_t bytes16 __attribute__((vector_size(16)));

static inline bytes16 bytes_at(const void *from) {
    bytes16 bytes;
    memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

/* Half bytes: the lower ones come first. `count` is a multiple of 16. */
static inline void nibbles(const uint8_t *packed, int count, int8_t *codes) {
    for (int i = 0; i < count; i += 16) {
        bytes16 both = bytes_at(packed + i), low = both & 15, high = both >> 4;
        memcpy(codes + i, &low, sizeof low);
        memcpy(codes + count + i, &high, sizeof high);
    }
}

/* The fifth bits of 32 codes, in four bytes: each bit is moved to bit 4 of a byte of its own. */
static inline void fifth_bits(const uint8_t *packed, int8_t *codes) {
    for (int i = 0; i < 4; i++) {
        uint64_t own, bits = (packed[i] * 0x0101010101010101u & 0x8040201008040201u) + 0x7f7f7f7f7f7f7f7fu;
        memcpy(&own, codes + 8 * i, sizeof own);
        own |= (bits >> 7 & 0x0101010101010101u) << 4;
        memcpy(codes + 8 * i, &own, sizeof own);
    }
}

static inline void subtract(int8_t *codes, int count, int less) {
    for (int i = 0; i < count; i += 16) {
        bytes16 own = bytes_at(codes + i) - (uint8_t)less;
        memcpy(codes + i, &own, sizeof own);
    }
}

static inline void look_up(int8_t *codes, int count) {
#if defined(__SSSE3__)
    __m128i table = _mm_loadu_si128((const __m128i *)NON_LINEAR);
    for (int i = 0; i < count; i += 16) {
        __m128i own = _mm_loadu_si128((const __m128i *)(codes + i));
        _mm_storeu_si128((__m128i *)(codes + i), _mm_shuffle_epi8(table, own));
    }
#elif defined(__ARM_NEON)
    int8x16_t table = vld1q_s8(NON_LINEAR);
    for (int i = 0; i < count; i += 16)
        vst1q_s8(codes + i, vqtbl1q_s8(table, vld1q_u8((const uint8_t *)(codes + i))));
#else
    for (int i = 0; i < count; i++)
        codes[i] = NON_LINEAR[codes[i]];
#endif
}

static inline void unpack_q4_0(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    (void)offsets;
    scales[0] = half_at(block);
    nibbles(block + 2, 16, codes);
    subtract(codes, 32, 8);
}

static inline void unpack_q4_1(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    scales[0] = half_at(block);
    offsets[0] = -half_at(block + 2);
    nibbles(block + 4, 16, codes);
}

static inline void unpack_q5_0(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    (void)offsets;
    scales[0] = half_at(block);
    nibbles(block + 6, 16, codes);
    fifth_bits(block + 2, codes);
    subtract(codes, 32, 16);
}

static inline void unpack_q5_1(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    scales[0] = half_at(block);
    offsets[0] = -half_at(block + 2);
    nibbles(block + 8, 16, codes);
    fifth_bits(block + 4, codes);
}

static inline void unpack_q8_0(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    (void)offsets;
    scales[0] = half_at(block);
    memcpy(codes, block + 2, 32);
}

static inline void unpack_iq4_nl(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    (void)offsets;
    scales[0] = half_at(block);
    nibbles(block + 2, 16, codes);
    look_up(codes, 32);
}

/* Two bits each, four planes of 32 bytes' worth, twice. */
static inline void crumbs(const uint8_t *packed, int8_t *codes) {
    for (int half = 0; half < 2; half++)
        for (int plane = 0; plane < 4; plane++)
            for (int i = 0; i < 32; i++)
                codes[128 * half + 32 * plane + i] = (int8_t)(packed[32 * half + i] >> 2 * plane & 3);
}

static inline void unpack_q2_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    float scale = half_at(block + 80), offset = half_at(block + 82);
    for (int group = 0; group < 16; group++) {
        scales[group] = scale * (float)(block[group] & 15);
        offsets[group] = offset * (float)(block[group] >> 4);
    }
    crumbs(block + 16, codes);
}

static inline void unpack_q3_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    (void)offsets;
    const uint8_t *packed = block + 96;
    float scale = half_at(block + 108);
    for (int group = 0; group < 16; group++) {
        int low = packed[group & 7] >> 4 * (group >> 3) & 15, high = packed[8 + (group & 3)] >> 2 * (group >> 2) & 3;
        scales[group] = scale * (float)((low | high << 4) - 32);
    }
    crumbs(block + 32, codes);
    for (int plane = 0; plane < 8; plane++)
        for (int i = 0; i < 32; i++)
            codes[32 * plane + i] = (int8_t)(codes[32 * plane + i] - ((~block[i] >> plane & 1) << 2));
}

/* Eight scales and eight offsets of six bits each, in twelve bytes. */
static inline void six_bit_scales(const uint8_t *block, float *scales, float *offsets) {
    const uint8_t *packed = block + 4;
    float scale = half_at(block), offset = half_at(block + 2);
    for (int group = 0; group < 4; group++) {
        scales[group] = scale * (float)(packed[group] & 63);
        offsets[group] = offset * (float)(packed[4 + group] & 63);
        scales[4 + group] = scale * (float)((packed[8 + group] & 15) | (packed[group] >> 2 & 48));
        offsets[4 + group] = offset * (float)(packed[8 + group] >> 4 | (packed[4 + group] >> 2 & 48));
    }
}

static inline void unpack_q4_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    six_bit_scales(block, scales, offsets);
    for (int pair = 0; pair < 4; pair++)
        nibbles(block + 16 + 32 * pair, 32, codes + 64 * pair);
}

static inline void unpack_q5_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    six_bit_scales(block, scales, offsets);
    for (int pair = 0; pair < 4; pair++)
        nibbles(block + 48 + 32 * pair, 32, codes + 64 * pair);
    for (int plane = 0; plane < 8; plane++)
        for (int i = 0; i < 32; i++)
            codes[32 * plane + i] = (int8_t)(codes[32 * plane + i] | (block[16 + i] >> plane & 1) << 4);
}

static inline void unpack_q6_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    (void)offsets;
    float scale = half_at(block + 208);
    for (int group = 0; group < 16; group++)
        scales[group] = scale * (float)(int8_t)block[192 + group];
    for (int half = 0; half < 2; half++) {
        const uint8_t *high = block + 128 + 32 * half;
        int8_t *own = codes + 128 * half;
        nibbles(block + 64 * half, 64, own);
        for (int plane = 0; plane < 4; plane++)
            for (int i = 0; i < 32; i++)
                own[32 * plane + i] = (int8_t)((own[32 * plane + i] | (high[i] >> 2 * plane & 3) << 4) - 32);
    }
}

static inline void unpack_iq4_xs(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    (void)offsets;
    float scale = half_at(block);
    int high = block[2] | block[3] << 8;
    for (int group = 0; group < 8; group++) {
        int low = block[4 + group / 2] >> 4 * (group & 1) & 15;
        scales[group] = scale * (float)((low | (high >> 2 * group & 3) << 4) - 32);
        nibbles(block + 8 + 16 * group, 16, codes + 32 * group);
    }
    look_up(codes, TILE);
}

/* name, number in the format, weights and bytes of a block, weights of a group, whether it has offsets */
#define EACH_TYPE(DO)                 \
    DO(q4_0, 2, 32, 18, 32, 0)        \
    DO(q4_1, 3, 32, 20, 32, 1)        \
    DO(q5_0, 6, 32, 22, 32, 0)        \
    DO(q5_1, 7, 32, 24, 32, 1)        \
    DO(q8_0, 8, 32, 34, 32, 0)        \
    DO(q2_k, 10, 256, 84, 16, 1)      \
    DO(q3_k, 11, 256, 110, 16, 0)     \
    DO(q4_k, 12, 256, 144, 32, 1)     \
    DO(q5_k, 13, 256, 176, 32, 1)     \
    DO(q6_k, 14, 256, 210, 16, 0)     \
    DO(iq4_nl, 20, 32, 18, 32, 0)     \
    DO(iq4_xs, 23, 256, 136, 32, 0)

#endif
