"""What an attempt cost, and how sure that is: the provider's own figure, else its tokens by the price table, else unknown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sigma_core.audit.language_models.attempts import SIGNS_PER_TOKEN, Attempt, AttemptState, Call, Tokens
from sigma_core.usage.prices import PriceTable


class CostSource(StrEnum):
    """Where a cost comes from."""

    PROVIDER = "provider"
    TABLE = "table"
    ZERO = "zero"
    UNKNOWN = "unknown"


class UsageSource(StrEnum):
    """Where token counts come from."""

    PROVIDER = "provider"
    ESTIMATED = "estimated"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Costing:
    """An attempt's tokens and micro-USD; None = unknown, which is never 0."""

    tokens: Tokens
    usage_source: UsageSource
    micro_usd: int | None
    cost_source: CostSource


def cost_of(attempt: Attempt, prices: PriceTable) -> Costing:
    """The cost rules, in their order:

    1. An error that providers do not bill, or a model on the operator's own machine that the price table does not name: 0, and known
       to be.
    2. The provider's own figure.
    3. The provider's token counts by the price table, rounded half up once. Only for an answer of the model that was asked.
    4. Unknown. Where an answer came without counts they are estimated from its length, but an estimate is not a cost.
    """
    tokens, source = _usage(attempt)
    if attempt.billed is False or is_free(attempt.call, prices):
        return Costing(tokens, source, 0, CostSource.ZERO)
    if attempt.reported_cost_micro_usd is not None:
        return Costing(tokens, source, attempt.reported_cost_micro_usd, CostSource.PROVIDER)
    price = prices.price(attempt.call.provider, attempt.call.model)
    if price is not None and source is UsageSource.PROVIDER and attempt.state is AttemptState.DONE:
        return Costing(tokens, source, price.cost_micro_usd(tokens), CostSource.TABLE)
    return Costing(tokens, source, None, CostSource.UNKNOWN)


def is_free(call: Call, prices: PriceTable) -> bool:
    """Whether a call costs nothing: its model runs on the operator's own machine. One that is rented there has a price in the table."""
    return call.local and prices.price(call.provider, call.model) is None


def most_micro_usd(call: Call, prices: PriceTable, unpriced_micro_usd: int) -> int:
    """What is held before an attempt: the most that its tokens can cost, or the policy's figure for a model without a price."""
    if is_free(call, prices):
        return 0
    price = prices.price(call.provider, call.model)
    return unpriced_micro_usd if price is None else price.most_micro_usd(call.tokens_in, call.tokens_out)


def _usage(attempt: Attempt) -> tuple[Tokens, UsageSource]:
    if attempt.tokens is not None:
        return attempt.tokens, UsageSource.PROVIDER
    if attempt.state is AttemptState.DONE and attempt.response is not None:
        out = len(attempt.response) // SIGNS_PER_TOKEN
        return Tokens(uncached_in=attempt.call.tokens_in, out=out), UsageSource.ESTIMATED
    return Tokens(), UsageSource.NONE
