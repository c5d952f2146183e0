"""The released artifacts: small made-up ones, and the real ones where SKILLKIT_REFERENCE names a folder."""

import argparse
import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import tiny_tokenizer
from transformers import RobertaConfig, RobertaForMaskedLM

from skillkit.errors import SkillkitError
from skillkit.models.backbones import load_backbone
from skillkit.transfer.ranking import AGGREGATIONS
from skillkit.transfer.released import accuracy, analysis, command, convert, releases, report
from skillkit.transfer.similarities import METRICS, similarities

REFERENCE = os.environ.get("SKILLKIT_REFERENCE", "")
needs_reference = pytest.mark.skipif(
    not REFERENCE, reason="SKILLKIT_REFERENCE does not name a folder with the papers' released prompts"
)

# Spearman correlations x 100, computed once by an independent script from the released files:
# tgt_off, tgt_all, src_off, pool_rel_off, pool_rel_all
EXPECTED = {
    ("roberta_base", "all"): {
        "E_concat": (-1.8, 19.9, 35.9, 27.7, 43.1),
        "E_average": (-5.8, -4.6, 42.4, 28.1, 27.9),
        "C_concat": (19.0, 36.3, 4.2, 13.6, 31.9),
        "C_average": (38.8, 51.9, -15.0, 4.6, 23.6),
        "same-type": (58.8, 67.4, 49.1, 54.0, 63.0),
    },
    ("roberta_base", "without row 0"): {
        "E_concat": (-4.7, 17.6, 42.0, 28.1, 43.4),
        "E_average": (-5.4, -4.5, 42.2, 28.1, 28.0),
        "C_concat": (32.5, 46.9, 19.2, 29.6, 44.5),
        "C_average": (38.9, 52.0, -16.2, 4.7, 23.8),
    },
    ("roberta_large", "all"): {
        "E_concat": (-6.7, 16.2, 39.3, 28.0, 43.3),
        "E_average": (-7.5, -4.8, 38.9, 27.5, 24.8),
        "C_concat": (-4.1, 18.3, 42.8, 27.5, 43.0),
        "C_average": (24.6, 40.8, -20.7, -13.4, 8.9),
        "same-type": (55.7, 65.5, 51.9, 53.2, 62.4),
    },
    ("t5_base", "all"): {
        "E_concat": (11.4, 26.6, 22.3, 16.5, 30.4),
        "E_average": (8.3, 10.7, 4.9, 9.2, 11.8),
        "C_concat": (14.2, 29.1, 51.4, 39.9, 49.8),
        "C_average": (42.9, 52.6, 27.1, 36.7, 47.0),
        "same-type": (49.8, 61.2, 32.8, 45.5, 56.1),
    },
    ("t5_base, classification", "all"): {
        "E_concat": (23.0, 39.3, 21.2, 30.8, 45.5),
        "E_average": (22.1, 21.4, 21.6, 29.2, 28.9),
        "C_concat": (35.2, 48.8, 36.8, 38.9, 51.8),
        "C_average": (56.0, 65.1, 39.5, 49.9, 60.0),
    },
    ("roberta_base 2021-09-10", "all"): {
        "ON": (31.5, 39.2, 4.4, 18.2, 29.0),
        "E_concat": (-3.3, 11.4, 51.7, 35.0, 44.0),
        "E_average": (-3.3, -6.0, 52.7, 35.3, 35.7),
        "C_concat": (26.8, 35.2, -14.2, -6.6, 6.2),
        "C_average": (32.8, 40.3, -20.2, -11.5, 1.7),
        "same-type": (33.6, 40.1, 17.4, 22.4, 29.8),
    },
    ("roberta_base 2021-09-10, trained", "all"): {
        "ON": (50.3, 59.5, 12.2, 32.6, 47.0),
        "E_concat": (5.7, 26.4, 31.8, 34.0, 48.9),
        "E_average": (5.7, 3.1, 31.8, 34.3, 35.2),
        "C_concat": (36.8, 49.1, -6.0, 4.8, 21.9),
        "C_average": (43.7, 54.4, -8.2, 4.3, 21.4),
        "same-type": (54.8, 61.6, 28.1, 38.5, 47.3),
    },
}


