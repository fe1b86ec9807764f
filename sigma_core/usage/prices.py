"""The price table: versioned, hashed, read from TOML; integers throughout (micro-USD per million tokens)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sigma_core.audit.language_models.attempts import Tokens
from sigma_core.canonical import canonical_json, sha256_hex
from sigma_core.errors import SigmaError

DEFAULT_PRICE_FILE = Path(__file__).with_name("prices.toml")
TOKENS_PER_PRICE = 1_000_000

MicroUsdPerMillion = Annotated[int, Field(ge=0, le=10**12)]


class PriceTableError(SigmaError):
    """A price file that cannot be read or breaks a rule; names the value and the rule."""

    code = "PRICES_INVALID"


class Price(BaseModel):
    """What one model's tokens cost, by bucket; micro-USD per million."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    provider: Annotated[str, Field(min_length=1, max_length=40)]
    model: Annotated[str, Field(min_length=1, max_length=80)]
    uncached_in: MicroUsdPerMillion
    cache_read: MicroUsdPerMillion
    cache_write: MicroUsdPerMillion
    out: MicroUsdPerMillion

    def cost_micro_usd(self, tokens: Tokens) -> int:
        """Micro-USD, rounded half up once."""
        parts = (
            tokens.uncached_in * self.uncached_in
            + tokens.cache_read * self.cache_read
            + tokens.cache_write * self.cache_write
            + (tokens.out + tokens.reasoning) * self.out
        )
        return (parts + TOKENS_PER_PRICE // 2) // TOKENS_PER_PRICE

    def most_micro_usd(self, tokens_in: int, tokens_out: int) -> int:
        """The most that so many tokens can cost, whatever the provider's cache does; rounded up."""
        dearest = max(self.uncached_in, self.cache_read, self.cache_write)
        return -(-(tokens_in * dearest + tokens_out * self.out) // TOKENS_PER_PRICE)


class _PriceFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    snapshot: Annotated[str, Field(min_length=1, max_length=12)]
    models: tuple[Price, ...]


@dataclass(frozen=True)
class PriceTable:
    """One version of the prices."""

    snapshot: str
    prices: Mapping[tuple[str, str], Price]

    def price(self, provider: str, model: str) -> Price | None:
        """The price of a model, or None where it is not known."""
        return self.prices.get((provider, model))

    @cached_property
    def canonical_bytes(self) -> bytes:
        """RFC 8785 bytes: what is stored, and what `name` covers."""
        models = [price.model_dump(mode="json") for _, price in sorted(self.prices.items())]
        return canonical_json({"schema": "sigma-prices-v1", "snapshot": self.snapshot, "models": models})

    @cached_property
    def name(self) -> str:
        """``2026-11-21/<SHA-256 hex>``: what an attempt's row says of the prices that it was costed by."""
        return f"{self.snapshot}/{sha256_hex(self.canonical_bytes)}"


def load_prices(path: Path | None = None) -> PriceTable:
    """The table in the TOML file at ``path``, by default the one that comes with SIGMA. Raises PriceTableError."""
    source = path or DEFAULT_PRICE_FILE
    try:
        document = json.dumps(tomllib.loads(source.read_text(encoding="utf-8")))
        read = _PriceFile.model_validate_json(document)
    except OSError as error:
        raise PriceTableError(f"{source}: {error.strerror}", hint="check SIGMA_PRICE_FILE") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "prices"
        raise PriceTableError(f"{source}: {place}: {first['msg']}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise PriceTableError(f"{source}: not TOML: {error}") from None
    prices: dict[tuple[str, str], Price] = {}
    for price in read.models:
        if prices.setdefault((price.provider, price.model), price) is not price:
            raise PriceTableError(f"{source}: {price.provider}/{price.model} has two prices")
    return PriceTable(read.snapshot, prices)
