"""The arithmetic that each kind has of its own."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from paco_fr.contracts import CROPS
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.errors import PacoError
from tasks.kinds import classification, landmarks, pose, verification
from tasks.task import Task


def declare(kind: str, **options: object) -> Task:
    return Task("family/set", 1, kind, "module:reader", CROPS["box"], "", "", "", options=options)


def test_six_numbers_give_back_the_rotation():
    rotation = Rotation.random(50, rng=0).as_matrix()
    labels = pd.DataFrame({"unit_id": range(50), "rotation": [r.tolist() for r in rotation]})
    six = pose.targets(labels, declare("pose"))
    np.testing.assert_array_equal(six[:, :3], rotation[:, :, 0])
    np.testing.assert_allclose(pose.rotation_from_6d(six), rotation, atol=1e-12)
    stretched = np.concatenate([3 * six[:, :3], 0.1 * six[:, 3:] + 5 * six[:, :3]], axis=1)
    np.testing.assert_allclose(pose.rotation_from_6d(stretched), rotation, atol=1e-9)


@pytest.mark.parametrize(
    "row", [[0] * 6, [1, 0, 0, 2, 0, 0], [np.nan] + [1] * 5, [np.inf] + [1] * 5, [0, 0, 0, 0, 1, 0]]
)
def test_degenerate_outputs_are_the_frontal_head(row):
    np.testing.assert_array_equal(pose.rotation_from_6d([row]), np.eye(3)[None])


def test_any_output_is_a_rotation():
    rows = np.random.default_rng(0).normal(size=(200, 6)) * 10.0 ** np.arange(-100, 100)[:, None]
    found = pose.rotation_from_6d(rows)
    np.testing.assert_allclose(found @ found.transpose(0, 2, 1), np.tile(np.eye(3), (200, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(found), 1.0)


def test_pose_items_by_hand():
    labels = pd.DataFrame({"unit_id": ["u"], "group": ["g"], "yaw": [10.0], "pitch": [-20.0], "roll": [30.0]})
    guess = rotation_from_angles([16.0], [-21.0], [28.0])[:, :, :2].transpose(0, 2, 1).reshape(1, 6)
    (line,) = pose.items(guess, labels, declare("pose")).to_dict("records")
    assert (line["error_yaw"], line["error_pitch"], line["error_roll"]) == pytest.approx((6, 1, 2))
    assert line["error"] == pytest.approx(3)
    assert (line["yaw_true"], line["yaw_pred"]) == pytest.approx((10, 16))


def square_face(**more: object) -> pd.DataFrame:
    points = [[10.0, 10.0], [30.0, 10.0], [30.0, 50.0], [10.0, 50.0]]
    return pd.DataFrame(
        {
            "unit_id": ["u"],
            "group": ["g"],
            "landmarks": [points],
            "transform": [[[2.0, 0.0, -5.0], [0.0, 2.0, 3.0]]],
            "canvas": [100],
            **more,
        }
    )


def test_landmark_targets_follow_the_pixel_convention():
    found = landmarks.targets(square_face(), declare("landmarks"))
    assert found[0, :2] == pytest.approx([(15 + 0.5) / 100, (23 + 0.5) / 100])


def test_landmark_errors_are_in_the_photograph():
    labels, task = square_face(), declare("landmarks", corners=(0, 1), pupils=(0, [1, 2]))
    outputs = landmarks.targets(labels, task) + np.tile([6 / 100, 8 / 100], 4)  # 10 px of canvas, 5 of photo
    (line,) = landmarks.items(outputs, labels, task).to_dict("records")
    assert line["nme_box"] == pytest.approx(100 * 5 / np.sqrt(20 * 40))
    assert line["nme_interocular"] == pytest.approx(25)
    assert line["nme_interpupil"] == pytest.approx(100 * 5 / np.hypot(20, 20))
    assert line["error"] == line["nme_box"]
    np.testing.assert_allclose(np.array(line["prediction"]) - np.array(line["truth"]), [[3, 4]] * 4)


def test_a_failed_landmark_unit_is_off_by_its_normaliser_and_drawn_at_the_centre():
    """It was scored as if all its points lay at the true centre, 79 % here: better than many a prediction."""
    task = declare("landmarks", corners=(0, 1))
    items = landmarks.items(np.full((1, 8), np.nan), square_face(), task)
    assert items["prediction"][0].tolist() == [[20.0, 30.0]] * 4
    assert (items["nme_box"][0], items["nme_interocular"][0], items["error"][0]) == (100.0, 100.0, 100.0)


def test_one_face_whose_length_is_0_counts_as_failed():
    """It ended the whole task."""
    flat = [[10.0, 10.0]] * 4
    labels = pd.concat([square_face(), square_face(unit_id=["v"], landmarks=[flat])], ignore_index=True)
    task = declare("landmarks", corners=(0, 1))
    items = landmarks.items(landmarks.targets(labels, task), labels, task)
    assert items["error"].tolist() == pytest.approx([0.0, 100.0], abs=1e-9)
    assert items["failure"].tolist() == ["", "the length that nme_box divides by is 0"]


def test_a_yaw_beyond_90_degrees_is_compared_on_its_own_branch():
    """Read back from its rotation, a true yaw of 95 gave errors of 180 in pitch and roll."""
    labels = pd.DataFrame({"unit_id": ["u"], "group": ["g"], "yaw": [95.0], "pitch": [5.0], "roll": [3.0]})
    labels["rotation"] = [rotation_from_angles(95.0, 5.0, 3.0).tolist()]
    stored = labels.astype(dict.fromkeys(["yaw", "pitch", "roll"], np.float32))  # as records hold them
    guess = rotation_from_angles([85.0], [5.0], [3.0])[:, :, :2].transpose(0, 2, 1).reshape(1, 6)
    for known in (labels, stored, labels.drop(columns="rotation")):
        (line,) = pose.items(guess, known, declare("pose")).to_dict("records")
        assert (line["error_yaw"], line["error_pitch"], line["error_roll"]) == pytest.approx((10, 0, 0))
        assert line["error"] == pytest.approx(10 / 3)
        assert line["geodesic"] == pytest.approx(10)
    (exact,) = pose.items(pose.targets(labels, declare("pose")), labels, declare("pose")).to_dict("records")
    assert exact["error"] == pytest.approx(0, abs=1e-9)
    assert exact["yaw_pred"] == pytest.approx(95)


def test_a_failed_pose_has_the_largest_errors_that_the_filter_admits():
    """It was scored as the frontal head, a good guess."""
    labels = pd.DataFrame({"unit_id": ["u"], "group": ["g"], "yaw": [10.0], "pitch": [-95.0], "roll": [0.0]})
    (line,) = pose.items(np.full((1, 6), np.nan), labels, declare("pose", filter=99)).to_dict("records")
    assert [line[f"error_{angle}"] for angle in ("yaw", "pitch", "roll")] == [109.0, 180.0, 99.0]
    assert (line["geodesic"], line["error_lenient"]) == (180.0, 90.0)
    (line,) = pose.items(np.full((1, 6), np.nan), labels, declare("pose")).to_dict("records")
    assert line["error"] == 180.0


def test_frontal_and_hidden_parts():
    labels = square_face(yaw=[30.0], visible=[[True, True, False, True]])
    task = declare("landmarks", corners=(0, 1), visibility=True)
    outputs = landmarks.targets(labels, task)
    outputs[0, 4:6] += [0.06, 0.08]
    items = landmarks.items(outputs, labels, task)
    found = {metric.name: metric.value(items) for metric in landmarks.metrics(task)}
    assert found["nme_visible"] == pytest.approx(0, abs=1e-9)
    assert found["nme_hidden"] == pytest.approx(100 * 5 / np.sqrt(800))
    assert found["nme_interocular_frontal"] == pytest.approx(25 / 4)
    aside = landmarks.items(outputs, labels.assign(yaw=30.1), task)
    assert not aside["frontal"][0]


def test_landmark_options_that_mean_nothing_are_refused():
    with pytest.raises(PacoError, match="outer_corners"):
        landmarks.metrics(declare("landmarks", normaliser="outer_corner"))
    with pytest.raises(PacoError, match="needs point numbers"):
        landmarks.items(np.zeros((1, 8)), square_face(), declare("landmarks", normaliser="pupils"))
    with pytest.raises(PacoError, match="Unit 'u': the length that nme_interocular divides by is 0"):
        landmarks.items(np.zeros((1, 8)), square_face(), declare("landmarks", corners=(1, 1)))


def people(n: int = 30, each: int = 3) -> pd.DataFrame:
    who = [f"p{i // each}" for i in range(n)]
    return pd.DataFrame({"unit_id": [f"u{i:02d}" for i in range(n)], "group": who, "identity": who})


def test_sampled_pairs():
    labels, task = people(), declare("verification", impostors=100)
    items = verification.items(np.random.default_rng(0).normal(size=(30, 4)), labels, task)
    assert items["truth"].sum() == 10 * 3
    assert (~items["truth"]).sum() == 100
    assert not items["id"].duplicated().any()
    assert (items["id_a"] < items["id_b"]).all()
    again = verification.items(np.zeros((30, 4)), labels, task)
    assert items[["id", "truth"]].equals(again[["id", "truth"]]), "drawn without regard to what was found"
    other = verification.items(np.zeros((30, 4)), labels, declare("verification", impostors=100, seed=1))
    assert set(items["id"]) != set(other["id"])


def test_all_pairs_when_fewer_than_asked():
    items = verification.items(np.zeros((30, 4)), people(), declare("verification", impostors=10_000))
    assert len(items) == 30 * 29 // 2
    assert not items["id"].duplicated().any()


def test_sampled_impostors_are_uniform():
    labels = people(9)
    seen = pd.concat(
        verification.items(np.zeros((9, 2)), labels, declare("verification", impostors=9, seed=seed))
        for seed in range(300)
    )
    counts = seen.loc[~seen["truth"], "id"].value_counts()
    assert len(counts) == 27
    assert counts.between(60, 140).all()  # expected 100, standard deviation 8


def test_cosine_by_hand_and_zero_embeddings():
    labels = people(4, each=2)
    outputs = np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 0.0], [1.0, 0.0]])
    items = verification.items(outputs, labels, declare("verification")).set_index("id")
    assert items.loc["u00|u01", "score"] == pytest.approx(0.96)
    assert items.loc["u00|u03", "score"] == pytest.approx(0.6)
    assert items.loc["u02|u03", "score"] == 0.0


def test_gallery_and_probes():
    labels = people(6, each=2).assign(media=["neutral", "smiling"] * 3)
    task = declare("verification", pairs="gallery_probe", gallery="neutral", probe="smiling")
    items = verification.items(verification.perfect(labels, task), labels, task)
    assert len(items) == 9
    assert set(items["id_a"]) == {"u00", "u02", "u04"}
    with pytest.raises(PacoError, match="'smile'"):
        verification.pairs(
            labels, declare("verification", pairs="gallery_probe", gallery="neutral", probe="smile")
        )
    with pytest.raises(PacoError, match="'media'"):
        verification.pairs(people(), task)


def test_pairs_need_a_genuine_one():
    with pytest.raises(PacoError, match="nobody has two"):
        verification.pairs(people(5, each=1), declare("verification"))
    with pytest.raises(PacoError, match="sampled"):
        verification.pairs(people(), declare("verification", pairs="sample"))


@pytest.mark.parametrize("code", [8, -1, 1.5, None])
def test_impossible_classes_are_named(code):
    labels = pd.DataFrame({"unit_id": ["a", "b"], "expression": [0, code]})
    with pytest.raises(PacoError, match="Unit 'b': expression is"):
        classification.targets(labels, declare("classification"))


def test_classes_of_ones_own():
    labels = pd.DataFrame({"unit_id": ["a", "b"], "group": ["g", "h"], "light": [1, 0]})
    task = declare("classification", label="light", classes=("dark", "bright"))
    items = classification.items([[0.2, 0.8], [0.3, 0.7]], labels, task)
    assert items["prediction"].tolist() == [1, 1]
    assert items["error"].tolist() == [0.0, 1.0]
    assert items["confidence"].tolist() == [0.8, 0.7]