@needs_reference
@pytest.mark.parametrize(("name", "rows"), EXPECTED)
def test_rank_correlations_of_the_released_prompts(name, rows):
    release = next(r for r in releases.releases() if r.name == name)
    table = analysis.correlations(release, resamples=0)
    found = table[(table["rows"] == rows) | table["metric"].isin(["ON", "same-type"])]
    found = found.pivot(index="metric", columns="aggregation", values="value")[list(AGGREGATIONS)]
    for metric, expected in EXPECTED[name, rows].items():
        # 0.1, and half a unit of the expectation's last printed digit
        np.testing.assert_allclose(100 * found.loc[metric], expected, atol=0.1 + 0.05 + 1e-9, err_msg=metric)


@needs_reference
def test_metrics_on_released_prompts_equal_a_plain_loop():
    prompts = releases.read_prompts(REFERENCE, "roberta_base")
    first, second = prompts["SST2"], prompts["MNLI"]
    found = {name: matrix[0, 1] for name, matrix in similarities([first, second]).items()}
    distance = cosine = 0.0
    for row in first:
        for other in second:
            distance += np.sqrt(((row - other) ** 2).sum())
            cosine += (row * other).sum() / np.sqrt((row**2).sum() * (other**2).sum())
    pairs = len(first) * len(second)
    assert found["E_average"] == pytest.approx(1 / (1 + distance / pairs), abs=1e-6)
    assert found["C_average"] == pytest.approx(cosine / pairs, abs=1e-6)
    assert found["E_concat"] == pytest.approx(1 / (1 + np.sqrt(((first - second) ** 2).sum())), abs=1e-6)
    whole = (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum())
    assert found["C_concat"] == pytest.approx(whole, abs=1e-6)


@needs_reference
def test_facts_of_the_released_prompts():
    by_name = {release.name: release for release in releases.releases()}
    assert analysis.norm_ordering(by_name["roberta_base"]) == pytest.approx(0.91, abs=0.005)
    assert analysis.norm_ordering(by_name["roberta_large"]) == pytest.approx(0.997, abs=0.0005)
    assert analysis.row_norms(by_name["roberta_base"])["ratio"].median() > 2
    assert analysis.row_norms(by_name["t5_base"])["ratio"].median() == pytest.approx(1, abs=0.1)

    norms = analysis.training_norms()
    assert len(norms) == 72
    for _, group in norms.groupby("model"):
        assert group["steps"].corr(group["norm"], method="spearman") > 0.95

    seeds = analysis.seed_similarity().set_index(["model", "metric", "pairs"])["value"]
    assert seeds["roberta", "C_concat", "same task"] == pytest.approx(0.1792, abs=5e-5)
    assert seeds["t5", "C_average", "different task"] == pytest.approx(0.0166, abs=5e-5)

    history = analysis.activation_history().set_index(["activation", "pair", "step"])["value"]
    assert history["final", "QQP and SNLI", 1000] == pytest.approx(0.832, abs=5e-4)
    assert history["wi0", "QQP and SNLI", 17000] == pytest.approx(0.422, abs=5e-4)
    assert history["final", "QQP to its last", 17000] == pytest.approx(1)


@needs_reference
def test_published_accuracies_left_out_the_last_partial_batch():
    release = next(r for r in releases.releases() if r.name == "roberta_base")
    table = accuracy.dropped_examples(release).set_index("task")
    assert table.loc["SST2", "evaluated"] == 832
    assert (table["multiples"] == table["results"]).all()
    assert table.loc["SST2", "multiples_of_all"] < table.loc["SST2", "results"]


@needs_reference
def test_command_prints_the_table(capsys, tmp_path):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    out = tmp_path / "table.csv"
    assert command.main(parser.parse_args([REFERENCE, "--resamples", "0", "--out", str(out)])) == 0
    assert "50.3" in capsys.readouterr().out
    assert set(pd.read_csv(out)["metric"]) == {
        "E_concat",
        "E_average",
        "C_concat",
        "C_average",
        "ON",
        "same-type",
    }


