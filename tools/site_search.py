"""Give each language of the site a search index of its own, also for pages that are opened from a disk."""

import json
from pathlib import Path

from mkdocs.plugins import event_priority

_SEPARATOR = r"[\s​　\-、。，．？！；：（）]+"  # jieba marks the limits of Chinese words by spaces of no width


@event_priority(-200)  # after the plugins have written the index of all languages
def on_post_build(config) -> None:
    """Split the index in `search` into one for English and one for the pages in `zh`, which then read it there."""
    site = Path(config.site_dir)
    whole = site / "search/search_index.json"
    index = json.loads(whole.read_text(encoding="utf-8"))
    if not any(entry["location"].startswith("zh/") for entry in index["docs"]):
        return
    chinese = [entry for entry in index["docs"] if entry["location"].startswith("zh/")]
    english = [entry for entry in index["docs"] if entry not in chinese]
    _write(whole, {"config": {**index["config"], "lang": ["en"]}, "docs": english})
    chinese = [{**entry, "location": entry["location"].removeprefix("zh/")} for entry in chinese]
    settings = {**index["config"], "lang": ["zh"], "separator": _SEPARATOR, "pipeline": []}
    _write(site / "zh/search/search_index.json", {"config": settings, "docs": chinese})
    for page in (site / "zh").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace('"base": ".."', '"base": "."', 1), encoding="utf-8")


def _write(path: Path, index: dict) -> None:
    """Write an index as JSON, and as a script for pages that are opened from a disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(index, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    path.with_suffix(".js").write_text(f"var __index = {text}", encoding="utf-8")
