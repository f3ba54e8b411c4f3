/* As many float32 numbers as the processor at hand computes with at once. */
#ifndef SFUMATO_SIMD_H
#define SFUMATO_SIMD_H

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

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

#endif
