"""`skillkit released`: convert, analyse and measure the released prompts from the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from skillkit.errors import SkillkitError
from skillkit.models.backbones import load_backbone
from skillkit.transfer.ranking import AGGREGATIONS
from skillkit.transfer.released.accuracy import own_accuracy
from skillkit.transfer.released.analysis import correlations
from skillkit.transfer.released.convert import convert_repository
from skillkit.transfer.released.releases import VARIABLE, releases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `skillkit released`."""
    parser.add_argument("folder", nargs="?", help=f"folder of neutral files (default: ${VARIABLE})")
    parser.add_argument(
        "--convert",
        metavar="CHECKOUT",
        help="first make the files from a checkout of Su et al.'s repository",
    )
    parser.add_argument("--backbone", help="also measure each prompt's own accuracy with this model")
    parser.add_argument(
        "--release", help="the release that --backbone belongs to (default: its name, such as roberta_base)"
    )
    parser.add_argument(
        "--data",
        help="folder of task data for --backbone (default: $SKILLKIT_DATA, else the Hub)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="also write the correlations to this .csv or .parquet file",
    )
    parser.add_argument(
        "--resamples", type=int, default=1000, help="bootstrap resamples of the intervals (0: none)"
    )


def main(args: argparse.Namespace) -> int:
    """Print how well each similarity predicts the published transfer; `skillkit released`."""
    if args.convert:
        if not args.folder:
            raise SkillkitError(
                "Say where the files shall go: `skillkit released FOLDER --convert CHECKOUT`."
            )
        for path in convert_repository(args.convert, args.folder):
            print(f"wrote {path}")
    table = pd.concat([correlations(release, resamples=args.resamples) for release in releases(args.folder)])
    for (release, tasks), part in table.groupby(["release", "tasks"], sort=False):
        print(f"\n{release} ({tasks} tasks): Spearman correlation with transfer, x 100")
        print(_layout(part).to_string())
    if args.backbone:
        print(f"\nown-task accuracy with {args.backbone}")
        print(_accuracies(args).to_string(index=False))
    if args.out:
        out = Path(args.out)
        if out.suffix not in (".csv", ".parquet"):
            raise SkillkitError(f"--out {out}: expected a name that ends in .csv or .parquet.")
        table.to_parquet(out, index=False) if out.suffix == ".parquet" else table.to_csv(out, index=False)
    return 0


def _accuracies(args: argparse.Namespace) -> pd.DataFrame:
    wanted = args.release or Path(args.backbone).name.replace("-", "_")
    found = {release.name: release for release in releases(args.folder)}
    if wanted not in found:
        raise SkillkitError(
            f"No release {wanted!r} in the folder; name one by --release: {', '.join(found)}."
        )
    return own_accuracy(load_backbone(args.backbone), found[wanted], data=args.data)


def _layout(part: pd.DataFrame) -> pd.DataFrame:
    """One line per metric, one column per aggregation, "value [low, high]" in hundredths."""
    text = (100 * part["value"]).map("{:.1f}".format)
    if part["low"].notna().any():
        low, high = ((100 * part[end]).map("{:.0f}".format) for end in ("low", "high"))
        text = text + " [" + low + ", " + high + "]"
    name = part["metric"] + part["rows"].map({"all": "", "without row 0": " without row 0"})
    wide = part.assign(text=text, name=name).pivot(index="name", columns="aggregation", values="text")
    return wide.loc[list(dict.fromkeys(name)), list(AGGREGATIONS)].rename_axis(index=None, columns=None)
