"""The Python client: one method per endpoint, plus the loops that everyone would write."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from client.comparisons import ComparisonCalls
from client.errors import ManifestDamagedError, ServiceUnreachableError, TandemApiError
from client.files import write_whole

Json = dict[str, Any]

FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_TRIES = 4
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 8.0
_LONGEST_POLL_SECONDS = 20


class TandemClient(ComparisonCalls):
    """Talks to one service; use it as a context manager, or call `close`.

    Every method raises TandemApiError when the service refuses, and ServiceUnreachableError when
    nothing answers after a few tries.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the service's address and an API key; `transport` and `sleep` are for tests."""
        self._sleep = sleep
        self._timeout_seconds = timeout_seconds
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=timeout_seconds,
            transport=transport,
            # A proxy of the environment cannot reach this machine's own addresses.
            trust_env=httpx.URL(url).host not in {"127.0.0.1", "localhost", "::1"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def sleep(self, seconds: float) -> None:
        """Sleep between two polls."""
        self._sleep(seconds)

    def submit(
        self,
        spec: Mapping[str, Any],
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Json:
        """Create a job and return it.

        Args:
            spec: A JobSpec.
            name: What to call the job.
            labels: Words to find it by.
            idempotency_key: The same key never makes a second job; one is made up per call, so
                that a retry after a lost answer is safe.
        """
        body: Json = {"spec": dict(spec)}
        if name is not None:
            body["name"] = name
        if labels:
            body["labels"] = dict(labels)
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        return self._json("POST", "/v1/jobs", json=body, headers=headers)

    def job(self, job_id: str) -> Json:
        """Return a job."""
        return self._json("GET", _path(job_id))

    def jobs(self, *, state: str | None = None, limit: int | None = None) -> Iterator[Json]:
        """Yield jobs, newest first: all of them, or the first `limit`."""
        token: str | None = None
        count = 0
        while True:
            page = self._json("GET", "/v1/jobs", params={"state": state, "page_token": token})
            for job in page["data"]:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield job
            token = page.get("next_page_token")
            if token is None:
                return

    def cancel(self, job_id: str) -> Json:
        """Ask a job to stop; what it has learned so far is kept."""
        return self._json("POST", _path(job_id, "cancel"))

    def pause(self, job_id: str) -> Json:
        """Ask a job to be laid aside at a checkpoint."""
        return self._json("POST", _path(job_id, "pause"))

    def resume(self, job_id: str) -> Json:
        """Let a paused job go on."""
        return self._json("POST", _path(job_id, "resume"))

    def retry(self, job_id: str) -> Json:
        """Try a job again that failed or was cancelled, from its last checkpoint."""
        return self._json("POST", _path(job_id, "retry"))

    def clone(self, job_id: str, overrides: Mapping[str, Any]) -> Json:
        """Make a new job out of a job's specification with a JSON merge patch."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        body = {"overrides": dict(overrides)}
        return self._json("POST", _path(job_id, "clone"), json=body, headers=headers)

    def trajectory(
        self,
        job_id: str,
        *,
        after_step: int = 0,
        epoch: int | None = None,
        limit: int | None = None,
    ) -> Json:
        """Return one page of the trajectory, in columns."""
        params = {"after_step": after_step, "epoch": epoch, "limit": limit}
        return self._json("GET", _path(job_id, "trajectory"), params=params)

    def trajectory_csv(self, job_id: str) -> str:
        """Return the whole trajectory as CSV."""
        response = self._request("GET", _path(job_id, "trajectory"), params={"format": "csv"})
        return response.text

    def iter_trajectory(
        self, job_id: str, *, after_step: int = 0, follow: bool = True
    ) -> Iterator[Json]:
        """Yield the points one by one, with `alpha` and the like as a mapping by domain.

        With `follow`, go on until the job has ended. A job that was resumed writes some steps
        again: then a step comes a second time, with the same values, and the later one counts.
        """
        epoch: int | None = None
        # The service answers as soon as there is something new; a proxy may cut longer waits.
        wait = min(_LONGEST_POLL_SECONDS, int(self._timeout_seconds / 2))
        headers = {"Prefer": f"wait={wait}"} if follow and wait else {}
        while True:
            params = {"after_step": after_step, "epoch": epoch}
            path = _path(job_id, "trajectory")
            response = self._request("GET", path, params=params, headers=headers)
            page: Json = response.json()
            rewind = page.get("rewind")
            # A page with a rewind starts over after it; without points it only moves the cursor.
            if rewind is not None and rewind["to_step"] < after_step:
                after_step = rewind["to_step"]
            epoch = page["epoch"]
            points = list(_rows(page))
            yield from points
            if points:
                after_step = points[-1]["step"]
            if page["has_more"]:
                continue
            if not follow or page["job_state"] in FINAL_STATES:
                return
            if "preference-applied" not in response.headers:
                self._sleep((page.get("poll_after_ms") or 1000) / 1000)

    def mixture(self, job_id: str) -> Json:
        """Return the learned mixture and its verdict."""
        return self._json("GET", _path(job_id, "mixture"))

    def export(self, job_id: str, format_: str, options: Mapping[str, Any]) -> Json:
        """Return the mixture in a trainer's format: its files, how to use them, warnings."""
        return self._json("GET", _path(job_id, f"exports/{quote(format_)}"), params=options)

    def manifest(self, job_id: str) -> Json:
        """Return the head of the resampling manifest."""
        return self._json("GET", _path(job_id, "manifest"))

    def download_manifest(self, job_id: str, folder: Path | None = None) -> tuple[Path, list[Path]]:
        """Fetch the manifest and its files, checked against their checksums.

        Args:
            job_id: The job.
            folder: Where to; default: `manifest-` and the start of its checksum, here.

        Returns:
            The folder, and the files in it, the head first.

        Raises:
            ManifestDamagedError: a file is not what the manifest says; it is not kept.
        """
        head = self._request("GET", _path(job_id, "manifest")).content
        if folder is None:
            folder = Path(f"manifest-{hashlib.sha256(head).hexdigest()[:12]}")
        written = []
        for entry in json.loads(head)["files"]:
            name = PurePosixPath(entry["path"])
            if name.is_absolute() or ".." in name.parts:
                raise ManifestDamagedError(f"the manifest names {name}, which leads out of it")
            url = _path(job_id, f"manifest/files/{quote(str(name))}")
            content = self._request("GET", url).content
            if hashlib.sha256(content).hexdigest() != entry["sha256"]:
                raise ManifestDamagedError(
                    f"{name} does not have the checksum {entry['sha256']}; download it again"
                )
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            written.append(write_whole(place, content))
        # The head comes last: where it lies, all that it names lies beside it.
        return folder, [write_whole(folder / "manifest.json", head), *written]

    def events(self, job_id: str, *, after: int = 0) -> list[Json]:
        """Return all events of a job after sequence number `after`."""
        found: list[Json] = []
        while True:
            page = self._json("GET", _path(job_id, "events"), params={"after": after})
            if not page["data"]:
                return found
            found += page["data"]
            after = page["data"][-1]["seq"]

    def wait(
        self, job_id: str, *, timeout_seconds: float | None = None, poll_seconds: float = 1.0
    ) -> Json:
        """Return the job once it has ended.

        Raises:
            TimeoutError: it has not ended after `timeout_seconds`.
        """
        end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            job = self.job(job_id)
            if job["state"] in FINAL_STATES:
                return job
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{job_id} is still {job['state']} after {timeout_seconds:g} s")
            self._sleep(poll_seconds)

    def _json(self, method: str, path: str, **options: Any) -> Json:
        answer: Json = self._request(method, path, **options).json()
        return answer

    def _request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, **options: Any
    ) -> httpx.Response:
        given = {name: value for name, value in (params or {}).items() if value is not None}
        wait = _FIRST_WAIT_SECONDS
        for left in reversed(range(_TRIES)):
            try:
                response = self._http.request(method, path, params=given, **options)
            except httpx.TransportError as error:
                if left == 0:
                    raise ServiceUnreachableError(
                        f"no answer from {self._http.base_url}: {str(error) or type(error)}; "
                        f"is the service up (`tandem up`), and is TANDEM_URL right?"
                    ) from error
                self._sleep(wait)
            else:
                if response.is_success:
                    return response
                if response.status_code not in _RETRIED or left == 0:
                    raise TandemApiError(response.status_code, _problem(response))
                self._sleep(_retry_after(response) or wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        raise AssertionError("the last try returns or raises")


def _path(job_id: str, rest: str = "") -> str:
    path = f"/v1/jobs/{quote(job_id, safe='')}"
    return f"{path}/{rest}" if rest else path


def _rows(page: Json) -> Iterator[Json]:
    columns = page["columns"]
    targets = page.get("targets", [])
    names = {name: targets if name == "target_loss" else page["domains"] for name in columns}
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        for name, value in row.items():
            if isinstance(value, list):
                # What a point of an older release lacks is an empty list.
                row[name] = dict(zip(names[name], value, strict=bool(value)))
        yield row


def _problem(response: httpx.Response) -> Json:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"detail": response.text[:500]}


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return min(float(response.headers["retry-after"]), 60.0)
    except (KeyError, ValueError):
        return None
