"""What trainers drew, against what was learned: standard library only, for any environment.

Counting is by the drawn content itself. A token is a byte of UTF-8, and each document ends with one
more; a domain's texts use letters of their own. So neither a name nor a number that an export wrote
takes part in telling what came out.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Check = Callable[[str, "Mixture", Mapping[str, float], Mapping[str, float]], None]
"""What the fixture `check` does: a name, what was learned, drawn tokens, bounds by domain."""

DEVIATIONS = 4.0
"""Standard deviations that chance may make: one honest draw in 15,000 lies beyond them."""
PROMPT = "<|user|>\n{}\n<|assistant|>\n"
"""What is read before a response, by the job's template for tokenizers without one."""


@dataclass(frozen=True)
class Domain:
    """A domain whose share is above 0."""

    name: str
    slug: str
    share: float
    letters: str
    lengths: Sequence[int]
    """Tokens of each of its documents: those that the shares count."""

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    @property
    def mean(self) -> float:
        return self.tokens / len(self.lengths)


@dataclass(frozen=True)
class Mixture:
    """What was learned."""

    target_tokens: int
    domains: Sequence[Domain]
    documents: Mapping[str, int]
    """Documents of the whole, by export."""
    all_tokens: Mapping[str, int]
    """All tokens of the whole, by export."""

    @property
    def shares(self) -> dict[str, float]:
        return {domain.name: domain.share for domain in self.domains}

    @property
    def document_shares(self) -> dict[str, float]:
        raw = {domain.name: domain.share / domain.mean for domain in self.domains}
        return {name: value / math.fsum(raw.values()) for name, value in raw.items()}

    def domain_of(self, text: str | bytes) -> str:
        """Return the domain that most letters of a text, or of its bytes, belong to."""
        found = text.decode("latin-1") if isinstance(text, bytes) else text
        letters = Counter(found)
        counts = {one.name: sum(letters[c] for c in one.letters) for one in self.domains}
        best = max(counts, key=counts.__getitem__)
        if not counts[best]:
            raise ValueError(f"no domain's letters in {found[:80]!r}")
        return best

    def documents_off(self, texts: Collection[str]) -> float:
        """Return by how many documents the domain that is furthest off misses its part of them.

        It is the sharpest test of an export of documents: no length of a text takes part.
        """
        read = Counter(map(self.domain_of, texts))
        parts = self.document_shares
        return max(abs(read[name] - part * len(texts)) for name, part in parts.items())

    def tokens_of(self, texts: Iterable[str]) -> Counter[str]:
        """Return the tokens that documents come to, by domain."""
        counted: Counter[str] = Counter()
        for text in texts:
            counted[self.domain_of(text)] += text_tokens(text)
        return counted


def text_tokens(text: str) -> int:
    """Return the tokens of a text, with its end-of-text."""
    return len(text.encode()) + 1


def response_tokens(prompt: str, completion: str, cut: int | None = None) -> int:
    """Return the tokens of a conversation that bear loss, where it is cut off after `cut`."""
    # The response, the end of its line and end-of-text.
    loss = len(completion.encode()) + 2
    tokens = len(PROMPT.format(prompt).encode()) + loss
    kept = tokens if cut is None else min(tokens, cut)
    return max(0, loss - (tokens - kept))


def shares(tokens: Mapping[str, float]) -> dict[str, float]:
    """Return parts of the whole."""
    total = math.fsum(tokens.values())
    return {name: count / total for name, count in tokens.items()}


