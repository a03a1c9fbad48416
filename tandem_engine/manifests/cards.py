"""What makes a manifest's folder a dataset to others: Croissant and a Hugging Face dataset card."""

from collections.abc import Mapping
from typing import Any

import yaml

from tandem_engine.manifests.tables import DOCUMENTS_FOLDER, DOMAINS_FILE, SHARDS_FILE

_CROISSANT = "http://mlcommons.org/croissant/"
_PARQUET = "application/x-parquet"
_COLUMNS = {
    DOMAINS_FILE: {
        "domain": "sc:Text",
        "share": "sc:Float",
        "share_of_documents": "sc:Float",
        "target_tokens": "sc:Integer",
        "available_tokens": "sc:Integer",
        "epochs": "sc:Float",
        "planned_documents": "sc:Integer",
        "planned_tokens": "sc:Integer",
    },
    SHARDS_FILE: {
        "domain": "sc:Text",
        "source_uri": "sc:Text",
        "first_record": "sc:Integer",
        "records": "sc:Integer",
    },
}
_MEANING = {
    "domain": "Name of the domain.",
    "share": "Share of tokens that a trainer reads from the domain.",
    "share_of_documents": "Share of documents that gives that share of tokens.",
    "target_tokens": "Tokens that the share comes to, whole numbers that sum to the target.",
    "available_tokens": "Tokens of one pass over the domain.",
    "epochs": "Passes over the domain.",
    "planned_documents": "Documents that are read, repetitions counted.",
    "planned_tokens": "Their tokens.",
    "source_uri": "A file of the domain.",
    "first_record": "Number of the file's first record in the domain.",
    "records": "Records of the file.",
}
# The context that the specification prescribes; mlcroissant warns of any other.
_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": _CROISSANT,
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases",
    "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "excludes": "cr:excludes",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Croissant 1.1 description of a manifest, from its head without its own entry.

    Shares and passes have no place of their own in Croissant: they are columns.
    """
    files = {entry["path"]: entry for entry in head["files"]}
    return {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": f"{_CROISSANT}1.1",
        "name": head["mixture_id"],
        "description": _sentence(head),
        "url": f"urn:tandem:{head['mixture_id']}",
        "version": "1.0.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "contentSize": f"{entry['bytes']} B",
                "encodingFormat": _PARQUET,
                "sha256": entry["sha256"],
            }
            for name, entry in files.items()
            if name.endswith(".parquet")
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": table.removesuffix(".parquet"),
                "name": table.removesuffix(".parquet"),
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"{table.removesuffix('.parquet')}/{column}",
                        "name": column,
                        "description": _MEANING[column],
                        "dataType": kind,
                        "source": {"fileObject": {"@id": table}, "extract": {"column": column}},
                    }
                    for column, kind in columns.items()
                ],
            }
            for table, columns in _COLUMNS.items()
        ],
    }


def card(head: Mapping[str, Any]) -> str:
    """Return the dataset card: `load_dataset(folder, "domains")` reads the tables."""
    names = [entry["path"] for entry in head["files"]]
    tables = [name for name in names if name.endswith(".parquet") and "/" not in name]
    configs: list[dict[str, Any]] = [
        {"config_name": name.removesuffix(".parquet"), "data_files": name}
        | ({"default": True} if name == DOMAINS_FILE else {})
        for name in tables
    ]
    for row in head["domains"]:
        place = f"{DOCUMENTS_FOLDER}/domain={row['slug']}/"
        if any(name.startswith(place) for name in names):
            config = {"config_name": f"documents-{row['slug']}", "data_files": f"{place}*.parquet"}
            configs.append(config)
    front = yaml.safe_dump({"configs": configs, "tags": ["data-mixture"]}, sort_keys=False)
    rows = [
        f"| {_cell(row['domain'])} | {row['share']:.6f} | {row['share_of_documents']:.6f} "
        f"| {row['target_tokens']} | {row['epochs']:.4g} | {row['planned_documents']} |"
        for row in head["domains"]
    ]
    heading = "| domain | share of tokens | share of documents | tokens | passes | documents |"
    table = "\n".join([heading, "| --- | --- | --- | --- | --- | --- |", *rows])
    return f"---\n{front}---\n\n# {head['mixture_id']}\n\n{_sentence(head)}\n\n{table}\n"


def _sentence(head: Mapping[str, Any]) -> str:
    unit = "response tokens" if head["unit"] == "response_tokens" else "tokens"
    return (
        f"A mixture of {len(head['domains'])} domains by {head['method']}: which documents to read "
        f"how often for {head['target_tokens']} {unit}, seed {head['seed']}."
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
