/* The types of GGUF's blocks: how a tile of weights is taken apart into small integers, scales and offsets.
 *
 * Every type stores a weight as `scale * code - offset`: a code of eight bits or fewer for each weight, a scale
 * (and, in some types, an offset) for each group of 16 or 32. A tile is 256 weights: one block of a "K" type,
 * or up to eight blocks of 32. Layouts: the specification of GGUF.
 */
#ifndef SFUMATO_TYPES_H
#define SFUMATO_TYPES_H

#include "simd.h"

enum { TILE = 256, MOST_GROUPS = 16 };

typedef struct {
    _Alignas(64) int8_t codes[TILE];
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
typedef uint64_t longs2 __attribute__((vector_size(16)));
typedef uint8_t bytes32 __attribute__((vector_size(32)));

static inline bytes16 sixteen_at(const void *from) {
    bytes16 bytes;
    memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

static inline bytes32 at(const void *from) {
    bytes32 bytes;
    memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

static inline void put(int8_t *codes, bytes32 bytes) { memcpy(codes, &bytes, sizeof bytes); }

/* Half bytes: the lower ones come first. `count` is a multiple of 16. */
static inline void nibbles(const uint8_t *packed, int count, int8_t *codes) {
    for (int i = 0; i < count; i += 16) {
        bytes16 both = sixteen_at(packed + i), low = both & 15, high = both >> 4;
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
        bytes16 own = sixteen_at(codes + i) - (uint8_t)less;
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

/* Sixteen bytes as numbers, each multiplied by that of the block. */
static inline void times(float factor, bytes16 bytes, float *out) {
    int8_t numbers[MOST_GROUPS];
    memcpy(numbers, &bytes, sizeof bytes);
    for (int i = 0; i < MOST_GROUPS; i += LANES)
        store(out + i, all(factor) * from_codes(numbers + i));
}

static inline void unpack_q2_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    bytes16 both = sixteen_at(block);
    times(half_at(block + 80), both & 15, scales);
    times(half_at(block + 82), both >> 4, offsets);
    for (int half = 0; half < 2; half++) {
        bytes32 packed = at(block + 16 + 32 * half);
        put(codes + 128 * half, packed & 3);
        put(codes + 128 * half + 32, packed >> 2 & 3);
        put(codes + 128 * half + 64, packed >> 4 & 3);
        put(codes + 128 * half + 96, packed >> 6);
    }
}

static inline void unpack_q3_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    (void)offsets;
    uint64_t low;
    uint32_t high;
    memcpy(&low, block + 96, sizeof low);
    memcpy(&high, block + 104, sizeof high);
    uint64_t four_bits[2] = {low & 0x0f0f0f0f0f0f0f0f, low >> 4 & 0x0f0f0f0f0f0f0f0f};
    uint32_t two_bits[4] = {high & 0x03030303, high >> 2 & 0x03030303, high >> 4 & 0x03030303, high >> 6 & 0x03030303};
    times(half_at(block + 108), (sixteen_at(four_bits) | sixteen_at(two_bits) << 4) - 32, scales);
    bytes32 lacking = ~at(block); /* a bit for each plane of 32: four less where it is not set */
    for (int half = 0; half < 2; half++, lacking >>= 4) {
        bytes32 low = at(block + 32 + 32 * half);
        put(codes + 128 * half, (low & 3) - (lacking << 2 & 4));
        put(codes + 128 * half + 32, (low >> 2 & 3) - (lacking << 1 & 4));
        put(codes + 128 * half + 64, (low >> 4 & 3) - (lacking & 4));
        put(codes + 128 * half + 96, (low >> 6) - (lacking >> 1 & 4));
    }
}

/* Eight scales and eight offsets of six bits each, in twelve bytes. */
static inline void six_bit_scales(const uint8_t *block, float *scales, float *offsets) {
    uint32_t packed[3];
    memcpy(packed, block + 4, sizeof packed);
    uint64_t low = packed[0] & 0x3f3f3f3f, high = (packed[2] & 0x0f0f0f0f) | (packed[0] >> 2 & 0x30303030);
    times(half_at(block), (bytes16)(longs2){low | high << 32, 0}, scales);
    low = packed[1] & 0x3f3f3f3f, high = (packed[2] >> 4 & 0x0f0f0f0f) | (packed[1] >> 2 & 0x30303030);
    times(half_at(block + 2), (bytes16)(longs2){low | high << 32, 0}, offsets);
}

static inline void unpack_q4_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    six_bit_scales(block, scales, offsets);
    for (int pair = 0; pair < 4; pair++) {
        bytes32 both = at(block + 16 + 32 * pair);
        put(codes + 64 * pair, both & 15);
        put(codes + 64 * pair + 32, both >> 4);
    }
}

static inline void unpack_q5_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    six_bit_scales(block, scales, offsets);
    bytes32 high = at(block + 16);
    for (int pair = 0; pair < 4; pair++, high >>= 2) {
        bytes32 both = at(block + 48 + 32 * pair);
        put(codes + 64 * pair, (both & 15) | (high << 4 & 16));
        put(codes + 64 * pair + 32, both >> 4 | (high << 3 & 16));
    }
}

static inline void unpack_q6_k(const uint8_t *block, int8_t *codes, float *scales, float *offsets) {
    (void)offsets;
    times(half_at(block + 208), sixteen_at(block + 192), scales);
    for (int half = 0; half < 2; half++, codes += 128) {
        bytes32 first = at(block + 64 * half), second = at(block + 64 * half + 32), high = at(block + 128 + 32 * half);
        put(codes, ((first & 15) | (high << 4 & 48)) - 32);
        put(codes + 32, ((second & 15) | (high << 2 & 48)) - 32);
        put(codes + 64, (first >> 4 | (high & 48)) - 32);
        put(codes + 96, (second >> 4 | (high >> 2 & 48)) - 32);
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
