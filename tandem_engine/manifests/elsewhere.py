"""A manifest for other files than those that were learned on: shares and counts are enough."""

import json
from pathlib import Path

from tandem_engine.contracts.records import ManifestSummary
from tandem_engine.errors import InvalidSpecError
from tandem_engine.manifests.inventory import read_inventory
from tandem_engine.manifests.write import ManifestRequest, write_inventory

_TOLERANCE = 1e-4


def plan_elsewhere(
    mixture: Path,
    inventory: Path,
    out: Path,
    *,
    target_tokens: int,
    seed: int = 0,
    rows: str = "auto",
) -> ManifestSummary:
    """Write a manifest of the files in `inventory` to the new folder `out`.

    Args:
        mixture: JSON with shares by domain, at its top or in `shares`.
        inventory: As `inventory.read_inventory` reads it.
        out: The manifest's folder.
        target_tokens: Tokens to train on.
        seed: Of the choice of documents.
        rows: `auto`, `always` or `never`.

    Raises:
        InvalidSpecError: mixture or inventory cannot be read, or name different domains; or the
            folder is there already.
    """
    if out.exists():
        raise InvalidSpecError(
            f"{out} is there already",
            field="out",
            value=out,
            hint="give a new folder, or remove this one",
        )
    if rows not in {"auto", "always", "never"}:
        raise InvalidSpecError(
            f"rows is {rows!r}", field="rows", value=rows, hint="use auto, always or never"
        )
    shares, method = _read_mixture(mixture)
    try:
        domains = read_inventory(inventory)
    except (OSError, ValueError) as error:
        raise InvalidSpecError(
            f"the inventory cannot be read: {error}",
            field="inventory",
            value=inventory,
            hint="give a Parquet file",
        ) from error
    names = [domain.name for domain in domains]
    if set(names) != set(shares):
        raise InvalidSpecError(
            f"the mixture is of {', '.join(sorted(shares))}, the inventory of {', '.join(names)}",
            field="inventory",
            value=inventory,
            hint="use the same names in both",
        )
    request = ManifestRequest(
        method=method,
        target_tokens=target_tokens,
        seed=seed,
        rows=rows,  # type: ignore[arg-type]  # checked above
    )
    return write_inventory(out, domains, [shares[name] for name in names], request)


def _read_mixture(path: Path) -> tuple[dict[str, float], str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.get("shares", content)
        shares = {str(name): float(share) for name, share in found.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidSpecError(
            f"the mixture cannot be read: {error}",
            field="mixture",
            value=path,
            hint='write {"code": 0.6, "manuals": 0.4}, or use what `tandem mixture --json` prints',
        ) from error
    total = sum(shares.values())
    # Turned round so that NaN, which JSON readers take, is refused too.
    if not all(share >= 0 for share in shares.values()) or not abs(total - 1) <= _TOLERANCE:
        raise InvalidSpecError(
            f"the shares sum to {total:.6g}",
            field="mixture",
            value=path,
            hint="shares are at least 0 and sum to 1",
        )
    method = content.get("verdict") and "learned"
    return {name: share / total for name, share in shares.items()}, method or "given"
