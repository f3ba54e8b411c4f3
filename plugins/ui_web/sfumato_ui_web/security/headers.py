"""Headers that tell browsers what our pages may do, and who may use our answers."""

from __future__ import annotations

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)

EVERYWHERE: tuple[tuple[str, str], ...] = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ("X-Frame-Options", "DENY"),
)

PRIVATE = ("Cache-Control", "no-store")


def for_foreign_page(origin: str) -> tuple[tuple[str, str], ...]:
    """What lets a page of an allowed origin read the answer (Fetch standard, CORS); no cookies are taken."""
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"),
        ("Access-Control-Expose-Headers", "ETag, Location, Retry-After"),
        ("Access-Control-Max-Age", "600"),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
        ("Vary", "Origin"),
    )