@dataclass
class Report:
    """Largest distances of drawn from learned shares, for the table of `.ci/interop.py`."""

    path: Path | None
    said: list[str] = field(default_factory=list)

    def __call__(self, what: str, off: float, bound: float) -> None:
        line = json.dumps({"what": what, "off": off, "bound": bound})
        self.said.append(line)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def distances(
    drawn: Mapping[str, float], learned: Mapping[str, float], bounds: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Return distance and bound of each domain's share of the drawn tokens."""
    found = shares(drawn)
    return {
        name: (abs(found.get(name, 0.0) - share), bounds[name]) for name, share in learned.items()
    }


def within(
    drawn: Mapping[str, float], learned: Mapping[str, float], bounds: Mapping[str, float]
) -> bool:
    """Tell whether every domain's share of the drawn tokens is within its bound, and no other."""
    compared = distances(drawn, learned, bounds)
    return set(drawn) <= set(learned) and all(off <= bound for off, bound in compared.values())


def bounds_of_draws(mixture: Mixture, draws: int) -> dict[str, float]:
    """Return four standard deviations of token shares when documents are drawn at random.

    Of independent draws, whose domain and length are both random: the delta method's variance of a
    ratio, sum of the domain's tokens over sum of all tokens.
    """
    chances = mixture.document_shares
    per_draw = math.fsum(chances[one.name] * one.mean for one in mixture.domains)
    bounds = {}
    for domain in mixture.domains:
        variance = 0.0
        for other in mixture.domains:
            square = math.fsum(length**2 for length in other.lengths) / len(other.lengths)
            own = 1.0 if other is domain else 0.0
            variance += chances[other.name] * square * (own - domain.share) ** 2
        bounds[domain.name] = DEVIATIONS * math.sqrt(variance / draws) / per_draw
    return bounds


def bounds_of_counts(
    mixture: Mixture, *, target: int | None = None, loose: float = 1.0, replaced: bool = False
) -> dict[str, float]:
    """Return how far token shares can be off when the number of documents is exact.

    Each domain's documents are whole, so one of them may be missing or too many (`loose`); and of a
    partial pass of k of n documents the lengths are those of a draw without replacement, whose
    sum has the standard deviation s sqrt(k (1 - k / n)): four of them. Of a trainer that repeats
    with replacement (`replaced`), it is s sqrt(k) beyond the first pass.
    """
    total = target or mixture.target_tokens
    wrong = {}
    for domain in mixture.domains:
        count = len(domain.lengths)
        passes, part = divmod(domain.share * total / domain.tokens, 1.0)
        part *= count
        kept = 1.0 if replaced and passes else 1 - part / count
        if replaced and passes:
            part += (passes - 1) * count
        spread = math.sqrt(math.fsum((one - domain.mean) ** 2 for one in domain.lengths) / count)
        drawn = DEVIATIONS * spread * math.sqrt(part * kept)
        wrong[domain.name] = drawn + loose * max(domain.lengths)
    return shared_out(mixture, wrong, total)


def bounds_of_plan(mixture: Mixture) -> dict[str, float]:
    """Return how far off a materialised corpus can be.

    Its plan comes as near to each domain's tokens as whole documents can: half of the longest one.
    """
    wrong = {domain.name: max(domain.lengths) / 2 for domain in mixture.domains}
    return shared_out(mixture, wrong, mixture.target_tokens)


def shared_out(mixture: Mixture, wrong: Mapping[str, float], total: float) -> dict[str, float]:
    """Return how far shares can be off when each domain's tokens are `wrong` by so much."""
    others = math.fsum(wrong.values())
    return {
        one.name: ((1 - one.share) * wrong[one.name] + one.share * (others - wrong[one.name]))
        / (total - others)
        for one in mixture.domains
    }


def read_mixture(folder: Path, kind: str, cut: int | None = None) -> Mixture:
    """Return what was learned of `texts` or `conversations` of a folder of `make_data`."""
    said = json.loads((folder / "expected.json").read_text(encoding="utf-8"))[kind]
    domains = [
        Domain(
            name=one["name"],
            slug=one["slug"],
            share=one["share"],
            letters=one["letters"],
            lengths=[*_lengths(folder, kind, one["name"], cut)],
        )
        for one in said["domains"]
    ]
    return Mixture(said["target_tokens"], domains, said["documents"], said["tokens"])


def sources(folder: Path, kind: str, name: str) -> list[dict[str, Any]]:
    """Return the records of a domain."""
    place = "sources" if kind == "texts" else "conversations"
    paths = sorted((folder / place).glob(f"{name.replace('/', ' ')} ?.jsonl"))
    assert paths
    return [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]


def _lengths(folder: Path, kind: str, name: str, cut: int | None) -> Iterator[int]:
    for record in sources(folder, kind, name):
        if kind == "texts":
            yield text_tokens(record["text"])
        else:
            yield response_tokens(record["prompt"], record["completion"], cut)


def naive_tokens(mixture: Mixture, weight: Callable[[Domain], float]) -> dict[str, float]:
    """Return the tokens that documents drawn by other weights would come to, in expectation."""
    return {one.name: weight(one) * one.mean for one in mixture.domains}
