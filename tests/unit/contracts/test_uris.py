"""What a URI names, and what is refused before anything is opened."""

import pytest

from tandem_engine.contracts.uris import parse_uri, schemes_of


@pytest.mark.parametrize(
    ("uri", "scheme", "path"),
    [
        ("/data/a b%20.jsonl", "file", "/data/a b%20.jsonl"),
        ("file:///data/a%20b.jsonl", "file", "/data/a b.jsonl"),
        ("s3://bucket/a/*.jsonl", "s3", "bucket/a/*.jsonl"),
        ("S3://bucket/a", "s3", "bucket/a"),
        ("gcs://bucket/a", "gs", "bucket/a"),
        ("abfs://container/a", "az", "container/a"),
        ("https://host:8443/a?b=c", "https", "host:8443/a?b=c"),
        ("hf://datasets/o/n@main/a/*.parquet", "hf", "datasets/o/n@main/a/*.parquet"),
    ],
)
def test_a_uri_names_a_place(uri: str, scheme: str, path: str) -> None:
    location = parse_uri(uri)
    assert (location.scheme, location.path) == (scheme, path)
    assert location.is_pattern == ("*" in uri)
    assert parse_uri(location.uri) == location


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("a.jsonl", "neither an absolute path nor a URI"),
        ("ftp://host/a", "the scheme 'ftp', which is not read"),
        ("data://text/plain", "the scheme 'data'"),
        ("simplecache::s3://bucket/a", "neither an absolute path"),
        ("s3://bucket/a::file:///etc/passwd", "chains several addresses"),
        ("https://user:secret@host/a", "a user or password"),
        ("s3://bucket", "names no file"),
        ("s3:///a", "names no file"),
        ("s3://bucket/../other/a", "holds '..'"),
        ("https://host/a\\b", "a backslash"),
        ("s3://bucket/a\nb", "a control character"),
        ("file://host/a", "names no absolute path"),
        ("file:///a%00b", "a NUL character"),
        ("hf://models/o/n/a", "is no dataset of the hub"),
        ("hf://datasets/single", "is no dataset of the hub"),
    ],
)
def test_what_could_lead_elsewhere_is_refused(uri: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_uri(uri)
    assert "secret" not in str(caught.value)


def test_schemes_are_listed_by_commas() -> None:
    assert schemes_of("s3, file") == {"file", "s3"}
    with pytest.raises(ValueError, match="'ftp' is no scheme"):
        schemes_of("file,ftp")
