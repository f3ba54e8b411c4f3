"""Quantiles of the beta distribution, without the second that importing scipy takes."""

from __future__ import annotations

import math

TINY = 1e-300
PRECISION = 1e-15
ROUNDS = 500


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x in 0..1 with ``I_x(a, b) = p``, for shapes `a` and `b` above 0; absolute error below 1e-12."""
    if p <= 0 or p >= 1:
        return min(max(p, 0.0), 1.0)
    if p > beta_cdf(0.5, a, b):
        return 1 - _quantile_below_half(1 - p, b, a)
    return _quantile_below_half(p, a, b)


def _quantile_below_half(p: float, a: float, b: float) -> float:
    """Newton's method in log x (the density may be singular at 0), kept inside a shrinking bracket."""
    log_norm = _log_beta(a, b)
    low, high = 0.0, 0.5
    x = min(math.exp((math.log(p * a) + log_norm) / a), 0.5)  # the leading power of the distribution near 0
    for _ in range(ROUNDS):
        error = beta_cdf(x, a, b) - p
        low, high = (low, x) if error > 0 else (x, high)
        slope = math.exp(a * math.log(x) + (b - 1) * math.log1p(-x) - log_norm)  # dI / dlog(x)
        step = x * math.exp(-error / slope) if abs(error) < 50 * slope else low
        step = step if low < step < high else (low + high) / 2
        if abs(step - x) <= PRECISION * x:
            break
        x = step
    return x


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b))
    if x <= (a + 1) / (a + b + 2):
        return front / (a * _continued_fraction(x, a, b))
    return 1 - front / (b * _continued_fraction(1 - x, b, a))  # it converges fast below the mean only


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b), https://dlmf.nist.gov/8.17.v, by the modified Lentz method."""
    value, c, d = 1.0, 1.0, 0.0
    for n in range(1, ROUNDS):
        m = n // 2
        if n % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / ((1 + term * d) or TINY)
        c = (1 + term / c) or TINY
        value *= c * d
        if abs(c * d - 1) < PRECISION:
            break
    return value