def make_checkout(folder, rng):
    """A checkout of Su et al.'s repository in miniature: 4 tasks, prompts alike inside a type."""
    tasks = {"IMDB": 0, "SST2": 0, "MNLI": 1, "snli": 1}
    centres = rng.normal(size=(2, 3, 4))
    prompts = {task: centres[kind] + 0.1 * rng.normal(size=(3, 4)) for task, kind in tasks.items()}
    for task, prompt in prompts.items():
        path = folder / "task_prompt_emb" / f"{task}PromptRoberta" / "task_prompt"
        path.parent.mkdir(parents=True)
        torch.save(torch.tensor(prompt, dtype=torch.float32), path)
        for source, kind in {**tasks, "random": 2}.items():
            accuracy = 0.9 if source == task else 0.8 if kind == tasks[task] else 0.5
            result = folder / "result" / f"{task}PromptRoberta"
            result.mkdir(parents=True, exist_ok=True)
            name = "result_random.json" if source == "random" else f"result_{source}PromptRoberta.json"
            (result / name).write_text(json.dumps(json.dumps({"acc": accuracy})))
    (folder / "result" / "IMDBPromptRoberta" / "result_model_transfer_IMDBPromptT5.json").write_text('"{}"')
    return prompts


def test_a_repository_is_converted_and_analysed(tmp_path):
    prompts = make_checkout(tmp_path / "checkout", np.random.default_rng(0))
    written = convert.convert_repository(tmp_path / "checkout", tmp_path / "neutral")
    assert [path.name for path in written] == ["su_prompts_roberta_base.npz", "su_transfer_roberta_base.csv"]

    (release,) = releases.releases(tmp_path / "neutral")
    assert release.tasks == ("IMDB", "SST2", "MNLI", "snli")
    assert release.types == ["sentiment", "sentiment", "inference", "inference"]
    np.testing.assert_allclose(release.prompts[2], prompts["MNLI"], rtol=1e-6)
    np.testing.assert_allclose(release.transfer[0], [0.9, 0.8, 0.5, 0.5])

    table = analysis.correlations(release, resamples=50)
    planted = table[(table["aggregation"] == "tgt_off") & (table["rows"] == "all")].set_index("metric")
    assert planted.loc["same-type", "value"] == pytest.approx(1)
    assert planted.loc["C_concat", "value"] > 0.8
    assert (planted["low"] <= planted["value"] + 1e-9).all()


@pytest.fixture
def roberta_folder(tmp_path):
    """A tiny random RoBERTa with the real vocabulary size, so that Su et al.'s label-word ids exist, saved
    to a folder.
    """
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=50265,
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=20,
        max_position_embeddings=180,
        initializer_range=0.3,
        pad_token_id=1,
    )
    folder = tmp_path / "roberta"
    RobertaForMaskedLM(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_own_accuracy_is_measured_as_su_et_al_did(tmp_path, roberta_folder, capsys):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"sentence": [f"word{i} good" for i in rng.integers(0, 40, 150)], "label": rng.integers(0, 2, 150)}
    )
    (tmp_path / "data" / "sst2").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        frame.to_parquet(tmp_path / "data" / "sst2" / f"{split}.parquet")
    prompts = rng.normal(size=(2, 5, 12))
    release = releases.Release("roberta_base", ("SST2", "MNLI"), prompts, np.array([[0.9, 0.5], [0.5, 0.8]]))

    backbone = load_backbone(str(roberta_folder), device="cpu")
    table = accuracy.own_accuracy(backbone, release, data=tmp_path / "data").set_index("task")
    row = table.loc["SST2"]
    assert (row["examples"], row["n"], row["published"], row["published_examples"]) == (150, 128, 0.9, 872)

    def predict(
        text,
    ):  # their input, written out: [MASK], prompt rows 1.., <s> text </s>, no positions on the first five
        model, tokenizer = backbone.model, backbone.tokenizer
        words = [0, *tokenizer(text, add_special_tokens=False)["input_ids"], 2]
        table = model.get_input_embeddings().weight
        front = torch.cat([table[[4]], torch.tensor(prompts[0, 1:], dtype=torch.float32)])
        front = front - model.roberta.embeddings.position_embeddings.weight[2:7]
        logits = model(inputs_embeds=torch.cat([front, table[words]])[None]).logits[0, 0]
        return int(logits[22173] > logits[33407])

    with torch.no_grad():
        expected = np.mean(
            [predict(t) == y for t, y in zip(frame.sentence[:128], frame.label[:128], strict=True)]
        )
    assert row["value"] == pytest.approx(expected)
    assert row["low"] < row["value"] < row["high"]
    assert np.isnan(table.loc["MNLI", "value"])
    assert "mnli" in table.loc["MNLI", "note"]

    make_folder = tmp_path / "neutral"
    make_folder.mkdir()
    np.savez(make_folder / "su_prompts_roberta_base.npz", SST2=prompts[0], MNLI=prompts[1])
    pairs = [("SST2", "SST2", 0.9), ("SST2", "MNLI", 0.5), ("MNLI", "SST2", 0.5), ("MNLI", "MNLI", 0.8)]
    pd.DataFrame(pairs, columns=["source_task", "target_task", "metric"]).to_csv(
        make_folder / "su_transfer_roberta_base.csv", index=False
    )
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = [
        str(make_folder),
        "--resamples",
        "0",
        "--backbone",
        str(roberta_folder),
        "--data",
        str(tmp_path / "data"),
    ]
    with pytest.raises(SkillkitError, match="--release"):
        command.main(parser.parse_args(given))
    command.main(parser.parse_args([*given, "--release", "roberta_base"]))
    assert f"{row['value']:.4f}"[:5] in capsys.readouterr().out


