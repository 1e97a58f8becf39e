"""From raw tables to what a competitor sees and what only the grader sees. Copied into every `prepare.py` together with the
readers of `loading`: pandas, numpy, Pillow and the standard library, nothing of ratchet.

A plan is plain data (see `task.yaml`): `tables` (how each is read), `main` (the tables that hold the rows, one below the other),
`targets`, `features`, `answer` ("chance", "class" or "number": what is to be submitted), `split`, `told` (rows of the test set at most,
as soon as it has `least` of the groups that are split, or rows of each class), `few` and `rare` (rows of a test set by chance, and of its
rarest class, that up to half of all rows are taken for), and `sides`, the tables that come along.
"""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from ratchet.smith.loading import load


def freed(frame: pd.DataFrame) -> pd.DataFrame:
    """Raw columns under names that are not ours: `id` becomes `raw id`. A column `image` that holds images is one of ours."""
    new: dict = {}
    for name in [c for c in ("id", "image", "source") if c in frame]:
        filled = frame[name].dropna()
        if name == "image" and len(filled) and isinstance(filled.iloc[0], np.ndarray | bytes):
            continue
        new[name] = f"raw {name}"
        while new[name] in frame:
            new[name] = f"raw {new[name]}"
    return frame.rename(columns=new) if new else frame


def rows_of(raw: Path, plan: dict) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """The rows of the task, with its target and its features, and the tables beside them."""
    tables = {name: freed(load(raw, **how)) for name, how in plan["tables"].items()}
    parts = [tables[name].assign(**({"source": name} if plan["source"] else {})) for name in plan["main"]]
    frame = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    sides = {side["table"]: tables[side["table"]] for side in plan["sides"]}
    return once(frame, plan), sides


def once(frame: pd.DataFrame, plan: dict) -> pd.DataFrame:
    """The columns of the task; rows whose target is known. A row that is there twice, target and all, is there once; in time all stay."""
    frame = frame.assign(**{name: moments(frame, parts) for name, parts in plan["dates"].items()})
    frame = labelled(frame, plan)
    if set(plan["features"]) <= set(plan["texts"]):  # a row without a text has nothing to read
        frame = frame[frame[plan["features"]].notna().any(axis=1)]
    helpers = [c for c in (plan["split"].get("column"), plan["query"], *plan["split"].get("columns", ())) if c]
    kept = [c for c in dict.fromkeys([*plan["features"], *plan["targets"], *helpers]) if c in frame]
    frame = frame[kept]
    if plan["split"]["by"] == "time":
        clock = plan["split"]["column"]
        return frame[frame[clock].notna()].sort_values(clock, kind="stable").reset_index(drop=True)
    rest = list(dict.fromkeys([*plan["targets"], *(c for c in helpers if c not in plan["features"])]))
    told = frame[rest].assign(**{" features": whole(frame, plan, plain=False)})
    return frame[~told.duplicated()].reset_index(drop=True)


def whole(frame: pd.DataFrame, plan: dict, plain: bool = True) -> pd.Series:
    """A number for the features of each row: the same where they are the same, `plain` but for case, blanks, signs and the seventh
    digit. Where all that there is to read is texts, those of the same words are the same."""
    names = [c for c in plan["features"] if c in frame]
    if names and set(names) <= set(plan["texts"]):
        return pd.util.hash_pandas_object(words_of(frame[names]), index=False).set_axis(frame.index)
    found = pd.Series(np.zeros(len(frame), np.uint64), index=frame.index)
    for name in names:  # one column at a time: all of them as words would be several times the table
        found = found * np.uint64(1_000_003) + cells_of(frame[name], name, plain).to_numpy()
    return found


def cells_of(column: pd.Series, name: str, plain: bool) -> pd.Series:
    """A number for each cell, the same where they are the same."""
    if name == "image":
        column = column.map(lambda v: hashlib.sha256(as_bytes(v)).hexdigest())
    elif pd.api.types.is_numeric_dtype(column):
        column = pd.Series(column.to_numpy(np.float32 if plain else np.float64, na_value=np.nan))
    elif not pd.api.types.is_datetime64_any_dtype(column):
        places, values = pd.factorize(column.astype("string").fillna(""))
        values = pd.Series(values, dtype="string")
        values = values.str.lower().str.replace(r"\W+", " ", regex=True).str.strip() if plain else values
        return pd.Series(pd.util.hash_pandas_object(values.astype(object), index=False).to_numpy()[places])
    return pd.util.hash_pandas_object(column, index=False)


