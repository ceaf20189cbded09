"""Published weight files and the vision transformers in them.

Files are read without running code, and named for what they are when they are something else. A transformer is built
from its tensors alone: its sizes are read off the shapes, and nothing may be left over.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import pickle
import pickletools
import re
import zipfile
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import IO, cast

import torch
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from paco_eval.encoders._options import NOTHING, Network
from paco_eval.encoders._state import admitted, find_state
from paco_fr.checkpoint import load_weights
from paco_fr.faces.contents import contents_of
from paco_fr.utils.errors import PacoError, in_a_line, one_line, quoted
from paco_fr.utils.untrusted import read_json

UNPACKED = 20
"""How many times its size a file of weights may unpack to; torch does not pack at all."""
INDEX = ".index.json"
"""Ending of a file that says in which of several files the tensors of a network are."""
_PART = re.compile(r"(?P<name>.+)-[0-9]{5}-of-(?P<of>[0-9]{5})\.(?P<ending>safetensors|bin)")
HEAD_WIDTH = 64
WIDE_HEADS = {1280: 16, 1408: 16, 1664: 16}
"""Heads of the published widths that are not split into heads of 64 (ViT-H, g and bigG)."""
AMBIGUOUS = {192: (3, 12), 384: (6, 12)}
"""Widths that were published with several numbers of heads: ViT-T of DeiT and of MAE-Lite, ViT-S of DeiT and of FSFM."""
GELU_WIDTH = 1280
"""Towers in CLIP's layout this wide or wider are open_clip's, of which some use GELU and some QuickGELU."""
ROUGH = 0.8
"""How much nearer the neighbours of another grid must be in a position embedding to disprove a square one."""


def read_tensors(path: Path, anchors: Collection[str] = ()) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` or torch file, or of an index of several, by name, see :func:`find_state`.

    Torch files are read with ``weights_only=True``: torch's restricted unpickler makes tensors and plain values, and
    what :func:`admitted` names beside them as things without content. Nothing of the file runs.

    Args:
        path: the file.
        anchors: names of which a network of the wanted layout has at least one.

    Raises:
        PacoError: no such file, damaged, a TorchScript archive, with objects that would run code, or without tensors.

    """
    if not path.is_file():
        raise PacoError(f"No weight file {path}.")
    if (part := _PART.fullmatch(path.name)) is not None and int(part["of"]) > 1:
        raise PacoError(
            f"{path} is one of {int(part['of'])} parts of a network. Name their index, "
            f"{part['name']}.{part['ending']}.index.json, with all parts beside it."
        )
    tensors = find_state(_read_parts(path) if path.name.endswith(INDEX) else _read_file(path), anchors)
    if not tensors:
        raise PacoError(f"{path} holds no tensors by name. Give a state_dict.")
    return tensors


def _read_file(path: Path) -> object:
    return load_weights(path) if path.suffix == ".safetensors" else _read_torch(path)


def _read_parts(path: Path) -> dict[str, object]:
    """Return the tensors that an index names, each from the part beside it that has it; no part holds others.

    Raises:
        PacoError: a part leads elsewhere, is missing, or has not just what the index says.

    """
    remedy = "Copy or download index and parts again."
    places = read_json(path, remedy).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
        raise PacoError(f"{path} has no weight_map from names of tensors to files. {remedy}")
    found: dict[str, object] = {}
    for name in sorted(set(places.values())):
        part = beside(path, name)
        tensors = _read_file(part)
        wanted = {tensor for tensor, place in places.items() if place == name}
        held = set(tensors) if isinstance(tensors, dict) else set()
        if wanted != held or not isinstance(tensors, dict):
            odd = sorted(map(str, wanted ^ held))[0]
            raise PacoError(
                f"{part} {'lacks' if odd in wanted else 'also holds'} {quoted(odd)}, unlike {path.name} says. {remedy}"
            )
        found |= tensors
    return found


def beside(path: Path, name: str) -> Path:
    """Return a file beside another that names it.

    Raises:
        PacoError: the name leads out of the folder, or there is no such file.

    """
    part = path.parent / name
    if not name or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise PacoError(
            f"{path} names {quoted(name)}, which leads out of its folder. What belongs to it lies beside it."
        )
    if not part.is_file():
        raise PacoError(f"{path} needs {part}, which is not there. Copy it beside it.")
    return part


def files_hash(*paths: Path) -> str:
    """Return sixteen hex digits of the contents of files, in their order."""
    digests = contents_of(paths)
    for path, digest in zip(paths, digests, strict=True):
        if digest is None:
            raise PacoError(f"{path} cannot be read. Mend its permissions, or copy it again.")
    return hashlib.sha256(b"".join(digest for digest in digests if digest is not None)).hexdigest()[:16]