def test_missing_things_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("SKILLKIT_REFERENCE", raising=False)
    with pytest.raises(FileNotFoundError, match="SKILLKIT_REFERENCE"):
        releases.releases()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        releases.releases(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="su_transfer_"):
        releases.releases(tmp_path)
    with pytest.raises(FileNotFoundError, match="task_prompt_emb"):
        convert.convert_repository(tmp_path, tmp_path)
    (tmp_path / "su_prompts_x.npz").write_bytes(b"PK truncated")
    with pytest.raises(SkillkitError, match=r"no readable \.npz"):
        releases.read_prompts(tmp_path, "x")


def test_a_report_says_what_a_release_amounts_to(tmp_path):
    make_checkout(tmp_path / "checkout", np.random.default_rng(0))
    convert.convert_repository(tmp_path / "checkout", tmp_path / "neutral")
    (release,) = releases.releases(tmp_path / "neutral")
    found = report.Report({release.name: release}, resamples=50)
    assert found.final == ["roberta_base"] and found.early == []
    assert found.correlations is found.correlations  # computed once
    assert found.type_effects["roberta_base"].difference == pytest.approx((0.8 - 0.5) / 0.9)
    assert found.predicts("roberta_base", "same-type", "without row 0").value == pytest.approx(1)
    best = found.best_metric("roberta_base")
    values = {metric: found.predicts("roberta_base", metric).value for metric in METRICS}
    assert values[best] == max(values.values())
    lead = found.lead("roberta_base", "same-type", "E_concat")
    assert lead.value == pytest.approx(1 - values["E_concat"]) and lead.unit == "tasks"

    grid = report.transfer_grid(release).set_index(["row", "column"])["value"]
    assert grid["IMDB", "SST2"] == pytest.approx(0.8 / 0.9) and grid["MNLI", "MNLI"] == 1
    table = report.dead_row_table(found).iloc[0]
    whole, bare = (
        found.predicts("roberta_base", "C_concat", rows).value for rows in ("all", "without row 0")
    )
    assert table["C_concat"] == pytest.approx(100 * (bare - whole)) and table["tasks"] == 4
    hundredths = report.correlations_table(found).set_index("metric")["tgt_off"]
    assert hundredths["E_concat"] == pytest.approx(100 * values["E_concat"])
    assert "not published here" in report.overlap_lead(found)
    (claim,) = report.release_claims(found)
    assert claim["value"] == pytest.approx((0.8 - 0.5) / 0.9)
    rows = report.report_rows(found)
    assert set(rows["metric"]) == {"spearman", "type_effect", "row0_to_other_rows", "norm_ordering"}


@needs_reference
def test_a_report_on_the_real_releases_leads_and_audits():
    found = report.Report({each.name: each for each in releases.releases()}, resamples=20)
    assert found.early[-1] == "roberta_base 2021-09-10, trained"
    assert "ON reaches **50.3**" in report.overlap_lead(found)
    assert len(report.release_claims(found)) == len(found.final) + 4
    items = report.audit_items(found, analysis.training_norms())
    assert [key for key, _ in items] == ["S1", "S3", "S4", "S4", "S5"]
    assert "0.38 to 0.89" in dict(items)["S1"] and "301 of 301" in dict(items)["S5"]