def labelled(frame: pd.DataFrame, plan: dict) -> pd.DataFrame:
    """Only rows whose target is known; classes of few rows are left out; lists become a column of 0 and 1 for each label."""
    targets = plan["targets"]
    if len(targets) > 1:
        if plan["lists"]:
            column, sep = plan["lists"]["column"], plan["lists"]["separator"]
            frame = frame[frame[column].notna()]
            sets = frame[column].map(lambda cell: {p.strip() for p in str(cell).split(sep)})
            return frame.assign(
                **{name: sets.map(lambda s, name=name: int(plan["lists"]["labels"][name] in s)) for name in targets}
            )
        if all(frame[name].nunique() > 1 for name in targets):  # columns of 0 and 1
            frame = frame[frame[targets].notna().all(axis=1)]
            return frame.astype(dict.fromkeys(targets, int))
        filled = frame[targets].notna()
        frame = frame[filled.any(axis=1)]
        return frame.assign(**{name: frame[name].notna().astype(int) for name in targets})
    (target,) = targets
    frame = frame[frame[target].notna()]
    if plan["classes"]:
        frame = of_classes(frame, target, plan["classes"])
        return frame.assign(**{target: (frame[target] == plan["positive"]).astype(int)}) if plan["positive"] else frame
    return frame[frame[target].isin(plan["levels"])] if plan["levels"] else frame


def of_classes(frame: pd.DataFrame, target: str, classes: list[str]) -> pd.DataFrame:
    """The rows of these classes, under their names."""
    column = frame[target]
    alike = column.dtype == object  # there 1, 1.0 and True are
    if not of_words(column):
        column = column.map(class_name if alike else {value: class_name(value) for value in column.astype(object).unique()})
    return frame.assign(**{target: column})[column.isin(classes)]


def of_words(column: pd.Series) -> bool:
    """Whether all cells that are not missing are texts."""
    return pd.api.types.infer_dtype(column, skipna=True) == "string"