def _read_torch(path: Path) -> object:
    if _is_torchscript(path):
        raise PacoError(
            f"{path} is a TorchScript program, not a file of weights. Use torchscript:{path} with --trust."
        )
    if not zipfile.is_zipfile(path):
        _check_storages(path)
    try:
        with torch.serialization.safe_globals(admitted()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"an object of {one_line(named[1])}" if named else f"something else ({one_line(error)})"
        raise PacoError(
            f"{path} is not unpickled: beside tensors and plain values it holds {what}, and making such objects runs "
            "code, or it is damaged. Save its state_dict alone, best as safetensors."
        ) from error
    except Exception as error:  # a torn or made-up pickle fails in any way, deep within torch
        raise PacoError(
            f"{path} cannot be read as torch weights ({in_a_line(error)}). Copy or download it again."
        ) from error


def _is_torchscript(path: Path) -> bool:
    """Say whether a file is an archive with a program in it; one that unpacks to far more than it is, is refused."""
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise PacoError(
            f"{path} is a damaged archive ({one_line(error)}). Copy or download it again."
        ) from error
    if unpacked > UNPACKED * path.stat().st_size + 1_000_000:
        raise PacoError(
            f"{path} unpacks to {unpacked:,} bytes, {UNPACKED} times its size. torch packs no weights."
        )
    return any(name.endswith("/constants.pkl") for name in names)


def _check_storages(path: Path) -> None:
    """Refuse a file of torch's old format that announces more than it has: torch makes room before it reads.

    Such a file begins with five pickles, which name its tensors, each by a tuple whose last number is their count of
    values; what follows are the values.
    """
    size, number = path.stat().st_size, 0
    if size == 0:
        raise PacoError(f"{path} is empty. Copy or download it again.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            for _ in range(5):
                for operation, argument, _ in pickletools.genops(cast("IO[bytes]", content)):
                    if operation.name == "BINPERSID" and not 0 <= number <= size:
                        raise PacoError(
                            f"{path} announces a tensor of {quoted(number)} values and has {size} bytes. Download it again."
                        )
                    if isinstance(argument, int) and ("INT" in operation.name or "LONG" in operation.name):
                        number = argument
        except (ValueError, OverflowError, IndexError) as error:
            raise PacoError(
                f"{path} cannot be read as torch weights ({one_line(error)}). Copy or download it again."
            ) from error


def sorted_out(
    tensors: Mapping[str, Tensor], *, wanted: Collection[str], spare: Collection[str], where: str, layout: str
) -> dict[str, Tensor]:
    """Return the wanted tensors and refuse a file with others than wanted and spare ones.

    Args:
        tensors: by name.
        wanted: prefixes of the encoder's own names.
        spare: prefixes of parts of the pretraining that an encoder does without.
        where: the file, for errors.
        layout: what the file should be, for errors, e.g. "FaRL's published state".

    """
    own = {name: tensor for name, tensor in tensors.items() if name.startswith(tuple(wanted))}
    strange = [name for name in tensors if name not in own and not name.startswith(tuple(spare))]
    if strange or not own:
        raise wrong_file(tensors, where, layout)
    return own


def wrong_file(tensors: Mapping[str, Tensor], where: str, layout: str) -> PacoError:
    """Return the error that names a file for what it is."""
    return PacoError(f"{where} is {what_it_is(tensors)}, not {layout}.")


def what_it_is(tensors: Mapping[str, Tensor]) -> str:
    """Say in words what kind of network a state dict belongs to, by the names in it."""
    names = list(tensors)

    def any_name(*parts: str) -> bool:
        return any(part in name for part in parts for name in names)

    def begins(*prefixes: str) -> bool:
        return any(name.startswith(prefixes) for name in names)

    if any_name("BboxHead", "bbox_head", "ClassHead", "LandmarkHead", "anchor"):
        return "a face detector, not an encoder"
    if any_name("decode_head", "ppm", "psp_modules", "seg_head", "fpns.", "fpn_convs"):
        return "a fine-tuned parser or landmark network (it has a dense head), not an encoder"
    if begins("exp_avg") or ({"state", "param_groups"} <= set(names)):
        return "the state of an optimiser"
    if begins("online_encoder."):
        return "a pretraining checkpoint of MCF (mcf:)"
    if begins("visual.layer1", "visual.attnpool"):
        return "a CLIP with a ResNet image tower"
    if begins("visual."):
        return "a CLIP or FaRL state with an image tower (farl:)"
    if any_name("token_embedding", "text_projection") or begins("transformer.resblocks"):
        return "a text tower without an image tower"
    if begins("dist_token", "reg_token", "register_tokens"):
        return "a transformer with distillation or register tokens (timm:NAME?weights=FILE of a model that has them)"
    if begins("patch_embed."):
        if "head.weight" in tensors or begins("fc_norm"):
            outputs = f" of {len(tensors['head.weight'])} outputs" if "head.weight" in tensors else ""
            return f"a fine-tuned classifier (it has a head{outputs}), not a pretrained encoder"
        return "a vision transformer in the layout of MAE or timm (mae: or timm:NAME?weights=FILE)"
    if begins("layer1.", "bn1.", "conv1."):
        return "a convolutional network of residual layers (perhaps timm:NAME?weights=FILE)"
    return f"in an unknown layout (its first names: {', '.join(names[:3])})"


def build_vit(
    tensors: Mapping[str, Tensor],
    where: str,
    *,
    clip: bool = False,
    size: int | None = None,
    network: Network = NOTHING,
    grid: tuple[int, int] | None = None,
) -> tuple[VisionTransformer, str]:
    """Return the transformer that the tensors belong to, without any head, and in words what was assumed of it.

    Args:
        tensors: in the layout of timm and MAE (``patch_embed.proj.weight``, ``blocks.0...``) or, for
            ``clip``, of OpenAI's CLIP (``visual.conv1.weight``, ``visual.transformer.resblocks.0...``).
        where: the file, for errors.
        clip: CLIP's architecture: a norm before the blocks, quick GELU, eps 1e-5 (else 1e-6).
        size: side of the pictures in pixels, by default that of the weights; the position embedding is
            resized bicubically, as FaRL does.
        network: heads, activation and eps as stated.
        grid: rows and columns of the position embedding as stated, where its pictures were no squares.

    Raises:
        PacoError: a tensor is missing, surplus or of a shape that does not fit, the size is no multiple of
            the patch, or the tensors leave open what must be stated.

    """
    kernel = _tensor(tensors, "visual.conv1.weight" if clip else "patch_embed.proj.weight", where, 4)
    at = "visual.positional_embedding" if clip else "pos_embed"
    positions = _tensor(tensors, at, where, 2 if clip else 3).float()
    dim, colours, *patch = kernel.shape
    if colours != 3:
        raise PacoError(f"{where} takes pictures of {colours} channels, not of 3.")
    token = "visual.class_embedding" in tensors if clip else "cls_token" in tensors
    flat = positions.reshape(1, -1, positions.shape[-1])
    rows, columns, before = _grid(flat, (patch[0], patch[1]), token, grid, where)
    side = _side(size, (rows, columns), (patch[0], patch[1]), where)
    new = side // patch[0], side // patch[1]
    if new != (rows, columns):
        flat = resample_abs_pos_embed(
            flat, new_size=list(new), old_size=[rows, columns], num_prefix_tokens=before, antialias=False
        )
    marker, depth_at = ("resblocks", 3) if clip else ("blocks", 1)
    depth = len({name.split(".")[depth_at] for name in tensors if f"{marker}." in name})
    first = "visual.transformer.resblocks.0.mlp.c_fc.weight" if clip else "blocks.0.mlp.fc1.weight"
    wide = _tensor(tensors, first, where, 2)
    heads, assumed = _heads(dim, network.heads, where, clip)
    if clip and network.act is None and dim >= GELU_WIDTH:
        raise PacoError(
            f"{where} is a tower {dim} wide, of which there are some with GELU and some with QuickGELU; the file does "
            "not say. Add act=gelu (open_clip's) or act=quick_gelu (names that end in -quickgelu)."
        )
    eps = network.eps or (1e-5 if clip else 1e-6)
    act = network.act or ("quick_gelu" if clip else None)
    model = VisionTransformer(
        img_size=side,
        patch_size=(patch[0], patch[1]),
        embed_dim=dim,
        depth=depth,
        num_heads=heads,
        mlp_ratio=wide.shape[0] / dim,
        qkv_bias=clip or "blocks.0.attn.qkv.bias" in tensors,
        num_classes=0,
        global_pool="token" if token else "",
        class_token=token,
        no_embed_class=token and not before,
        norm_layer=partial(nn.LayerNorm, eps=eps),
        pre_norm=clip,
        act_layer=act,
    )
    own = {**tensors, at: flat.reshape(flat.shape[1:] if clip else flat.shape)}
    renamed = checkpoint_filter_fn(own, model, antialias=False) if clip else own
    load_exactly(model, {name: tensor.float() for name, tensor in renamed.items()}, where)
    said = [
        assumed,
        "" if network.act else f"act {act or 'gelu'} (assumed)",
        "" if network.eps else f"eps {eps:g} (assumed)",
    ]
    return model, ", ".join(filter(None, said))


def _side(size: int | None, grid: tuple[int, int], patch: tuple[int, int], where: str) -> int:
    """Return the side of the pictures that are shown: as asked for, else as the weights have it."""
    height, width = grid[0] * patch[0], grid[1] * patch[1]
    if size is None and height != width:
        raise PacoError(
            f"{where} is for pictures of {height} x {width}; pictures here are squares. Add size=."
        )
    side = size or height
    if side % patch[0] or side % patch[1]:
        multiple = f"{patch[0]}" if patch[0] == patch[1] else f"{patch[0]} and {patch[1]}"
        raise PacoError(
            f"{where} cannot take pictures of {side} pixels: they must be a multiple of {multiple}."
        )
    return side


def _tensor(tensors: Mapping[str, Tensor], name: str, where: str, dimensions: int) -> Tensor:
    """Return a tensor that the layout cannot do without."""
    if name not in tensors:
        raise PacoError(f"{where} lacks '{name}', without which its network cannot be built.")
    if tensors[name].ndim != dimensions or not tensors[name].numel():
        raise PacoError(
            f"{where} has '{name}' of shape {tuple(tensors[name].shape)}, a transformer for pictures has one of "
            f"{dimensions} dimensions."
        )
    return tensors[name]


def _heads(dim: int, given: int | None, where: str, clip: bool) -> tuple[int, str]:
    """Return how many heads a network of this width has, and in words if that was assumed."""
    if given is not None:
        if dim % given:
            raise PacoError(f"{where} is {dim} wide, which {given} heads do not divide.")
        return given, ""
    if dim in AMBIGUOUS and not clip:
        few, many = AMBIGUOUS[dim]
        raise PacoError(
            f"{where} is {dim} wide, which was published with {few} and with {many} heads; its tensors are the same. "
            f"Add heads={few} or heads={many}, by its authors' code."
        )
    heads = WIDE_HEADS.get(dim, max(1, dim // HEAD_WIDTH))
    if dim % heads:
        raise PacoError(
            f"{where} is {dim} wide, and its tensors do not say how many heads it has. Add heads=."
        )
    return heads, f"heads {heads} (assumed)"


def _grid(
    positions: Tensor, patch: tuple[int, int], token: bool, given: tuple[int, int] | None, where: str
) -> tuple[int, int, int]:
    """Return rows and columns of a position embedding (1, N, C), and how many of it belong to the class token."""
    count = positions.shape[1]
    if given is not None:
        before = count - given[0] * given[1]
        if before not in ((0, 1) if token else (0,)):
            raise PacoError(f"{where} has {count} positions, which are no grid of {given[0]} x {given[1]}.")
        return (*given, before)
    for before in (1, 0) if token else (0,):
        # Rows x patch height = columns x patch width: the pictures are squares.
        rows = math.isqrt((count - before) * patch[1] // patch[0])
        columns = rows * patch[0] // patch[1]
        if rows and rows * columns == count - before and rows * patch[0] == columns * patch[1]:
            shape = _smoothest(positions[0, before:], rows, columns)
            if shape != (rows, columns):
                raise PacoError(
                    f"{where}: its position embedding varies smoothly over {shape[0]} x {shape[1]} patches, not over "
                    f"{rows} x {columns}: its pictures were no squares. Add grid={shape[0]}x{shape[1]} and size=."
                )
            return rows, columns, before
    raise PacoError(
        f"{where} has {count} positions{' with a class token' if token else ''}, which are no grid of a square picture "
        f"in patches of {patch[0]} x {patch[1]}. Add grid=ROWSxCOLUMNS and size=, or it has tokens that are not read here."
    )


def _smoothest(positions: Tensor, rows: int, columns: int) -> tuple[int, int]:
    """Return the shape of grid over which (N, C) positions vary most smoothly, ``rows`` x ``columns`` unless disproved."""

    def roughness(high: int, broad: int) -> float:
        grid = positions.reshape(high, broad, -1)
        steps = [grid.diff(dim=axis).square().sum(-1).sqrt().flatten() for axis in (0, 1)]
        return float(torch.cat(steps).mean())

    count = len(positions)
    shapes = [(high, count // high) for high in range(2, count // 2 + 1) if count % high == 0]
    if min(rows, columns) < 2 or not shapes:
        return rows, columns
    best = min(shapes, key=lambda shape: roughness(*shape))
    return best if roughness(*best) < ROUGH * roughness(rows, columns) else (rows, columns)


def load_exactly(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Fill a model with tensors, or say which are missing, surplus or of another shape."""
    expected = model.state_dict()
    missing, surplus = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    problems = [f"lacks {', '.join(missing[:3])} ({len(missing)} in all)"] if missing else []
    if surplus:
        problems.append(
            f"holds {', '.join(surplus[:3])} that the model does not know ({len(surplus)} in all)"
        )
    for name in sorted(set(expected) & set(tensors)):
        if expected[name].shape != tensors[name].shape:
            found, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
            problems.append(f"has '{name}' of shape {found}, the model needs {wanted}")
            break
    if problems:
        raise PacoError(f"{where} {'; '.join(problems)}.")
    model.load_state_dict(dict(tensors))