def class_name(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def words_of(texts: pd.DataFrame) -> pd.Series:
    """The words of each row's texts but for case, signs, numbers and order: letters from one template, or a pair turned round, are one."""
    every = texts.astype(object).fillna("").astype(str).agg(" ".join, axis=1).str.lower().str.replace(r"\d", "0", regex=True)
    return every.map(lambda text: " ".join(sorted(set(re.findall(r"\w+", text)))))


def as_bytes(image: object) -> bytes:
    return image if isinstance(image, bytes) else np.ascontiguousarray(image).tobytes()


def moments(frame: pd.DataFrame, columns: list[str]) -> pd.Series:
    """One moment from a column of dates, or from columns of year, month, day and hour."""
    if len(columns) == 2 and columns[0].lower() != "year":  # a day, and a time of the day
        return moments(frame, columns[:1]) + pd.to_timedelta(hours(frame[columns[1]]), unit="h")
    if len(columns) > 1:
        parts = {name: frame[c] for name, c in zip(("year", "month", "day", "hour"), columns)}
        return pd.to_datetime(pd.DataFrame({"day": 1} | parts), errors="coerce")
    values = frame[columns[0]]
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.tz_localize(None) if getattr(values.dt, "tz", None) else values
    if pd.api.types.is_numeric_dtype(values):
        big = values.dropna().abs().median()
        unit = "ms" if big > 1e11 else "s" if big > 1e8 else None
        years = pd.to_datetime(values.astype("Int64").astype("string"), format="%Y", errors="coerce") if unit is None else None
        return pd.to_datetime(values, unit=unit, errors="coerce") if unit else years
    short = values.astype("string").str.extract(r"^\s*(\d{1,4})-(\d{1,2})\s*$")
    if short[0].notna().mean() > 0.9:  # months, also of years that have no century
        year = short[0].astype(float) + (2000 if short[0].dropna().astype(int).max() < 100 else 0)
        return pd.to_datetime(pd.DataFrame({"year": year, "month": short[1].astype(float), "day": 1}), errors="coerce")
    return pd.to_datetime(values, format="mixed", errors="coerce")


def hours(column: pd.Series) -> pd.Series | None:
    """The hours since midnight of times of the day (18, 18:30, 18.30.00); None for other columns."""
    if pd.api.types.is_numeric_dtype(column):
        whole = column.dropna()
        return column.astype(float) if len(whole) and whole.between(0, 24).all() and not (whole % 1).any() else None
    parts = column.astype("string").str.extract(r"^\s*(\d{1,2})[:.](\d{2})(?:[:.]\d{2})?\s*$").astype(float)
    return parts[0] + parts[1] / 60 if parts[0].notna().mean() > 0.9 and parts[0].max() <= 24 else None


def in_test(frame: pd.DataFrame, plan: dict) -> np.ndarray:
    """Which rows are kept for the grader."""
    split, n = plan["split"], len(frame)
    random = np.random.default_rng(split["seed"])
    share = split["test"]
    if split["by"] == "time":
        order = frame[split["column"]].to_numpy()
        cut = np.sort(order)[int(n * (1 - share))]
        return order >= cut
    if split["by"] in ("group", "blocks"):
        groups = blocks(frame, split["columns"], split["size"]) if split["by"] == "blocks" else frame[split["column"]]
        groups = groups.map(str, na_action=None)  # cells without a group are one
        names = np.array(sorted(groups.unique()))
        sizes = groups.value_counts()
        random.shuffle(names)
        total = np.cumsum([sizes[name] for name in names])
        wanted = (total <= plan["told"]) | (np.arange(len(names)) < plan["least"])
        return groups.isin(set(names[: max(1, int((wanted & (total <= share * n)).sum()))])).to_numpy()
    rarest = n if plan["answer"] == "number" else min(frame[t].value_counts().min() for t in plan["targets"])
    if share * n > plan["told"]:  # a score needs no quarter of very many rows, but some of each class
        share = min(share, max(plan["told"] / n, plan["least"] / rarest))
    if len(plan["targets"]) == 1:  # of few rows, or few of a class, a quarter tells by chance who is better
        share = max(share, min(0.5, max(plan["few"] / n, plan["rare"] / rarest)))
    twins = pd.factorize(whole(frame, plan))[0]  # rows of the same features, numbered by the first of them
    sizes = np.bincount(twins)
    chosen = np.zeros(len(sizes), bool)
    classes = {0: np.arange(len(sizes))}
    if split["by"] == "stratified":
        first = frame.loc[~pd.Series(twins).duplicated().to_numpy(), plan["targets"][0]]
        classes = first.groupby(first).indices
    for _, places in sorted(classes.items()):
        chosen[drawn(random.permutation(places), sizes, share)] = True
    return chosen[twins]


def drawn(order: np.ndarray, sizes: np.ndarray, share: float) -> list[int]:
    """The first of these sets of rows that together have that share of all their rows; what would be too much is passed over."""
    wanted, taken, found = max(1, round(share * int(sizes[order].sum()))), 0, []
    for place in order:
        if taken == wanted:
            break
        if taken + sizes[place] <= wanted:
            taken += sizes[place]
            found.append(place)
    return found or [int(order[np.argmin(sizes[order])])]


def told_twice(frame: pd.DataFrame, test: np.ndarray, plan: dict) -> np.ndarray:
    """Training rows that a group or a place shares with one of the test set, feature by feature: they would tell it. Where there are
    few values, rows are the same by chance, and stay; so do those of a time, which are told by the past."""
    if (
        plan["split"]["by"] not in ("group", "blocks")
        or sum(min(50, frame[c].nunique()) for c in plan["features"] if c in frame and c != "image") <= 60
    ):
        return np.zeros(len(frame), bool)
    twins = whole(frame, plan)
    return twins.isin(twins[test]).to_numpy() & ~test


def sides_of(frame: pd.DataFrame, plan: dict) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows that are in the files, and which of them are kept for the grader."""
    test = in_test(frame, plan)
    kept = ~told_twice(frame, test, plan)
    return frame[kept].reset_index(drop=True), test[kept]


def blocks(frame: pd.DataFrame, columns: list[str], size: float) -> pd.Series:
    """The cell of a grid on the map that each row lies in."""
    east, north = (pd.factorize(frame[c].floordiv(size), use_na_sentinel=False) for c in columns)
    cells, known = pd.factorize(east[0] * len(north[1]) + north[0])
    corners = [(east[1][cell // len(north[1])], north[1][cell % len(north[1])]) for cell in known]
    names = np.array(["nan" if x != x or y != y else f"{x}/{y}" for x, y in corners], object)  # rows without a place are one cell
    return pd.Series(names[cells], index=frame.index)


def prepare(raw: Path, public: Path, private: Path, plan: dict) -> None:
    """Writes the folders. The same raw files give the same bytes."""
    frame, sides = rows_of(raw, plan)
    frame, test = sides_of(frame, plan)
    order = (
        np.arange(len(frame))
        if plan["split"]["by"] == "time"
        else np.random.default_rng(plan["split"]["seed"] + 1).permutation(len(frame))
    )
    frame, test = frame.iloc[order].reset_index(drop=True), test[order]
    frame.insert(0, "id", np.arange(len(frame)))
    hidden = plan["hidden"]  # known of what is past, not of what is to come
    public.mkdir(parents=True, exist_ok=True)
    private.mkdir(parents=True, exist_ok=True)
    for side in plan["sides"]:
        table = sides[side["table"]]
        if side["own"]:  # rows of ours have many there: their name becomes our id, so that names tell nothing
            numbers = table[side["key"]].map(frame.set_index(side["column"])["id"])
            table = table.assign(id=numbers)[numbers.notna()].astype({"id": int})
            table = table.sort_values(["id", *side["order"]], kind="stable")
        columns = ["id" if side["own"] else side["key"], *side["columns"]]
        save(table[columns], public / f"{side['table']}.csv")
    features = [c for c in plan["features"] if c not in [s["column"] for s in plan["sides"] if s["own"]]]
    if "image" in features:
        (public / "images").mkdir(exist_ok=True)
        for number, image in zip(frame["id"], frame["image"]):
            (public / "images" / f"{number}.png").write_bytes(png(image))
        frame["image"] = "images/" + frame["id"].astype(str) + ".png"
    for name in [c for c in features if pd.api.types.is_datetime64_any_dtype(frame[c])]:
        days = (frame[name].dropna() == frame[name].dropna().dt.normalize()).all()
        frame[name] = frame[name].dt.strftime("%Y-%m-%d" if days else "%Y-%m-%d %H:%M:%S")
    query = [plan["query"]] if plan["query"] else []
    columns = ["id", *query, *features]
    save(frame.loc[~test, [*columns, *plan["targets"]]], public / "train.csv")
    save(frame.loc[test, [c for c in columns if c not in hidden]], public / "test.csv")
    answers = frame.loc[test, ["id", *query, *plan["targets"]]]
    save(answers, private / "answers.csv")
    sample = answers[["id"]].copy()
    for name in plan["targets"]:
        sample[name] = constant(frame.loc[~test, name], plan["answer"])
    save(sample, public / "sample_submission.csv")


def save(frame: pd.DataFrame, path: Path, rows: int = 20_000) -> None:
    """Much as `to_csv` writes it, in half the time, since a value of many rows is put into words once; some rows at a time."""
    odd = [c for c in frame if frame[c].dtype.kind not in "biufO" and frame[c].dtype != "str"]  # moments look alike in all rows
    frame = frame.assign(**{c: frame[c].astype(str).where(frame[c].notna()) for c in odd})
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(map(cell, frame.columns)) + "\n")
        for start in range(0, len(frame), rows):
            part = frame.iloc[start : start + rows]
            file.writelines(",".join(line) + "\n" for line in zip(*(cells(part[name]) for name in part)))


def cells(column: pd.Series) -> list[str]:
    if column.dtype == object and not of_words(column):  # 1, 1.0 and True are alike there
        return ["" if missing else cell(value) for value, missing in zip(column, column.isna())]
    numeric = pd.api.types.is_numeric_dtype(column)
    places, values = pd.factorize(column)
    if column.dtype in (np.float16, np.float32):
        values = values.to_numpy().astype(str)  # 0.1, not all digits of the next number of 64 bits
    elif not numeric and column.dtype != object:
        values = values.astype(str)
    return np.array([*map(str if numeric else cell, values.tolist()), ""], object)[places].tolist()


def cell(value: object) -> str:
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if re.search(r'[,"\r\n]', text) else text


def constant(values: pd.Series, answer: str) -> object:
    """What somebody says who has looked at nothing but the target: the same for every row."""
    if answer == "chance":
        return 0.5
    if answer == "class":
        return values.value_counts().sort_index().idxmax()
    middle = float(values.median())
    return int(middle) if (values == values.round()).all() else round(middle, 6)


def png(image: object) -> bytes:
    """The image as a PNG file without anything beside its points."""
    from PIL import Image

    picture = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else Image.fromarray(np.asarray(image))
    out = io.BytesIO()
    Image.fromarray(np.asarray(picture)).save(out, "PNG")
    return out.getvalue()
